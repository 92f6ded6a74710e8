/** All that was ever written to an etcd, from its first revision on, and what may be told from it of addresses. */

import * as z from 'zod';
import type { EtcdMember } from './control.ts';
import { waitFor } from './process.ts';

export interface Change {
  readonly revision: number;
  readonly key: string;
  /** Undefined: deleted. */
  readonly value: string | undefined;
}

/** One line of `etcdctl watch -w json`; keys and values are base64, and an event without a type is a put. */
const Line = z.object({
  CompactRevision: z.number().optional(),
  Events: z.array(
    z.object({
      type: z.number().optional(),
      kv: z.object({ key: z.string(), mod_revision: z.number(), value: z.string().optional() }),
    }),
  ),
});

const base64 = (text: string) => Buffer.from(text).toString('base64');
const plain = (text: string) => Buffer.from(text, 'base64').toString();

/** Every change of keys under a prefix, in order. @throws when etcd has forgotten some. */
export async function historyOf(member: EtcdMember, prefix: string): Promise<Change[]> {
  const marker = `${prefix}~end-${process.hrtime.bigint()}`;
  const watch = await member.machine.netSpawn(
    [
      'env',
      'ETCDCTL_API=3',
      'etcdctl',
      `--endpoints=${member.url}`,
      'watch',
      '--prefix',
      prefix,
      '--rev=1',
      '-w',
      'json',
    ],
    { name: 'history' },
  );
  try {
    await member.ctl(['put', marker, '']);
    const ending = base64(marker);
    const text = await waitFor(
      'the end of the history',
      async () => {
        const output = await watch.output();
        const end = output.indexOf(ending);
        return end >= 0 && output.indexOf('\n', end) >= 0 ? output : undefined;
      },
      60_000,
      200,
    );
    const changes = text
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .flatMap((line) => {
        const { Events, CompactRevision = 0 } = Line.parse(JSON.parse(line));
        if (CompactRevision > 0) throw new Error(`etcd has forgotten what was before revision ${CompactRevision}`);
        return Events.map(({ type, kv }) => ({
          revision: kv.mod_revision,
          key: plain(kv.key),
          value: type === undefined ? plain(kv.value ?? '') : undefined,
        }));
      });
    return changes.filter(({ key }) => key !== marker);
  } finally {
    await watch.stop('SIGKILL');
    await member.ctl(['del', marker]);
  }
}

const Lease = z.object({ engine: z.string() });
const Endpoint = z.object({ host: z.string(), addresses: z.array(z.string()) });

/** Addresses that two held at one time, in words; none is what is hoped for. */
export function heldTwice(history: readonly Change[]): string[] {
  const faults: string[] = [];
  const leases = new Map<string, z.infer<typeof Lease>>();
  /** By key. */
  const endpoints = new Map<string, z.infer<typeof Endpoint>>();
  for (const { revision, key, value } of history) {
    if (key.startsWith('/berth/lease/')) {
      const before = leases.get(key);
      if (value === undefined) {
        leases.delete(key);
        continue;
      }
      const now = Lease.parse(JSON.parse(value));
      leases.set(key, now);
      // Within an engine it may change hands: one that was killed asks for the address of its container again, under a new endpoint.
      if (before !== undefined && before.engine !== now.engine) {
        faults.push(`revision ${revision}: ${key} went from ${JSON.stringify(before)} to ${JSON.stringify(now)}`);
      }
    } else if (key.startsWith('/berth/cluster-endpoint/')) {
      if (value === undefined) {
        endpoints.delete(key);
        continue;
      }
      const now = Endpoint.parse(JSON.parse(value));
      const network = key.slice(0, key.lastIndexOf('/'));
      for (const [other, { addresses, host }] of endpoints) {
        if (other === key || !other.startsWith(`${network}/`)) continue;
        const both = addresses.filter((address) => now.addresses.includes(address));
        if (both.length > 0) {
          faults.push(`revision ${revision}: ${both.join()} on ${now.host} as ${key}, and on ${host} as ${other}`);
        }
      }
      endpoints.set(key, now);
    }
  }
  return faults;
}

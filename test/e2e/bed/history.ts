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

const LEASES = '/berth/lease/';
const ENDPOINTS = '/berth/cluster-endpoint/';

/**
 * Addresses that two held at one time, in words; none is what is hoped for. The lease tells who holds one. An endpoint is told of a
 * moment later, and its end too, so two may be seen for a while; but nobody may tell of an address that it does not hold then.
 */
export function heldTwice(history: readonly Change[]): string[] {
  const faults: string[] = [];
  /** Engines, by the key of the lease. */
  const leases = new Map<string, string>();

  const lease = (revision: number, key: string, value: string | undefined): void => {
    if (value === undefined) return void leases.delete(key);
    const before = leases.get(key);
    const { engine } = Lease.parse(JSON.parse(value));
    leases.set(key, engine);
    // Within an engine it may change hands: one that was killed asks for the address of its container again, under a new endpoint.
    if (before === undefined || before === engine) return;
    faults.push(`revision ${revision}: ${key} went from the engine ${before} to ${engine}`);
  };
  const endpoint = (revision: number, key: string, value: string): void => {
    const { host, addresses } = Endpoint.parse(JSON.parse(value));
    const network = key.slice(ENDPOINTS.length, key.lastIndexOf('/'));
    for (const address of addresses) {
      const [leased, holder] =
        [...leases].find(([name]) => name.startsWith(`${LEASES}${network}/`) && name.endsWith(`/=${address}`)) ?? [];
      if (holder === `host/${host}`) continue;
      const whose = holder === undefined ? 'nobody holds it' : `${holder} holds ${leased}`;
      faults.push(`revision ${revision}: ${host} tells of ${address} as ${key}, and ${whose}`);
    }
  };
  for (const { revision, key, value } of history) {
    if (key.startsWith(LEASES)) lease(revision, key, value);
    else if (key.startsWith(ENDPOINTS) && value !== undefined) endpoint(revision, key, value);
  }
  return faults;
}

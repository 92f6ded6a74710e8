/** Plugin calls straight on the plugin's socket: what Berth adds to a container's start and end. */

import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { openBed } from '../test/e2e/bed/bed.ts';
import type { Host } from '../test/e2e/bed/host.ts';
import { repository } from '../test/e2e/bed/machine.ts';
import { type Benchmark, type Context, onHost } from './benchmark.ts';
import { makeNetwork, pluginClient, type TestNetwork } from './plugin-client.ts';
import type { Budget, Row, Table } from './result.ts';
import { type Measured, rounds, timed } from './rounds.ts';

const AT_ONCE = 50;
/** Deleting a veth takes the kernel 15 ms, in which no other link can be made; Docker's next container comes later than that. */
const PAUSE = 40;

const budgets: Readonly<Record<string, readonly Budget[]>> = {
  'RequestAddress + CreateEndpoint': [
    { of: 'median', most: 2 },
    { of: 'p99', most: 10 },
  ],
  Join: [{ of: 'median', most: 3 }],
};

interface Variant {
  readonly name: string;
  readonly network: TestNetwork;
}

export const calls: Benchmark = {
  name: 'calls',
  about: 'plugin calls on the socket, one at a time and 50 at once, against a plugin that starts `ip`',
  run: async (context) => {
    await using bed = await openBed('bench');
    const host = await bed.host('a', { start: false });
    return await onHost(host, () => measure(host, context));
  },
};

async function measure(host: Host, context: Context): Promise<Table> {
  await host.startBerth(['--gc-grace', '86400', '--log-level', 'warn']);
  await startPeer(host);
  const clients = ['berth', 'plain'].map((name) => pluginClient(host.path(`/run/docker/plugins/${name}.sock`)));
  try {
    const [berth, plain] = clients;
    const variants: Variant[] = [
      { name: 'berth', network: await makeNetwork(berth!, newId(), '10.64.0.0/16') },
      { name: 'plain plugin', network: await makeNetwork(plain!, newId(), '10.65.0.0/16') },
    ];
    const runs = context.runs ?? 300;
    const single = await rounds(variants, one, { rounds: runs, warmUp: 20, pause: PAUSE, say: context.say });
    context.say('back to back');
    const quick = await rounds(variants, withoutJoin, { rounds: runs, warmUp: 100 });
    context.say(`${AT_ONCE} at once`);
    const bursts = Math.max(2, Math.ceil(runs / AT_ONCE));
    const many = new Map(variants.map(({ name }) => [name, new Map<string, number[]>()]));
    await rounds(
      variants,
      async (variant) => {
        for (const [what, samples] of await burst(variant.network)) {
          const of = many.get(variant.name)!;
          of.set(what, [...(of.get(what) ?? []), ...samples]);
        }
        return {};
      },
      { rounds: bursts, warmUp: 0, pause: 1500 },
    );
    return {
      title: 'Plugin calls',
      notes: [
        `one at a time: ${PAUSE} ms between two containers, so the processor has gone to sleep and forgotten what it knew, as between two docker commands`,
        'back to back: the next container at once, as when many are started; without Join, because the kernel takes 15 to 25 ms to delete a link',
        `"${AT_ONCE} at once": ${AT_ONCE} clients start the same step together, the time is that of each`,
        'the client is a Node program, and its own share (about 0.05 ms) is in the times of both',
        'the plain plugin starts `ip` for each step, keeps everything in memory only, and has no packet filter',
      ],
      rows: [
        ...rowsOf(single, '', budgets),
        ...rowsOf(quick, ', back to back', budgets),
        ...rowsOf(many, `, ${AT_ONCE} at once`, {}),
      ],
    };
  } finally {
    for (const client of clients) client.close();
  }
}

/** The plugin to compare with, serving `/run/docker/plugins/plain.sock`. */
export async function startPeer(host: Host): Promise<void> {
  const plugin = join(repository, 'bench/peer/plugin.ts');
  const process = await host.spawn(['node', plugin, '/run/docker/plugins/plain.sock'], { name: 'plain-plugin' });
  await process.waitForOutput(/ready/);
}

/** As Docker makes them: 64 hexadecimal digits. */
export const newId = (): string => randomBytes(32).toString('hex');

async function one({ network }: Variant): Promise<Measured> {
  const endpoint = newId();
  let address = '';
  return {
    'RequestAddress + CreateEndpoint': await timed(async () => {
      address = await network.create(endpoint);
    }),
    Join: await timed(() => network.join(endpoint)),
    'Leave + DeleteEndpoint + ReleaseAddress': await timed(async () => {
      await network.leave(endpoint);
      await network.remove(endpoint, address);
    }),
  };
}

async function withoutJoin({ network }: Variant): Promise<Measured> {
  const endpoint = newId();
  let address = '';
  const time = await timed(async () => {
    address = await network.create(endpoint);
  });
  await network.remove(endpoint, address);
  return { 'RequestAddress + CreateEndpoint': time };
}

async function burst(network: TestNetwork): Promise<Map<string, number[]>> {
  const endpoints = Array.from({ length: AT_ONCE }, newId);
  const addresses = new Map<string, string>();
  const all = (step: (endpoint: string) => Promise<unknown>) =>
    Promise.all(endpoints.map((endpoint) => timed(() => step(endpoint))));
  return new Map([
    [
      'RequestAddress + CreateEndpoint',
      await all(async (endpoint) => addresses.set(endpoint, await network.create(endpoint))),
    ],
    ['Join', await all((endpoint) => network.join(endpoint))],
    [
      'Leave + DeleteEndpoint + ReleaseAddress',
      await all(async (endpoint) => {
        await network.leave(endpoint);
        await network.remove(endpoint, addresses.get(endpoint)!);
      }),
    ],
  ]);
}

function rowsOf(
  results: ReadonlyMap<string, ReadonlyMap<string, readonly number[]>>,
  suffix: string,
  limits: Readonly<Record<string, readonly Budget[]>>,
): Row[] {
  const plain = [...results.get('plain plugin')!];
  return plain.flatMap(([what, samples]): Row[] => [
    { what: what + suffix, name: 'plain plugin', unit: 'ms', samples },
    {
      what: what + suffix,
      name: 'berth',
      unit: 'ms',
      samples: results.get('berth')!.get(what)!,
      peer: 'plain plugin',
      ...(limits[what] === undefined ? {} : { budgets: limits[what] }),
    },
  ]);
}

/** The data path of two containers on one host: a TCP stream, and one byte there and back. */

import { cpus } from 'node:os';
import { join } from 'node:path';
import { openBed } from '../test/e2e/bed/bed.ts';
import type { Host } from '../test/e2e/bed/host.ts';
import { repository } from '../test/e2e/bed/machine.ts';
import { run } from '../test/e2e/bed/process.ts';
import { type Benchmark, type Context, onHost } from './benchmark.ts';
import { type Compared, comparedPairs, type Pair } from './pairs.ts';
import type { Budget, Row, Table } from './result.ts';
import { rounds } from './rounds.ts';
import { median } from './statistics.ts';

const SECONDS = 1;
/** The share of what is made by hand. */
const LEAST = 0.97;
/** Of the time for a round trip. */
const MOST = 1.03;
const PING_PONG = join(repository, 'bench/peer/ping-pong.ts');
const PORT = 7007;
const IPERF_PORT = 5201;

export const throughput: Benchmark = {
  name: 'throughput',
  about: 'TCP between two containers of a host, against the engine’s bridge and one made by hand',
  run: async (context) => {
    await using bed = await openBed('bench');
    const host = await bed.host('a', { engine: context.engine });
    const segment = await bed.lan({ subnet: '192.168.159.0/24', gateway: '192.168.159.1' });
    await segment.plug(host, { name: 'eth1', bridge: 'br0', addresses: ['192.168.159.10/24'] });
    await host.startBerth();
    const compared = await onHost(host, () => comparedPairs(host, segment));
    return {
      title: 'Data path on one host',
      notes: [
        ...pathNotes,
        'all in one host, where the engine has br_netfilter on: bridged packets pass the packet filters in each variant',
        'what is made by hand is a second interface in the same containers, so that nothing but the way between them differs',
      ],
      rows: await onHost(host, () => comparePaths(host, compared, context)),
    } satisfies Table;
  },
};

/** Where the server is, seen from the client: what is on one core takes turns, and says what a packet costs. */
const places = ['same core', 'two cores'] as const;

export const pathNotes: readonly string[] = [
  `TCP stream: iperf3, one connection, ${SECONDS} s, what the server received; client and server are pinned, to one core or to two`,
  'round trip: one byte over TCP, the median of 0.3 s; both ends are the same TypeScript program with blocking system calls',
  'with both ends on one core the figures say what a packet costs, and depend least on what else the machine does',
];

/** @param host on which the programs of both ends are started, whichever hosts their namespaces are of. */
export async function comparePaths(host: Host, compared: readonly Compared[], context: Context): Promise<Row[]> {
  const pairs = [...new Set(compared.flatMap(({ pair, peer }) => [peer, pair]))];
  // The two last cores: interrupts and whatever starts first are rather on the first ones.
  const cores = cpus().length;
  const client = cores - 1;
  const serverCore = { 'same core': client, 'two cores': Math.max(0, cores - 2) };
  const pinned = (netns: string, core: number, command: readonly string[]) => [
    'nsenter',
    `--net=${netns}`,
    'taskset',
    '-c',
    `${core}`,
    ...command,
  ];
  for (const netns of new Set(pairs.map(({ server }) => server))) {
    for (const [index, place] of places.entries()) {
      const core = serverCore[place];
      const name = `${netns.slice(-12)}-${index}`;
      await host.netSpawn(pinned(netns, core, ['iperf3', '-s', '-p', `${IPERF_PORT + index}`]), {
        name: `iperf3-${name}`,
      });
      const pong = await host.netSpawn(pinned(netns, core, ['node', PING_PONG, 'server', `${PORT + index}`]), {
        name: `pong-${name}`,
      });
      await pong.waitForOutput(/ready/);
    }
  }
  const ask = async (pair: Pair, command: readonly string[]): Promise<unknown> =>
    JSON.parse((await run(pinned(pair.client, client, command), { env: process.env })).stdout);
  const results = await rounds(
    pairs,
    async (pair) => {
      const measured: Record<string, number> = {};
      for (const [index, place] of places.entries()) {
        const iperf = ['iperf3', '-c', pair.address, '-p', `${IPERF_PORT + index}`, '-t', `${SECONDS}`, '-J'];
        const { end } = (await ask(pair, iperf)) as { end: { sum_received: { bits_per_second: number } } };
        measured[`TCP stream, ${place}`] = end.sum_received.bits_per_second / 1e9;
        const trips = await ask(pair, ['node', PING_PONG, 'client', pair.address, `${PORT + index}`, '0.3']);
        measured[`round trip, ${place}`] = median(trips as number[]);
      }
      return measured;
    },
    { rounds: context.runs ?? 12, say: context.say },
  );
  const peers = new Map(compared.map(({ pair, peer }) => [pair.name, peer.name]));
  const foreign = new Set(compared.filter(({ foreign: is }) => is).map(({ pair }) => pair.name));
  const kinds = ['TCP stream', 'round trip'].flatMap((kind) => places.map((place) => `${kind}, ${place}`));
  return kinds.flatMap((what) =>
    pairs.map(({ name }): Row => {
      const stream = what.startsWith('TCP stream');
      const peer = peers.get(name);
      const budget: Budget = stream ? { of: 'ratio', least: LEAST } : { of: 'ratio', most: MOST };
      return {
        what,
        name,
        unit: stream ? 'Gb/s' : 'µs',
        samples: results.get(name)!.get(what)!,
        ...(peer === undefined ? {} : { peer }),
        ...(peer === undefined || foreign.has(name) ? {} : { budgets: [budget] }),
      };
    }),
  );
}

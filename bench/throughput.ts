/** The data path of two containers on one host: a TCP stream, and one byte there and back. */

import { cpus } from 'node:os';
import { join } from 'node:path';
import { openBed } from '../test/e2e/bed/bed.ts';
import type { Host } from '../test/e2e/bed/host.ts';
import { repository } from '../test/e2e/bed/machine.ts';
import { run } from '../test/e2e/bed/process.ts';
import { type Benchmark, type Context, onHost } from './benchmark.ts';
import type { Row, Table } from './result.ts';
import { rounds } from './rounds.ts';
import { median } from './statistics.ts';

const SECONDS = 2;
const PING_PONG = join(repository, 'bench/peer/ping-pong.ts');
const PORT = 7007;

/** Two network namespaces that reach each other. */
interface Pair {
  readonly name: string;
  /** Files of the namespaces, from outside of the host. */
  readonly server: string;
  readonly client: string;
  /** The server's. */
  readonly address: string;
}

export const throughput: Benchmark = {
  name: 'throughput',
  about: 'TCP between two containers of a host, against the engine’s bridge and one made by hand',
  run: async (context) => {
    await using bed = await openBed('bench');
    const host = await bed.host('a', { engine: context.engine });
    const segment = await bed.lan({ subnet: '192.168.159.0/24', gateway: '192.168.159.1' });
    await segment.plug(host, { name: 'eth1', bridge: 'br0', addresses: ['192.168.159.10/24'] });
    await host.startBerth();
    const pairs = [
      await containers(host, 'user bridge', ['-d', 'bridge']),
      await containers(host, 'berth', ['-d', 'berth', '--ipam-driver', 'berth']),
      await containers(host, 'berth-lan', ['-d', 'berth-lan', '--subnet', '192.168.159.0/24']),
      await byHand(host),
    ];
    return await onHost(host, () => measure(host, pairs, context));
  },
};

async function containers(host: Host, name: string, create: readonly string[]): Promise<Pair> {
  const network = name.replace(' ', '-');
  await host.docker('network', 'create', ...create, network);
  const image = await host.image();
  const start = async () => {
    const id = await host.docker('run', '-d', '--network', network, image, 'sleep', '100000');
    const format = '{{.NetworkSettings.SandboxKey}} {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}';
    const [sandbox, address] = (await host.docker('inspect', '-f', format, id)).split(' ');
    return { netns: host.path(sandbox!.replace('/var/run', '/run')), address: address! };
  };
  const server = await start();
  const client = await start();
  return { name, server: server.netns, client: client.netns, address: server.address };
}

/** What an administrator would make in the same place: a bridge, two veth pairs, and a filter rule to let them talk. */
async function byHand(host: Host): Promise<Pair> {
  await host.ip('link add hand type bridge', 'address add 10.99.0.1/24 dev hand', 'link set hand up');
  await host.exec(['iptables', '-I', 'FORWARD', '-i', 'hand', '-o', 'hand', '-j', 'ACCEPT']);
  const [server, client] = await Promise.all(
    ['10.99.0.2', '10.99.0.3'].map(async (address, index) => {
      const end = await host.netSpawn(['unshare', '-n', 'sleep', '100000'], { name: `hand${index}` });
      const netns = `/proc/${end.pid}/ns/net`;
      await host.ip(
        `link add hand${index} type veth peer name c${index}`,
        `link set hand${index} master hand up`,
        `link set c${index} netns ${end.pid} name eth0`,
      );
      await inside(netns, ['ip', 'link', 'set', 'eth0', 'up']);
      await inside(netns, ['ip', 'address', 'add', `${address}/24`, 'dev', 'eth0']);
      return netns;
    }),
  );
  return { name: 'bridge by hand', server: server!, client: client!, address: '10.99.0.2' };
}

const inside = (netns: string, command: readonly string[]) =>
  run(['nsenter', `--net=${netns}`, '--', ...command], { env: process.env });

async function measure(host: Host, pairs: readonly Pair[], context: Context): Promise<Table> {
  // The two last cores: interrupts and whatever starts first are rather on the first ones.
  const cores = cpus().length;
  const [near, far] = [cores - 1, Math.max(0, cores - 2)];
  const servers = (pair: Pair) => [
    host.netSpawn(['nsenter', `--net=${pair.server}`, 'taskset', '-c', `${far}`, 'iperf3', '-s'], {
      name: `iperf3-${pair.name.replaceAll(' ', '-')}`,
    }),
    ...[near, far].map(async (core, index) => {
      const server = await host.netSpawn(
        ['nsenter', `--net=${pair.server}`, 'taskset', '-c', `${core}`, 'node', PING_PONG, 'server', `${PORT + index}`],
        { name: `pong-${index}-${pair.name.replaceAll(' ', '-')}` },
      );
      await server.waitForOutput(/ready/);
      return server;
    }),
  ];
  await Promise.all(pairs.flatMap(servers));
  const on = (pair: Pair, command: readonly string[]) =>
    run(['nsenter', `--net=${pair.client}`, 'taskset', '-c', `${near}`, ...command], { env: process.env });
  const trips = async (pair: Pair, port: number) => {
    const { stdout } = await on(pair, ['node', PING_PONG, 'client', pair.address, `${port}`, '0.5']);
    return median(JSON.parse(stdout) as number[]);
  };
  const results = await rounds(
    pairs,
    async (pair) => {
      const { stdout } = await on(pair, ['iperf3', '-c', pair.address, '-t', `${SECONDS}`, '-J']);
      const { end } = JSON.parse(stdout) as { end: { sum_received: { bits_per_second: number } } };
      return {
        'TCP stream': end.sum_received.bits_per_second / 1e9,
        'round trip, same core': await trips(pair, PORT),
        'round trip, two cores': await trips(pair, PORT + 1),
      };
    },
    { rounds: context.runs ?? 12, say: context.say },
  );
  const compare: readonly (readonly [string, string])[] = [
    ['berth', 'user bridge'],
    ['berth-lan', 'bridge by hand'],
  ];
  const rows = ['TCP stream', 'round trip, same core', 'round trip, two cores'].flatMap((what) =>
    pairs.map(({ name }): Row => {
      const stream = what === 'TCP stream';
      const peer = compare.find(([ours]) => ours === name)?.[1];
      return {
        what,
        name,
        unit: stream ? 'Gb/s' : 'µs',
        samples: results.get(name)!.get(what)!,
        ...(peer === undefined ? {} : { peer }),
        ...(peer === undefined || !stream ? {} : { budgets: [{ of: 'ratio', least: 0.97 }] }),
      };
    }),
  );
  return {
    title: 'Data path on one host',
    notes: [
      `TCP stream: iperf3, one connection, ${SECONDS} s, what the server received; client on core ${near}, server on core ${far}`,
      'round trip: one byte over TCP, the median of half a second; both ends are the same TypeScript program with blocking system calls, pinned',
      'all in one host, where the engine has br_netfilter on: bridged packets pass the packet filters in each variant',
    ],
    rows,
  };
}

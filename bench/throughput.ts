/** The data path of two containers on one host: a TCP stream, and one byte there and back. */

import { cpus } from 'node:os';
import { join } from 'node:path';
import { openBed } from '../test/e2e/bed/bed.ts';
import type { Host } from '../test/e2e/bed/host.ts';
import { repository } from '../test/e2e/bed/machine.ts';
import { openVswitch } from '../test/e2e/bed/open-vswitch.ts';
import { run } from '../test/e2e/bed/process.ts';
import { type Benchmark, type Context, onHost } from './benchmark.ts';
import type { Row, Table } from './result.ts';
import { rounds } from './rounds.ts';
import { median } from './statistics.ts';

const SECONDS = 2;
const PING_PONG = join(repository, 'bench/peer/ping-pong.ts');
const PORT = 7007;
const IPERF_PORT = 5201;

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
    const lan = await containers(host, 'berth-lan', ['-d', 'berth-lan', '--subnet', '192.168.159.0/24']);
    await segment.plug(host, { name: 'eth2' });
    const direct = ['-o', 'mode=macvlan', '-o', 'parent=eth2', '--subnet', '192.168.161.0/24'];
    const macvlan = await containers(host, 'berth-lan macvlan', ['-d', 'berth-lan', ...direct]);
    await withOpenVswitch(host);
    const onSwitch = ['-o', 'mode=ovs', '-o', 'bridge=ovsbr0', '--subnet', '192.168.162.0/24'];
    const ovs = await containers(host, 'berth-lan ovs', ['-d', 'berth-lan', ...onSwitch]);
    const pairs = [
      await containers(host, 'user bridge', ['-d', 'bridge']),
      await containers(host, 'berth', ['-d', 'berth', '--ipam-driver', 'berth']),
      lan,
      await byHand(host, lan),
      macvlan,
      await macvlanByHand(host, macvlan),
      ovs,
      await ovsByHand(host, ovs),
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

/**
 * What an administrator would make in the same place: a bridge, two veth pairs, and a filter rule to let them talk. They go into
 * containers that have a network already: in those the engine has NAT rules for its resolver, which slow down every packet.
 */
async function byHand(host: Host, { server, client }: Pair): Promise<Pair> {
  await host.ip('link add hand type bridge', 'address add 10.99.0.1/24 dev hand', 'link set hand up');
  await host.exec(['iptables', '-I', 'FORWARD', '-i', 'hand', '-o', 'hand', '-j', 'ACCEPT']);
  for (const [index, netns] of [server, client].entries()) {
    await host.ip(
      `link add hand${index} type veth peer name c${index}`,
      `link set hand${index} master hand up`,
      `link set c${index} netns ${netns} name hand`,
    );
    await inside(netns, ['ip', 'link', 'set', 'hand', 'up']);
    await inside(netns, ['ip', 'address', 'add', `10.99.0.${index + 2}/24`, 'dev', 'hand']);
  }
  return { name: 'bridge by hand', server, client, address: '10.99.0.2' };
}

/** A second macvlan on the same parent, in the same containers. */
async function macvlanByHand(host: Host, { server, client }: Pair): Promise<Pair> {
  for (const [index, netns] of [server, client].entries()) {
    await host.ip(
      `link add direct${index} link eth2 type macvlan mode bridge`,
      `link set direct${index} netns ${netns} name hand`,
    );
    await inside(netns, ['ip', 'link', 'set', 'hand', 'up']);
    await inside(netns, ['ip', 'address', 'add', `10.98.0.${index + 2}/24`, 'dev', 'hand']);
  }
  return { name: 'macvlan by hand', server, client, address: '10.98.0.2' };
}

/** With its datapath in user space: not every kernel has the other one. */
async function withOpenVswitch(host: Host): Promise<void> {
  const { vsctl } = await openVswitch(host);
  await vsctl('add-br', 'ovsbr0', '--', 'set', 'bridge', 'ovsbr0', 'datapath_type=netdev');
}

/** Ports of the same bridge, as ovs-vsctl makes them; without the offload of checksums, or nothing would pass. */
async function ovsByHand(host: Host, { server, client }: Pair): Promise<Pair> {
  for (const [index, netns] of [server, client].entries()) {
    await host.ip(
      `link add switched${index} type veth peer name s${index}`,
      `link set switched${index} up`,
      `link set s${index} netns ${netns} name hand`,
    );
    await host.exec(['ovs-vsctl', 'add-port', 'ovsbr0', `switched${index}`]);
    await inside(netns, ['ethtool', '-K', 'hand', 'tx', 'off']);
    await inside(netns, ['ip', 'link', 'set', 'hand', 'up']);
    await inside(netns, ['ip', 'address', 'add', `10.97.0.${index + 2}/24`, 'dev', 'hand']);
  }
  return { name: 'ovs by hand', server, client, address: '10.97.0.2' };
}

const inside = (netns: string, command: readonly string[]) =>
  run(['nsenter', `--net=${netns}`, '--', ...command], { env: process.env });

/** Where the server is, seen from the client: what is on one core takes turns, and says what a packet costs. */
const places = ['same core', 'two cores'] as const;

async function measure(host: Host, pairs: readonly Pair[], context: Context): Promise<Table> {
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
        const trips = await ask(pair, ['node', PING_PONG, 'client', pair.address, `${PORT + index}`, '0.5']);
        measured[`round trip, ${place}`] = median(trips as number[]);
      }
      return measured;
    },
    { rounds: context.runs ?? 12, say: context.say },
  );
  const compare: readonly (readonly [string, string])[] = [
    ['berth', 'user bridge'],
    ['berth-lan', 'bridge by hand'],
    ['berth-lan macvlan', 'macvlan by hand'],
    ['berth-lan ovs', 'ovs by hand'],
  ];
  const kinds = ['TCP stream', 'round trip'].flatMap((kind) => places.map((place) => `${kind}, ${place}`));
  const rows = kinds.flatMap((what) =>
    pairs.map(({ name }): Row => {
      const stream = what.startsWith('TCP stream');
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
      `TCP stream: iperf3, one connection, ${SECONDS} s, what the server received; client and server are pinned, to one core or to two`,
      'round trip: one byte over TCP, the median of half a second; both ends are the same TypeScript program with blocking system calls',
      'with both ends on one core the figures say what a packet costs, and depend least on what else the machine does',
      'all in one host, where the engine has br_netfilter on: bridged packets pass the packet filters in each variant',
      'what is made by hand is a second interface in the same containers, so that nothing but the way between them differs',
    ],
    rows,
  };
}

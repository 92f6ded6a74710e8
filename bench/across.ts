/** The data path between two hosts: Berth's VXLAN against one made by hand and the engine's own overlay. */

import { type Cluster, type ClusterHost, openCluster } from '../test/e2e/bed/cluster.ts';
import { waitFor } from '../test/e2e/bed/process.ts';
import type { Benchmark } from './benchmark.ts';
import type { Compared, Pair } from './pairs.ts';
import type { Table } from './result.ts';
import { comparePaths, pathNotes } from './throughput.ts';

export const across: Benchmark = {
  name: 'across',
  about: 'TCP between two hosts, against a VXLAN made by hand and the engine’s overlay',
  run: async (context) => {
    await using cluster = await openCluster('bench', { engines: [context.engine, context.engine] });
    const [first] = cluster.hosts;
    const berth = await pairOn(cluster, 'berth', await networkOfBerth(cluster));
    const hand = await byHand(cluster, berth);
    const overlay = await pairOn(cluster, 'overlay of the engine', await networkOfSwarm(cluster));
    const compared: readonly Compared[] = [
      { pair: berth, peer: hand },
      { pair: overlay, peer: hand, foreign: true },
    ];
    return {
      title: 'Data path between two hosts',
      notes: [
        ...pathNotes,
        'two hosts in network namespaces of one machine, on a bridge; the overlay is a swarm’s, not encrypted',
        'what is made by hand is a second interface in the containers of Berth: a bridge and a VXLAN on each host, with one static peer',
      ],
      rows: await comparePaths(first!, compared, context),
    } satisfies Table;
  },
};

async function networkOfBerth(cluster: Cluster): Promise<string> {
  await cluster.netctl('net create --subnet 10.31.0.0/24 --gateway 10.31.0.254 across');
  for (const host of cluster.hosts) {
    await waitFor(`the network on ${host.name}`, async () => (await host.docker('network', 'ls')).includes(' across '));
  }
  return 'across';
}

async function networkOfSwarm({ hosts }: Cluster): Promise<string> {
  const [manager, worker] = hosts as readonly [ClusterHost, ClusterHost];
  await manager.docker('swarm', 'init', '--advertise-addr', manager.address);
  const token = await manager.docker('swarm', 'join-token', '-q', 'worker');
  await worker.docker('swarm', 'join', '--advertise-addr', worker.address, '--token', token, `${manager.address}:2377`);
  await manager.docker('network', 'create', '-d', 'overlay', '--attachable', '--subnet', '10.32.0.0/24', 'overlay');
  return 'overlay';
}

async function pairOn({ hosts }: Cluster, name: string, network: string): Promise<Pair> {
  const start = async (host: ClusterHost) => {
    const id = await host.docker('run', '-d', '--network', network, await host.image(), 'sleep', '100000');
    const format = `{{.NetworkSettings.SandboxKey}} {{(index .NetworkSettings.Networks "${network}").IPAddress}}`;
    const [sandbox, address] = (await host.docker('inspect', '-f', format, id)).split(' ');
    return { netns: host.path(sandbox!.replace('/var/run', '/run')), address: address! };
  };
  const client = await start(hosts[0]!);
  const server = await start(hosts[1]!);
  return { name, client: client.netns, server: server.netns, address: server.address };
}

/** Another port than ours: in one namespace a port is for one kind of device. */
const HAND_PORT = '4799';

async function byHand({ hosts }: Cluster, { client, server }: Pair): Promise<Pair> {
  const ends = [
    { host: hosts[0]!, other: hosts[1]!, netns: client, address: '10.33.0.1' },
    { host: hosts[1]!, other: hosts[0]!, netns: server, address: '10.33.0.2' },
  ];
  for (const { host, other, netns, address } of ends) {
    const ip = (...words: readonly string[]) => host.net(['ip', ...words]);
    const [vxlan, local] = [
      ['type', 'vxlan', 'id', '33', 'dstport', HAND_PORT],
      ['local', host.address],
    ];
    await ip('link', 'add', 'hand', 'type', 'bridge');
    await ip('link', 'add', 'handx', ...vxlan, ...local, 'remote', other.address);
    await ip('link', 'set', 'handx', 'mtu', '1450', 'master', 'hand', 'up');
    await ip('link', 'add', 'handv', 'mtu', '1450', 'type', 'veth', 'peer', 'name', 'handc', 'mtu', '1450');
    await ip('link', 'set', 'handv', 'master', 'hand', 'up');
    await ip('link', 'set', 'hand', 'up');
    await ip('link', 'set', 'handc', 'netns', netns);
    const inside = ['nsenter', `--net=${netns}`, 'ip'];
    await host.net([...inside, 'address', 'add', `${address}/24`, 'dev', 'handc']);
    await host.net([...inside, 'link', 'set', 'handc', 'up']);
    // Where br_netfilter is on, bridged packets pass the engine's FORWARD chain, whose policy is drop.
    await host.net(['iptables', '-I', 'FORWARD', '-i', 'hand', '-o', 'hand', '-j', 'ACCEPT']);
  }
  return { name: 'vxlan by hand', client, server, address: ends[1]!.address };
}

/** Pairs of containers for the data path: on a network of Berth or of the engine, and by a way between the same two made by hand. */

import type { Host } from '../test/e2e/bed/host.ts';
import type { Lan } from '../test/e2e/bed/lan.ts';
import { openVswitch } from '../test/e2e/bed/open-vswitch.ts';
import { run } from '../test/e2e/bed/process.ts';

/** Two network namespaces that reach each other. */
export interface Pair {
  readonly name: string;
  /** Files of the namespaces, from outside of the host. */
  readonly server: string;
  readonly client: string;
  /** The server's. */
  readonly address: string;
}

/** A pair, and what it is compared with. */
export interface Compared {
  readonly pair: Pair;
  readonly peer: Pair;
  /** Not ours: no budget is for it. */
  readonly foreign?: true;
}

const NETWORK = 'berth-lan';

/** All ways between two containers of a host that need no other kernel. */
export async function comparedPairs(host: Host, segment: Lan): Promise<readonly Compared[]> {
  const lan = async (mode: string, third: number, ...options: readonly string[]) => {
    const create = ['-d', NETWORK, ...options, '--subnet', `192.168.${third}.0/24`];
    return containers(host, `${NETWORK} ${mode}`.trim(), create);
  };
  const cards = async (first: number, count: number) => {
    for (let index = first; index < first + count; index++) await segment.plug(host, { name: `eth${index}` });
  };
  await cards(2, 7);
  await withOpenVswitch(host);
  const virtual = await containers(host, 'berth', ['-d', 'berth', '--ipam-driver', 'berth']);
  const engine = await containers(host, 'user bridge', ['-d', 'bridge']);
  const bridge = await lan('', 159);
  const uplink = await lan('bridge from a NIC', 160, '-o', 'parent=eth2', '-o', 'confirm=none');
  const macvlan = await lan('macvlan', 161, '-o', 'mode=macvlan', '-o', 'parent=eth4');
  const ovs = await lan('ovs', 162, '-o', 'mode=ovs', '-o', 'bridge=ovsbr0');
  const nic = await lan('nic', 163, '-o', 'mode=nic', '-o', 'nic=eth5,eth6');
  return [
    { pair: virtual, peer: engine },
    { pair: bridge, peer: await bridgeByHand(host, bridge, 'bridge by hand', 'hand') },
    { pair: uplink, peer: await bridgeByHand(host, uplink, 'bridge with a NIC by hand', 'hn', 'eth3') },
    { pair: macvlan, peer: await macvlanByHand(host, macvlan) },
    { pair: ovs, peer: await ovsByHand(host, ovs) },
    { pair: nic, peer: await nicByHand(host, nic, ['eth7', 'eth8']) },
  ];
}

async function containers(host: Host, name: string, create: readonly string[]): Promise<Pair> {
  const network = name.replaceAll(' ', '-');
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
async function bridgeByHand(
  host: Host,
  { server, client }: Pair,
  name: string,
  bridge: string,
  card?: string,
): Promise<Pair> {
  const third = card === undefined ? 99 : 96;
  await host.ip(
    `link add ${bridge} type bridge`,
    `address add 10.${third}.0.1/24 dev ${bridge}`,
    `link set ${bridge} up`,
    ...(card === undefined ? [] : [`link set ${card} master ${bridge} up`]),
  );
  await host.exec(['iptables', '-I', 'FORWARD', '-i', bridge, '-o', bridge, '-j', 'ACCEPT']);
  for (const [index, netns] of [server, client].entries()) {
    await host.ip(
      `link add ${bridge}${index} type veth peer name c${bridge}${index}`,
      `link set ${bridge}${index} master ${bridge} up`,
    );
    await given(host, `c${bridge}${index}`, netns, `10.${third}.0.${index + 2}`);
  }
  return { name, server, client, address: `10.${third}.0.2` };
}

/** What follows when a link has been made: it goes into the container, and gets its address. */
async function given(host: Host, link: string, netns: string, address: string): Promise<void> {
  await host.ip(`link set ${link} netns ${netns} name hand`);
  await inside(netns, ['ip', 'link', 'set', 'hand', 'up']);
  await inside(netns, ['ip', 'address', 'add', `${address}/24`, 'dev', 'hand']);
}

/** A second macvlan on the same parent, in the same containers. */
async function macvlanByHand(host: Host, { server, client }: Pair): Promise<Pair> {
  for (const [index, netns] of [server, client].entries()) {
    await host.ip(`link add direct${index} link eth4 type macvlan mode bridge`);
    await given(host, `direct${index}`, netns, `10.98.0.${index + 2}`);
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
    await host.ip(`link add switched${index} type veth peer name s${index}`, `link set switched${index} up`);
    await host.exec(['ovs-vsctl', 'add-port', 'ovsbr0', `switched${index}`]);
    await given(host, `s${index}`, netns, `10.97.0.${index + 2}`);
    await inside(netns, ['ethtool', '-K', 'hand', 'tx', 'off']);
  }
  return { name: 'ovs by hand', server, client, address: '10.97.0.2' };
}

/** Two more cards of the host, as they are. */
async function nicByHand(host: Host, { server, client }: Pair, cards: readonly string[]): Promise<Pair> {
  for (const [index, netns] of [server, client].entries())
    await given(host, cards[index]!, netns, `10.95.0.${index + 2}`);
  return { name: 'nic by hand', server, client, address: '10.95.0.2' };
}

const inside = (netns: string, command: readonly string[]) =>
  run(['nsenter', `--net=${netns}`, '--', ...command], { env: process.env });

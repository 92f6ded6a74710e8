/** Three hosts in network namespaces on one underlay, with what the fabric declares in each of them. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isolate } from '../../kernel/isolate.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { openKernel } from '../../kernel/linux.ts';
import { objectKey } from '../../kernel/objects.ts';
import type { Network } from '../../model/network.ts';
import { parsePrefix } from '../../model/prefix.ts';
import { overlayLink } from './overlay.ts';
import { segmentBridge } from './segment.ts';
import { address, type Container, createLab, type Host, type Lab, netnsOf, run } from './testing/hosts.ts';
import type { ClusterNetwork } from './view.ts';

const SHOP = 'red:shop';
const shop: ClusterNetwork = {
  key: SHOP,
  tenant: 'red',
  name: 'shop',
  encapsulation: 'vxlan',
  tag: 10001,
  kind: 'data',
  forwarding: 'bridge',
  arp: 'proxy',
  subnets: [
    { prefix: parsePrefix('10.103.1.0/24')!, gateway: address('10.103.1.254') },
    { prefix: parsePrefix('fd00:103::/64')!, gateway: address('fd00:103::fe') },
  ],
};
const subnets = ['10.103.1.0/24', 'fd00:103::/64'];
const tunnel = overlayLink(shop.tag);
const bridge = segmentBridge(SHOP);

let kernel: Kernel;
let lab: Lab;
let hosts: Host[];
let nets: Network[];
let boxes: Container[];

/** Each host is told of the containers of the others that are on the network. */
async function tell(on: readonly Container[]): Promise<void> {
  for (const [index, host] of hosts.entries()) {
    host.remotes = new Map([[SHOP, on.map(({ remote }) => remote).filter(({ vtep }) => vtep !== host.vtep)]]);
    if (index < 2) await host.apply(nets[index]!);
  }
}

before(async () => {
  isolate();
  kernel = await openKernel();
  lab = createLab(
    kernel,
    new Map([
      [SHOP, shop],
      ['red:web', { ...shop, group: 'web' }],
    ]),
  );
  hosts = [await lab.host(1), await lab.host(2), await lab.host(3)];
  nets = [];
  for (const host of hosts) nets.push(await host.network({ tenant: 'red', network: 'shop' }, subnets));
  for (const index of [0, 1]) await hosts[index]!.apply(nets[index]!);
  boxes = [
    await hosts[0]!.container(nets[0]!, '10.103.1.1/24', 'fd00:103::1/64'),
    await hosts[1]!.container(nets[1]!, '10.103.1.2/24', 'fd00:103::2/64'),
  ];
  await tell(boxes);
});

after(async () => {
  lab.close();
  await kernel.close();
});

/** Counts the packets of the underlay that a host gets, of which an nft expression is true. */
function onWire(host: Host, what: string): () => number {
  run(
    `ip netns exec ${host.name} nft -f -`,
    `add table inet wire
    flush table inet wire
    add chain inet wire in { type filter hook prerouting priority -500; }
    add rule inet wire in iifname wire ${what} counter`,
  );
  return () => Number(/packets (\d+)/.exec(run(`ip netns exec ${host.name} nft list table inet wire`))?.[1]);
}

test('containers on two hosts reach each other, in packets as large as the tunnel takes, which travel in one piece', () => {
  const [one, two] = boxes as [Container, Container];
  assert.match(run(`ip -n ${one.name} link show eth0`), /mtu 1450/);
  assert.match(run(`ip -n ${hosts[0]!.name} link show ${bridge}`), /mtu 1450/);
  assert.ok(two.pings('fd00:103::1', 1450 - 48));
  const arrived = hosts[1]!.counting(tunnel, 'ip daddr 10.103.1.2');
  const pieces = onWire(hosts[1]!, 'ip frag-off & 0x3fff != 0');
  assert.ok(one.pings('10.103.1.2', 1450 - 28));
  assert.equal(arrived(), 1);
  assert.equal(pieces(), 0);
});

test('neighbours and the gateway are answered at home, and what is for nobody does not travel', () => {
  const [one] = boxes as [Container];
  const asked = hosts[1]!.counting(tunnel, 'ether type arp');
  one.forget();
  assert.ok(one.pings('10.103.1.2'));
  assert.ok(one.pings('10.103.1.254'));
  assert.equal(asked(), 0);
  const solicited = hosts[1]!.counting(tunnel, 'icmpv6 type nd-neighbor-solicit');
  one.forget();
  assert.ok(one.pings('fd00:103::2'));
  assert.ok(one.pings('fd00:103::fe'));
  assert.equal(solicited(), 0);
  const arrived = hosts[1]!.counting(tunnel, 'ether daddr 02:02:0a:67:01:77');
  run(`ip -n ${one.name} neighbour replace 10.103.1.77 lladdr 02:02:0a:67:01:77 dev eth0`);
  assert.ok(!one.pings('10.103.1.77'));
  assert.equal(arrived(), 0);
});

test('the gateway is on every host with one MAC address, and hides the network from what is outside', () => {
  for (const [index, box] of boxes.entries()) {
    assert.ok(box.pings('10.103.1.254'));
    assert.match(run(`ip -n ${box.name} neighbour show 10.103.1.254`), /02:42:0a:67:01:fe/, `host ${index}`);
  }
  // The third host knows no way back to the network.
  assert.ok(boxes[0]!.pings('10.9.0.3'));
  assert.ok(boxes[0]!.pings('fd09::3'));
  const hidden = onWire(hosts[2]!, 'ip saddr 10.103.1.0/24');
  assert.ok(boxes[0]!.pings('10.9.0.3'));
  assert.equal(hidden(), 0);
});

test('what everybody is asked goes to the hosts that carry the network, and to no other', () => {
  const asked = hosts[1]!.counting(tunnel, 'ether type arp');
  const elsewhere = onWire(hosts[2]!, 'udp dport 4789');
  assert.ok(!boxes[0]!.pings('10.103.1.99'));
  assert.ok(asked() > 0);
  assert.equal(elsewhere(), 0);
});

test('where containers are to be asked themselves they are, and the gateway is not', async () => {
  const [host] = hosts as [Host];
  const [one] = boxes as [Container];
  host.view = { network: () => ({ ...shop, arp: 'flood' }) };
  await tell(boxes);
  // It goes on asking for who has not answered until it forgets that as well.
  one.forget();
  const asked = hosts[1]!.counting(tunnel, 'ether type arp');
  assert.ok(one.pings('10.103.1.254'));
  assert.equal(asked(), 0);
  assert.ok(one.pings('10.103.1.2'));
  assert.ok(asked() > 0);
  host.view = {};
  await tell(boxes);
});

test('a group is on the segment of its network', async () => {
  const [host] = hosts as [Host];
  const group = await host.network({ tenant: 'red', network: 'shop', group: 'web' }, subnets);
  const before = (await host.context()).host.links.length;
  await host.apply(group);
  assert.equal((await host.context()).host.links.length, before, 'no link of its own');
  const member = await host.container(group, '10.103.1.3/24', 'fd00:103::3/64');
  await tell([...boxes, member]);
  for (const to of ['10.103.1.1', '10.103.1.2', 'fd00:103::2']) assert.ok(member.pings(to), to);
  await tell(boxes);
});

test('a container that has gone is not reached, and one that has moved is reached at its new host', async () => {
  const [one, two] = boxes as [Container, Container];
  await tell([one]);
  one.forget();
  assert.ok(!one.pings('10.103.1.2'));
  const [, , third] = hosts as [Host, Host, Host];
  await third.apply(nets[2]!);
  const moved = await third.container(nets[2]!, '10.103.1.2/24', 'fd00:103::2/64');
  await tell([one, moved]);
  third.remotes = new Map([[SHOP, [one.remote]]]);
  await third.apply(nets[2]!);
  const old = onWire(hosts[1]!, 'udp dport 4789');
  assert.ok(one.pings('10.103.1.2'));
  assert.ok(one.pings('fd00:103::2'));
  assert.equal(old(), 0);
  await tell([one, two]);
  assert.ok(one.pings('10.103.1.2'));
});

test('who is where stays in the kernel when it is not known any more', async () => {
  const [host] = hosts as [Host];
  host.remotes = undefined;
  await host.apply(nets[0]!);
  boxes[0]!.forget();
  assert.ok(boxes[0]!.pings('10.103.1.2'));
  await tell(boxes);
});

test('an entry that somebody removed is missed and mended', async () => {
  const [{ name }] = hosts as [Host];
  run(`bridge -n ${name} fdb del ${boxes[1]!.remote.mac} dev ${tunnel} dst 10.9.0.2 self`);
  const drifts = await kernel.audit({ repair: true });
  const key = objectKey({
    kind: 'fdb',
    netns: netnsOf(name),
    link: tunnel,
    mac: boxes[1]!.remote.mac,
    dst: address('10.9.0.2'),
  });
  assert.deepEqual(
    drifts.map(({ key, what, repaired }) => ({ key, what, repaired })),
    [{ key, what: 'missing', repaired: true }],
  );
  assert.ok(boxes[0]!.pings('10.103.1.2'));
});

test('nothing is left', async () => {
  for (const [index, host] of hosts.entries()) await host.withdraw(nets[index]!);
  for (const { name } of hosts) {
    assert.doesNotMatch(run(`ip -n ${name} link show`), new RegExp(`${bridge}|${tunnel}`));
    assert.doesNotMatch(run(`ip netns exec ${name} nft list tables`), /inet berth/);
    assert.equal(run(`ip -n ${name} route show table all`).match(/10\.103|fd00:103/), null);
  }
});

test('over IPv6 the tunnel takes 20 bytes more', async () => {
  const lab6 = createLab(kernel, new Map([[SHOP, shop]]));
  try {
    const pair = [await lab6.host(6, 6), await lab6.host(7, 6)];
    const on = [];
    const there: Container[] = [];
    for (const [index, host] of pair.entries()) {
      const network = await host.network({ tenant: 'red', network: 'shop' }, subnets);
      on.push(network);
      await host.apply(network);
      there.push(await host.container(network, `10.103.1.${index + 1}/24`));
    }
    for (const [index, host] of pair.entries()) {
      host.remotes = new Map([[SHOP, [there[1 - index]!.remote]]]);
      await host.apply(on[index]!);
    }
    assert.match(run(`ip -n ${there[0]!.name} link show eth0`), /mtu 1430/);
    const pieces = onWire(pair[1]!, 'exthdr frag exists');
    assert.ok(there[0]!.pings('10.103.1.2', 1430 - 28));
    assert.equal(pieces(), 0);
    for (const [index, host] of pair.entries()) await host.withdraw(on[index]!);
  } finally {
    lab6.close();
  }
});

/** Networks of a tenant that are routed, and hosts with addresses of their own, in network namespaces. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isolate } from '../../kernel/isolate.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { openKernel } from '../../kernel/linux.ts';
import type { Network } from '../../model/network.ts';
import { parseInterfaceAddress, parsePrefix } from '../../model/prefix.ts';
import { cluster } from './cluster.ts';
import { hostMac } from './macs.ts';
import { overlayLink, type RemoteEndpoint } from './overlay.ts';
import { address, type Container, createLab, type Host, type Lab, run } from './testing/hosts.ts';
import type { ClusterNetwork } from './view.ts';

const network = (key: string, tag: number, more: Partial<ClusterNetwork> = {}): ClusterNetwork => {
  const [tenant, name] = key.split(':') as [string, string];
  return {
    key,
    tenant,
    name,
    encapsulation: 'vxlan',
    tag,
    kind: 'data',
    forwarding: 'routing',
    arp: 'proxy',
    subnets: [
      { prefix: parsePrefix(`10.${tag}.0.0/24`)!, gateway: address(`10.${tag}.0.254`) },
      { prefix: parsePrefix(`fd00:${tag}::/64`)!, gateway: address(`fd00:${tag}::fe`) },
    ],
    ...more,
  };
};
const networks = new Map(
  [
    network('red:shop', 21),
    network('red:stock', 22),
    network('red:hosts', 23, { kind: 'infra' }),
    network('blue:office', 24),
  ].map((one) => [one.key, one]),
);
const subnets = (tag: number): string[] => [`10.${tag}.0.0/24`, `fd00:${tag}::/64`];

let kernel: Kernel;
let lab: Lab;
let hosts: Host[];
const on = new Map<string, Network>();
let shop: Container;
let stock: Container;
let office: Container;

before(async () => {
  isolate();
  kernel = await openKernel();
  lab = createLab(kernel, networks);
  hosts = [await lab.host(1), await lab.host(2)];
  for (const [index, host] of hosts.entries()) {
    const own = [`10.23.0.${index + 1}/24`, `fd00:23::${index + 1}/64`].map((text) => parseInterfaceAddress(text)!);
    host.view = { hostAddresses: (key) => (key === 'red:hosts' ? own : []) };
    for (const { key, tenant, name, tag } of networks.values())
      on.set(`${index} ${key}`, await host.network({ tenant, network: name }, subnets(tag)));
    for (const key of networks.keys()) await host.apply(on.get(`${index} ${key}`)!);
  }
  shop = await hosts[0]!.container(on.get('0 red:shop')!, '10.21.0.1/24', 'fd00:21::1/64');
  stock = await hosts[1]!.container(on.get('1 red:stock')!, '10.22.0.1/24', 'fd00:22::1/64');
  office = await hosts[1]!.container(on.get('1 blue:office')!, '10.24.0.1/24', 'fd00:24::1/64');
  const itself = (index: number): RemoteEndpoint => ({
    mac: hostMac(address(`10.23.0.${index + 1}`)),
    addresses: [address(`10.23.0.${index + 1}`), address(`fd00:23::${index + 1}`)],
    vtep: hosts[index]!.vtep,
  });
  hosts[0]!.remotes = new Map([
    ['red:stock', [stock.remote]],
    ['red:hosts', [itself(1)]],
    ['blue:office', [office.remote]],
  ]);
  hosts[1]!.remotes = new Map([
    ['red:shop', [shop.remote]],
    ['red:hosts', [itself(0)]],
  ]);
  for (const [index, host] of hosts.entries())
    for (const key of networks.keys()) await host.apply(on.get(`${index} ${key}`)!);
});

after(async () => {
  lab.close();
  await kernel.close();
});

test('networks of a tenant reach each other across hosts, with the addresses of the containers', () => {
  assert.ok(shop.pings('fd00:22::1'));
  const arrived = hosts[1]!.counting(overlayLink(22), 'ip saddr 10.21.0.1 ip daddr 10.22.0.1');
  assert.ok(shop.pings('10.22.0.1'));
  assert.equal(arrived(), 1);
  assert.ok(stock.pings('10.21.0.1'));
});

test('those of different tenants do not', () => {
  assert.ok(!shop.pings('10.24.0.1'));
  assert.ok(!stock.pings('10.24.0.1'), 'on the same host');
});

test('broadcast stays on its host', () => {
  const arrived = hosts[1]!.counting(overlayLink(21), 'ether type arp');
  assert.ok(!shop.pings('10.21.0.99'));
  assert.equal(arrived(), 0);
});

test('hosts reach each other and the containers of all hosts by their own addresses, and are reached', () => {
  const reaches = (host: Host, to: string) =>
    assert.doesNotThrow(() => run(`ip netns exec ${host.name} busybox ping -c 1 -W 1 ${to}`), `${host.name} ${to}`);
  for (const to of ['10.23.0.2', 'fd00:23::2', '10.22.0.1', 'fd00:22::1', '10.21.0.1']) reaches(hosts[0]!, to);
  for (const to of ['10.23.0.1', '10.21.0.1', '10.22.0.1']) reaches(hosts[1]!, to);
  for (const to of ['10.23.0.1', '10.23.0.2', 'fd00:23::1']) assert.ok(stock.pings(to), to);
});

test('a host takes part where it has something of a tenant', async () => {
  const [first, second] = await Promise.all(hosts.map((host) => host.context()));
  const needed = (context: typeof first, index: number) =>
    [...networks.keys()].filter((key) => cluster.needed!(on.get(`${index} ${key}`)!, context!));
  assert.deepEqual(needed(first, 0), ['red:shop', 'red:stock', 'red:hosts']);
  assert.deepEqual(needed(second, 1), ['red:shop', 'red:stock', 'red:hosts', 'blue:office']);
});

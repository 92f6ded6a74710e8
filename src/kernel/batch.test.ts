import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseAddress } from '../model/address.ts';
import { parseInterfaceAddress, parsePrefix } from '../model/prefix.ts';
import { goWithTheirLink, makeOrder, needs, unmakeOrder } from './batch.ts';
import { type KernelObject, objectKey } from './objects.ts';

const network: readonly KernelObject[] = [
  { kind: 'sysctl', path: 'net/ipv4/ip_forward', value: '1' },
  { kind: 'nft-table', family: 'inet', name: 'berth', body: '' },
  { kind: 'nft-element', family: 'inet', table: 'berth', set: 'links', element: '"bt1"' },
  { kind: 'forward-accept', family: 4, input: 'br1' },
  { kind: 'link', type: 'bridge', name: 'br1' },
  { kind: 'link', type: 'adopted', name: 'eth0', up: true },
  { kind: 'link', type: 'vlan', name: 'eth0.5', parent: 'eth0', vlan: 5, master: 'br1' },
  { kind: 'link', type: 'macvlan', name: 'mv1', parent: 'eth0.5', mode: 'bridge' },
  { kind: 'link', type: 'veth', name: 'bt1', master: 'br1', peer: { name: 'p' } },
  { kind: 'link', type: 'ifb', name: 'ifb1' },
  { kind: 'sysctl', path: 'net/ipv6/conf/br1/disable_ipv6', value: '0' },
  { kind: 'nft-table', family: 'netdev', name: 'berth', body: '' },
  { kind: 'address', link: 'br1', address: parseInterfaceAddress('10.1.0.1/24')! },
  { kind: 'route', link: 'br1', destination: parsePrefix('10.9.0.0/24')! },
  { kind: 'route', destination: parsePrefix('10.8.0.0/24')!, via: parseAddress('10.9.0.1')! },
  { kind: 'rule', family: 4, priority: 100, table: 100 },
  { kind: 'neighbour', link: 'br1', address: parseAddress('10.1.0.9')! },
  { kind: 'fdb', link: 'bt1', mac: '00:00:00:00:00:00' },
  { kind: 'qdisc', link: 'bt1', parent: 'root', handle: '1:', discipline: { type: 'htb' } },
  { kind: 'class', link: 'bt1', parent: '1:', classid: '1:1', rate: 1e6 },
  { kind: 'class', link: 'bt1', parent: '1:1', classid: '1:10', rate: 1e6 },
  { kind: 'qdisc', link: 'bt1', parent: '1:10', discipline: { type: 'fq_codel' } },
  { kind: 'filter', link: 'bt1', parent: '1:', priority: 1, action: { redirect: 'ifb1' } },
];

const at = (order: readonly KernelObject[], key: string): number => {
  const index = order.findIndex((object) => objectKey(object) === key);
  assert.ok(index >= 0, key);
  return index;
};

test('in whatever order they are declared, everything is made after what it needs, and removed before it', () => {
  fc.assert(
    fc.property(fc.shuffledSubarray([...network], { minLength: network.length }), (shuffled) => {
      const order = makeOrder(shuffled);
      assert.equal(new Set(order).size, network.length);
      assert.deepEqual(unmakeOrder(shuffled), order.toReversed());
      for (const object of order) {
        for (const name of needs(object))
          assert.ok(at(order, `link ${name}`) < order.indexOf(object), objectKey(object));
      }
      for (const [first, second] of [
        ['nft-table inet berth', 'nft-element inet berth links "bt1"'],
        ['nft-element inet berth links "bt1"', 'link bt1'],
        ['forward-accept inet br1 *', 'link br1'],
        ['sysctl net/ipv4/ip_forward', 'link br1'],
        ['link eth0', 'nft-table netdev berth'],
        ['sysctl net/ipv6/conf/br1/disable_ipv6', 'address br1 10.1.0.1/24'],
        ['address br1 10.1.0.1/24', 'route table 254 10.9.0.0/24 metric 0'],
        ['route table 254 10.9.0.0/24 metric 0', 'route table 254 10.8.0.0/24 metric 0'],
        ['qdisc bt1 root', 'class bt1 1:1'],
        ['class bt1 1:1', 'class bt1 1:10'],
        ['class bt1 1:10', 'qdisc bt1 1:10'],
        ['qdisc bt1 1:10', 'filter bt1 1: 1'],
      ] as const) {
        assert.ok(at(order, first) < at(order, second), `${first} before ${second}`);
      }
    }),
  );
});

test('what the kernel deletes with a link is told from what it does not', () => {
  const keys = [...goWithTheirLink(network)].map(objectKey);
  assert.ok(keys.includes('address br1 10.1.0.1/24' as never));
  assert.ok(keys.includes('filter bt1 1: 1' as never));
  assert.ok(!keys.includes('rule inet 100' as never));
  assert.ok(!keys.includes('link bt1' as never), 'a port outlives its bridge');
  const stays: KernelObject = { kind: 'address', link: 'eth0', address: parseInterfaceAddress('10.1.0.1/24')! };
  assert.equal(goWithTheirLink([...network, stays]).has(stays), false, 'an adopted link is not deleted');
  const elsewhere: KernelObject = { ...stays, link: 'br1', netns: '/run/netns/x' };
  assert.equal(
    goWithTheirLink([...network, elsewhere]).has(elsewhere),
    false,
    'a link of that name in another namespace',
  );
});

test('links that need each other in a circle are left to the kernel to refuse', () => {
  const circle: KernelObject[] = [
    { kind: 'link', type: 'bridge', name: 'a', master: 'b' },
    { kind: 'link', type: 'bridge', name: 'b', master: 'a' },
  ];
  assert.equal(makeOrder(circle).length, 2);
});

test('limits are there before a link in a container is set up', () => {
  const netns = '/run/netns/c';
  const objects: KernelObject[] = [
    { kind: 'link', type: 'adopted', netns, name: 'eth1', up: true, protoDown: false },
    { kind: 'address', netns, link: 'eth1', address: parseInterfaceAddress('10.1.0.1/24')! },
    { kind: 'filter', netns, link: 'eth1', parent: 'ingress', priority: 1, action: { redirect: 'bq1' } },
    { kind: 'qdisc', netns, link: 'eth1', parent: 'ingress', discipline: { type: 'ingress' } },
    { kind: 'link', type: 'macvlan', name: 'bp1', parent: 'eth0', mode: 'bridge', plugged: { netns, name: 'eth1' } },
    { kind: 'link', type: 'ifb', netns, name: 'bq1', up: true },
  ];
  assert.deepEqual(
    makeOrder(objects).map(({ kind }) => kind),
    ['link', 'link', 'qdisc', 'filter', 'link', 'address'],
  );
});

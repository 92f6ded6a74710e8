/** What is encoded is decoded as the same: most of rtnetlink uses one layout in both directions. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressBytes, parseAddress } from '../../model/address.ts';
import { parseMac } from '../../model/mac.ts';
import { parseInterfaceAddress, parsePrefix } from '../../model/prefix.ts';
import type { Filter, LinkAddress, MadeLink, Qdisc, Route, Rule, TrafficClass } from '../objects.ts';
import { deleteAddress, newAddress, readAddress } from './address.ts';
import { getString, getU16, getU16BE, getU32, nestedAttributes, readAttributes } from './attributes.ts';
import * as rt from './constants.ts';
import { newFilter, readFilter } from './filter.ts';
import { changeLink, createLink, deleteLinkGroup, readLink } from './link.ts';
import { newFdbEntry, newNeighbour, readFdbEntry, readNeighbour } from './neighbour.ts';
import { newQdisc, readQdisc, tbfParameters } from './qdisc.ts';
import { deleteRoute, newRoute, readRoute } from './route.ts';
import { newRule, readRule } from './rule.ts';
import { formatHandle, parseHandle } from './tc.ts';
import { classParameters, newClass, readClass } from './traffic-class.ts';

const address = (text: string) => parseAddress(text)!;
const on = (text: string) => parseInterfaceAddress(text)!;
const prefix = (text: string) => parsePrefix(text)!;
const mac = (text: string) => parseMac(text)!;

test('a veth is created with its peer in one message', () => {
  const link: MadeLink = {
    kind: 'link',
    type: 'veth',
    name: 'bv1',
    mtu: 1450,
    mac: mac('02:42:0a:01:00:05'),
    master: 'br0',
    peer: { name: 'bp1', mac: mac('02:42:0a:01:00:06'), mtu: 1440, netns: '/run/netns/x' },
  };
  const { body, type, flags } = createLink(link, { master: 7, peerNamespace: 11 });
  assert.equal(type, rt.RTM_NEWLINK);
  assert.equal(flags, rt.NLM_F_CREATE | rt.NLM_F_EXCL);
  const record = readLink({ body });
  assert.deepEqual(
    { name: record.name, type: record.type, mtu: record.mtu, mac: record.mac, master: record.master },
    { name: 'bv1', type: 'veth', mtu: 1450, mac: link.mac, master: 7 },
  );
  const info = nestedAttributes(readAttributes(body.subarray(16)), rt.IFLA_LINKINFO);
  const peer = nestedAttributes(info, rt.IFLA_INFO_DATA).get(rt.VETH_INFO_PEER)!;
  // The peer is a whole link message: struct ifinfomsg, then attributes.
  const attributes = readAttributes(peer.subarray(16));
  assert.equal(getString(attributes, rt.IFLA_IFNAME), 'bp1');
  assert.equal(getU32(attributes, rt.IFLA_MTU), 1440);
  assert.equal(getU32(attributes, rt.IFLA_NET_NS_FD), 11);
  assert.deepEqual([...attributes.get(rt.IFLA_ADDRESS)!], [2, 0x42, 10, 1, 0, 6]);
});

test('every type of link has its own details', () => {
  const details = (link: MadeLink, parent = 9) => readLink(createLink(link, { parent })).details;
  assert.deepEqual(
    details({
      kind: 'link',
      type: 'bridge',
      name: 'b',
      stp: true,
      forwardDelay: 200,
      vlanFiltering: true,
      multicastSnooping: true,
    }),
    { type: 'bridge', stp: true, forwardDelay: 200, vlanFiltering: true, multicastSnooping: true },
  );
  assert.deepEqual(
    details({
      kind: 'link',
      type: 'vxlan',
      name: 'v',
      vni: 0xabcdef,
      local: address('10.0.0.1'),
      learning: true,
      ttl: 5,
    }),
    { type: 'vxlan', vni: 0xabcdef, udpPort: 4789, local: address('10.0.0.1'), parent: 9, learning: true, ttl: 5 },
  );
  assert.deepEqual(
    details({ kind: 'link', type: 'vxlan', name: 'v', vni: 1, udpPort: 8472, local: address('fd00::1') }),
    {
      type: 'vxlan',
      vni: 1,
      udpPort: 8472,
      local: address('fd00::1'),
      parent: 9,
      learning: false,
      ttl: 0,
    },
  );
  for (const mode of ['bridge', 'private', 'vepa', 'passthru'] as const) {
    assert.deepEqual(details({ kind: 'link', type: 'macvlan', name: 'm', parent: 'p', mode }), {
      type: 'macvlan',
      mode,
    });
  }
  for (const mode of ['l2', 'l3', 'l3s'] as const) {
    assert.deepEqual(details({ kind: 'link', type: 'ipvlan', name: 'i', parent: 'p', mode }), { type: 'ipvlan', mode });
  }
  assert.deepEqual(details({ kind: 'link', type: 'vlan', name: 'l', parent: 'p', vlan: 4094 }), {
    type: 'vlan',
    vlan: 4094,
  });
});

test('a sub-interface names its parent, and its VLAN in host order', () => {
  const { body } = createLink({ kind: 'link', type: 'vlan', name: 'eth0.5', parent: 'eth0', vlan: 5 }, { parent: 3 });
  const attributes = readAttributes(body.subarray(16));
  assert.equal(getU32(attributes, rt.IFLA_LINK), 3);
  const info = nestedAttributes(attributes, rt.IFLA_LINKINFO);
  assert.equal(getString(info, rt.IFLA_INFO_KIND), 'vlan');
  assert.equal(getU16(nestedAttributes(info, rt.IFLA_INFO_DATA), rt.IFLA_VLAN_ID), 5);
});

test('the port of a VXLAN device is in network order, and is what IANA gave unless declared', () => {
  const { body } = createLink({ kind: 'link', type: 'vxlan', name: 'v', vni: 1 }, {});
  const info = nestedAttributes(readAttributes(body.subarray(16)), rt.IFLA_LINKINFO);
  const port = nestedAttributes(info, rt.IFLA_INFO_DATA).get(rt.IFLA_VXLAN_PORT)!;
  assert.deepEqual([...port], [0x12, 0xb5]);
  assert.equal(getU16BE(nestedAttributes(info, rt.IFLA_INFO_DATA), rt.IFLA_VXLAN_PORT), 4789);
});

test('setting a link up is the last of its changes', () => {
  const requests = changeLink('bv1', { up: true, alias: 'a', noLinkLocal: true, port: { isolated: true } });
  assert.equal(requests.length, 4);
  const flags = requests.map(({ body }) => readLink({ body }).flags & rt.IFF_UP);
  assert.deepEqual(flags, [0, 0, 0, rt.IFF_UP]);
  assert.deepEqual(
    requests.map(({ body }) => readLink({ body }).name),
    ['bv1', 'bv1', 'bv1', 'bv1'],
  );
  assert.equal(readLink(requests[0]!).alias, 'a');
  assert.equal(readLink(requests[1]!).addressGeneration, rt.IN6_ADDR_GEN_MODE_NONE);
  assert.equal(readLink(requests[2]!).port?.isolated, true);
});

test('no change is no message', () => {
  assert.deepEqual(changeLink(5, {}), []);
});

test('a group is deleted by its number, not by an index', () => {
  const record = readLink(deleteLinkGroup(0x7654_3210));
  assert.deepEqual({ index: record.index, group: record.group }, { index: 0, group: 0x7654_3210 });
});

test('addresses', () => {
  const v4: LinkAddress = {
    kind: 'address',
    link: 'br0',
    address: on('10.1.0.5/24'),
    validSeconds: 60,
    preferredSeconds: 30,
  };
  assert.deepEqual(readAddress(newAddress(v4, 4, false)), {
    link: 4,
    address: v4.address,
    scope: rt.RT_SCOPE_UNIVERSE,
    noPrefixRoute: false,
    validSeconds: 60,
    preferredSeconds: 30,
  });
  const attributes = readAttributes(newAddress(v4, 4, false).body.subarray(8));
  assert.deepEqual(attributes.get(rt.IFA_BROADCAST), addressBytes(address('10.1.0.255')));

  const v6: LinkAddress = { kind: 'address', link: 'br0', address: on('fd00::5/64'), noPrefixRoute: true };
  const { body } = newAddress(v6, 4, true);
  assert.equal(readAddress({ body })?.noPrefixRoute, true);
  assert.equal(readAddress({ body })?.validSeconds, undefined);
  const flags = getU32(readAttributes(body.subarray(8)), rt.IFA_FLAGS)!;
  assert.equal(flags & rt.IFA_F_NODAD, rt.IFA_F_NODAD);
  assert.deepEqual(readAddress(deleteAddress(v6.address, 4))?.address, v6.address);
});

test('a /31 and a /32 have no broadcast address (RFC 3021)', () => {
  for (const text of ['10.1.0.5/31', '10.1.0.5/32']) {
    const { body } = newAddress({ kind: 'address', link: 'br0', address: on(text) }, 4, false);
    assert.equal(readAttributes(body.subarray(8)).has(rt.IFA_BROADCAST), false, text);
  }
});

test('the preferred lifetime is never longer than the valid one, which the kernel refuses', () => {
  const { body } = newAddress({ kind: 'address', link: 'b', address: on('10.1.0.5/24'), validSeconds: 60 }, 4, false);
  assert.equal(readAddress({ body })?.preferredSeconds, 60);
});

test('routes', () => {
  const route: Route = {
    kind: 'route',
    destination: prefix('10.9.0.0/16'),
    link: 'br0',
    via: address('10.1.0.9'),
    source: address('10.1.0.1'),
    metric: 5,
    table: 1000,
    protocol: 99,
    onlink: true,
  };
  assert.deepEqual(readRoute(newRoute(route, 4)), {
    table: 1000,
    destination: route.destination,
    link: 4,
    via: route.via,
    source: route.source,
    metric: 5,
    protocol: 99,
    onlink: true,
    scope: 'universe',
    type: 'unicast',
  });
});

test('a route has the defaults that its key says, and the scope that ip would give it', () => {
  const v4 = readRoute(newRoute({ kind: 'route', destination: prefix('0.0.0.0/0'), link: 'br0' }, 4))!;
  assert.deepEqual([v4.table, v4.metric, v4.protocol, v4.scope], [254, 0, 186, 'link']);
  assert.deepEqual(v4.destination, prefix('0.0.0.0/0'));
  const v6 = readRoute(newRoute({ kind: 'route', destination: prefix('::/0'), link: 'br0', scope: 'link' }, 4))!;
  assert.deepEqual([v6.table, v6.metric, v6.protocol, v6.scope], [254, 1024, 186, 'universe']);
  assert.deepEqual(v6.destination, prefix('::/0'));
});

test('an IPv4 destination may have an IPv6 next hop (RFC 5549)', () => {
  const route: Route = { kind: 'route', destination: prefix('10.9.0.0/16'), link: 'br0', via: address('fd00::9') };
  assert.deepEqual(readRoute(newRoute(route, 4))?.via, route.via);
});

test('a deletion names protocol, link and next hop, so that it does not hit another route', () => {
  const route: Route = { kind: 'route', destination: prefix('10.9.0.0/16'), link: 'br0', via: address('10.1.0.9') };
  const record = readRoute(deleteRoute(route, 4))!;
  assert.deepEqual([record.protocol, record.link, record.via], [186, 4, route.via]);
});

test('rules', () => {
  const rule: Rule = {
    kind: 'rule',
    family: 6,
    priority: 100,
    table: 1000,
    from: prefix('fd00::/64'),
    to: prefix('fd01::/48'),
    inputLink: 'br0',
    mark: 7,
  };
  const { kind: _, ...fields } = rule;
  assert.deepEqual(readRule(newRule(rule)), { ...fields, protocol: 186 });
});

test('neighbours', () => {
  const neighbour = {
    kind: 'neighbour',
    link: 'br0',
    address: address('10.1.0.7'),
    mac: mac('02:42:0a:01:00:07'),
  } as const;
  assert.deepEqual(readNeighbour(newNeighbour(neighbour, 4)), {
    link: 4,
    address: neighbour.address,
    mac: neighbour.mac,
    proxy: false,
    permanent: true,
    reachable: false,
  });
  const proxy = readNeighbour(newNeighbour({ ...neighbour, address: address('fd00::7'), proxy: true }, 4))!;
  assert.deepEqual([proxy.proxy, proxy.permanent, proxy.mac], [true, false, undefined]);
});

test('forwarding entries', () => {
  const flood = { kind: 'fdb', link: 'vx', mac: '00:00:00:00:00:00', dst: address('10.0.0.2') } as const;
  const request = newFdbEntry(flood, 4, true);
  assert.equal(request.flags & rt.NLM_F_APPEND, rt.NLM_F_APPEND);
  assert.equal(request.flags & rt.NLM_F_REPLACE, 0);
  assert.deepEqual(readFdbEntry(request), {
    link: 4,
    mac: flood.mac,
    dst: flood.dst,
    vlan: undefined,
    self: true,
    fixed: true,
    local: false,
  });
  const port = newFdbEntry({ kind: 'fdb', link: 'bv1', mac: mac('02:42:0a:01:00:07'), vlan: 5 }, 4, false);
  assert.equal(port.flags & rt.NLM_F_REPLACE, rt.NLM_F_REPLACE);
  const record = readFdbEntry(port)!;
  assert.deepEqual([record.vlan, record.self, record.fixed, record.local], [5, false, true, false]);
});

test('a token bucket', () => {
  const discipline = { type: 'tbf', rate: 100_000_000, burst: 32_000, latencyMs: 50 } as const;
  const qdisc: Qdisc = { kind: 'qdisc', link: 'ifb0', parent: 'root', handle: '1:', discipline };
  const record = readQdisc(newQdisc(qdisc, 4));
  assert.deepEqual(record.tbf, tbfParameters(discipline));
  // 12.5 MB/s: 32,000 bytes take 2.56 ms, 40,000 ticks of 64 ns; 50 ms are 625,000 bytes.
  assert.deepEqual(record.tbf, { rate: 12_500_000, bufferTicks: 40_000, limit: 657_000 });
  assert.deepEqual([record.type, record.handle, record.parent], ['tbf', 0x10000, rt.TC_H_ROOT]);
});

test('rates above 34 Gbit/s do not fit in 32 bits and are sent in 64', () => {
  const discipline = { type: 'tbf', rate: 100_000_000_000, burst: 1_000_000, latencyMs: 1 } as const;
  const record = readQdisc(newQdisc({ kind: 'qdisc', link: 'x', parent: 'root', discipline }, 4));
  assert.equal(record.tbf?.rate, 12_500_000_000);
  const fast: TrafficClass = { kind: 'class', link: 'x', parent: '1:', classid: '1:1', rate: 1e11, ceil: 2e11 };
  const decoded = readClass(newClass(fast, 4));
  assert.deepEqual([decoded.rate, decoded.ceil], [12_500_000_000, 25_000_000_000]);
});

test('HTB and its classes', () => {
  const discipline = { type: 'htb', defaultClass: 0x10 } as const;
  assert.deepEqual(readQdisc(newQdisc({ kind: 'qdisc', link: 'x', parent: 'root', discipline }, 4)).htb, {
    defaultClass: 0x10,
  });
  const wanted: TrafficClass = { kind: 'class', link: 'x', parent: '1:1', classid: '1:10', rate: 8e6, burst: 20_000 };
  const record = readClass(newClass(wanted, 4));
  assert.deepEqual([record.classid, record.parent, record.rate, record.ceil], [0x10010, 0x10001, 1e6, 1e6]);
  assert.equal(record.bufferTicks, classParameters(wanted).bufferTicks);
  assert.equal(record.bufferTicks, 312_500);
});

test('filters', () => {
  const place = { kind: 'filter', link: 'x', parent: 'ingress', priority: 5 } as const;
  const redirect = readFilter(newFilter({ ...place, protocol: 'ipv6', action: { redirect: 'ifb0' } }, 4, 9));
  assert.deepEqual(redirect, {
    link: 4,
    parent: 0xfffffff2,
    priority: 5,
    protocol: 'ipv6',
    matchesAll: true,
    redirect: 9,
    classid: undefined,
  });
  const classify: Filter = { ...place, parent: '1:', action: { classid: '1:10' } };
  const record = readFilter(newFilter(classify, 4, undefined))!;
  assert.deepEqual([record.parent, record.protocol, record.classid], [0x10000, 'all', 0x10010]);
});

test('handles are written as tc writes them', () => {
  for (const text of ['1:', '1:10', 'ffff:', 'a:b', 'root']) assert.equal(formatHandle(parseHandle(text)), text);
  assert.equal(parseHandle('ingress'), 0xfffffff1);
  for (const text of ['', '1', ':', '1:2:3', '12345:', '1:g', 'egress']) {
    assert.throws(() => parseHandle(text), RangeError, text);
  }
});

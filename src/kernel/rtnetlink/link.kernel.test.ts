import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, beforeEach, test } from 'node:test';
import { isolate } from '../isolate.ts';
import type { BridgeLink, Link, MacvlanLink, VethLink, VxlanLink } from '../objects.ts';
import { openRtnetlinkDriver, type RtnetlinkDriver } from './driver.ts';
import { address, drift, lifecycle, mac, records, run, type Shown } from './testing.ts';

let driver: RtnetlinkDriver;

before(() => {
  isolate();
  driver = openRtnetlinkDriver();
});

after(() => driver.close());

beforeEach(() => {
  for (const { ifname } of records('ip -j link')) {
    if (ifname !== 'lo' && exists(ifname)) run(`ip link del ${ifname}`);
  }
});

const bridge: BridgeLink = { kind: 'link', type: 'bridge', name: 'br0', up: true };
const veth: VethLink = { kind: 'link', type: 'veth', name: 'bv1', peer: { name: 'bp1' } };

function exists(name: string): boolean {
  return records('ip -j link').some((link) => link.ifname === name);
}

function show(name: string): Shown {
  return records(`ip -j -d link show ${name}`)[0]!;
}

test('each type comes and goes', () => {
  const parent: Link = { kind: 'link', type: 'veth', name: 'par', up: true, peer: { name: 'parp' } };
  driver.make(parent);
  const links: Link[] = [
    veth,
    bridge,
    { kind: 'link', type: 'vxlan', name: 'vx1', vni: 77, local: address('10.0.0.1'), learning: false, ttl: 9 },
    { kind: 'link', type: 'vxlan', name: 'vx6', vni: 78, udpPort: 8472, local: address('fd00::1'), parent: 'par' },
    { kind: 'link', type: 'macvlan', name: 'mv1', parent: 'par', mode: 'bridge', up: true },
    { kind: 'link', type: 'ifb', name: 'if1', mtu: 1400 },
  ];
  for (const link of links)
    lifecycle(driver, link, () => exists(link.name) && show(link.name).linkinfo.info_kind === link.type);
});

test('a veth is as declared, with its peer, from the moment that it is up', () => {
  driver.make(bridge);
  const declared: VethLink = {
    ...veth,
    mtu: 1430,
    mac: mac('02:42:0a:01:00:05'),
    master: 'br0',
    alias: 'berth endpoint 1',
    noLinkLocal: true,
    port: { isolated: true, hairpin: true, learning: false, flood: false, neighbourSuppression: true },
    up: true,
    peer: { name: 'bp1', mac: mac('02:42:0a:01:00:06'), mtu: 1420 },
  };
  driver.make(declared);
  const made = show('bv1');
  assert.equal(made.mtu, 1430);
  assert.equal(made.address, '02:42:0a:01:00:05');
  assert.equal(made.master, 'br0');
  assert.equal(made.ifalias, 'berth endpoint 1');
  assert.equal(made.inet6_addr_gen_mode, 'none');
  assert.ok(made.flags.includes('UP'));
  const { isolated, hairpin, learning, flood, neigh_suppress } = made.linkinfo.info_slave_data;
  assert.deepEqual(
    { isolated, hairpin, learning, flood, neigh_suppress },
    { isolated: true, hairpin: true, learning: false, flood: false, neigh_suppress: true },
  );
  const peer = show('bp1');
  assert.deepEqual([peer.address, peer.mtu], ['02:42:0a:01:00:06', 1420]);
  assert.deepEqual(drift(driver, declared), []);

  run('ip link set bp1 name eth0');
  assert.deepEqual(drift(driver, declared), [], 'the engine may rename the other end');
});

test('what somebody changed is named, and put right', () => {
  driver.make(bridge);
  const declared: VethLink = {
    ...veth,
    mtu: 1400,
    mac: mac('02:42:0a:01:00:05'),
    master: 'br0',
    alias: 'ours',
    noLinkLocal: true,
    port: { isolated: true },
    up: true,
  };
  driver.make(declared);
  const changes: readonly (readonly [string, string])[] = [
    ['ip link set bv1 mtu 1300', 'mtu'],
    ['ip link set bv1 address 02:42:0a:01:00:99', 'mac'],
    ['ip link set bv1 alias theirs', 'alias'],
    ['ip link set bv1 addrgenmode eui64', 'noLinkLocal'],
    ['bridge link set dev bv1 isolated off', 'port'],
    ['ip link set bv1 nomaster', 'master'],
    ['ip link set bv1 down', 'up'],
  ];
  for (const [command, field] of changes) {
    run(command);
    const found = drift(driver, declared) as { name: string }[];
    assert.ok(
      found.some(({ name }) => name === field),
      `${command}: ${JSON.stringify(found)}`,
    );
    driver.make(declared);
    assert.deepEqual(drift(driver, declared), [], command);
  }
});

test('a bridge keeps the MTU that was declared, whatever joins it', () => {
  for (const mtu of [1450, 1500]) {
    const declared: BridgeLink = { ...bridge, mtu };
    driver.make(declared);
    driver.make({ ...veth, mtu: 1300, master: 'br0', up: true });
    assert.equal(show('br0').mtu, mtu);
    driver.unmake(veth);
    driver.unmake(declared);
  }
});

test('the settings of a bridge can be changed', () => {
  const declared: BridgeLink = { ...bridge, stp: true, forwardDelay: 400, multicastSnooping: true };
  driver.make(declared);
  assert.deepEqual(drift(driver, declared), []);
  const changed: BridgeLink = { ...bridge, stp: false, forwardDelay: 0, multicastSnooping: false };
  driver.make(changed);
  assert.deepEqual(drift(driver, changed), []);
  const { stp_state, forward_delay, mcast_snooping } = show('br0').linkinfo.info_data;
  assert.deepEqual({ stp_state, forward_delay, mcast_snooping }, { stp_state: 0, forward_delay: 0, mcast_snooping: 0 });
});

test('what can be changed of a VXLAN and a macvlan is, and what cannot is refused with the reason', () => {
  const vxlan: VxlanLink = {
    kind: 'link',
    type: 'vxlan',
    name: 'vx1',
    vni: 77,
    local: address('10.0.0.1'),
    learning: true,
  };
  driver.make(vxlan);
  const changed: VxlanLink = { ...vxlan, local: address('10.0.0.2'), learning: false, ttl: 64 };
  driver.make(changed);
  assert.deepEqual(drift(driver, changed), []);
  const { local, learning, ttl, port } = show('vx1').linkinfo.info_data;
  assert.deepEqual({ local, learning, ttl, port }, { local: '10.0.0.2', learning: false, ttl: 64, port: 4789 });
  assert.throws(() => driver.make({ ...vxlan, vni: 78 }), {
    code: 'KERNEL_REFUSED',
    message: 'cannot make the vxlan vx1: it is there already, with the VNI 77 rather than 78',
  });
  assert.throws(() => driver.make({ ...vxlan, udpPort: 8472 }), /on the port 4789 rather than 8472/);

  driver.make(veth);
  const macvlan: MacvlanLink = { kind: 'link', type: 'macvlan', name: 'mv1', parent: 'bv1', mode: 'bridge' };
  driver.make(macvlan);
  driver.make({ ...macvlan, mode: 'private' });
  assert.equal(show('mv1').linkinfo.info_data.mode, 'private');
  assert.throws(() => driver.make({ ...macvlan, mode: 'passthru' }), /in the mode private rather than passthru/);
  assert.throws(() => driver.make({ ...macvlan, parent: 'bp1' }), /on bv1 rather than on bp1/);
});

test('a link of another type under the name is replaced only if it is ours', () => {
  run('ip link add bv1 type bridge');
  run('ip link set bv1 alias theirs');
  assert.throws(() => driver.make({ ...veth, alias: 'ours', up: true }), {
    code: 'KERNEL_REFUSED',
    message: 'cannot make the veth bv1: there is a bridge of this name already',
  });
  assert.equal(show('bv1').ifalias, 'theirs', 'untouched');
  assert.ok(!show('bv1').flags.includes('UP'), 'untouched');
  driver.unmake(veth);
  assert.ok(exists('bv1'), 'what is not the declared type is not ours to remove');

  const owner = openRtnetlinkDriver({ replace: () => true });
  owner.make(veth);
  assert.equal(show('bv1').linkinfo.info_kind, 'veth');
  owner.close();
});

test('an adopted link is set and never made or removed', () => {
  const nic: Link = { kind: 'link', type: 'adopted', name: 'bp1', mtu: 1400, up: true };
  assert.equal(drift(driver, nic), 'missing');
  assert.throws(() => driver.make(nic), {
    code: 'INTERFACE_UNKNOWN',
    message: 'cannot make the interface bp1: there is no interface bp1',
  });
  driver.make(veth);
  driver.make(bridge);
  driver.make({ ...nic, master: 'br0' });
  assert.deepEqual(drift(driver, { ...nic, master: 'br0' }), []);
  driver.make({ ...nic, master: null });
  assert.equal(show('bp1').master, undefined);
  assert.deepEqual(drift(driver, { ...nic, master: null }), []);
  driver.unmake(nic);
  driver.unmakeAll([nic, { ...nic, name: 'lo' }]);
  assert.ok(exists('bp1'));
});

test('what a link refers to must be there', () => {
  assert.throws(() => driver.make({ ...veth, master: 'br9' }), {
    code: 'INTERFACE_UNKNOWN',
    message: 'cannot make the veth bv1: there is no interface br9',
  });
  assert.throws(() => driver.make({ kind: 'link', type: 'macvlan', name: 'mv1', parent: 'eth9', mode: 'bridge' }), {
    code: 'INTERFACE_UNKNOWN',
  });
  assert.ok(!exists('bv1'));
});

test("the kernel's own sentence reaches the user, and nothing half made stays", () => {
  driver.make(bridge);
  assert.throws(() => driver.make({ ...bridge, name: 'br2', master: 'br0' }), {
    code: 'KERNEL_REFUSED',
    message: "cannot make the bridge br2: the kernel says 'Can not enslave a bridge to a bridge' (ELOOP)",
  });
  assert.ok(!exists('br2'));
  assert.throws(() => driver.make({ ...veth, mtu: 10 }), {
    message: "cannot make the veth bv1: the kernel says 'invalid argument' (EINVAL)",
  });
  // The master is given with the creation, the port settings after it: those fail on what is no bridge port.
  assert.throws(() => driver.make({ ...veth, port: { isolated: true } }), { code: 'KERNEL_LACKS' });
  assert.ok(!exists('bv1'), 'undone');
  run('ip link add bp1 type bridge');
  assert.throws(() => driver.make(veth), {
    code: 'KERNEL_REFUSED',
    message: "cannot make the veth bv1: the kernel says 'an interface bp1 exists already' (EEXIST)",
  });
});

test('a link without IPv6 is made all the same', () => {
  // Below 1280 bytes there is no IPv6 (RFC 8200 §5), and the kernel refuses to set its address mode.
  const small: VethLink = { ...veth, mtu: 1200, noLinkLocal: true, up: true };
  driver.make(small);
  assert.deepEqual(drift(driver, small), []);
});

test('many links go in one group, and nobody else with them', () => {
  const mine: VethLink[] = Array.from({ length: 40 }, (_, number) => ({
    kind: 'link',
    type: 'veth',
    name: `bv${number}`,
    peer: { name: `bp${number}` },
  }));
  for (const link of mine) driver.make(link);
  run('ip link add other type bridge');
  run('ip link add bv99 type bridge');
  const started = performance.now();
  driver.unmakeAll([...mine, { ...veth, name: 'notthere' }, { ...veth, name: 'bv99' }]);
  const took = performance.now() - started;
  assert.deepEqual(
    records('ip -j link').map((link) => link.ifname),
    ['lo', 'other', 'bv99'],
  );
  // One by one it is 15 ms each.
  assert.ok(took < 40 * 8, `${took} ms`);
  driver.unmakeAll(mine);
});

test('a peer is made in another namespace, and a link there is configured there', (t) => {
  const name = `brn-${randomBytes(4).toString('hex')}`;
  run(`ip netns add ${name}`);
  t.after(() => run(`ip netns del ${name}`));
  const netns = `/run/netns/${name}`;
  driver.make({ ...veth, peer: { name: 'eth0', netns } });
  assert.ok(!exists('eth0'));
  const inside: Link = { kind: 'link', type: 'adopted', name: 'eth0', netns, mtu: 1400, up: true, alias: 'in there' };
  driver.make(inside);
  assert.deepEqual(drift(driver, inside), []);
  const there = records(`ip -n ${name} -j link show eth0`)[0]!;
  assert.deepEqual([there.mtu, there.ifalias, there.flags.includes('UP')], [1400, 'in there', true]);
  assert.deepEqual(drift(driver, veth), []);
});

test('a namespace that is gone, reused or none at all', (t) => {
  const name = `brn-${randomBytes(4).toString('hex')}`;
  const netns = `/run/netns/${name}`;
  const link: Link = { kind: 'link', type: 'bridge', name: 'br7', netns };
  const expected = { code: 'KERNEL_REFUSED', message: new RegExp(`there is no network namespace ${netns}`) };
  assert.throws(() => driver.make(link), expected);
  assert.equal(drift(driver, link), 'missing');
  driver.unmake(link);
  driver.unmakeAll([link, { ...link, name: 'br8' }]);
  assert.throws(() => driver.make({ ...veth, peer: { name: 'eth0', netns } }), expected);
  assert.throws(() => driver.make({ ...link, netns: '/etc/hostname' }), { code: 'KERNEL_REFUSED' });

  run(`ip netns add ${name}`);
  driver.make(link);
  assert.deepEqual(drift(driver, link), []);
  run(`ip netns del ${name}`);
  assert.equal(drift(driver, link), 'missing', 'gone');
  run(`ip netns add ${name}`);
  t.after(() => run(`ip netns del ${name}`));
  assert.equal(drift(driver, link), 'missing', 'the same path, another namespace');
});

test("a namespace of somebody else's is not kept alive", async (t) => {
  const name = `brn-${randomBytes(4).toString('hex')}`;
  run(`ip netns add ${name}`);
  t.after(() => {
    if (run('ip netns list').includes(name)) run(`ip netns del ${name}`);
  });
  const netns = `/run/netns/${name}`;
  driver.make({ ...veth, peer: { name: 'eth0', netns } });
  driver.make({ kind: 'link', type: 'adopted', name: 'eth0', netns, up: true });
  await new Promise((resolve) => setImmediate(resolve));
  run(`ip netns del ${name}`);
  // With its namespace goes the other end, and with that this one: as when a container dies.
  const deadline = performance.now() + 5000;
  while (exists('bv1') && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.ok(!exists('bv1'));
});

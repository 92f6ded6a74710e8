import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { isolate } from '../isolate.ts';
import type { Link, MacvlanLink, NicLink } from '../objects.ts';
import { openRtnetlinkDriver, type RtnetlinkDriver } from './driver.ts';
import { drift, mac, records, run } from './testing.ts';

const container = `bpl-${randomBytes(4).toString('hex')}`;
const netns = `/run/netns/${container}`;
const parent: Link = { kind: 'link', type: 'veth', name: 'par', up: true, peer: { name: 'parp' } };
const link: MacvlanLink = {
  kind: 'link',
  type: 'macvlan',
  name: 'bp1',
  parent: 'par',
  mode: 'bridge',
  mac: mac('02:42:0a:01:00:05'),
  alias: 'berth endpoint 1',
  plugged: 'somewhere',
};
const placed: MacvlanLink = { ...link, plugged: { netns, name: 'eth0' } };

let driver: RtnetlinkDriver;

before(() => {
  isolate();
  run(`ip netns add ${container}`);
  driver = openRtnetlinkDriver();
  driver.make(parent);
});

after(() => {
  driver.close();
  run(`ip netns del ${container}`);
});

const here = () => records('ip -j link').map(({ ifname }) => ifname as string);
const inside = () => records(`ip -n ${container} -j link`).map(({ ifname }) => ifname as string);
/** What the engine does with a link that Join names, and undoes at Leave. */
const plug = () => {
  run(`ip link set bp1 netns ${container} name eth0`);
  run(`ip -n ${container} link set eth0 up`);
};

test('a link for a container is made here, and not missed when the engine takes it', () => {
  driver.make(link);
  assert.deepEqual(drift(driver, link), []);
  plug();
  assert.ok(!here().includes('bp1'));
  assert.deepEqual(drift(driver, link), [], 'nobody knows where it is');
  assert.deepEqual(drift(driver, placed), [], 'it is where it was seen');
  assert.match(
    String(JSON.stringify(drift(driver, { ...placed, mode: 'vepa' }))),
    /"declared":"vepa","found":"bridge"/,
  );
  driver.make({ ...placed, mode: 'vepa' });
  assert.deepEqual(drift(driver, { ...placed, mode: 'vepa' }), [], 'it can be changed in there');
});

test('it is made again in the container, with its parent here', () => {
  run(`ip -n ${container} link del eth0`);
  assert.equal(drift(driver, placed), 'missing');
  driver.make(placed);
  assert.deepEqual(drift(driver, placed), []);
  assert.ok(inside().includes('eth0') && !here().includes('bp1'));
  driver.make(placed);
  assert.deepEqual(drift(driver, placed), [], 'made again');
});

test('it is removed wherever it is', () => {
  driver.unmake(placed);
  assert.ok(!inside().includes('eth0'));

  driver.make(link);
  driver.unmake(placed);
  assert.ok(!here().includes('bp1'), 'the engine never took it');

  driver.make(link);
  plug();
  run(`ip -n ${container} link set eth0 down`);
  run(`ip -n ${container} link set eth0 name bp1`);
  driver.unmakeAll([
    { ...placed, plugged: { netns, name: 'bp1' } },
    { ...link, name: 'bp2' },
  ]);
  assert.deepEqual(inside(), ['lo']);
  driver.unmake(placed);
});

test("another's interface of the same name in the container is left alone", () => {
  run(`ip -n ${container} link add eth0 type bridge`);
  driver.make(link);
  assert.deepEqual(drift(driver, placed), [], 'still here');
  driver.unmake(placed);
  assert.ok(inside().includes('eth0'));
  assert.ok(!here().includes('bp1'));
  assert.throws(() => driver.make(placed), /cannot make the macvlan/);
  run(`ip -n ${container} link del eth0`);
});

test('a container that has gone takes the link with it', () => {
  const gone = { ...link, plugged: { netns: '/run/netns/bpl-absent', name: 'eth0' } };
  assert.equal(drift(driver, gone), 'missing');
  assert.throws(() => driver.make(gone), /there is no network namespace/);
  driver.unmake(gone);
});

test('a NIC goes into the container, and comes back as it was', () => {
  run('ip link add nic1 type veth peer name cable1');
  run('ip link set nic1 up mtu 1400 address 02:00:00:00:00:07 alias uplink');
  const nic: NicLink = {
    kind: 'link',
    type: 'nic',
    name: 'nic1',
    mtu: 1300,
    alias: 'berth endpoint 2',
    plugged: 'somewhere',
    before: { mac: mac('02:00:00:00:00:07'), mtu: 1400, up: true, alias: 'uplink' },
  };
  const lent: NicLink = { ...nic, plugged: { netns, name: 'eth0' } };
  const asBefore = () => {
    const [{ mtu, address, ifalias, flags }] = records('ip -j link show nic1') as [Record<string, unknown>];
    assert.deepEqual([mtu, address, ifalias], [1400, '02:00:00:00:00:07', 'uplink']);
    assert.ok((flags as string[]).includes('UP'));
  };
  driver.make(nic);
  assert.deepEqual(drift(driver, nic), []);
  assert.equal(records('ip -j link show nic1')[0]?.mtu, 1300);
  driver.unmake(nic);
  asBefore();
  driver.unmake(nic);
  asBefore();

  driver.make(nic);
  run(`ip link set nic1 netns ${container} name eth0`);
  run(`ip -n ${container} link set eth0 up address 02:00:00:00:00:09`);
  assert.deepEqual(drift(driver, lent), []);
  driver.unmake(lent);
  assert.ok(!inside().includes('eth0'));
  asBefore();

  driver.make(nic);
  run('ip link set nic1 down');
  run('ip link set nic1 name dev7');
  assert.deepEqual(drift(driver, lent), [], 'where the kernel puts it when its namespace goes');
  driver.unmake(lent);
  asBefore();

  run('ip link del nic1');
  assert.equal(drift(driver, lent), 'missing');
  assert.throws(() => driver.make(lent), /there is no interface nic1/);
  driver.unmake(lent);
});

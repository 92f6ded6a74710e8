import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isolate } from '../isolate.ts';
import { type FdbEntry, objectKey } from '../objects.ts';
import { openRtnetlinkDriver, type RtnetlinkDriver } from './driver.ts';
import { address, drift, lifecycle, mac, records, run, type Shown } from './testing.ts';

let driver: RtnetlinkDriver;

before(() => {
  isolate();
  driver = openRtnetlinkDriver();
  driver.make({ kind: 'link', type: 'bridge', name: 'br0', up: true });
  driver.make({
    kind: 'link',
    type: 'vxlan',
    name: 'vx1',
    vni: 5,
    local: address('127.0.0.1'),
    master: 'br0',
    up: true,
  });
  driver.make({ kind: 'link', type: 'veth', name: 'bv1', master: 'br0', up: true, peer: { name: 'bp1' } });
});

after(() => driver.close());

const far = mac('02:42:0a:01:00:07');
const flood = (to: string): FdbEntry => ({ kind: 'fdb', link: 'vx1', mac: '00:00:00:00:00:00', dst: address(to) });

function entries(link: string, wanted: string): Shown[] {
  return records(`bridge -j fdb show dev ${link}`).filter((entry) => entry.mac === wanted);
}

test('entries of a VXLAN device and of bridge ports come and go', () => {
  const remote: FdbEntry = { kind: 'fdb', link: 'vx1', mac: far, dst: address('10.0.0.2') };
  lifecycle(driver, remote, () =>
    entries('vx1', far).some(({ dst, flags }) => dst === '10.0.0.2' && flags.includes('self')),
  );
  const behind: FdbEntry = { kind: 'fdb', link: 'vx1', mac: far };
  lifecycle(driver, behind, () =>
    entries('vx1', far).some(({ master, state }) => master === 'br0' && state === 'static'),
  );
  const port: FdbEntry = { kind: 'fdb', link: 'bv1', mac: far };
  lifecycle(driver, port, () =>
    entries('bv1', far).some(({ master, state }) => master === 'br0' && state === 'static'),
  );
  const own: FdbEntry = { kind: 'fdb', link: 'bp1', mac: far };
  lifecycle(driver, own, () => entries('bp1', far).some(({ flags }) => flags.includes('self')));
});

test('a VXLAN device floods to several', () => {
  const zeros = '00:00:00:00:00:00';
  const destinations = () => entries('vx1', zeros).map(({ dst }) => dst);
  driver.make(flood('10.0.0.2'));
  driver.make(flood('10.0.0.3'));
  driver.make(flood('10.0.0.2'));
  assert.deepEqual(destinations(), ['10.0.0.2', '10.0.0.3']);
  driver.unmake(flood('10.0.0.2'));
  assert.deepEqual(destinations(), ['10.0.0.3']);
  assert.equal(drift(driver, flood('10.0.0.2')), 'missing');
  assert.deepEqual(drift(driver, flood('10.0.0.3')), []);
  driver.unmake(flood('10.0.0.3'));
});

test('an address that moved to another host is there, and the removal of the old entry does not take the new', () => {
  const before: FdbEntry = { kind: 'fdb', link: 'vx1', mac: far, dst: address('10.0.0.2') };
  const now: FdbEntry = { ...before, dst: address('10.0.0.3') };
  driver.make(before);
  assert.equal(drift(driver, now), 'missing');
  driver.make(now);
  driver.unmake(before);
  assert.deepEqual(drift(driver, now), []);
  assert.deepEqual(
    entries('vx1', far).map(({ dst }) => dst),
    ['10.0.0.3'],
  );
  driver.unmake(now);
});

test('what the bridge learnt, and its own addresses, are not declared entries', () => {
  // A port without a carrier learns nothing.
  run('ip link set bp1 up');
  run(`bridge fdb add ${far} dev bv1 master dynamic`);
  assert.equal(drift(driver, { kind: 'fdb', link: 'bv1', mac: far }), 'missing');
  const own = mac(records('ip -j link show bv1')[0]!.address);
  assert.equal(drift(driver, { kind: 'fdb', link: 'bv1', mac: own }), 'missing');
  run(`bridge fdb del ${far} dev bv1 master`);
});

test("a bridge's own address is an entry that a flush takes away, and that can be put back", () => {
  const own: FdbEntry = { kind: 'fdb', link: 'br0', mac: mac('02:42:0a:01:00:01') };
  driver.make({ kind: 'link', type: 'bridge', name: 'br0', mac: mac('02:42:0a:01:00:01'), up: true });
  assert.deepEqual(drift(driver, own), [], 'it is made with the bridge');
  run('bridge fdb flush dev br0');
  assert.equal(drift(driver, own), 'missing');
  driver.make(own);
  assert.deepEqual(drift(driver, own), []);
});

const many: FdbEntry[] = Array.from({ length: 600 }, (_, number) => ({
  kind: 'fdb',
  link: 'vx1',
  mac: mac(
    `02:42:0a:02:${(number >> 8).toString(16).padStart(2, '0')}:${(number & 255).toString(16).padStart(2, '0')}`,
  ),
  dst: address('10.0.0.9'),
}));

test('many at once', () => {
  driver.makeAll(many);
  assert.equal(entriesTo('10.0.0.9'), 600);
  assert.equal(driver.find(many, undefined).size, 600);
  driver.unmakeAll(many);
  assert.equal(entriesTo('10.0.0.9'), 0);
});

test('when one of many is refused, it is named; those before it stand, and those after it do not', () => {
  const bad: FdbEntry = { kind: 'fdb', link: 'vx1', mac: far, dst: address('fd00::1') };
  const all = [...many.slice(0, 10), bad, ...many.slice(10, 20)];
  assert.throws(() => driver.makeAll(all), {
    message: `cannot make the forwarding entry ${far} to fd00::1 on vx1: the kernel says 'address family not supported' (EAFNOSUPPORT)`,
  });
  assert.deepEqual([...driver.find(all, undefined).keys()], many.slice(0, 10).map(objectKey));
  driver.unmakeAll(all);
});

test('an entry on a link that is not there', () => {
  const nowhere: FdbEntry = { kind: 'fdb', link: 'nolink', mac: far };
  const expected = { code: 'INTERFACE_UNKNOWN', message: /there is no interface nolink/ };
  assert.throws(() => driver.make(nowhere), expected);
  assert.throws(() => driver.makeAll([flood('10.0.0.2'), nowhere]), expected);
  assert.equal(drift(driver, nowhere), 'missing');
  driver.unmake(nowhere);
});

function entriesTo(dst: string): number {
  return records('bridge -j fdb show dev vx1').filter((entry) => entry.dst === dst).length;
}

test('what is written down on a link is listed as it would be declared, and what the kernel makes is not', () => {
  const remote: FdbEntry = { kind: 'fdb', link: 'vx1', mac: far, dst: address('10.0.0.2') };
  const behind: FdbEntry = { kind: 'fdb', link: 'vx1', mac: far };
  const asked = { kind: 'neighbour', link: 'vx1', address: address('10.1.0.7'), mac: far } as const;
  const all = [remote, behind, flood('10.0.0.3'), asked];
  for (const object of all) driver.make(object);
  assert.deepEqual(driver.entries('vx1').map(objectKey).toSorted(), all.map(objectKey).toSorted());
  for (const object of all) driver.unmake(object);
  assert.deepEqual([driver.entries('vx1'), driver.entries('none')], [[], []]);
});

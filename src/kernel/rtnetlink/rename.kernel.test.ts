import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { isolate } from '../isolate.ts';
import type { AdoptedLink } from '../objects.ts';
import { openRtnetlinkDriver, type RtnetlinkDriver } from './driver.ts';
import { drift, records, run } from './testing.ts';

let driver: RtnetlinkDriver;

before(() => {
  isolate();
  driver = openRtnetlinkDriver();
});
after(() => driver.close());
beforeEach(() => {
  run('ip link add eth0 type veth peer name other');
  run('ip link set eth0 up');
  run('ip address add 10.0.0.5/24 dev eth0');
});

const uplink: AdoptedLink = { kind: 'link', type: 'adopted', name: 'uplink', formerly: 'eth0', up: true };

test('a link gets its name once, keeps its address, and is found by the old name too', (context) => {
  context.after(() => run('ip link del other'));
  assert.equal(drift(driver, { ...uplink, name: 'nothere' }), 'missing');
  driver.make(uplink);
  const [link] = records('ip -j -d address show dev uplink');
  assert.deepEqual([link?.ifname, link?.altnames, link?.addr_info[0].local], ['uplink', ['eth0'], '10.0.0.5']);
  assert.equal(records('ip -j link show dev eth0')[0]?.ifname, 'uplink');
  driver.make(uplink);
  assert.deepEqual(drift(driver, uplink), []);
});

test('a name that is taken, or a link that is not there, is told', (context) => {
  context.after(() => run('ip link del other'));
  assert.throws(() => driver.make({ ...uplink, name: 'lo2', formerly: 'eth7' }), { code: 'INTERFACE_UNKNOWN' });
  run('ip link add uplink2 type bridge');
  context.after(() => run('ip link del uplink2'));
  assert.throws(() => driver.make({ ...uplink, name: 'a/b' }), { code: 'KERNEL_REFUSED' });
});

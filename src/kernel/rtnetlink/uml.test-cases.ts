/** What a test machine's kernel may lack (vlan, ipvlan, VLAN-aware bridges, fq_codel), exercised in a guest that has it. */

import assert from 'node:assert/strict';
import { isolate } from '../isolate.ts';
import type { BridgeLink, FdbEntry, IpvlanLink, Qdisc, VlanLink } from '../objects.ts';
import { openRtnetlinkDriver } from './driver.ts';
import { drift, lifecycle, mac, records, run, type Shown } from './testing.ts';

function show(name: string): Shown {
  return records(`ip -j -d link show ${name}`)[0]!;
}

function kindOf(name: string): string | undefined {
  return records('ip -j -d link').find(({ ifname }) => ifname === name)?.linkinfo?.info_kind;
}

/** To be called on a kernel that has all of it. @throws AssertionError */
export function exerciseLackingKinds(): void {
  isolate();
  const driver = openRtnetlinkDriver();
  const owner = openRtnetlinkDriver({ replace: () => true });
  driver.make({ kind: 'link', type: 'veth', name: 'par', up: true, peer: { name: 'parp' } });
  driver.make({ kind: 'link', type: 'veth', name: 'par2', up: true, peer: { name: 'par2p' } });

  const vlan: VlanLink = { kind: 'link', type: 'vlan', name: 'par.5', parent: 'par', vlan: 5, mtu: 1400, up: true };
  lifecycle(driver, vlan, () => kindOf('par.5') === 'vlan');
  driver.make(vlan);
  const made = show('par.5');
  assert.deepEqual([made.link, made.linkinfo.info_data.id, made.mtu], ['par', 5, 1400]);
  const other: VlanLink = { ...vlan, vlan: 6 };
  assert.deepEqual(drift(driver, other), [{ name: 'vlan', declared: '6', found: '5' }]);
  // The kernel would take the new number without a word and keep the old one (vlan_changelink).
  assert.throws(() => driver.make(other), /it is there already, with the VLAN 5 rather than 6/);
  assert.throws(() => driver.make({ ...vlan, parent: 'par2' }), /on par rather than on par2/);
  owner.make({ ...other, parent: 'par2' });
  assert.deepEqual(drift(driver, { ...other, parent: 'par2' }), []);
  driver.unmake(other);

  // Given to a container, it is known there, with its parent here.
  run('ip netns add given');
  const lent: VlanLink = { ...vlan, name: 't_c1', alias: 'berth endpoint 1', plugged: 'somewhere' };
  driver.make({ ...lent, up: false });
  run('ip link set t_c1 netns given name eth0');
  run('ip -n given link set eth0 up');
  const placed: VlanLink = { ...lent, plugged: { netns: '/run/netns/given', name: 'eth0' } };
  assert.deepEqual(drift(driver, lent), []);
  assert.deepEqual(drift(driver, placed), []);
  run('ip -n given link del eth0');
  assert.equal(drift(driver, placed), 'missing');
  driver.make(placed);
  assert.deepEqual(drift(driver, placed), []);
  assert.equal(records('ip -n given -j -d link show eth0')[0]!.linkinfo.info_data.id, 5);
  driver.unmake(placed);
  assert.equal(drift(driver, placed), 'missing');
  run('ip netns del given');

  lifecycle(driver, { kind: 'link', type: 'dummy', name: 'du0', up: true }, () => kindOf('du0') === 'dummy');

  const ipvlan: IpvlanLink = { kind: 'link', type: 'ipvlan', name: 'iv0', parent: 'par', mode: 'l2', up: true };
  for (const mode of ['l2', 'l3', 'l3s'] as const) {
    lifecycle(
      driver,
      { ...ipvlan, mode },
      () => kindOf('iv0') === 'ipvlan' && show('iv0').linkinfo.info_data.mode === mode,
    );
  }
  driver.make(ipvlan);
  driver.make({ ...ipvlan, mode: 'l3' });
  assert.deepEqual(drift(driver, { ...ipvlan, mode: 'l3' }), []);
  driver.unmake(ipvlan);

  const bridge: BridgeLink = { kind: 'link', type: 'bridge', name: 'br0', vlanFiltering: true, up: true };
  driver.make(bridge);
  assert.equal(show('br0').linkinfo.info_data.vlan_filtering, 1);
  assert.deepEqual(drift(driver, bridge), []);
  driver.make({ ...bridge, vlanFiltering: false });
  assert.equal(show('br0').linkinfo.info_data.vlan_filtering, 0);
  driver.make(bridge);
  driver.make({ kind: 'link', type: 'veth', name: 'bv1', master: 'br0', up: true, peer: { name: 'bp1' } });
  run('bridge vlan add dev bv1 vid 7');
  const entry: FdbEntry = { kind: 'fdb', link: 'bv1', mac: mac('02:42:0a:01:00:07'), vlan: 7 };
  lifecycle(driver, entry, () =>
    records('bridge -j fdb show dev bv1').some((shown) => shown.mac === entry.mac && shown.vlan === 7),
  );

  const fair: Qdisc = { kind: 'qdisc', link: 'par', parent: 'root', handle: '7:', discipline: { type: 'fq_codel' } };
  lifecycle(driver, fair, () => records('tc -j qdisc show dev par')[0]?.kind === 'fq_codel');
  driver.make({ ...fair, handle: '1:', discipline: { type: 'htb', defaultClass: 0x10 } });
  driver.make({ kind: 'class', link: 'par', parent: '1:', classid: '1:10', rate: 1e8 });
  lifecycle(driver, { ...fair, parent: '1:10', handle: '10:' }, () =>
    records('tc -j qdisc show dev par').some(({ kind, parent }) => kind === 'fq_codel' && parent === '1:10'),
  );

  driver.close();
  owner.close();
}

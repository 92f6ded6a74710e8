/**
 * Contiv's system tests of what may happen to a cluster (test/systemtests/trigger_test.go), under their names: masters, agents,
 * hosts, etcd and the network fail, and come back. Those of policies come with policies.
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Cluster, ClusterHost } from './bed/cluster.ts';
import { masterService } from './bed/control.ts';
import { waitFor } from './bed/process.ts';
import { allReach, createNetwork, named, networksAppear, type Placed, removeAll, spread } from './suites/cluster.ts';
import { setClusterStage } from './suites/cluster-stage.ts';

const NETWORK = '-s 10.1.1.0/24 -g 10.1.1.254 -p 1001 -e vxlan private';

/** A network with a container on each host, which reach each other. */
async function setUp(cluster: Cluster): Promise<Placed[]> {
  await createNetwork(cluster, NETWORK);
  const placed = await spread(cluster.hosts, named('c', cluster.hosts.length), 'private');
  await allReach(placed);
  return placed;
}

/** New containers start and reach the old ones, and go. */
async function newOnesToo(cluster: Cluster, placed: readonly Placed[]): Promise<void> {
  const more = await spread(cluster.hosts, named('new', cluster.hosts.length), 'private');
  await allReach([...placed, ...more]);
  await removeAll(more);
}

describe('trigger', () => {
  const stage = setClusterStage('trigger', {
    engines: ['28.5', '26.1', '28.5'],
    members: 3,
    masters: 3,
    agentFlags: ['--audit-interval', '5'],
  });

  test('TestTriggerNetmasterSwitchover', async () => {
    const cluster = stage();
    const placed = await setUp(cluster);
    for (const [n, master] of cluster.masters.entries()) {
      await master.kill();
      await cluster.netctl(`network create -s 10.2.${n}.0/24 during${n}`);
      await networksAppear(cluster.hosts, `during${n}`);
      await allReach(placed);
      await cluster.netctl(`network rm during${n}`);
      await master.start();
    }
  });

  test('TestTriggerNetmasterControlPortSwitch', async () => {
    const cluster = stage();
    const placed = await setUp(cluster);
    const store = ['--etcd-endpoints', cluster.members.map(({ url }) => url).join(',')];
    const old = ['netmaster', '--mode', 'docker', '--netmode', 'vxlan', '--fwdmode', 'bridge', ...store] as const;
    const moved = cluster.masters.map(({ machine }, n) => {
      const { address } = cluster.members[n]!;
      const urls = ['--listen-url', `${address}:9998`, '--control-url', `${address}:999${n}`];
      return masterService(machine, address, [...old, ...urls], 9998);
    });
    const elsewhere = { netmaster: moved.map(({ url }) => url).join(',') };
    await Promise.all(cluster.masters.map((master) => master.stop()));
    await allReach(placed);
    await Promise.all(moved.map((master) => master.start()));
    try {
      assert.notEqual((await cluster.tryNetctl('network ls')).code, 0, 'nobody is at the old ports');
      await cluster.netctl('network create -s 10.2.1.0/24 during', elsewhere);
      await networksAppear(cluster.hosts, 'during');
      await newOnesToo(cluster, placed);
    } finally {
      await Promise.all(moved.map((master) => master.stop()));
      await Promise.all(cluster.masters.map((master) => master.start()));
    }
    await cluster.netctl('network rm during');
    await allReach(placed);
  });

  test('TestTriggerNetpluginDisconnect', async () => {
    const cluster = stage();
    const placed = await setUp(cluster);
    for (const host of cluster.hosts) {
      await host.stopBerth();
      // Longer than it is announced for.
      await unannounced(cluster, host);
      await allReach(placed);
      await host.startAgent();
      await cluster.ready();
      await newOnesToo(cluster, placed);
    }
  });

  test('TestTriggerNodeReload', async () => {
    const cluster = stage();
    const placed = await setUp(cluster);
    for (const [n, host] of cluster.hosts.entries()) {
      await host.powerOff();
      await allReach(placed.filter(([other]) => other !== host));
      await host.boot();
      await cluster.ready();
      await host.docker('start', placed[n]![1]);
      await allReach(placed);
    }
    await newOnesToo(cluster, placed);
  });

  test('TestTriggerClusterStoreRestart', async () => {
    const cluster = stage();
    const placed = await setUp(cluster);
    for (const member of cluster.members) {
      await member.kill();
      await allReach(placed);
      await elected(cluster);
      await newOnesToo(cluster, placed);
      await member.start();
    }
    // All of them, also: nothing is lost but time.
    await Promise.all(cluster.members.map((member) => member.kill()));
    await allReach(placed);
    await Promise.all(cluster.members.map((member) => member.start()));
    await cluster.ready(60_000);
    await newOnesToo(cluster, placed);
  });

  test('TestTriggerNetPartition', async () => {
    const cluster = stage();
    const placed = await setUp(cluster);
    for (const [n, host] of cluster.hosts.entries()) {
      await Promise.all([host.underlay.pull(), host.management.pull()]);
      await unannounced(cluster, host);
      await allReach(placed.filter(([other]) => other !== host));
      await cluster.netctl(`network create -s 10.2.${n}.0/24 during${n}`);
      await Promise.all([host.underlay.push(), host.management.push()]);
      await cluster.ready(60_000);
      await allReach(placed, undefined, 30_000);
      await networksAppear(cluster.hosts, `during${n}`);
    }
    await newOnesToo(cluster, placed);
  });
});

/** Waits until the members that run have a leader: what is written before is lost. */
async function elected(cluster: Cluster): Promise<void> {
  const members = cluster.members.filter((member) => member.running());
  for (const member of members) {
    await waitFor('a leader', async () => (await member.ctl(['put', 'led', '1'], { check: false })).code === 0, 30_000);
  }
}

/** Waits until the cluster does not hear of a host's agent any more. */
async function unannounced(cluster: Cluster, { name }: ClusterHost): Promise<void> {
  await waitFor(
    `${name} not to be heard`,
    async () => {
      const { code, stdout } = await cluster.members[0]!.ctl(['get', `/berth/agent/${name}`], { check: false });
      return code === 0 && stdout === '';
    },
    60_000,
    200,
  );
}

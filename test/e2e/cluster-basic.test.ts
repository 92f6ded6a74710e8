/** Contiv's system tests of containers that come and go (test/systemtests/basic_test.go), under their names, on three engines at once. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Cluster } from './bed/cluster.ts';
import {
  allReach,
  createNetwork,
  ipv4,
  named,
  networksAppear,
  networksVanish,
  type Placed,
  reachesName,
  removeAll,
  spread,
} from './suites/cluster.ts';
import { setClusterStage } from './suites/cluster-stage.ts';

const CONTAINERS = 3;
const ITERATIONS = 2;

/** Containers are started on a network and removed, again and again; each time all reach all. */
async function startAndRemove(cluster: Cluster, network: string, addresses: readonly string[]): Promise<void> {
  for (let round = 0; round < ITERATIONS; round++) {
    const placed = await spread(cluster.hosts, named('basic', CONTAINERS), network);
    // The lowest that are free: those of the round before are.
    assert.deepEqual((await ipv4(placed)).toSorted(), addresses);
    await allReach(placed);
    await removeAll(placed);
  }
}

const all = (placed: readonly Placed[], action: 'stop' | 'start') =>
  Promise.all(placed.map(([host, name]) => host.docker(action, name)));

describe('basic', () => {
  const stage = setClusterStage('basic', { engines: ['20.10', '26.1', '28.5'] });

  test('TestBasicStartRemoveContainerVXLAN', async () => {
    const cluster = stage();
    await createNetwork(cluster, '-s 10.1.0.0/16 -g 10.1.1.254 -p 1001 -e vxlan private');
    await startAndRemove(cluster, 'private', ['10.1.0.1', '10.1.0.2', '10.1.0.3']);
    await cluster.netctl('group create -r 10.1.0.11-10.1.0.20 private epg1');
    await networksAppear(cluster.hosts, 'epg1');
    await startAndRemove(cluster, 'epg1', ['10.1.0.11', '10.1.0.12', '10.1.0.13']);
    await cluster.netctl('group rm epg1');
    await networksVanish(cluster.hosts, 'epg1');
    await cluster.netctl('network rm private');
    await networksVanish(cluster.hosts, 'private');
  });

  test('TestBasicStartStopContainerVXLAN', async () => {
    const cluster = stage();
    await createNetwork(cluster, '-s 10.1.1.0/24 -g 10.1.1.254 -p 1001 -e vxlan private');
    const placed = await spread(cluster.hosts, named('basic', CONTAINERS), 'private');
    for (let round = 0; round < ITERATIONS; round++) {
      await allReach(placed);
      await all(placed, 'stop');
      await all(placed, 'start');
    }
    await allReach(placed);
  });

  test('TestBasicSvcDiscoveryVXLAN', async () => {
    const cluster = stage();
    await createNetwork(cluster, '-s 10.1.1.0/24 -g 10.1.1.254 -p 1001 -e vxlan private');
    for (const group of ['svc1i', 'svc2i']) await cluster.netctl(`group create private ${group}`);
    await networksAppear(cluster.hosts, 'svc1i', 'svc2i');
    const [first, second] = await Promise.all(
      ['svc1i', 'svc2i'].map((group) => spread(cluster.hosts, named(group, CONTAINERS), group)),
    );
    for (const placed of [...first!, ...second!]) {
      await reachesName(placed, 'svc1i');
      await reachesName(placed, 'svc2i');
    }
    for (const placed of first!) for (const [, name] of second!) await reachesName(placed, name);
  });
});

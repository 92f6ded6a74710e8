/** Contiv's system tests of containers that come and go (test/systemtests/basic_test.go), under their names, on three engines at once. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Cluster } from './bed/cluster.ts';
import { masterService } from './bed/control.ts';
import type { Machine } from './bed/machine.ts';
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
import { reaches } from './suites/containers.ts';
import { WGET } from './suites/observer.ts';

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

/** Where a netmaster answers that is started with some flags, of all places where it could. @param own its address. */
const LISTENING: readonly {
  readonly flags: string;
  readonly own: readonly string[];
  readonly loopback: readonly string[];
}[] = [
  { flags: '', own: ['9999'], loopback: ['9999'] },
  { flags: '--listen-url :9998', own: ['9998'], loopback: ['9998'] },
  { flags: '--listen-url OWN:9999', own: ['9999'], loopback: [] },
  { flags: '--listen-url 127.0.0.1:9999', own: [], loopback: ['9999'] },
  // Both of one port: the first serves both.
  { flags: '--listen-url 0.0.0.0:9998 --control-url OWN:9998', own: ['9998'], loopback: ['9998'] },
  { flags: '--listen-url 127.0.0.1:9999 --control-url OWN:9998', own: ['9998'], loopback: ['9999'] },
  { flags: '--listen-url OWN:9997 --control-url 127.0.0.1:9998', own: ['9997'], loopback: ['9998'] },
  { flags: '--control-url OWN:9997', own: ['9997', '9999'], loopback: ['9999'] },
];

/** The ports of an address at which a master answers a machine. */
async function answering(from: Machine, address: string): Promise<string[]> {
  const ports = await Promise.all(
    ['9997', '9998', '9999'].map(async (port) => {
      const { code, stdout } = await from.net([...WGET, `http://${address}:${port}/api/v1/tenants/`], { check: false });
      return code === 0 && stdout.includes('"tenantName":"default"') ? [port] : [];
    }),
  );
  return ports.flat();
}

describe('basic', () => {
  const stage = setClusterStage('basic', { engines: ['20.10', '26.1', '28.5'] });

  test('Test00SSH', async () => {
    const { hosts, controls } = stage();
    for (const from of [...hosts, ...controls]) {
      for (const to of ['10.9.65.11', '10.9.65.79', '10.9.65.80', '10.9.65.81']) await reaches(from, to);
    }
  });

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

  test('TestBasicNetmasterPortListen', async () => {
    const cluster = stage();
    const [master, control, member] = [cluster.masters[0]!, cluster.controls[0]!, cluster.members[0]!];
    await master.stop();
    try {
      for (const { flags, own, loopback } of LISTENING) {
        const words = `--mode docker --netmode vxlan --fwdmode bridge --etcd-endpoints ${member.url} ${flags}`
          .replaceAll('OWN', member.address)
          .trim()
          .split(/\s+/);
        const [at, port] = own[0] === undefined ? ['127.0.0.1', loopback[0]!] : [member.address, own[0]];
        const netmaster = masterService(control, at, ['netmaster', ...words], Number(port));
        await netmaster.start();
        assert.deepEqual(
          {
            own: await answering(control, member.address),
            loopback: await answering(control, '127.0.0.1'),
            fromHost: await answering(cluster.hosts[0]!, member.address),
          },
          { own, loopback, fromHost: own },
          words.join(' '),
        );
        await netmaster.stop();
      }
    } finally {
      await master.start();
    }
  });
});

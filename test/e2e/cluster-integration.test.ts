/**
 * Contiv's integration tests (test/integration/endpoint_test.go and others) under their names: which addresses are given, and what
 * the API says of those that are taken and free, to the letter.
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Cluster } from './bed/cluster.ts';
import { waitFor } from './bed/process.ts';
import {
  createNetwork,
  inspectObject,
  ipv4,
  networksAppear,
  networksVanish,
  type Placed,
  removeAll,
  spread,
} from './suites/cluster.ts';
import { setClusterStage } from './suites/cluster-stage.ts';
import { dockerFails } from './suites/containers.ts';

/** Waits until the API says this of a network's or group's addresses; agents tell of endings a moment later. */
async function addresses(cluster: Cluster, line: string, allocated: string, available: string): Promise<void> {
  let seen: readonly unknown[] = [];
  await waitFor(
    () => `${line} to show ${JSON.stringify([allocated, available])}, not ${JSON.stringify(seen)}`,
    async () => {
      const { Oper } = await inspectObject(cluster, line);
      seen = [Oper.allocatedIPAddresses ?? '', Oper.availableIPAddresses ?? ''];
      return seen[0] === allocated && seen[1] === available;
    },
    30_000,
    100,
  );
}

async function refused(cluster: Cluster, line: string, why: RegExp): Promise<void> {
  const { code, stderr } = await cluster.tryNetctl(line);
  assert.notEqual(code, 0, `netctl ${line} succeeded`);
  assert.match(stderr, why);
}

async function inspectedWith(cluster: Cluster, line: string, oper: Readonly<Record<string, unknown>>): Promise<void> {
  let seen: Readonly<Record<string, unknown>> = {};
  await waitFor(
    () => `${line} to show ${JSON.stringify(oper)}, not ${JSON.stringify(seen)}`,
    async () => {
      ({ Oper: seen } = await inspectObject(cluster, line));
      return Object.entries(oper).every(([field, value]) => (seen[field] ?? 0) === value);
    },
    30_000,
    100,
  );
}

describe('integration', () => {
  const stage = setClusterStage('addresses', { engines: ['28.5', '20.10'] });

  const one = async (name: string, network: string, ...flags: string[]): Promise<Placed> =>
    (await spread(stage().hosts, [name], network, flags))[0]!;

  test('TestEndpointCreateDelete', async () => {
    const cluster = stage();
    await createNetwork(cluster, '-s 10.1.1.0/24 private');
    await addresses(cluster, 'network inspect private', '', '10.1.1.1-10.1.1.254');
    const first = await one('first', 'private');
    const fifth = await one('fifth', 'private', '--ip', '10.1.1.5');
    assert.deepEqual(await ipv4([first, fifth]), ['10.1.1.1', '10.1.1.5']);
    const rest = '10.1.1.2-10.1.1.4, 10.1.1.6-10.1.1.254';
    await addresses(cluster, 'network inspect private', '10.1.1.1, 10.1.1.5', rest);
    const { Oper } = await inspectObject(cluster, 'network inspect private');
    assert.deepEqual([Oper.externalPktTag, Oper.allocatedAddressesCount, Oper.numEndpoints], [1, 2, 2]);
    for (const { endpointID, containerName, ipAddress, homingHost } of Oper.endpoints as Record<string, unknown>[]) {
      const shown = JSON.parse(await cluster.netctl(`endpoint inspect ${String(endpointID)}`)) as Record<
        string,
        unknown
      >[];
      assert.equal(JSON.stringify(shown).includes(String(endpointID)), true);
      assert.deepEqual([homingHost, ipAddress], ['h1', [containerName === 'first' ? '10.1.1.1' : '10.1.1.5', '']]);
    }
    // Unlike Contiv's: an address that is somebody's is not given twice.
    const again = await dockerFails(
      cluster.hosts[1]!,
      `run --rm --network private --ip 10.1.1.5 ${await cluster.hosts[1]!.image()} true`,
    );
    assert.match(again, /10\.1\.1\.5/);
    await removeAll([first, fifth]);
    await addresses(cluster, 'network inspect private', '', '10.1.1.1-10.1.1.254');
    const [{ endpointID } = {}] = Oper.endpoints as Record<string, unknown>[];
    assert.notEqual((await cluster.tryNetctl(`endpoint inspect ${String(endpointID)}`)).code, 0);
  });

  test('TestEndpointCreateDeleteParallel', async () => {
    const cluster = stage();
    await createNetwork(cluster, '-s 10.1.1.0/24 private');
    const names = Array.from({ length: 10 }, (_, n) => `c${n}`);
    for (let round = 0; round < 2; round++) {
      const placed = await spread(cluster.hosts, names, 'private');
      await addresses(cluster, 'network inspect private', '10.1.1.1-10.1.1.10', '10.1.1.11-10.1.1.254');
      await removeAll(placed);
      await addresses(cluster, 'network inspect private', '', '10.1.1.1-10.1.1.254');
    }
  });

  test('TestEndpointGroupCreateDelete', async () => {
    const cluster = stage();
    const subnets = [
      ['10.100.100.194-10.100.100.222/27', '10.100.100.194-10.100.100.222', '10.100.100.194'],
      ['10.1.1.5-10.1.1.15/27', '10.1.1.5-10.1.1.15', '10.1.1.5'],
      ['10.2.1.0/27', '10.2.1.1-10.2.1.30', '10.2.1.1'],
      ['10.3.1.0/28', '10.3.1.1-10.3.1.14', '10.3.1.1'],
      ['10.4.1.0/29', '10.4.1.1-10.4.1.6', '10.4.1.1'],
      ['10.5.1.0/30', '10.5.1.1-10.5.1.2', '10.5.1.1'],
    ] as const;
    for (const [subnet, available, first] of subnets) {
      await createNetwork(cluster, `-s ${subnet} private`);
      await cluster.netctl('group create private epg1');
      await networksAppear(cluster.hosts, 'epg1');
      await addresses(cluster, 'network inspect private', '', available);
      const placed = await one('only', 'epg1');
      assert.deepEqual(await ipv4([placed]), [first]);
      await inspectedWith(cluster, 'group inspect epg1', { numEndpoints: 1 });
      await refused(cluster, 'group rm epg1', /EPG epg1 has active endpoints/);
      await removeAll([placed]);
      await inspectedWith(cluster, 'group inspect epg1', { numEndpoints: 0 });
      await cluster.netctl('group rm epg1');
      await cluster.netctl('network rm private');
      await networksVanish(cluster.hosts, 'private', 'epg1');
    }
  });

  test('TestEndpointGroupIPPoolCreateDelete', async () => {
    const cluster = stage();
    await createNetwork(cluster, '-s 10.3.1.0/24 -g 10.3.1.254 private');
    for (const [pool, why] of [
      ['10.3.1.0-10.3.1.20', /ip-pool/],
      ['10.3.1.254-10.3.1.255', /ip-pool|not available/],
      ['10.3.1.110-10.3.1.320', /ip-?pool/i],
      ['10.4.1.10-10.4.1.20', /must be a subset of network/],
      ['10.3.1.0/28', /ip-?pool/i],
    ] as const) {
      await refused(cluster, `group create -r ${pool} private bad`, why);
    }
    const pools = [
      ['epg1', '10.3.1.10-10.3.1.20'],
      ['epg2', '10.3.1.40-10.3.1.42'],
      ['epg3', '10.3.1.110-10.3.1.120'],
    ] as const;
    for (const [group, pool] of pools) await cluster.netctl(`group create -r ${pool} private ${group}`);
    await networksAppear(cluster.hosts, ...pools.map(([group]) => group));
    await addresses(
      cluster,
      'network inspect private',
      '10.3.1.10-10.3.1.20, 10.3.1.40-10.3.1.42, 10.3.1.110-10.3.1.120, 10.3.1.254',
      '10.3.1.1-10.3.1.9, 10.3.1.21-10.3.1.39, 10.3.1.43-10.3.1.109, 10.3.1.121-10.3.1.253',
    );
    await refused(cluster, 'group create -r 10.3.1.15-10.3.1.30 private overlap', /not available/);
    await refused(cluster, 'group create -r 10.3.1.60-10.3.1.70 private epg1', /Cannot change IP pool/);
    for (const [group, pool] of pools) {
      const placed = await one(`${group}-c`, group);
      assert.deepEqual(await ipv4([placed]), [pool.split('-')[0]]);
      await addresses(cluster, `group inspect ${group}`, pool.split('-')[0]!, `${after(pool)}`);
    }
    // The smallest is used up.
    await spread(cluster.hosts, ['more-1', 'more-2'], 'epg2');
    const more = await dockerFails(
      cluster.hosts[0]!,
      `run --rm --network epg2 ${await cluster.hosts[0]!.image()} true`,
    );
    assert.match(more, /no free address|exhaust/i);
    assert.deepEqual(await ipv4([await one('plain', 'private')]), ['10.3.1.1']);
  });

  test('TestTenantCreateDelete', async () => {
    const cluster = stage();
    await cluster.netctl('tenant create blue');
    await cluster.netctl('network create -t blue -s 10.1.1.0/24 private');
    for (const group of ['epg1', 'epg2']) await cluster.netctl(`group create -t blue private ${group}`);
    await networksAppear(cluster.hosts, 'epg1/blue', 'epg2/blue');
    await inspectedWith(cluster, 'tenant inspect blue', { totalNetworks: 1, totalEPGs: 2, totalEndpoints: 0 });
    const placed = [
      ...(await spread(cluster.hosts, ['blue-1', 'blue-2'], 'epg1/blue')),
      ...(await spread(cluster.hosts, ['blue-3'], 'epg2/blue')),
    ];
    await inspectedWith(cluster, 'tenant inspect blue', { totalNetworks: 1, totalEPGs: 2, totalEndpoints: 3 });
    await refused(cluster, 'tenant rm blue', /cannot delete blue/);
    await removeAll(placed);
    await inspectedWith(cluster, 'tenant inspect blue', { totalNetworks: 1, totalEPGs: 2, totalEndpoints: 0 });
  });

  test('TestEndpointGroupInspect and TestPolicyInspect', async () => {
    const cluster = stage();
    await createNetwork(cluster, '-s 10.1.1.0/24 private');
    await cluster.netctl('policy create policy');
    await cluster.netctl('group create -p policy private epg1');
    await networksAppear(cluster.hosts, 'epg1');
    for (const count of [1, 2, 3]) {
      await spread([cluster.hosts[count % 2]!], [`c${count}`], 'epg1');
      await inspectedWith(cluster, 'group inspect epg1', { numEndpoints: count });
      await inspectedWith(cluster, 'policy inspect policy', { numEndpoints: count });
    }
    await removeAll(['c1', 'c2', 'c3'].map((name, n) => [cluster.hosts[(n + 1) % 2]!, name]));
    await inspectedWith(cluster, 'group inspect epg1', { numEndpoints: 0 });
    await cluster.netctl('group rm epg1');
    await cluster.netctl('policy rm policy');
  });
});

/** The addresses of a pool after its first. */
function after(pool: string): string {
  const [first, last] = pool.split('-') as [string, string];
  const octets = first.split('.');
  return `${[...octets.slice(0, 3), Number(octets[3]) + 1].join('.')}-${last}`;
}

/** Contiv's system tests of networks and tenants (test/systemtests/network_test.go), under their names. */

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
  noneReaches,
  type Placed,
  removeAll,
  spread,
} from './suites/cluster.ts';
import { remove, setClusterStage } from './suites/cluster-stage.ts';

const NETWORKS = 3;
const CONTAINERS = 3;

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);

/** Several networks with containers on each host: all reach all on a network, and nobody on another. */
async function addDelete(cluster: Cluster, create: (n: number) => string): Promise<void> {
  for (let round = 0; round < 2; round++) {
    const names = named('net', NETWORKS);
    for (const [n, name] of names.entries()) await cluster.netctl(`network create ${create(n)} ${name}`);
    await networksAppear(cluster.hosts, ...names);
    const groups: Placed[][] = [];
    for (const name of names) groups.push(await spread(cluster.hosts, named(name, CONTAINERS), name));
    await Promise.all(groups.map((group) => allReach(group)));
    const addresses = await Promise.all(groups.map(ipv4));
    await Promise.all(groups.map((group, n) => noneReaches(group, addresses.filter((_, other) => other !== n).flat())));
    await removeAll(groups.flat());
    for (const name of names) await remove(cluster, `network rm ${name}`);
    await networksVanish(cluster.hosts, ...names);
  }
}

/** Several tenants with several networks each, of the same names. */
async function tenants(cluster: Cluster): Promise<void> {
  const [tenantCount, networkCount] = [2, 2];
  const placed: { readonly group: Placed[]; readonly tenant: number; readonly network: number }[] = [];
  for (const tenant of numbers(tenantCount)) {
    await cluster.netctl(`tenant create tenant${tenant}`);
    for (const network of numbers(networkCount)) {
      await cluster.netctl(
        `network create -t tenant${tenant} -s 10.${tenant}.${network}.0/24 -g 10.${tenant}.${network}.254 net${network}`,
      );
    }
  }
  for (const tenant of numbers(tenantCount)) {
    for (const network of numbers(networkCount)) {
      const name = `net${network}/tenant${tenant}`;
      await networksAppear(cluster.hosts, name);
      const group = await spread(cluster.hosts, named(`t${tenant}-n${network}`, CONTAINERS), name);
      placed.push({ group, tenant, network });
    }
  }
  for (const { group, tenant, network } of placed) {
    assert.deepEqual(
      (await ipv4(group)).toSorted(),
      [1, 2, 3].map((n) => `10.${tenant}.${network}.${n}`),
    );
    await allReach(group);
  }
  await removeAll(placed.flatMap(({ group }) => group));
  for (const tenant of numbers(tenantCount)) {
    for (const network of numbers(networkCount)) await remove(cluster, `network rm -t tenant${tenant} net${network}`);
    await cluster.netctl(`tenant rm tenant${tenant}`);
  }
}

describe('network', () => {
  const stage = setClusterStage('network', { engines: ['28.5', '26.1', '20.10'] });

  test('TestNetworkAddDeleteVXLAN', () =>
    // Odd ones have both families.
    addDelete(stage(), (n) => {
      const six = n % 2 === 1 ? ` -s6 1001:${n}::/120 -g6 1001:${n}::fe` : '';
      return `-s 10.1.${n}.0/24 -g 10.1.${n}.254${six} -p ${1001 + n} -e vxlan`;
    }));

  test('TestNetworkAddDeleteNoGatewayVXLAN', () =>
    addDelete(stage(), (n) => `-s 10.1.${n}.0/24 -p ${1001 + n} -e vxlan`));

  test('TestNetworkAddDeleteTenantVXLAN', () => tenants(stage()));

  test('TestNetworkAddDeleteTenantFwdModeChangeVXLAN', async () => {
    const cluster = stage();
    await cluster.netctl('global set --fwd-mode routing');
    await tenants(cluster);
    await cluster.netctl('global set --fwd-mode bridge');
    await tenants(cluster);
  });

  test('TestNetworkAddDeleteTenantArpModeChangeVXLAN', async () => {
    const cluster = stage();
    await cluster.netctl('global set --arp-mode flood');
    await tenants(cluster);
    await cluster.netctl('global set --arp-mode proxy');
    await tenants(cluster);
  });

  test('a network that is made and removed while an engine is down is there, or not, when it is back', async () => {
    const cluster = stage();
    const [h1, h2, h3] = cluster.hosts;
    await createNetwork(cluster, '-s 10.1.1.0/24 gone');
    await h3!.stopEngine();
    await cluster.netctl('network create -s 10.1.2.0/24 made');
    await cluster.netctl('network rm gone');
    await networksAppear([h1!, h2!], 'made');
    await networksVanish([h1!, h2!], 'gone');
    await h3!.startEngine();
    await networksAppear([h3!], 'made');
    await networksVanish([h3!], 'gone');
    await allReach(await spread(cluster.hosts, named('c', 3), 'made'));
  });
});

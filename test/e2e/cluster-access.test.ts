/** Contiv's system tests of networks that the hosts themselves are in (infra_test.go, basic_test.go), and the ways out and in. */

import { describe, test } from 'node:test';
import type { Cluster, ClusterHost } from './bed/cluster.ts';
import { outside4 } from './bed/lan.ts';
import { waitFor } from './bed/process.ts';
import {
  allReach,
  createNetwork,
  ipv4,
  named,
  networksAppear,
  noneReaches,
  removeAll,
  spread,
} from './suites/cluster.ts';
import { clearCluster, remove, setClusterStage } from './suites/cluster-stage.ts';
import { reaches, start } from './suites/containers.ts';
import { WGET } from './suites/observer.ts';

/** The addresses that a host itself has under a prefix such as `10.1.1.`, but for the gateway's, which all have. */
async function ownAddresses(host: ClusterHost, prefix: string): Promise<string[]> {
  const { stdout } = await host.net(['ip', '-4', '-o', 'address']);
  return [...stdout.matchAll(/ inet ([0-9.]+)\//g)]
    .map((match) => match[1]!)
    .filter((one) => one.startsWith(prefix) && !one.endsWith('.254'));
}

/** Waits until the hosts have the addresses from .1 on, one each. */
async function hostAddresses(cluster: Cluster, prefix: string): Promise<string[]> {
  const wanted = cluster.hosts.map((_, n) => `${prefix}${n + 1}`);
  let seen: readonly string[] = [];
  await waitFor(
    () => `the hosts to have ${wanted.join(', ')}, not ${seen.join(', ')}`,
    async () => {
      seen = (await Promise.all(cluster.hosts.map((host) => ownAddresses(host, prefix)))).flat();
      return JSON.stringify(seen.toSorted()) === JSON.stringify(wanted);
    },
    30_000,
    100,
  );
  return wanted;
}

/** Waits until each host has, or lacks, a route to a subnet. */
const routed = (cluster: Cluster, subnet: string, has: boolean) =>
  Promise.all(
    cluster.hosts.map((host) =>
      waitFor(
        `${host.name} to ${has ? 'have' : 'lack'} a route to ${subnet}`,
        async () => ((await host.net(['ip', 'route', 'show', subnet])).stdout !== '') === has,
        30_000,
        100,
      ),
    ),
  );

describe('access', () => {
  const stage = setClusterStage('access', { engines: ['28.5', '26.1', '20.10'] });

  test('TestInfraNetworkAddDeleteVXLAN', async () => {
    const cluster = stage();
    for (let round = 0; round < 2; round++) {
      for (const n of [0, 1, 2]) {
        await cluster.netctl(`network create -n infra -s 10.1.${n}.0/24 -g 10.1.${n}.254 -e vxlan infra${n}`);
      }
      for (const n of [0, 1, 2]) {
        const addresses = await hostAddresses(cluster, `10.1.${n}.`);
        for (const host of cluster.hosts) for (const address of addresses) await reaches(host, address);
      }
      for (const n of [0, 1, 2]) await cluster.netctl(`network rm infra${n}`);
      await waitFor(
        'the addresses to go',
        async () => {
          const left = await Promise.all(cluster.hosts.map((host) => ownAddresses(host, '10.1.')));
          return left.flat().length === 0;
        },
        30_000,
      );
    }
  });

  test('TestBasicHostAccess', async () => {
    const cluster = stage();
    const [h1] = cluster.hosts as [ClusterHost];
    await cluster.netctl('global set --fwd-mode routing');
    try {
      await createNetwork(cluster, '-s 17.5.4.0/22 -g 17.5.7.254 -e vxlan net1');
      await cluster.netctl('network create -n infra -s 123.4.5.0/24 -g 123.4.5.254 -e vxlan contivh1');
      await hostAddresses(cluster, '123.4.5.');
      await createNetwork(cluster, '-s 13.5.7.0/24 -g 13.5.7.254 -e vxlan net2');
      await cluster.netctl('group create net2 epg2');
      await networksAppear(cluster.hosts, 'epg2');
      await routed(cluster, '17.5.4.0/22', true);
      await routed(cluster, '13.5.7.0/24', true);

      const first = await spread(cluster.hosts, named('first', 3), 'net1');
      const second = await spread(cluster.hosts, named('second', 3), 'epg2');
      const placed = [...first, ...second];
      // All networks of a tenant are routed to each other; and every host reaches every container.
      const addresses = await ipv4(placed);
      await allReach(placed, addresses);
      await allReach(placed, [h1.address]);
      for (const host of cluster.hosts) for (const address of addresses) await reaches(host, address);
      await noneReaches(placed, ['172.19.255.254']);
      await removeAll(placed);

      await remove(cluster, 'group rm epg2');
      await remove(cluster, 'network rm net2');
      await routed(cluster, '13.5.7.0/24', false);
      await routed(cluster, '17.5.4.0/22', true);
      await remove(cluster, 'network rm net1');
      await routed(cluster, '17.5.4.0/22', false);
      await remove(cluster, 'network rm contivh1');
    } finally {
      await clearCluster(cluster);
      await cluster.netctl('global set --fwd-mode bridge');
    }
  });

  test('a network with a gateway leads outside on each host, behind its address; one without does too, by the engine', async () => {
    const cluster = stage();
    await createNetwork(cluster, '-s 10.1.1.0/24 -g 10.1.1.254 with');
    await createNetwork(cluster, '-s 10.1.2.0/24 without');
    const placed = [
      ...(await spread(cluster.hosts, named('with', 3), 'with')),
      ...(await spread(cluster.hosts, named('without', 3), 'without')),
    ];
    await allReach(placed, [outside4]);
    await allReach(
      placed,
      cluster.hosts.map(({ address }) => address),
    );
  });

  test('a published port is reached from outside of the cluster', async () => {
    const cluster = stage();
    await createNetwork(cluster, '-s 10.1.1.0/24 -g 10.1.1.254 net');
    const office = await cluster.underlay.machine('office', '10.8.65.200/24');
    for (const host of cluster.hosts) {
      await start(host, 'web', '--network net -p 8080:80', 'httpd -f -p 80 -h /etc');
      await waitFor(
        `the port of ${host.name}`,
        async () =>
          (await office.net([...WGET, `http://${host.address}:8080/group`], { check: false })).stdout === 'root:x:0:\n',
        30_000,
        100,
      );
    }
  });
});

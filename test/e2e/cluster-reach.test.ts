/** What containers and hosts of a cluster reach, on real engines, with real agents, masters and etcd. */

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { type Cluster, type ClusterHost, openCluster } from './bed/cluster.ts';
import { waitFor } from './bed/process.ts';
import { addressOf, start } from './suites/containers.ts';

describe('the datapath of a cluster', () => {
  let cluster: Cluster;
  let hosts: readonly ClusterHost[];

  before(async () => {
    cluster = await openCluster('reach', {
      engines: ['26.1', '26.1', '28.5'],
      agentFlags: ['--gc-grace', '1', '--audit-interval', '2', '--linger', '0'],
    });
    hosts = cluster.hosts;
  });
  beforeEach((t) => {
    if ('after' in t) cluster.watch(t);
  });
  afterEach(async () => {
    for (const host of hosts) {
      const containers = await host.docker('ps', '-aq');
      if (containers !== '') await host.docker('rm', '-f', ...containers.split('\n'));
    }
    for (const name of ['shop', 'stock', 'contivh1']) {
      await waitFor(
        `${name} to be gone`,
        async () => {
          const { stdout, stderr } = await cluster.tryNetctl(`net rm ${name}`);
          return /not found/i.test(stdout + stderr);
        },
        30_000,
        200,
      );
    }
    // Each host has nothing left of them.
    for (const host of hosts) {
      await waitFor(
        `the links of ${host.address} to be gone`,
        async () => !/ (b[tv][0-9a-f]{13}|bx[0-9])/.test((await host.exec(['ip', 'link'])).stdout),
        30_000,
        200,
      );
    }
  });
  after(() => cluster[Symbol.asyncDispose]());

  /** One container per host, once every engine has the network. */
  async function onEach(network: string): Promise<string[]> {
    const addresses: string[] = [];
    for (const [index, host] of hosts.entries()) {
      await waitFor(
        `${network} on ${host.address}`,
        async () => (await host.docker('network', 'ls', '--format', '{{.Name}}')).split('\n').includes(network),
        30_000,
        100,
      );
      const name = `${network}-${index}`;
      await start(host, name, `--network ${network}`);
      addresses.push(await addressOf(host, name));
    }
    return addresses;
  }

  const ping = (host: ClusterHost, container: string, to: string, size = 56): Promise<boolean> =>
    host.docker('exec', container, 'ping', '-c', '1', '-W', '1', '-s', `${size}`, to).then(
      () => true,
      () => false,
    );
  const reaches = async (host: ClusterHost, container: string, to: string, size?: number): Promise<void> => {
    await waitFor(`${container} to reach ${to}`, () => ping(host, container, to, size), 30_000, 100);
  };

  test('containers of three hosts reach each other in packets as large as they may be, and what is outside', async () => {
    await cluster.netctl('net create -s 10.1.1.0/24 -g 10.1.1.254 -s6 fd00:1::/64 -g6 fd00:1::fe shop');
    const addresses = await onEach('shop');
    assert.deepEqual(addresses, ['10.1.1.1', '10.1.1.2', '10.1.1.3']);
    for (const [index, host] of hosts.entries()) {
      assert.match(await host.docker('exec', `shop-${index}`, 'ip', 'link', 'show', 'eth0'), /mtu 1450/);
      for (const to of [...addresses, 'fd00:1::1', 'fd00:1::2', 'fd00:1::3']) await reaches(host, `shop-${index}`, to);
      for (const to of addresses) await reaches(host, `shop-${index}`, to, 1450 - 28);
      // By the gateway, hidden behind the host: another host knows no way back.
      await reaches(host, `shop-${index}`, hosts[(index + 1) % 3]!.address);
    }
  });

  test('what has changed while an agent was down is made up for, and nothing stops meanwhile', async () => {
    await cluster.netctl('net create -s 10.1.1.0/24 -g 10.1.1.254 shop');
    const [, second, third] = await onEach('shop');
    const [one, two, three] = hosts as [ClusterHost, ClusterHost, ClusterHost];
    await reaches(one, 'shop-0', second!);
    await reaches(one, 'shop-0', third!);
    await one.killBerth();
    await reaches(one, 'shop-0', second!);
    await three.docker('rm', '-f', 'shop-2');
    await start(two, 'late', '--network shop --ip 10.1.1.9');
    await one.startAgent();
    await reaches(one, 'shop-0', '10.1.1.9');
    const vtep = three.address.replaceAll('.', '\\.');
    await waitFor(
      'the entries of the container that has gone to be gone',
      async () => !new RegExp(`dst ${vtep}|02:02:0a:01:01:03`).test((await one.exec(['bridge', 'fdb'])).stdout),
      30_000,
      100,
    );
    assert.doesNotMatch((await one.exec(['ip', 'neighbour'])).stdout, /10\.1\.1\.3 /);
  });

  test('networks for hosts: every host reaches every host', async () => {
    await cluster.netctl('net create -n infra -s 10.1.7.0/24 contivh1');
    for (const host of hosts) {
      for (const to of ['10.1.7.1', '10.1.7.2', '10.1.7.3']) {
        await waitFor(
          `${host.address} to reach ${to}`,
          () =>
            host.exec(['busybox', 'ping', '-c', '1', '-W', '1', to]).then(
              () => true,
              () => false,
            ),
          30_000,
          100,
        );
      }
    }
  });

  test('networks of a tenant are apart, or reach each other, as the cluster is set to forward', async () => {
    for (const mode of ['bridge', 'routing']) {
      await cluster.netctl(`global set --fwd-mode ${mode}`);
      await cluster.netctl('net create -s 10.1.1.0/24 -g 10.1.1.254 shop');
      await cluster.netctl('net create -s 10.1.2.0/24 -g 10.1.2.254 stock');
      const [one, , three] = hosts as [ClusterHost, ClusterHost, ClusterHost];
      for (const [host, network] of [
        [one, 'shop'],
        [three, 'stock'],
      ] as const) {
        await waitFor(
          `${network} on ${host.address}`,
          async () => (await host.docker('network', 'ls', '--format', '{{.Name}}')).split('\n').includes(network),
          30_000,
          100,
        );
        await start(host, network, `--network ${network}`);
      }
      const to = await addressOf(three, 'stock');
      if (mode === 'routing') {
        await reaches(one, 'shop', to);
        await reaches(three, 'stock', await addressOf(one, 'shop'));
      } else {
        assert.equal(await ping(one, 'shop', to), false);
      }
      await one.docker('rm', '-f', 'shop');
      await three.docker('rm', '-f', 'stock');
      for (const name of ['shop', 'stock']) {
        await waitFor(
          `${name} to be removed`,
          async () => (await cluster.tryNetctl(`net rm ${name}`)).code === 0,
          30_000,
          200,
        );
        for (const host of hosts) {
          await waitFor(
            `${host.address} to have removed ${name}`,
            async () => !(await host.docker('network', 'ls', '--format', '{{.Name}}')).split('\n').includes(name),
            30_000,
            100,
          );
        }
      }
    }
  });
});

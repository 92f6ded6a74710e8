/** Swarms whose nodes have Berth as a managed plugin: networks, services and addresses across three nodes. */

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { type Cluster, type ClusterHost, openCluster } from './bed/cluster.ts';
import { engineVersions } from './bed/engines.ts';
import { installPlugin, managedDriver, pluginReady } from './bed/managed-plugin.ts';
import { waitFor } from './bed/process.ts';

for (const engine of engineVersions) {
  describe(`a swarm of engines ${engine}`, { timeout: 240_000 }, () => {
    let cluster: Cluster;
    let hosts: readonly ClusterHost[];
    let first: ClusterHost;

    const service = async (name: string, replicas: number, network: string) => {
      const how = '--endpoint-mode dnsrr --no-resolve-image --stop-grace-period 1s';
      const image = await first.image();
      const line = `service create --detach --name ${name} --replicas ${replicas} --network ${network} ${how} ${image}`;
      await first.docker(...line.split(' '), 'sleep', '600');
    };
    const network = async (name: string, subnet: string) => {
      const drivers = `-d ${managedDriver} --ipam-driver ${managedDriver}`;
      await first.docker(
        ...`network create ${drivers} --scope swarm --attachable --subnet ${subnet} ${name}`.split(' '),
      );
    };
    /** Names of the containers of a service, with their hosts. */
    const tasks = async (name: string) =>
      (
        await Promise.all(
          hosts.map(async (host) => {
            const ids = await host.docker('ps', '-q', '--filter', `label=com.docker.swarm.service.name=${name}`);
            return ids
              .split('\n')
              .filter(Boolean)
              .map((container) => ({ host, container }));
          }),
        )
      ).flat();
    const running = (name: string, count: number) =>
      waitFor(
        () => `${count} tasks of ${name}`,
        async () => (await tasks(name)).length === count,
        60_000,
        500,
      );
    const address = async ({ host, container }: { host: ClusterHost; container: string }, network: string) =>
      host.docker('inspect', '-f', `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`, container);
    const reach = (host: ClusterHost, container: string, to: string) =>
      waitFor(
        () => `${container} on ${host.name} to reach ${to}`,
        async () =>
          (await host.exec(['docker', 'exec', container, 'ping', '-c', '1', '-W', '1', to], { check: false })).code ===
          0,
        30_000,
      );
    const stored = async () => {
      const { stdout } = await cluster.members[0]!.ctl(['get', '--prefix', '/berth/', '--keys-only']);
      return stdout.split('\n').filter((key) => /^\/berth\/(lease|pool|cluster-endpoint|object\/network)\//.test(key));
    };
    const nothingStored = async () => {
      let left: readonly string[] = [];
      await waitFor(
        () => `nothing to be left in the store: ${left.join(', ')}`,
        async () => {
          left = await stored();
          return left.length === 0;
        },
        30_000,
        200,
      );
      for (const host of hosts) {
        let links: readonly string[] = [];
        await waitFor(
          () => `nothing to be left on ${host.name}: ${links.join(', ')}`,
          async () => {
            links = (await host.sh('ip -br link')).stdout.match(/\b(bt|bx|bv|bp)[0-9a-f]{13}\b/g) ?? [];
            return links.length === 0;
          },
          30_000,
          200,
        );
      }
    };

    before(async () => {
      cluster = await openCluster('swarm', { engines: [engine, engine, engine], agents: false });
      hosts = cluster.hosts;
      first = hosts[0]!;
      await Promise.all(hosts.map((host) => installPlugin(host, [`BERTH_STORE=${cluster.store}`])));
      await first.docker('swarm', 'init', '--advertise-addr', first.address);
      const token = await first.docker('swarm', 'join-token', '-q', 'manager');
      for (const host of hosts.slice(1))
        await host.docker('swarm', 'join', '--advertise-addr', host.address, '--token', token, `${first.address}:2377`);
      // The scheduler learns of plugins some time after a node has joined.
      await waitFor(
        () => 'every node to tell the swarm of the plugin',
        async () => {
          const nodes = await first.docker('node', 'inspect', ...hosts.map(({ name }) => name));
          return nodes.split(managedDriver).length > hosts.length;
        },
        30_000,
      );
    });
    beforeEach((t) => {
      if ('after' in t) cluster.watch(t);
    });
    after(async () => {
      await cluster[Symbol.asyncDispose]();
    });

    test('a service on a network of all nodes: one segment, names, addresses from the leader', async () => {
      await network('shop', '10.66.0.0/24');
      await service('web', 3, 'shop');
      await running('web', 3);
      const all = await tasks('web');
      const addresses = await Promise.all(all.map((task) => address(task, 'shop')));
      assert.equal(new Set(addresses).size, 3);
      // A container that is no task, on another node.
      const last = hosts[2]!;
      await last.docker('run', '-d', '--name', 'tool', '--network', 'shop', await last.image(), 'sleep', '600');
      for (const to of [...addresses, 'tasks.web']) await reach(last, 'tool', to);
      const tool = await address({ host: last, container: 'tool' }, 'shop');
      for (const { host, container } of all)
        for (const to of [...addresses, tool, 'tool']) await reach(host, container, to);
      // Encapsulated: what does not fit into the underlay's 1500 bytes is not sent.
      const { stdout } = await last.sh('docker exec tool cat /sys/class/net/eth0/mtu');
      assert.equal(stdout.trim(), '1450');
      await assert.rejects(
        last.docker('run', '--rm', '--network', 'shop', '--ip', tool, await last.image(), 'true'),
        /held by|timed out|deadline/,
      );
      await last.docker('rm', '-f', 'tool');
      await first.docker('service', 'rm', 'web');
      await running('web', 0);
      await waitFor(
        () => 'the network to be removed',
        async () => (await first.exec(['docker', 'network', 'rm', 'shop'], { check: false })).code === 0,
        30_000,
        500,
      );
      await nothingStored();
    });

    test('a network that is removed, and an address that is released, while the leader’s plugin is away are free when it is back', async () => {
      await network('stale', '10.69.0.0/24');
      await service('brief', 1, 'stale');
      await running('brief', 1);
      assert.notDeepEqual(await stored(), []);
      await first.docker('plugin', 'disable', '-f', 'berth');
      await first.docker('service', 'rm', 'brief');
      await waitFor(
        () => 'the network to be removed',
        async () => (await first.exec(['docker', 'network', 'rm', 'stale'], { check: false })).code === 0,
        30_000,
        200,
      );
      await first.docker('plugin', 'enable', 'berth');
      await pluginReady(first);
      // The engine asks again, each time after a longer while.
      await nothingStored();
    });

    test('another leader goes on with the addresses that the one before gave', async () => {
      await network('stock', '10.67.0.0/24');
      await service('db', 3, 'stock');
      await running('db', 3);
      const before = await Promise.all((await tasks('db')).map((task) => address(task, 'stock')));
      await first.stopEngine();
      const second = hosts[1]!;
      await waitFor(
        () => 'another node to lead',
        async () => {
          const { code, stdout } = await second.exec(['docker', 'node', 'ls', '--format', '{{.ManagerStatus}}'], {
            check: false,
          });
          return code === 0 && stdout.includes('Leader');
        },
        60_000,
        500,
      );
      await waitFor(
        () => 'the service to be scaled',
        async () => (await second.exec(['docker', 'service', 'scale', '-d', 'db=6'], { check: false })).code === 0,
        30_000,
        500,
      );
      await first.startEngine();
      await pluginReady(first);
      await running('db', 6);
      const now = await Promise.all((await tasks('db')).map((task) => address(task, 'stock')));
      assert.equal(new Set(now).size, 6, `${before.join(' ')}, then ${now.join(' ')}`);
      const [one, ...others] = await tasks('db');
      for (const to of now) await reach(one!.host, one!.container, to);
      for (const { host, container } of others) await reach(host, container, now[0]!);
      await second.docker('service', 'rm', 'db');
      await running('db', 0);
      await waitFor(
        () => 'the network to be removed',
        async () => (await second.exec(['docker', 'network', 'rm', 'stock'], { check: false })).code === 0,
        30_000,
        500,
      );
      await nothingStored();
    });

    test('a network that the cluster has is made in the swarm by a manager, and goes with it', async () => {
      await cluster.netctl('network create -s 10.68.0.0/24 -g 10.68.0.1 -e vxlan office');
      await waitFor(
        () => 'the swarm to have the network',
        async () => (await first.docker('network', 'ls', '--format', '{{.Name}} {{.Scope}}')).includes('office swarm'),
        30_000,
        200,
      );
      await service('desk', 3, 'office');
      await running('desk', 3);
      const all = await tasks('desk');
      const addresses = await Promise.all(all.map((task) => address(task, 'office')));
      for (const { host, container } of all) for (const to of addresses) await reach(host, container, to);
      await first.docker('service', 'rm', 'desk');
      await running('desk', 0);
      await waitFor(
        () => 'netctl to remove the network',
        async () => (await cluster.tryNetctl('network rm office')).code === 0,
        30_000,
        500,
      );
      await waitFor(
        () => 'the swarm to lose the network',
        async () => !(await first.docker('network', 'ls')).includes('office'),
        30_000,
        200,
      );
      await nothingStored();
    });
  });
}

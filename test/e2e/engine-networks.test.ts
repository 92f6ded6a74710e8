/**
 * Docker networks of a cluster on a host's engine: made, removed, made again, whatever is down meanwhile. One host, one etcd, one
 * master; how containers of several hosts reach each other is shown elsewhere.
 */

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { type Cluster, type ClusterHost, openCluster } from './bed/cluster.ts';
import { waitFor } from './bed/process.ts';
import { ask } from './suites/agent.ts';
import { addressOf, start } from './suites/containers.ts';

interface DockerNetwork {
  readonly Id: string;
  readonly Name: string;
  readonly Driver: string;
  readonly Labels: Readonly<Record<string, string>>;
  readonly Options: Readonly<Record<string, string>>;
  readonly IPAM: { readonly Config: readonly { readonly Subnet: string; readonly Gateway?: string }[] };
}

async function listed(host: ClusterHost): Promise<readonly DockerNetwork[]> {
  const { body } = await host.api('/networks');
  return (JSON.parse(body) as DockerNetwork[]).filter(({ Driver }) => !['bridge', 'host', 'null'].includes(Driver));
}

/** Groups first, then networks. */
async function objects(cluster: Cluster): Promise<readonly { readonly kind: string; readonly key: string }[]> {
  const keys = await cluster.members[0]!.ctl(['get', '--prefix', '/berth/object/', '--keys-only']);
  return keys.stdout.split('\n').flatMap((line) => {
    const [, kind, key] = /^\/berth\/object\/(endpointGroup|network)\/(.+)$/.exec(line) ?? [];
    return kind === undefined || key === undefined ? [] : [{ kind, key }];
  });
}

/** As soon as it is free: that a container has gone is told to the cluster a moment later. */
async function remove(cluster: Cluster, kind: string, key: string): Promise<void> {
  const [tenant, name] = key.split(':');
  const line = `${kind === 'network' ? 'net' : 'group'} rm -t ${tenant} ${name}`;
  let said = '';
  await waitFor(
    () => `${line}: ${said}`,
    async () => {
      const { code, stdout, stderr } = await cluster.tryNetctl(line);
      said = stdout + stderr;
      return code === 0;
    },
    30_000,
    200,
  );
}

const names = async (host: ClusterHost) => (await listed(host)).map(({ Name }) => Name).toSorted();

/** Waits until the engine has these networks besides its own. */
async function has(host: ClusterHost, wanted: readonly string[], milliseconds = 20_000): Promise<void> {
  let found: string[] = [];
  let problems: unknown;
  await waitFor(
    () => `the engine to have ${wanted.join(' ')}, not ${found.join(' ')}: ${JSON.stringify(problems)}`,
    async () => {
      found = await names(host).catch(() => []);
      problems = await ask(host, '/health').catch(String);
      return found.join() === wanted.toSorted().join();
    },
    milliseconds,
    50,
  );
}

for (const engine of ['26.1', '28.5'] as const) {
  describe(`Docker networks of a cluster on engine ${engine}`, () => {
    let cluster: Cluster;
    let host: ClusterHost;
    before(async () => {
      cluster = await openCluster('networks', {
        engines: [engine],
        agentFlags: ['--gc-grace', '1', '--audit-interval', '2', '--linger', '0'],
      });
      host = cluster.hosts[0]!;
    });
    beforeEach((t) => {
      if ('after' in t) cluster.watch(t);
    });
    afterEach(async () => {
      const containers = await host.docker('ps', '-aq');
      if (containers !== '') await host.docker('rm', '-f', ...containers.split('\n'));
      // A failed test leaves objects to the next one otherwise.
      for (const { key, kind } of await objects(cluster)) await remove(cluster, kind, key);
      await has(host, [], 60_000);
    });
    after(() => cluster[Symbol.asyncDispose]());

    test('a network and a group appear, containers run on them, and both go', async () => {
      await cluster.netctl('net create -s 10.1.1.0/24 -g 10.1.1.254 shop');
      await cluster.netctl('group create shop web');
      await cluster.netctl('tenant create blue');
      await cluster.netctl('net create -t blue -s 10.1.2.0/24 -g 10.1.2.254 -nw-tag chosen tea');
      await cluster.netctl('net create -t blue -s 10.1.3.0/24 -g 10.1.3.254 shop');
      await has(host, ['shop', 'web', 'chosen', 'shop/blue']);
      const web = (await listed(host)).find(({ Name }) => Name === 'web')!;
      assert.deepEqual(web.Options, { tenant: 'default', network: 'shop', group: 'web' });
      assert.deepEqual(web.IPAM.Config, [{ Subnet: '10.1.1.0/24', Gateway: '10.1.1.254' }]);
      assert.equal(web.Labels['net.berth.cluster.group'], 'default:web');

      await start(host, 'one', '--network shop');
      await start(host, 'two', '--network web');
      await start(host, 'three', '--network shop/blue');
      const [one, two, three] = await Promise.all(['one', 'two', 'three'].map((name) => addressOf(host, name)));
      assert.deepEqual([one, two, three], ['10.1.1.1', '10.1.1.2', '10.1.3.1']);
      const refused = await cluster.tryNetctl('net rm shop');
      assert.match(refused.stdout + refused.stderr, /cannot delete shop has 1 endpoint groups/);
      await host.docker('exec', 'two', 'ping', '-c', '1', '-w', '5', one!);
      await host.docker('rm', '-f', 'one', 'two', 'three');

      await remove(cluster, 'endpointGroup', 'default:web');
      await has(host, ['shop', 'chosen', 'shop/blue']);
      for (const key of ['default:shop', 'blue:shop', 'blue:tea']) await remove(cluster, 'network', key);
      await has(host, []);
    });

    test('what changes while the engine is down is made up for when it is up', async () => {
      await cluster.netctl('net create -s 10.2.1.0/24 -g 10.2.1.254 stays');
      await cluster.netctl('net create -s 10.2.2.0/24 -g 10.2.2.254 goes');
      await cluster.netctl('net create -s 10.2.3.0/24 -g 10.2.3.254 changes');
      await has(host, ['stays', 'goes', 'changes']);
      const before = (await listed(host)).find(({ Name }) => Name === 'stays')!.Id;
      await host.stopEngine();
      await cluster.netctl('net rm goes');
      await cluster.netctl('net rm changes');
      await cluster.netctl('net create -s 10.2.4.0/24 -g 10.2.4.254 changes');
      await cluster.netctl('net create -s 10.2.5.0/24 -g 10.2.5.254 comes');
      await host.startEngine();
      await has(host, ['stays', 'changes', 'comes']);
      const after = await listed(host);
      assert.equal(after.find(({ Name }) => Name === 'stays')!.Id, before);
      await waitFor('the other subnet', async () => {
        const changed = (await listed(host)).find(({ Name }) => Name === 'changes');
        return changed?.IPAM.Config.some(({ Subnet }) => Subnet === '10.2.4.0/24') === true;
      });
      await start(host, 'one', '--network changes');
      assert.equal(await addressOf(host, 'one'), '10.2.4.1');
      await host.docker('rm', '-f', 'one');
      for (const name of ['stays', 'changes', 'comes']) await remove(cluster, 'network', `default:${name}`);
      await has(host, []);
    });

    test('what changes while the agent is dead is made up for when it is alive', async () => {
      await cluster.netctl('net create -s 10.3.1.0/24 -g 10.3.1.254 goes');
      await has(host, ['goes']);
      await host.killBerth();
      await cluster.netctl('net rm goes');
      await cluster.netctl('net create -s 10.3.2.0/24 -g 10.3.2.254 comes');
      await host.startAgent();
      await has(host, ['comes']);
      // In the middle of many, too.
      for (let n = 1; n <= 20; n++) await cluster.netctl(`net create -s 10.4.${n}.0/24 -g 10.4.${n}.254 many${n}`);
      await waitFor('some of them', async () => (await names(host)).length > 2);
      await host.killBerth();
      await host.startAgent();
      const many = Array.from({ length: 20 }, (_, n) => `many${n + 1}`);
      await has(host, ['comes', ...many]);
      for (const name of [...many, 'comes']) await cluster.netctl(`net rm ${name}`);
      await has(host, []);
    });

    test('one that a user removes is made again; one that a user made is left alone', async () => {
      await cluster.netctl('net create -s 10.5.1.0/24 -g 10.5.1.254 shop');
      await has(host, ['shop']);
      await host.docker('network', 'rm', 'shop');
      await has(host, ['shop']);
      await host.agent().waitForOutput(/the Docker network shop was removed by hand; it is made again/);

      await host.docker('network', 'create', 'tea');
      await cluster.netctl('net create -s 10.5.2.0/24 -g 10.5.2.254 tea');
      await waitFor('it to be told', async () => JSON.stringify(await ask(host, '/health')).includes('is called tea'));
      await host.docker('network', 'rm', 'tea');
      await has(host, ['shop', 'tea']);
      await waitFor('all to be well', async () => (await ask(host, '/health')).problems.length === 0);
      for (const name of ['shop', 'tea']) await cluster.netctl(`net rm ${name}`);
      await has(host, []);
    });

    test('its state is lost, and the engine has the networks', async () => {
      await cluster.netctl('net create -s 10.6.1.0/24 -g 10.6.1.254 shop');
      await has(host, ['shop']);
      await start(host, 'one', '--network shop');
      const [network] = await listed(host);
      await host.stopBerth();
      await host.sh('rm -r /var/lib/berth/*');
      await host.startAgent();
      await waitFor('the container to be known', async () => (await ask(host, '/v1/endpoints')).length === 1);
      assert.deepEqual(await listed(host), [network], 'it is the same Docker network');
      await start(host, 'two', '--network shop');
      assert.equal(await addressOf(host, 'two'), '10.6.1.2');
      await host.docker('exec', 'two', 'ping', '-c', '1', '-w', '5', '10.6.1.1');
      await host.docker('rm', '-f', 'one', 'two');
      await remove(cluster, 'network', 'default:shop');
      await has(host, []);
    });

    test('two hundred', async () => {
      const count = 200;
      const began = performance.now();
      const create = Array.from({ length: count }, (_, n) => `net create -s 10.40.${n}.0/24 -g 10.40.${n}.254 n${n}`);
      for (let at = 0; at < count; at += 20)
        await Promise.all(create.slice(at, at + 20).map((line) => cluster.netctl(line)));
      const objects = performance.now();
      await has(
        host,
        Array.from({ length: count }, (_, n) => `n${n}`),
        120_000,
      );
      const made = performance.now();
      await start(host, 'one', '--network n117');
      assert.equal(await addressOf(host, 'one'), '10.40.117.1');
      await host.docker('rm', '-f', 'one');
      for (let at = 0; at < count; at += 20) {
        const lines = Array.from({ length: 20 }, (_, n) => `net rm n${at + n}`);
        await Promise.all(
          lines.map((line) => waitFor(line, async () => (await cluster.tryNetctl(line)).code === 0, 30_000, 300)),
        );
      }
      const removed = performance.now();
      await has(host, [], 120_000);
      const seconds = (from: number, to: number) => ((to - from) / 1000).toFixed(1);
      console.log(
        `${count} networks: ${seconds(began, objects)} s by netctl, ${seconds(objects, made)} s later on the engine; gone ${seconds(removed, performance.now())} s after the last was deleted`,
      );
    });
  });
}

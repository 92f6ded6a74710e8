/** Docker networks that users make on a host of a cluster become the cluster's. Two hosts, one etcd, no `netctl global set`. */

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { type Cluster, type ClusterHost, openCluster } from './bed/cluster.ts';
import { waitFor } from './bed/process.ts';
import { ask } from './suites/agent.ts';
import { addressOf, start } from './suites/containers.ts';

const OWN = new Set(['bridge', 'host', 'none', 'docker_gwbridge']);

async function names(host: ClusterHost): Promise<string[]> {
  const { body } = await host.api('/networks');
  return (JSON.parse(body) as { Name: string }[])
    .map(({ Name }) => Name)
    .filter((name) => !OWN.has(name))
    .toSorted();
}

async function has(host: ClusterHost, ...wanted: string[]): Promise<void> {
  let found: string[] = [];
  await waitFor(
    () => `${host.name} to have ${wanted.join(' ')}, not ${found.join(' ')}`,
    async () => {
      found = await names(host);
      return found.join() === wanted.toSorted().join();
    },
    30_000,
    50,
  );
}

const objects = async (cluster: Cluster): Promise<string[]> => {
  const { stdout } = await cluster.members[0]!.ctl(['get', '--prefix', '/berth/object/network/', '--keys-only']);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.replace('/berth/object/network/', ''));
};

const problems = async (host: ClusterHost): Promise<string> => JSON.stringify((await ask(host, '/health')).problems);

describe('Docker networks that users make', () => {
  let cluster: Cluster;
  let h1: ClusterHost;
  let h2: ClusterHost;
  before(async () => {
    cluster = await openCluster('users', {
      engines: ['28.5', '26.1'],
      masters: 0,
      agentFlags: ['--gc-grace', '1', '--audit-interval', '2', '--linger', '0'],
    });
    [h1, h2] = cluster.hosts as [ClusterHost, ClusterHost];
  });
  beforeEach((t) => {
    if ('after' in t) cluster.watch(t);
  });
  after(() => cluster[Symbol.asyncDispose]());

  test('are on the other hosts too, with other addresses, and go with the one that was made', async () => {
    await h1.docker('network', 'create', '-d', 'berth', '--ipam-driver', 'berth', 'shop');
    await start(h1, 'one', '--network shop');
    await has(h2, 'shop');
    assert.deepEqual(await objects(cluster), ['default:shop']);
    await waitFor('it to be the cluster’s here', async () => {
      const [network] = await ask(h1, '/v1/networks');
      return JSON.stringify(network!.settings).includes('"network":"shop"');
    });
    await start(h2, 'two', '--network shop');
    await start(h1, 'three', '--network shop');
    const addresses = await Promise.all([addressOf(h1, 'one'), addressOf(h2, 'two'), addressOf(h1, 'three')]);
    assert.deepEqual(
      addresses.map((address) => address!.split('.').at(-1)),
      ['2', '3', '4'],
    );
    // The first was there before it was a network of the cluster.
    for (const [host, from, to] of [
      [h2, 'two', addresses[0]],
      [h2, 'two', addresses[2]],
      [h1, 'one', addresses[1]],
    ] as const)
      await waitFor(
        `${from} to reach ${to}`,
        async () =>
          (await host.exec(['docker', 'exec', from, 'ping', '-c', '1', '-w', '1', to!], { check: false })).code === 0,
        30_000,
      );

    // What runs on another host keeps it.
    await h1.docker('rm', '-f', 'one', 'three');
    await h1.docker('network', 'rm', 'shop');
    await h1
      .agent()
      .waitForOutput(/the network default:shop stays, and is made again here: containers of h2 are on it/);
    await has(h1, 'shop');
    await start(h1, 'four', '--network shop');
    await h2.docker('exec', 'two', 'ping', '-c', '1', '-w', '5', (await addressOf(h1, 'four'))!);
    await h1.docker('rm', '-f', 'four');
    await h2.docker('rm', '-f', 'two');
    await h1.docker('network', 'rm', 'shop');
    await has(h1, 'shop');

    // And one that nobody uses goes everywhere.
    await h1.docker('network', 'create', '-d', 'berth', '--ipam-driver', 'berth', '--subnet', '10.77.0.0/24', 'tea');
    await has(h2, 'shop', 'tea');
    await h1.docker('network', 'rm', 'tea');
    await has(h2, 'shop');
    assert.deepEqual(await objects(cluster), ['default:shop']);
  });

  test('what cannot be is told, and stays on its host', async () => {
    const create = (host: ClusterHost, ...args: string[]) =>
      host.docker('network', 'create', '-d', 'berth', '--ipam-driver', 'berth', ...args);
    await create(h1, '--subnet', '10.78.0.0/24', 'first');
    await has(h2, 'shop', 'first');
    await create(h2, '--subnet', '10.78.0.0/25', 'second').then(
      () => waitFor('it to be told', async () => (await problems(h2)).includes('second is of this host alone')),
      (error: unknown) => assert.match(String(error), /overlaps/),
    );
    await create(h1, '--subnet', '10.79.0.0/24', 'with_underline');
    await waitFor('it to be told', async () =>
      /with_underline is of this host alone: .*networkName string invalid format/.test(await problems(h1)),
    );
    await h1.docker('network', 'create', '-d', 'berth', '--subnet', '10.80.0.0/24', 'engines');
    await waitFor('it to be told', async () =>
      /engines is of this host alone: .*--ipam-driver/.test(await problems(h1)),
    );
    await create(h1, '--subnet', '10.81.0.0/24', '-o', 'tenant=none', 'strange');
    await waitFor('it to be told', async () => /strange is of this host alone: /.test(await problems(h1)));
    await create(h1, '--internal', '--subnet', '10.82.0.0/24', 'closed');
    assert.doesNotMatch(await problems(h1), /closed/);
    assert.deepEqual((await objects(cluster)).toSorted(), ['default:first', 'default:shop']);
    for (const name of ['with_underline', 'engines', 'strange', 'closed', 'first'])
      await h1.docker('network', 'rm', name);
    await has(h1, 'shop');
    await waitFor('all to be well', async () => (await problems(h1)) === '[]');
  });

  test('survive the loss of the state of their host', async () => {
    await h1.docker('network', 'create', '-d', 'berth', '--ipam-driver', 'berth', '--subnet', '10.83.0.0/24', 'kept');
    await has(h2, 'kept', 'shop');
    await start(h1, 'one', '--network kept');
    await h1.stopBerth();
    await h1.sh('rm -r /var/lib/berth/*');
    await h1.startAgent();
    await waitFor('it to be the cluster’s again', async () =>
      (await ask(h1, '/v1/networks')).some(({ settings }) => JSON.stringify(settings).includes('"network":"kept"')),
    );
    await start(h2, 'two', '--network kept');
    assert.equal(await addressOf(h2, 'two'), '10.83.0.3');
    await waitFor(
      'two to reach one',
      async () =>
        (await h2.exec(['docker', 'exec', 'two', 'ping', '-c', '1', '-w', '1', '10.83.0.2'], { check: false })).code ===
        0,
      30_000,
    );
    await h1.docker('rm', '-f', 'one');
    await h2.docker('rm', '-f', 'two');
    await waitFor('two to have gone', async () => (await ask(h2, '/v1/endpoints')).length === 0);
    await h1.docker('network', 'rm', 'kept');
  });
});

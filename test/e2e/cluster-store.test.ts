/**
 * Engines with a cluster store (Docker 20.10, scope `global`): a network is made once, through one engine, and all others use it. Two
 * hosts, one etcd for both Docker and Berth.
 */

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { type Cluster, type ClusterHost, openCluster } from './bed/cluster.ts';
import { waitFor } from './bed/process.ts';
import { ask } from './suites/agent.ts';
import { addressOf, start } from './suites/containers.ts';

interface Listed {
  readonly Id: string;
  readonly Name: string;
  readonly Scope: string;
}

async function globals(host: ClusterHost): Promise<Listed[]> {
  const { body } = await host.api('/networks');
  return (JSON.parse(body) as Listed[]).filter(({ Scope }) => Scope === 'global');
}

async function has(hosts: readonly ClusterHost[], ...wanted: string[]): Promise<void> {
  let found: string[][] = [];
  await waitFor(
    () => `the engines to have ${wanted.join(' ')}, not ${JSON.stringify(found)}`,
    async () => {
      found = await Promise.all(hosts.map(async (host) => (await globals(host)).map(({ Name }) => Name).toSorted()));
      return found.every((names) => names.join() === wanted.toSorted().join());
    },
    30_000,
    100,
  );
}

async function reaches(host: ClusterHost, from: string, to: string): Promise<void> {
  await waitFor(
    `${from} to reach ${to}`,
    async () =>
      (await host.exec(['docker', 'exec', from, 'ping', '-c', '1', '-w', '1', to], { check: false })).code === 0,
    30_000,
  );
}

describe('engines with a cluster store', () => {
  let cluster: Cluster;
  let h1: ClusterHost;
  let h2: ClusterHost;
  before(async () => {
    cluster = await openCluster('store', {
      engines: ['20.10', '20.10'],
      clusterStore: true,
      plugins: ['berth'],
      agentFlags: '--plugins berth=cluster:global --gc-grace 1 --audit-interval 2 --linger 0'.split(' '),
    });
    [h1, h2] = cluster.hosts as [ClusterHost, ClusterHost];
  });
  beforeEach((t) => {
    if ('after' in t) cluster.watch(t);
  });
  after(() => cluster[Symbol.asyncDispose]());

  test('a network of the cluster is made once, and containers of both hosts are on it', async () => {
    await cluster.netctl('net create -s 10.1.1.0/24 -g 10.1.1.254 shop');
    await cluster.netctl('group create shop web');
    await has([h1, h2], 'shop', 'web');
    assert.deepEqual(
      (await globals(h1)).map(({ Id }) => Id).toSorted(),
      (await globals(h2)).map(({ Id }) => Id).toSorted(),
      'they are the same networks',
    );
    await Promise.all([start(h1, 'one', '--network shop'), start(h2, 'two', '--network web')]);
    const [one, two] = await Promise.all([addressOf(h1, 'one'), addressOf(h2, 'two')]);
    assert.deepEqual([one, two].toSorted(), ['10.1.1.1', '10.1.1.2']);
    await reaches(h1, 'one', two!);
    await reaches(h2, 'two', one!);
    await Promise.all([h1.docker('rm', '-f', 'one'), h2.docker('rm', '-f', 'two')]);
    await waitFor('web to go', async () => (await cluster.tryNetctl('group rm web')).code === 0, 30_000, 200);
    await waitFor('shop to go', async () => (await cluster.tryNetctl('net rm shop')).code === 0, 30_000, 200);
    await has([h1, h2]);
    await waitFor('the records to go', async () =>
      (await Promise.all([h1, h2].map((host) => ask(host, '/v1/networks')))).every((networks) => networks.length === 0),
    );
  });

  test('one that a user makes on one host is understood by the other at once, and is the cluster’s', async () => {
    await h1.docker('network', 'create', '-d', 'berth', '--ipam-driver', 'berth', '--subnet', '10.7.0.0/24', 'tea');
    // Before anybody can have told it.
    await start(h2, 'two', '--network tea');
    await start(h1, 'one', '--network tea');
    const [one, two] = await Promise.all([addressOf(h1, 'one'), addressOf(h2, 'two')]);
    assert.deepEqual([one, two], ['10.7.0.3', '10.7.0.2']);
    await waitFor('the object', async () => (await cluster.netctl('net ls')).includes('tea'), 30_000, 200);
    await reaches(h1, 'one', two!);
    await reaches(h2, 'two', one!);
    await h2.docker('rm', '-f', 'two');
    await h1.docker('rm', '-f', 'one');
    await waitFor(
      'tea to go',
      async () => (await h2.exec(['docker', 'network', 'rm', 'tea'], { check: false })).code === 0,
      30_000,
      300,
    );
    await waitFor('its object to go', async () => !(await cluster.netctl('net ls')).includes('tea'), 30_000, 200);
    await has([h1, h2]);
  });
});

describe('engines with a cluster store, whose agents do not look at them', () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await openCluster('store-heard', {
      engines: ['20.10', '20.10'],
      clusterStore: true,
      plugins: ['berth'],
      agentFlags: '--plugins berth=cluster:global --gc-grace 3600 --audit-interval 3600 --linger 0'.split(' '),
    });
  });
  beforeEach((t) => {
    if ('after' in t) cluster.watch(t);
  });
  after(() => cluster[Symbol.asyncDispose]());

  test('that a network is removed on one is heard by the other', async () => {
    const [h1, h2] = cluster.hosts as [ClusterHost, ClusterHost];
    await h1.docker('network', 'create', '-d', 'berth', '--ipam-driver', 'berth', '--subnet', '10.8.0.0/24', 'cup');
    await start(h2, 'two', '--network cup');
    const known = async (host: ClusterHost) => (await ask(host, '/v1/networks')).length;
    assert.equal(await known(h2), 1);
    await h2.docker('rm', '-f', 'two');
    await waitFor(
      'cup to go',
      async () => (await h1.exec(['docker', 'network', 'rm', 'cup'], { check: false })).code === 0,
      30_000,
      300,
    );
    await waitFor('both agents to know', async () => (await known(h1)) + (await known(h2)) === 0, 10_000, 50);
  });
});

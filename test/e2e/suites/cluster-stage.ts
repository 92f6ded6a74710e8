/** Where suites of the cluster play, and that nothing is left of it afterwards: on no host, and in no key. */

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach } from 'node:test';
import { type Cluster, type ClusterOptions, openCluster } from '../bed/cluster.ts';
import { waitFor } from '../bed/process.ts';
import { nothingLeft } from './leftovers.ts';

/** What is in the store of a cluster without networks. */
const STANDING = /^\/berth\/(object\/(head|tenant\/default|global\/global)|agent\/[^/]+|(host|publisher)\/[^/]+)$/;

/**
 * Sets the stage for the tests of the current `describe`, or file. After each test all containers, groups, networks and tenants
 * are removed, and nothing may be left.
 *
 * @returns the cluster, once the tests run.
 */
export function setClusterStage(name: string, options: ClusterOptions = {}): () => Cluster {
  let cluster: Cluster | undefined;
  const current = () => {
    if (cluster === undefined) throw new Error('The stage is not set');
    return cluster;
  };
  before(async () => {
    cluster = await openCluster(name, { ...options, agentFlags: [...QUICK, ...(options.agentFlags ?? [])] });
  });
  beforeEach((test) => {
    if ('after' in test) current().watch(test);
  });
  afterEach(async () => {
    await clearCluster(current());
    await nothingLeftOf(current());
  });
  after(async () => {
    await cluster?.[Symbol.asyncDispose]();
  });
  return current;
}

const QUICK = ['--gc-grace', '1', '--linger', '0'];

/** Removes all containers, and all objects but those that a new cluster has. */
export async function clearCluster(cluster: Cluster): Promise<void> {
  await Promise.all(
    cluster.hosts.map(async (host) => {
      const { body } = await host.api('/containers/json?all=1');
      const containers = JSON.parse(body) as { Id: string }[];
      await Promise.all(containers.map(({ Id }) => host.api(`/containers/${Id}?force=1&v=1`, { method: 'DELETE' })));
    }),
  );
  for (const [noun, field] of [
    ['group', 'groupName'],
    ['network', 'networkName'],
  ] as const) {
    const listed = await list(cluster, `${noun} ls -a -j`);
    for (const object of listed) await remove(cluster, `${noun} rm -t ${object.tenantName} ${object[field]}`);
  }
  for (const { tenantName } of await list(cluster, 'tenant ls -j')) {
    if (tenantName !== 'default') await remove(cluster, `tenant rm ${tenantName}`);
  }
}

async function list(cluster: Cluster, line: string): Promise<Record<string, string>[]> {
  return (JSON.parse(await cluster.netctl(line)) ?? []) as Record<string, string>[];
}

/** Removes an object as soon as it is not in use: agents tell of the end of a container a moment after it. */
export async function remove(cluster: Cluster, line: string): Promise<void> {
  let said = '';
  await waitFor(
    () => `netctl ${line}: ${said}`,
    async () => {
      const { code, stdout, stderr } = await cluster.tryNetctl(line);
      said = `${stdout}${stderr}`;
      if (code !== 0 && !said.includes('active endpoints')) assert.fail(`netctl ${line}: ${said}`);
      return code === 0;
    },
    30_000,
    200,
  );
}

/** Waits until no engine has a network of ours, no host anything of it, and the store only what it had at first. */
export async function nothingLeftOf(cluster: Cluster): Promise<void> {
  await Promise.all(
    cluster.hosts.map(async (host) => {
      let left: readonly string[] = [];
      await waitFor(
        () => `${host.name} to have no networks of ours: ${left.join(', ')}`,
        async () => {
          const networks = JSON.parse((await host.api('/networks')).body) as { Name: string; Driver: string }[];
          left = networks.filter(({ Driver }) => !['bridge', 'host', 'null'].includes(Driver)).map(({ Name }) => Name);
          return left.length === 0;
        },
        30_000,
        100,
      );
      await nothingLeft(host);
    }),
  );
  let left: readonly string[] = [];
  await waitFor(
    () => `no key to be left: ${left.join(', ')}`,
    async () => {
      left = (await keysOf(cluster)).filter((key) => !STANDING.test(key));
      return left.length === 0;
    },
    30_000,
    100,
  );
}

/** All keys of Berth in etcd. */
export async function keysOf(cluster: Cluster): Promise<string[]> {
  const member = cluster.members.find((one) => one.running())!;
  const { stdout } = await member.ctl(['get', '--prefix', '/berth/', '--keys-only']);
  return stdout.split('\n').filter((line) => line !== '');
}

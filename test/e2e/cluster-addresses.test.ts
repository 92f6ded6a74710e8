/** Addresses of cluster networks on real engines: two hosts that start containers at once, are killed, and come back. */

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { type Cluster, type ClusterHost, openCluster } from './bed/cluster.ts';
import { CommandError, waitFor } from './bed/process.ts';
import { addressOf, start } from './suites/containers.ts';

interface Inspected {
  readonly Oper: { readonly allocatedIPAddresses?: string; readonly availableIPAddresses?: string };
}

describe('addresses of the networks of a cluster', () => {
  let cluster: Cluster;
  let hosts: readonly [ClusterHost, ClusterHost];

  before(async () => {
    cluster = await openCluster('addresses', {
      engines: ['28.5', '26.1'],
      agentFlags: ['--gc-grace', '1', '--audit-interval', '2'],
    });
    hosts = [cluster.hosts[0]!, cluster.hosts[1]!];
  });
  beforeEach((t) => {
    if ('after' in t) cluster.watch(t);
  });
  afterEach(async () => {
    for (const host of hosts) {
      const containers = await host.docker('ps', '-aq');
      if (containers !== '') await host.docker('rm', '-f', ...containers.split('\n'));
    }
    await agree('default:');
  });
  after(() => cluster[Symbol.asyncDispose]());

  async function make(name: string, subnet: string): Promise<void> {
    await cluster.netctl(`net create -s ${subnet} -g ${subnet.replace(/\.0\/.*/, '.254')} ${name}`);
    await appears(name);
  }

  const appears = (name: string) =>
    Promise.all(
      hosts.map((host) =>
        waitFor(`${name} on the engine`, async () => (await host.api(`/networks/${name}`)).status === 200, 30_000, 50),
      ),
    );

  async function remove(kind: 'net' | 'group', name: string): Promise<void> {
    let said = '';
    await waitFor(
      () => `${kind} rm ${name}: ${said}`,
      async () => {
        const { code, stdout, stderr } = await cluster.tryNetctl(`${kind} rm ${name}`);
        said = stdout + stderr;
        return code === 0;
      },
      30_000,
      200,
    );
  }

  async function leased(network: string): Promise<string[]> {
    const { stdout } = await cluster.members[0]!.ctl(['get', '--prefix', `/berth/lease/${network}`, '--keys-only']);
    return stdout
      .split('\n')
      .filter((key) => key !== '')
      .map((key) => key.slice(key.lastIndexOf('=') + 1))
      .toSorted();
  }

  async function running(): Promise<string[]> {
    const found = await Promise.all(
      hosts.map(async (host) => {
        const ids = (await host.docker('ps', '-q')).split('\n').filter((id) => id !== '');
        return Promise.all(ids.map((id) => addressOf(host, id)));
      }),
    );
    return found.flat().toSorted();
  }

  /** What is leased is what containers have: each address once, and no other. */
  async function agree(network: string): Promise<readonly string[]> {
    let seen: readonly [string[], string[]] = [[], []];
    await waitFor(
      () => `the leases ${seen[0].join(' ')} to be those of containers ${seen[1].join(' ')}`,
      async () => {
        seen = [await leased(network), await running()];
        return seen[0].join() === seen[1].join();
      },
      30_000,
      200,
    );
    assert.equal(new Set(seen[1]).size, seen[1].length);
    return seen[1];
  }

  const oper = async (kind: string, name: string) =>
    (JSON.parse(await cluster.netctl(`${kind} inspect ${name}`)) as Inspected).Oper;

  test('many at once on both hosts: the lowest ones, each once; told as Contiv tells them; given back', async () => {
    await make('shop', '10.31.0.0/24');
    await cluster.netctl('group create -r 10.31.0.5-10.31.0.8 shop web');
    await appears('web');
    await Promise.all(
      hosts.flatMap((host) => [
        ...Array.from({ length: 8 }, (_, n) => start(host, `s${n}`, '--network shop')),
        ...Array.from({ length: 2 }, (_, n) => start(host, `w${n}`, '--network web')),
      ]),
    );
    const all = await agree('default:shop');
    const wanted = Array.from({ length: 20 }, (_, n) => `10.31.0.${n + 1}`);
    assert.deepEqual(all, wanted.toSorted());
    assert.equal((await oper('net', 'shop')).allocatedIPAddresses, '10.31.0.1-10.31.0.20, 10.31.0.254');
    assert.equal((await oper('group', 'web')).allocatedIPAddresses, '10.31.0.5-10.31.0.8');
    const refused = (host: ClusterHost, flags: string, what: RegExp) =>
      assert.rejects(
        start(host, 'no', flags),
        (error: unknown) => error instanceof CommandError && what.test(error.message),
      );
    await refused(hosts[0], '--network web', /address exhaustion in pool 10\.31\.0\.5-10\.31\.0\.8/);
    await hosts[0].docker('rm', 'no');
    await refused(hosts[1], '--network shop --ip 10.31.0.254', /gateway of the network/);
    await hosts[1].docker('rm', 'no');
    await refused(hosts[1], `--network shop --ip ${await addressOf(hosts[0], 's0')}`, /is held by/);
    await hosts[1].docker('rm', 'no');
    await refused(hosts[1], '--network shop --ip 10.31.0.6', /10\.31\.0\.6 is (held by|kept for)/);
    await hosts[1].docker('rm', 'no');
    const { code, stdout, stderr } = await cluster.tryNetctl('group rm web');
    assert.ok(code !== 0 && /has active endpoints/.test(stdout + stderr), stdout + stderr);
    // What one host gives back, the other gives out.
    const freed = await addressOf(hosts[0], 's0');
    await hosts[0].docker('rm', '-f', 's0');
    await start(hosts[1], 'again', `--network shop`);
    assert.equal(await addressOf(hosts[1], 'again'), freed);
    for (const host of hosts) await host.docker('rm', '-f', ...(await host.docker('ps', '-aq')).split('\n'));
    assert.deepEqual(await leased('default:shop'), []);
    await remove('group', 'web');
    await remove('net', 'shop');
    assert.equal(
      (await cluster.members[0]!.ctl(['get', '--prefix', '/berth/pool/default:', '--keys-only'])).stdout,
      '',
    );
  });

  test('agents that are killed in the middle of starts: nothing is given twice, and nothing is left', async () => {
    await make('tea', '10.32.0.0/24');
    for (let round = 0; round < 3; round++) {
      const starts = hosts.flatMap((host) =>
        Array.from({ length: 4 }, (_, n) => start(host, `r${round}-${n}`, '--network tea').catch(() => undefined)),
      );
      await new Promise((resolve) => setTimeout(resolve, 150 + round * 200));
      await hosts[round % 2]!.killBerth();
      await hosts[round % 2]!.startAgent();
      await Promise.all(starts);
    }
    const all = await agree('default:tea');
    assert.ok(all.length > 0);
    for (const host of hosts) await host.docker('rm', '-f', ...(await host.docker('ps', '-aq')).split('\n'));
    await agree('default:tea');
    await remove('net', 'tea');
  });

  test('an engine that is killed asks again for what it had, while the other host takes what is free', async () => {
    await make('ice', '10.33.0.0/24');
    for (const host of hosts)
      for (const name of ['one', 'two', 'three']) await start(host, name, '--restart always --network ice');
    const before = await agree('default:ice');
    assert.equal(before.length, 6);
    await hosts[0].killEngine();
    await Promise.all([
      hosts[0].startEngine(),
      ...Array.from({ length: 4 }, (_, n) => start(hosts[1], `more${n}`, '--network ice')),
    ]);
    await waitFor(
      'the containers of the engine that was killed',
      async () => (await hosts[0].docker('ps', '-q')).split('\n').length === 3,
      30_000,
    );
    assert.equal((await agree('default:ice')).length, 10);
    for (const host of hosts) await host.docker('rm', '-f', ...(await host.docker('ps', '-aq')).split('\n'));
    await agree('default:ice');
    await remove('net', 'ice');
  });
});

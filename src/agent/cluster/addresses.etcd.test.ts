/** Two hosts on one etcd that want addresses of the same networks at the same time, while somebody changes the networks. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { parseAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import type { PoolId } from '../../model/ids.ts';
import { keys } from '../../model/keys.ts';
import { kindOf } from '../../model/objects/kinds.ts';
import { parseAddressRange } from '../../model/objects/ranges.ts';
import { contains, parsePrefix } from '../../model/prefix.ts';
import type { Registry } from '../../objects/registry.ts';
import { openEtcdStore } from '../../store/etcd/store.ts';
import { type EtcdCluster, startEtcd } from '../../store/etcd/testing/etcd.ts';
import type { Store } from '../../store/store.ts';
import { makeGroup, makeNetwork, openCluster, openHost, type TestHost } from './testing/hosts.ts';

const stack = new AsyncDisposableStack();
let etcd: EtcdCluster;
let store: Store;
let registry: Registry;

async function connect(): Promise<Store> {
  const opened = await openEtcdStore({ endpoints: etcd.endpoints });
  stack.defer(() => opened.close());
  return opened;
}

/** A host with a connection of its own. */
const host = async (name: string): Promise<TestHost> => stack.use(await openHost(await connect(), name));

before(async () => {
  etcd = stack.use(await startEtcd());
  store = await connect();
  registry = await openCluster(store);
  stack.defer(() => registry.close());
});
after(() => stack.disposeAsync());

/** Who has what, as the hosts were told: an address that somebody has is given to nobody. */
class Account {
  readonly held = new Map<string, { readonly host: TestHost; readonly pool: PoolId }>();

  async take(on: TestHost, pool: PoolId, given?: string): Promise<string> {
    const address = (await on.request(pool, given)).split('/')[0]!;
    assert.ok(!this.held.has(address), `${address} was given twice`);
    this.held.set(address, { host: on, pool });
    return address;
  }

  async give(address: string): Promise<void> {
    const { host: on, pool } = this.held.get(address)!;
    // From here on somebody else may have it.
    this.held.delete(address);
    await on.release(pool, address);
  }
}

const leased = async (network: string): Promise<string[]> =>
  (await store.list(`${keys.leases}${network}/`)).entries.map(({ key }) => key.slice(key.lastIndexOf('=') + 1));

async function caughtUp(hosts: readonly TestHost[], network: string): Promise<void> {
  const truth = (await leased(network)).toSorted().join();
  const known = ({ ipam }: TestHost) =>
    ipam
      .pools()
      .filter(({ space }) => space === network)
      .flatMap(({ id }) => ipam.leasesOf(id))
      .map(({ address }) => address.value)
      .toSorted((a, b) => (a < b ? -1 : 1))
      .join();
  const values = truth === '' ? '' : truth.split(',').map((text) => parseAddress(text)!.value);
  const wanted = values === '' ? '' : values.toSorted((a, b) => (a < b ? -1 : 1)).join();
  const deadline = performance.now() + 10_000;
  while (!hosts.every((one) => known(one) === wanted) && performance.now() < deadline) await pause(10);
  for (const one of hosts) assert.equal(known(one), wanted);
}

const isIn = (address: string, range: string): boolean => {
  const { first, last } = parseAddressRange(range)!;
  const { value } = parseAddress(address)!;
  return value >= first && value <= last;
};

test('2 × 200 at once, leasing and freeing, while a group comes and goes: none twice, each where it belongs', async () => {
  const [web, app, late] = ['10.1.0.11-10.1.0.130', '10.1.1.1-10.1.1.255', '10.1.2.0-10.1.2.60'];
  await makeNetwork(registry, 'default:big', '10.1.0.0/22', { gateway: '10.1.0.1' });
  await makeGroup(registry, 'default:big', 'web', web);
  await makeGroup(registry, 'default:big', 'app', app);
  const hosts = [await host('A'), await host('B')];
  const account = new Account();
  const pools = await Promise.all(
    hosts.map(async (one) => ({
      one,
      none: await one.pool({ network: 'big' }),
      web: await one.pool({ network: 'big', group: 'web' }),
      app: await one.pool({ network: 'big', group: 'app' }),
    })),
  );
  let lateIsThere = false;
  const worker = async (which: number, nth: number): Promise<void> => {
    const of = pools[which]!;
    const pool = [of.none, of.none, of.web, of.app][nth % 4]!;
    for (let round = 0; round < 3; round++) {
      const inLate = lateIsThere;
      const address = await account.take(of.one, pool);
      const [inWeb, inApp] = [isIn(address, web), isIn(address, app)];
      assert.deepEqual([inWeb, inApp], [pool === of.web, pool === of.app], `${address} of ${pool}`);
      assert.ok(address !== '10.1.0.1' && contains(parsePrefix('10.1.0.0/22')!, parseAddress(address)!));
      // It was asked for when the group was there.
      if (inLate) assert.ok(!isIn(address, late), `${address} is of the group late`);
      if (round < 2) await account.give(address);
    }
  };
  const start = (count: number) =>
    Promise.all(hosts.flatMap((_, which) => Array.from({ length: count }, (__, nth) => worker(which, nth))));
  const first = start(60);
  await makeGroup(registry, 'default:big', 'late', late);
  lateIsThere = true;
  // More than there are before the range of the group that has just come.
  const others = start(140);
  const lateOnes = await Promise.all(
    hosts.map(async (one) => account.take(one, await one.pool({ network: 'big', group: 'late' }))),
  );
  for (const address of lateOnes) assert.ok(isIn(address, late));
  await Promise.all([first, others]);
  assert.ok([...account.held.keys()].some((address) => isIn(address, '10.1.2.61-10.1.2.255')));
  assert.deepEqual((await leased('default:big')).toSorted(), [...account.held.keys()].toSorted());
  assert.equal(account.held.size, 2 * 200 + 2);
  await caughtUp(hosts, 'default:big');
  // All are free again for anybody, on the host that did not have them, too.
  await Promise.all([...account.held.keys()].map((address) => account.give(address)));
  await caughtUp(hosts, 'default:big');
  assert.equal(await hosts[1]!.request(pools[1]!.web), '10.1.0.11/22');
});

test('50 at once on each of two hosts, of a network that one of them has never heard of', async () => {
  const hosts = [await host('C'), await host('D')];
  await makeNetwork(registry, 'default:new', '10.2.0.0/24');
  const pool = await hosts[0]!.pool({ network: 'new' });
  const account = new Account();
  await Promise.all(hosts.flatMap((one) => Array.from({ length: 50 }, () => account.take(one, pool))));
  const last = [...account.held.keys()].map((address) => Number(address.split('.')[3])).toSorted((a, b) => a - b);
  assert.deepEqual(
    last,
    Array.from({ length: 100 }, (_, index) => index + 1),
  );
});

test('two who name the same address: one has it, the other is told who', async () => {
  const hosts = [await host('E'), await host('F')];
  await makeNetwork(registry, 'default:named', '10.3.0.0/24');
  const pool = await hosts[0]!.pool({ network: 'named' });
  for (let round = 0; round < 20; round++) {
    const asked = await Promise.allSettled(hosts.map((one) => one.request(pool, '10.3.0.7')));
    const winner = asked.findIndex(({ status }) => status === 'fulfilled');
    const refused = asked.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
    assert.equal(refused.length, 1);
    assert.ok(refused[0] instanceof BerthError && refused[0].code === 'ADDRESS_TAKEN', String(refused[0]));
    assert.match(refused[0].message, new RegExp(`host ${'EF'[winner]}`));
    await hosts[winner]!.release(pool, '10.3.0.7');
    await caughtUp(hosts, 'default:named');
  }
});

test('a network that is deleted while hosts lease from it: refused as long as anybody has an address, and nothing is left', async () => {
  const hosts = [await host('G'), await host('H')];
  await makeNetwork(registry, 'default:gone', '10.4.0.0/24', { ipv6Subnet: 'fd00:4::/64' });
  const pools = await Promise.all([
    hosts[0]!.pool({ network: 'gone' }),
    hosts[0]!.pool({ network: 'gone' }, undefined, 6),
  ]);
  const account = new Account();
  let deleted = false;
  let refusals = 0;
  const work = async (one: TestHost, pool: PoolId): Promise<void> => {
    for (;;) {
      try {
        const begun = deleted;
        const address = await account.take(one, pool);
        assert.ok(!begun, `${address} was leased after the network was deleted`);
        await account.give(address);
        await pause(5);
      } catch (error) {
        if (!(error instanceof BerthError) || error.code !== 'NETWORK_UNKNOWN') throw error;
        return;
      }
    }
  };
  const workers = hosts.flatMap((one) => pools.map((pool) => work(one, pool)));
  while (!deleted) {
    const busy = await account.take(hosts[0]!, pools[0]).catch(() => undefined);
    if (busy !== undefined && refusals === 0) {
      await assert.rejects(registry.delete(kindOf('network'), 'default:gone'), { code: 'OBJECT_IN_USE' });
      refusals++;
    }
    if (busy !== undefined) await account.give(busy);
    try {
      await registry.delete(kindOf('network'), 'default:gone');
      deleted = true;
    } catch (error) {
      if (!(error instanceof BerthError) || error.code !== 'OBJECT_IN_USE') throw error;
    }
  }
  await Promise.all(workers);
  assert.equal(refusals, 1);
  assert.deepEqual((await store.list('berth/lease/default:gone/')).entries, []);
  assert.deepEqual((await store.list('berth/pool/default:gone/')).entries, []);
  assert.deepEqual((await store.list('berth/gate/')).entries, []);
  // And begins anew.
  await makeNetwork(registry, 'default:gone', '10.4.0.0/24');
  assert.equal(await hosts[1]!.request(pools[0]), '10.4.0.1/24');
});

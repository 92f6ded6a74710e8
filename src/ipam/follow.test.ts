/** Two hosts on one store. */

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { createMemoryStore } from '../store/memory.ts';
import type { Store } from '../store/store.ts';
import { type Ipam, openIpam } from './ipam.ts';
import { address, leaseAddress, openPool } from './testing/requests.ts';

const SUBNET = '10.1.0.0/28';

let store: Store;
let ending: AbortController;
let follows: Promise<void>[];

beforeEach(() => {
  store = createMemoryStore();
  ending = new AbortController();
  follows = [];
});

afterEach(async () => {
  ending.abort();
  await Promise.all(follows);
});

async function host(on: Store = store): Promise<Ipam> {
  const ipam = await openIpam(on, { seed: 'test' });
  follows.push(ipam.follow(ending.signal));
  return ipam;
}

const shown = (ipam: Ipam) => JSON.stringify([ipam.pools(), ipam.leases()], (_, value) => value?.toString?.() ?? value);

/** Until a host's memory is what the store says. */
async function caughtUp(...hosts: readonly Ipam[]): Promise<void> {
  const truth = shown(await openIpam(store, { seed: 'test' }));
  for (let turn = 0; turn < 1000; turn++) {
    if (hosts.every((ipam) => shown(ipam) === truth)) return;
    await setImmediate();
  }
  for (const ipam of hosts) assert.equal(shown(ipam), truth);
}

/** A store whose watches tell only when they are let, and then one thing after the other. */
function withHeldWatch(inner: Store): { readonly store: Store; release(): void } {
  const { promise: open, resolve: release } = Promise.withResolvers<void>();
  const held: Store = {
    ...inner,
    async *watch(prefix, from, signal) {
      await open;
      for await (const message of inner.watch(prefix, from, signal)) {
        await setImmediate();
        yield message;
      }
    },
  };
  return { store: held, release };
}

test('what one host leases and frees, the other knows', async () => {
  const [first, second] = [await host(), await host()];
  const pool = await openPool(first, SUBNET);
  await caughtUp(second);
  assert.equal(await leaseAddress(first, pool.id), '10.1.0.1');
  await caughtUp(second);
  assert.equal(await leaseAddress(second, pool.id), '10.1.0.2');
  await first.release(pool.id, address('10.1.0.1'));
  await caughtUp(second);
  assert.equal(await leaseAddress(second, pool.id), '10.1.0.1');
});

test('old news of an address that was leased and freed here is not believed', async () => {
  const { store: held, release } = withHeldWatch(store);
  const ipam = await host(held);
  const pool = await openPool(ipam, SUBNET);
  for (let round = 0; round < 5; round++) {
    assert.equal(await leaseAddress(ipam, pool.id, '10.1.0.5'), '10.1.0.5');
    await ipam.release(pool.id, address('10.1.0.5'));
  }
  release();
  for (let turn = 0; turn < 50; turn++) {
    assert.equal(ipam.leases().length, 0);
    await setImmediate();
  }
});

/** A store whose answers to transactions come when all that its watches had to tell has been told. */
function withSlowAnswers(inner: Store, meanwhile: () => Promise<void>): Store {
  return {
    ...inner,
    async transact(transaction) {
      const result = await inner.transact(transaction);
      await meanwhile();
      for (let turn = 0; turn < 20; turn++) await setImmediate();
      return result;
    },
  };
}

test('an answer that comes later than the news of what happened since is not believed', async () => {
  const first = await host();
  const pool = await openPool(first, SUBNET);
  const { store: held, release } = withHeldWatch(store);
  let meanwhile = () => Promise.resolve();
  const slow = await host(withSlowAnswers(held, () => meanwhile()));
  await leaseAddress(first, pool.id, '10.1.0.6');
  meanwhile = () => {
    meanwhile = () => Promise.resolve();
    release();
    return first.release(pool.id, address('10.1.0.6'));
  };
  // Refused at first, for a lease that is gone by the time of the answer.
  assert.equal(await leaseAddress(slow, pool.id, '10.1.0.6'), '10.1.0.6');
  // Done, and undone by another before the answer.
  meanwhile = async () => {
    meanwhile = () => Promise.resolve();
    await caughtUp(first);
    await first.release(pool.id, address('10.1.0.7'));
  };
  await leaseAddress(slow, pool.id, '10.1.0.7');
  await caughtUp(first, slow);
  assert.equal(slow.find(pool.id, address('10.1.0.7')), undefined);
});

test('a pool of which nothing was told yet can be read, with its leases', async () => {
  const { store: held, release } = withHeldWatch(store);
  const [first, second] = [await host(), await host(held)];
  const pool = await openPool(first, SUBNET);
  await leaseAddress(first, pool.id);
  assert.equal(second.pool(pool.id), undefined);
  assert.equal((await second.refreshPool(pool.id))?.id, pool.id);
  assert.equal(second.leasesOf(pool.id).length, 1);
  await first.release(pool.id, address('10.1.0.1'));
  await second.refreshPool(pool.id);
  assert.equal(second.leasesOf(pool.id).length, 0);
  await first.removePool(pool.id);
  assert.equal(await second.refreshPool(pool.id), undefined);
  assert.equal(second.pool(pool.id), undefined);
  release();
  await caughtUp(first, second);
});

test('what one host keeps for somebody, the other keeps too', async () => {
  const [first, second] = [await host(), await host()];
  const pool = await openPool(first, SUBNET);
  const reservation = { subnet: pool.subnet, address: address('10.1.0.1'), name: 'web', createdAt: 0 };
  await first.reservations.add(reservation);
  await caughtUp(second);
  for (let turn = 0; turn < 20; turn++) await setImmediate();
  assert.equal(await leaseAddress(second, pool.id), '10.1.0.2');
  await first.reservations.remove(reservation);
  for (let turn = 0; turn < 20; turn++) await setImmediate();
  assert.equal(await leaseAddress(second, pool.id), '10.1.0.1');
});

test('what was missed, when history is gone, is made up for', async () => {
  const { store: held, release } = withHeldWatch(store);
  const [first, second] = [await host(), await host(held)];
  const pool = await openPool(first, SUBNET);
  await leaseAddress(first, pool.id, '10.1.0.3');
  await leaseAddress(first, pool.id, '10.1.0.4');
  await first.release(pool.id, address('10.1.0.3'));
  await store.compact((await store.list('')).revision);
  release();
  await caughtUp(first, second);
});

test('whatever two hosts do at once, no address is given twice, and both know in the end', async () => {
  const step = fc.record({ who: fc.nat(1), what: fc.constantFrom('lease', 'lease', 'release'), nth: fc.nat(20) });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(step, { maxLength: 6 }), { maxLength: 8 }), async (rounds) => {
      store = createMemoryStore();
      const hosts = [await host(), await host()] as const;
      const pool = await openPool(hosts[0], SUBNET);
      await caughtUp(...hosts);
      const mine: string[][] = [[], []];
      for (const round of rounds) {
        await Promise.all(
          round.map(async ({ who, what, nth }) => {
            const ipam = hosts[who]!;
            if (what === 'lease') {
              const given = await leaseAddress(ipam, pool.id, undefined, { engine: `${who}` }).catch((error) => {
                assert.equal(error.code, 'POOL_EXHAUSTED');
              });
              if (given === undefined) return;
              assert.ok(!mine.flat().includes(given), `${given} was given twice`);
              mine[who]!.push(given);
            } else {
              const [held] = mine[who]!.splice(nth % Math.max(1, mine[who]!.length), 1);
              if (held !== undefined) await ipam.release(pool.id, address(held));
            }
          }),
        );
      }
      await caughtUp(...hosts);
      assert.equal(hosts[0].leases().length, mine.flat().length);
    }),
    { numRuns: 60 },
  );
});

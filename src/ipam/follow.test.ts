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

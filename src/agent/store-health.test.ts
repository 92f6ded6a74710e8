import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { BerthError, type ErrorCode } from '../model/errors.ts';
import { createMemoryStore } from '../store/memory.ts';
import type { Store } from '../store/store.ts';
import type { EventView } from './api.ts';
import { openEvents } from './events.ts';
import { watchStore } from './store-health.ts';

/** A store that can be made to refuse to write. */
function fragileStore() {
  const store = createMemoryStore();
  const fragile = { store, refusal: undefined as ErrorCode | undefined };
  const transact: Store['transact'] = (transaction) =>
    fragile.refusal === undefined
      ? store.transact(transaction)
      : Promise.reject(new BerthError(fragile.refusal, 'no room'));
  fragile.store = Object.create(store, { transact: { value: transact } }) as Store;
  return fragile;
}

function watched() {
  const fragile = fragileStore();
  const events = openEvents(pino({ level: 'silent' }));
  const seen: EventView[] = [];
  events.follow((event) => seen.push(event));
  return { fragile, seen, health: watchStore(fragile.store, 'h', events) };
}

const put = (key: string) => ({ then: [{ do: 'put', key, value: '1' } as const] });

test('a store that refuses is a problem, told once, until it takes something again', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const { fragile, seen, health } = watched();
  const { store } = health;
  await store.transact(put('a'));
  assert.deepEqual([health.problem(), health.revision()], [undefined, 1]);
  fragile.refusal = 'STORE_FULL';
  for (const key of ['b', 'c']) await assert.rejects(store.transact(put(key)), { code: 'STORE_FULL' });
  assert.equal(health.problem(), 'no room');
  // Neither reading nor a deletion of nothing shows that there is room.
  await store.list('');
  fragile.refusal = undefined;
  await store.transact({ then: [{ do: 'delete', key: 'never' }] });
  assert.equal(health.problem(), 'no room');
  await store.transact(put('d'));
  assert.equal(health.problem(), undefined);
  assert.deepEqual(
    seen.map(({ event }) => event),
    ['store.failed', 'store.recovered'],
  );
  health.close();
});

test('nobody has to write for the recovery to be seen, and nothing is left of the attempts', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const { fragile, health } = watched();
  fragile.refusal = 'STORE_UNAVAILABLE';
  await assert.rejects(health.store.transact(put('a')));
  t.mock.timers.tick(1000);
  await new Promise(setImmediate);
  assert.equal(health.problem(), 'no room');
  fragile.refusal = undefined;
  t.mock.timers.tick(1000);
  await new Promise(setImmediate);
  assert.equal(health.problem(), undefined);
  assert.deepEqual((await health.store.list('')).entries, []);
  const { revision } = await health.store.list('');
  t.mock.timers.tick(10_000);
  await new Promise(setImmediate);
  assert.equal((await health.store.list('')).revision, revision, 'no more attempts');
  health.close();
});

test('what is not the fault of the store is no problem of it', async () => {
  const { fragile, health } = watched();
  fragile.refusal = 'NOT_FOUND';
  await assert.rejects(health.store.transact(put('a')));
  assert.equal(health.problem(), undefined);
});

test('an attempt that was told to have failed, and was done all the same, leaves nothing either', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const store = createMemoryStore();
  let late = true;
  const silent = Object.create(store, {
    transact: {
      async value(...given: Parameters<Store['transact']>) {
        const result = await store.transact(...given);
        if (late) throw new BerthError('STORE_UNAVAILABLE', 'no answer');
        return result;
      },
    },
  }) as Store;
  const health = watchStore(silent, 'h', openEvents(pino({ level: 'silent' })));
  await assert.rejects(health.store.transact(put('a')));
  t.mock.timers.tick(1000);
  await new Promise(setImmediate);
  assert.deepEqual((await store.list('berth/probe/')).entries.length, 1);
  late = false;
  // Somebody else writes, so that no other attempt comes.
  await health.store.transact(put('b'));
  await new Promise(setImmediate);
  assert.deepEqual((await store.list('berth/probe/')).entries, []);
  health.close();
});

test('an attempt that is done only after the store has recovered leaves nothing', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const store = createMemoryStore();
  let kept: (() => Promise<unknown>) | undefined;
  const frozen = Object.create(store, {
    transact: {
      value(...given: Parameters<Store['transact']>) {
        if (given[0].then.every(({ key }) => key === 'b')) return store.transact(...given);
        kept = () => store.transact(...given);
        return Promise.reject(new BerthError('STORE_UNAVAILABLE', 'no answer'));
      },
    },
  }) as Store;
  const health = watchStore(frozen, 'h', openEvents(pino({ level: 'silent' })));
  await assert.rejects(health.store.transact(put('a')));
  kept = undefined;
  t.mock.timers.tick(1000);
  await new Promise(setImmediate);
  await health.store.transact(put('b'));
  await new Promise(setImmediate);
  await assert.rejects(kept!(), { code: 'NOT_FOUND' });
  assert.deepEqual((await store.list('berth/probe/')).entries, []);
  health.close();
});

/** Leases, and the end. */

import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { changesOf, committed, keyOf, keysOf, put, type Scenario, take, write } from './scenario.ts';

export const leases: Record<string, Scenario> = {
  'ends a lease with its keys, and a watch sees it': async (store) => {
    const lease = await store.grantLease(0.3);
    const first = await committed(store, put('l/a', '1', lease), put('l/b', '1', lease), put('l/c', '1'));
    assert.equal((await store.get('l/a'))?.lease, lease);
    const messages = await take(store, 'l/', first, 2);
    assert.deepEqual(changesOf(messages[1]).map(keyOf).toSorted(), ['l/a', 'l/b']);
    assert.deepEqual(keysOf(await store.list('l/')), ['l/c']);
    assert.equal(await store.keepAlive(lease), false);
    await assert.rejects(write(store, put('l/a', '2', lease)), { code: 'NOT_FOUND' });
  },

  'keeps a lease alive as long as it is renewed': async (store) => {
    const lease = await store.grantLease(0.4);
    await committed(store, put('a', '1', lease));
    for (let n = 0; n < 8; n++) {
      await delay(100);
      assert.equal(await store.keepAlive(lease), true);
    }
    assert.equal((await store.get('a'))?.value, '1');
  },

  'revokes a lease with its keys at once': async (store) => {
    const lease = await store.grantLease(1000);
    const other = await store.grantLease(1000);
    await committed(store, put('a', '1', lease), put('b', '1', other), put('c', '1', lease));
    await committed(store, put('c', '2'));
    await store.revokeLease(lease);
    assert.deepEqual(keysOf(await store.list('')), ['b', 'c']);
    assert.equal(await store.keepAlive(lease), false);
    assert.equal(await store.keepAlive(other), true);
    await store.revokeLease(lease);
    await store.revokeLease('never granted');
    assert.equal(await store.keepAlive('never granted'), false);
  },

  'moves a key from one lease to another': async (store) => {
    const first = await store.grantLease(1000);
    const second = await store.grantLease(1000);
    await committed(store, put('a', '1', first));
    await committed(store, put('a', '2', second));
    await store.revokeLease(first);
    assert.equal((await store.get('a'))?.lease, second);
    await store.revokeLease(second);
    assert.equal(await store.get('a'), undefined);
  },

  'refuses a lease without time': async (store) => {
    for (const ttl of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      await assert.rejects(store.grantLease(ttl), RangeError);
    }
  },

  'keeps leases when it is opened again, and ends them later': async (store, reopen) => {
    if (reopen === undefined) return;
    const short = await store.grantLease(0.5);
    const long = await store.grantLease(1000);
    const revision = await committed(store, put('a', '1', short), put('b', '1', long));
    const again = await reopen();
    assert.equal(await again.keepAlive(long), true);
    assert.deepEqual(keysOf(await again.list('')), ['a', 'b']);
    const messages = await take(again, '', revision, 2);
    assert.deepEqual(changesOf(messages[1]).map(keyOf), ['a']);
  },

  'a step of the system clock ends no lease': async (store) => {
    const lease = await store.grantLease(60);
    await committed(store, put('a', '1', lease));
    const now = Date.now;
    try {
      Date.now = () => now() + 10 * 365 * 86_400_000;
      await delay(30);
      assert.equal(await store.keepAlive(lease), true);
      Date.now = () => 0;
      await delay(30);
      assert.equal((await store.get('a'))?.value, '1');
    } finally {
      Date.now = now;
    }
  },

  'refuses every call once it is closed': async (store) => {
    await committed(store, put('a', '1'));
    const watching = assert.rejects(
      async () => {
        for await (const _ of store.watch('nothing/', 1, AbortSignal.timeout(5000)));
      },
      { code: 'STORE_UNAVAILABLE' },
    );
    await delay(10);
    await store.close();
    await store.close();
    await watching;
    const closed = { code: 'STORE_UNAVAILABLE' };
    await assert.rejects(store.get('a'), closed);
    await assert.rejects(store.list(''), closed);
    await assert.rejects(write(store, put('a', '2')), closed);
    await assert.rejects(store.grantLease(1), closed);
  },
};

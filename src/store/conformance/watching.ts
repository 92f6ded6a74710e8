/** Watches, history and compaction. */

import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { Store } from '../store.ts';
import { changesOf, committed, del, keyOf, keysOf, put, type Scenario, take, write } from './scenario.ts';

export const watching: Record<string, Scenario> = {
  'shows the past and then the present to a watch': async (store) => {
    const first = await committed(store, put('w/a', '1'));
    await committed(store, put('other', '1'));
    const second = await committed(store, put('w/a', '2'), put('w/b', '1'), put('x', ''));
    let began = () => {};
    const begin = new Promise<void>((resolve) => {
      began = resolve;
    });
    const watched = take(store, 'w/', first, 4, () => began());
    await begin;
    const third = await committed(store, del('w/a'), del('w/none'));
    const fourth = await committed(store, put('w/c', '1'));
    const messages = await watched;
    assert.deepEqual(
      messages.map(({ revision }) => revision),
      [first, second, third, fourth],
    );
    assert.deepEqual(changesOf(messages[0]), [
      { type: 'put', entry: { key: 'w/a', value: '1', createRevision: first, modRevision: first } },
    ]);
    assert.deepEqual(changesOf(messages[1]), [
      { type: 'put', entry: { key: 'w/a', value: '2', createRevision: first, modRevision: second } },
      { type: 'put', entry: { key: 'w/b', value: '1', createRevision: second, modRevision: second } },
    ]);
    assert.deepEqual(changesOf(messages[2]), [{ type: 'delete', key: 'w/a', modRevision: third }]);
  },

  'a watch from after a listing misses nothing and repeats nothing': async (store) => {
    const writer = (async () => {
      for (let n = 0; n < 60; n++) await committed(store, put(`k/${n}`, ''));
    })();
    await delay(2);
    const listing = await store.list('k/');
    const rest = 60 - listing.entries.length;
    const messages = rest === 0 ? [] : await take(store, 'k/', listing.revision + 1, rest);
    await writer;
    const seen = [...keysOf(listing), ...messages.flatMap((message) => changesOf(message).map(keyOf))];
    assert.equal(new Set(seen).size, 60);
    assert.equal(seen.length, 60);
  },

  'a watch of long history comes whole and in order': async (store) => {
    const from = (await store.list('')).revision + 1;
    const count = 1500;
    await Promise.all(Array.from({ length: count }, (_, n) => write(store, put(`h/${n}`, ''))));
    const messages = await take(store, 'h/', from, count);
    assert.deepEqual(
      messages.map(({ revision }) => revision),
      Array.from({ length: count }, (_, n) => from + n),
    );
    assert.equal(new Set(messages.flatMap((message) => changesOf(message).map(keyOf))).size, count);
  },

  'a watch ends when its signal aborts': async (store) => {
    const controller = new AbortController();
    const ended = (async () => {
      for await (const _ of store.watch('', 1, controller.signal)) return false;
      return true;
    })();
    await delay(10);
    controller.abort();
    assert.equal(await ended, true);
    for await (const _ of store.watch('', 1, controller.signal)) assert.fail('an aborted watch shows nothing');
  },

  'a slow watch loses nothing': async (store) => {
    const from = (await store.list('')).revision + 1;
    await committed(store, put('s/0', ''));
    const seen: string[] = [];
    for await (const message of store.watch('s/', from, AbortSignal.timeout(5000))) {
      seen.push(...changesOf(message).map(keyOf));
      if (seen.length < 10) await committed(store, put(`s/${seen.length}`, ''));
      if (seen.length === 10) break;
      await delay(3);
    }
    assert.deepEqual(
      seen,
      Array.from({ length: 10 }, (_, n) => `s/${n}`),
    );
  },

  'a watch goes on from a revision after the store was opened again': async (store, reopen) => {
    if (reopen === undefined) return;
    const first = await committed(store, put('a', '1'));
    const second = await committed(store, put('a', '2'));
    const again = await reopen();
    const third = await committed(again, del('a'));
    const messages = await take(again, 'a', first, 3);
    assert.deepEqual(
      messages.map(({ revision }) => revision),
      [first, second, third],
    );
  },

  'tells a watch from before a compaction to list again': async (store, reopen) => {
    const first = await committed(store, put('a', '1'));
    const second = await committed(store, put('a', '2'));
    const third = await committed(store, put('a', '3'));
    await store.compact(second);
    const check = async (subject: Store) => {
      const [message] = await take(subject, 'a', first, 1);
      assert.deepEqual(message, { type: 'compacted', revision: second });
      let count = 0;
      for await (const _ of subject.watch('a', first, AbortSignal.timeout(5000))) count++;
      assert.equal(count, 1, 'the watch ends by itself');
      const messages = await take(subject, 'a', second, 2);
      assert.deepEqual(
        messages.map(({ revision }) => revision),
        [second, third],
      );
      assert.equal((await subject.get('a'))?.value, '3');
    };
    await check(store);
    await store.compact(first);
    await check(store);
    if (reopen !== undefined) await check(await reopen());
  },

  'a compaction into the future keeps the present': async (store) => {
    const revision = await committed(store, put('a', '1'));
    await store.compact(revision + 1000);
    const next = await committed(store, put('a', '2'));
    assert.equal(next, revision + 1);
    const [message] = await take(store, 'a', next, 1);
    assert.equal(message?.revision, next);
  },
};

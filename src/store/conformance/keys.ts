/** Keys, transactions and listings. */

import assert from 'node:assert/strict';
import { compareKeys } from '../check.ts';
import type { Condition, TransactionResult } from '../store.ts';
import { absent, committed, del, keysOf, put, type Scenario, weirdKeys, write } from './scenario.ts';

export const keys: Record<string, Scenario> = {
  'has nothing at first': async (store) => {
    assert.equal(await store.get('a'), undefined);
    const listing = await store.list('');
    assert.deepEqual([listing.entries, listing.more], [[], false]);
  },

  'gives a written key back with its revisions': async (store) => {
    const first = await committed(store, put('a', '1'));
    assert.deepEqual(await store.get('a'), { key: 'a', value: '1', createRevision: first, modRevision: first });
    const second = await committed(store, put('a', '2'));
    assert.ok(second > first);
    assert.deepEqual(await store.get('a'), { key: 'a', value: '2', createRevision: first, modRevision: second });
    await committed(store, del('a'));
    assert.equal(await store.get('a'), undefined);
    const third = await committed(store, put('a', '3'));
    assert.equal((await store.get('a'))?.createRevision, third);
  },

  'makes no revision of what changes nothing': async (store) => {
    const revision = await committed(store, put('a', '1'));
    assert.equal(await committed(store), revision);
    assert.equal(await committed(store, del('b')), revision);
    assert.equal((await store.list('')).revision, revision);
    assert.equal(await committed(store, put('a', '1')), revision + 1);
  },

  'keeps the conditions absent, present and at': async (store) => {
    const revision = await committed(store, put('here', '1'));
    const cases: [Condition, boolean][] = [
      [{ key: 'here', is: 'absent' }, false],
      [{ key: 'gone', is: 'absent' }, true],
      [{ key: 'here', is: 'present' }, true],
      [{ key: 'gone', is: 'present' }, false],
      [{ key: 'here', is: 'at', revision }, true],
      [{ key: 'here', is: 'at', revision: revision + 1 }, false],
      [{ key: 'gone', is: 'at', revision }, false],
    ];
    for (const [condition, expected] of cases) {
      const result = await store.transact({ if: [condition], then: [] });
      assert.equal(result.committed, expected, JSON.stringify(condition));
    }
  },

  'says which condition failed first and what stands there': async (store) => {
    await committed(store, put('a', '1'));
    const failed: Condition = { key: 'a', is: 'absent' };
    const result = await store.transact({
      if: [absent('z'), failed, { key: 'z', is: 'present' }],
      then: [put('z', '1')],
    });
    assert.ok(!result.committed);
    assert.deepEqual(result.failed, failed);
    assert.deepEqual(result.found, await store.get('a'));
    const missing = await store.transact({ if: [{ key: 'z', is: 'present' }], then: [] });
    assert.ok(!missing.committed);
    assert.equal(missing.found, undefined);
  },

  'does all operations of a transaction or none, at one revision': async (store) => {
    await committed(store, put('old', '1'));
    const refused = await store.transact({ if: [absent('old')], then: [put('a', '1'), del('old'), put('b', '1')] });
    assert.ok(!refused.committed);
    assert.deepEqual(keysOf(await store.list('')), ['old']);
    const revision = await committed(store, put('b', '1'), del('old'), put('a', '1'));
    const { entries } = await store.list('');
    assert.deepEqual(entries, [
      { key: 'a', value: '1', createRevision: revision, modRevision: revision },
      { key: 'b', value: '1', createRevision: revision, modRevision: revision },
    ]);
  },

  'refuses a transaction that makes no sense': async (store) => {
    for (const then of [[put('a', '1'), del('a')], [put('', '1')], [put('\ud800', '1')], [put('a', '\udc00')]]) {
      await assert.rejects(store.transact({ then }), RangeError);
    }
    assert.deepEqual((await store.list('')).entries, []);
  },

  'lists a prefix in byte order': async (store) => {
    for (const key of weirdKeys) await committed(store, put(key, key));
    const sorted = weirdKeys.toSorted(compareKeys);
    assert.deepEqual(keysOf(await store.list('')), sorted);
    for (const prefix of weirdKeys) {
      const expected = sorted.filter((key) => key.startsWith(prefix));
      assert.deepEqual(keysOf(await store.list(prefix)), expected, JSON.stringify(prefix));
    }
  },

  'lists in pages': async (store) => {
    for (const key of weirdKeys) await committed(store, put(`p/${key}`, key));
    await committed(store, put('o', ''), put('p', ''), put('q', ''), put('p0', ''));
    const all = keysOf(await store.list('p/'));
    assert.equal(all.length, weirdKeys.length);
    for (const limit of [1, 2, 7, all.length - 1, all.length, all.length + 1]) {
      const seen: string[] = [];
      let page = await store.list('p/', { limit });
      seen.push(...keysOf(page));
      while (page.more) {
        assert.equal(page.entries.length, limit);
        page = await store.list('p/', { limit, after: seen.at(-1)! });
        seen.push(...keysOf(page));
      }
      assert.deepEqual(seen, all, `in pages of ${limit}`);
    }
    assert.deepEqual(keysOf(await store.list('p/', { after: 'a' })), all);
    assert.deepEqual(keysOf(await store.list('p/', { after: 'q' })), []);
  },

  'keeps any text under any key': async (store, reopen) => {
    for (const key of weirdKeys) await committed(store, put(key, `<${key}>`));
    const opened = reopen === undefined ? store : await reopen();
    for (const key of weirdKeys) assert.equal((await opened.get(key))?.value, `<${key}>`, JSON.stringify(key));
    await committed(opened, ...weirdKeys.map(del));
    assert.deepEqual((await opened.list('')).entries, []);
  },

  'keeps a value of a mebibyte': async (store, reopen) => {
    const value = 'é\0"'.repeat(262_144);
    await committed(store, put('big', value));
    assert.equal((await store.get('big'))?.value, value);
    if (reopen !== undefined) assert.equal((await (await reopen()).get('big'))?.value, value);
  },

  'keeps keys and revisions when it is opened again': async (store, reopen) => {
    if (reopen === undefined) return;
    await committed(store, put('a', '1'));
    const revision = await committed(store, put('b', '2'));
    const before = await store.list('');
    const again = await reopen();
    assert.deepEqual(await again.list(''), before);
    assert.equal(await committed(again, put('c', '3')), revision + 1);
  },

  'lets exactly one of many create a key': async (store) => {
    const attempts = Array.from({ length: 40 }, (_, n) =>
      store.transact({ if: [absent('a')], then: [put('a', `${n}`), put(`won/${n}`, '')] }),
    );
    const results = await Promise.all(attempts);
    const winner = results.findIndex((result) => result.committed);
    assert.equal(results.filter((result) => result.committed).length, 1);
    assert.equal((await store.get('a'))?.value, `${winner}`);
    assert.deepEqual(keysOf(await store.list('won/')), [`won/${winner}`]);
  },

  'loses no update of many at once': async (store) => {
    await committed(store, put('counter', '0'));
    const increment = async () => {
      for (;;) {
        const entry = (await store.get('counter'))!;
        const result = await store.transact({
          if: [{ key: 'counter', is: 'at', revision: entry.modRevision }],
          then: [put('counter', `${Number(entry.value) + 1}`)],
        });
        if (result.committed) return result.revision;
      }
    };
    const revisions = await Promise.all(Array.from({ length: 25 }, increment));
    assert.equal((await store.get('counter'))?.value, '25');
    assert.equal(new Set(revisions).size, 25);
  },

  'gives each of many transactions its own revision': async (store) => {
    const before = await committed(store, put('first', ''));
    const work = Array.from({ length: 30 }, (_, n) => write(store, put(`a/${n}`, ''), put(`b/${n}`, '')));
    const revisions = (await Promise.all(work)).map((result: TransactionResult) => result.revision);
    assert.deepEqual(
      revisions.toSorted((a, b) => a - b),
      Array.from({ length: 30 }, (_, n) => before + 1 + n),
    );
    for (const [n, revision] of revisions.entries()) {
      assert.equal((await store.get(`a/${n}`))?.modRevision, revision);
      assert.equal((await store.get(`b/${n}`))?.modRevision, revision);
    }
  },

  'a failing transaction does not disturb those beside it': async (store) => {
    await committed(store, put('taken', ''));
    const results = await Promise.allSettled([
      write(store, put('a', '1')),
      store.transact({ if: [absent('taken')], then: [put('b', '1')] }),
      write(store, put('c', '1', 'no such lease')),
      write(store, put('d', '1')),
    ]);
    assert.deepEqual(
      results.map((result) => (result.status === 'fulfilled' ? result.value.committed : 'rejected')),
      [true, false, 'rejected', true],
    );
    assert.deepEqual(keysOf(await store.list('')), ['a', 'd', 'taken']);
  },
};

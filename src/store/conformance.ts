/**
 * What every store must do, as tests: the executable form of `store.ts`. An implementation calls `describeStore` from its own
 * test file; the layers above rely on nothing that is not checked here.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { compareKeys } from './check.ts';
import type { Change, Condition, Listing, Operation, Store, TransactionResult, WatchMessage } from './store.ts';

export interface StoreUnderTest {
  readonly store: Store;
  /** Closes the store and opens the same data again; absent when nothing outlives a close. */
  readonly reopen?: () => Promise<Store>;
  /** Closes it, if it is still open, and removes its data. */
  readonly close: () => Promise<void>;
}

type Scenario = (store: Store, reopen: (() => Promise<Store>) | undefined) => Promise<void>;

const put = (key: string, value: string, lease?: string): Operation => ({
  do: 'put',
  key,
  value,
  ...(lease === undefined ? {} : { lease }),
});
const del = (key: string): Operation => ({ do: 'delete', key });
const absent = (key: string): Condition => ({ key, is: 'absent' });
const write = (store: Store, ...then: readonly Operation[]) => store.transact({ then });
const keysOf = (listing: Listing) => listing.entries.map(({ key }) => key);

async function committed(store: Store, ...then: readonly Operation[]): Promise<number> {
  const result = await write(store, ...then);
  assert.ok(result.committed);
  return result.revision;
}

/** The first `count` messages of a watch. Fails when they do not come within 5 s. */
async function take(
  store: Store,
  prefix: string,
  from: number,
  count: number,
  started: () => void = () => {},
): Promise<WatchMessage[]> {
  const messages: WatchMessage[] = [];
  const signal = AbortSignal.timeout(5000);
  const watch = store.watch(prefix, from, signal);
  started();
  for await (const message of watch) {
    messages.push(message);
    if (messages.length === count) return messages;
  }
  return assert.fail(`${messages.length} of ${count} messages came: ${JSON.stringify(messages)}`);
}

function changesOf(message: WatchMessage | undefined): readonly Change[] {
  assert.equal(message?.type, 'changes');
  return message.changes;
}

const keyOf = (change: Change) => (change.type === 'put' ? change.entry.key : change.key);

/** Names that trip whoever forgets to quote, to count bytes, or to compare them. */
const weirdKeys = [
  "it's",
  '"',
  '%',
  '_',
  '\\',
  'a\0b',
  'a',
  'a/',
  'a/b',
  'a0',
  'A',
  ' ',
  '\n',
  'é',
  'e\u0301',
  '\u00ff',
  '\ud7ff',
  '\ue000',
  '\uffff',
  '\u{10000}',
  '\u{10ffff}',
  '\u{10ffff}x',
  'x'.repeat(2000),
  '__proto__',
  'constructor',
];

const scenarios: Record<string, Scenario> = {
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

/** Runs the suite on an implementation; `open` gives a new, empty store for each test. */
export function describeStore(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`the store ${name}`, () => {
    for (const [title, scenario] of Object.entries(scenarios)) {
      it(title, { timeout: 30_000 }, async () => {
        const under = await open();
        try {
          await scenario(under.store, under.reopen);
        } finally {
          await under.close();
        }
      });
    }
  });
}

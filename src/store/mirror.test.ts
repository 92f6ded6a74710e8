import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BerthError } from '../model/errors.ts';
import { createMemoryStore } from './memory.ts';
import { mirror } from './mirror.ts';
import type { Store } from './store.ts';

/** A mirror of `a/`, and a way to wait until it looks as it should. */
function stage(store: Store) {
  const seen = new Map<string, string>();
  const stop = new AbortController();
  let changes = 0;
  let wake = () => {};
  const failures: string[] = [];
  const running = mirror(
    {
      store,
      prefix: 'a/',
      absorb: (key, entry) => void (entry === undefined ? seen.delete(key) : seen.set(key, entry.value)),
      changed() {
        changes += 1;
        wake();
      },
      failed: (sentence) => failures.push(sentence),
    },
    stop.signal,
  );
  const until = async (wanted: Record<string, string>) => {
    while (JSON.stringify(Object.fromEntries(seen)) !== JSON.stringify(wanted) || changes === 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      await promise;
    }
  };
  return { seen, failures, until, running, stop, changes: () => changes };
}

test('what is there, what comes, what goes; nothing of other prefixes', async () => {
  const store = createMemoryStore();
  await store.transact({ then: [{ do: 'put', key: 'a/1', value: 'x' }] });
  const { until, stop, running, changes } = stage(store);
  await until({ 'a/1': 'x' });
  await store.transact({ then: [{ do: 'put', key: 'ab', value: 'other' }] });
  await store.transact({
    then: [
      { do: 'put', key: 'a/2', value: 'y' },
      { do: 'delete', key: 'a/1' },
    ],
  });
  await until({ 'a/2': 'y' });
  assert.equal(changes(), 2, 'one transaction is one change');
  stop.abort();
  await running;
});

test('what is there is told of in the order in which it was written', async () => {
  const store = createMemoryStore();
  for (const key of ['a/2', 'a/1', 'a/3', 'a/2']) {
    await store.transact({ then: [{ do: 'put', key, value: String(Math.random()) }] });
  }
  const { seen, stop, running, changes } = stage(store);
  while (changes() === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([...seen.keys()], ['a/1', 'a/3', 'a/2']);
  stop.abort();
  await running;
});

test('a prefix with nothing under it is told of, once', async () => {
  const { until, stop, running, changes } = stage(createMemoryStore());
  await until({});
  assert.equal(changes(), 1);
  stop.abort();
  await running;
});

test('a store that is away at first is tried again; after a compaction all is read anew, also what has gone', async () => {
  const store = createMemoryStore();
  await store.transact({
    then: [
      { do: 'put', key: 'a/1', value: 'x' },
      { do: 'put', key: 'a/2', value: 'x' },
    ],
  });
  let listings = 0;
  const gap = Promise.withResolvers<void>();
  const broken = Object.create(store, {
    list: {
      value(prefix: string) {
        listings += 1;
        if (listings === 1) return Promise.reject(new BerthError('STORE_UNAVAILABLE', 'gone'));
        return store.list(prefix);
      },
    },
    watch: {
      async *value(prefix: string, from: number, signal: AbortSignal) {
        if (listings === 2) {
          await gap.promise;
          yield { type: 'compacted', revision: from };
          return;
        }
        yield* store.watch(prefix, from, signal);
      },
    },
  }) as Store;
  const { until, stop, running, failures } = stage(broken);
  await until({ 'a/1': 'x', 'a/2': 'x' });
  assert.deepEqual(failures, ['gone']);
  await store.transact({ then: [{ do: 'delete', key: 'a/1' }] });
  gap.resolve();
  await until({ 'a/2': 'x' });
  stop.abort();
  await running;
});

test('what cannot be understood ends it with the error', async () => {
  const store = createMemoryStore();
  await store.transact({ then: [{ do: 'put', key: 'a/1', value: 'x' }] });
  const running = mirror(
    {
      store,
      prefix: 'a/',
      absorb() {
        throw new BerthError('STORE_CORRUPT', 'unreadable');
      },
      changed() {},
    },
    new AbortController().signal,
  );
  await assert.rejects(running, { code: 'STORE_CORRUPT' });
});

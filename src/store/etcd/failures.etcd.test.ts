/** What a store must survive that is made of several processes elsewhere. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { committed, put, take, write } from '../conformance.ts';
import type { Store, WatchMessage } from '../store.ts';
import { type EtcdOptions, openEtcdStore } from './store.ts';
import { type EtcdCluster, type EtcdSettings, serves, startEtcd } from './testing/etcd.ts';

const DEADLINE = 2000;
/** What a call may take beyond its deadline on a busy machine. */
const SLACK = 4000;

interface Bed extends AsyncDisposable {
  readonly etcd: EtcdCluster;
  readonly store: Store;
}

async function setUp(settings: EtcdSettings = {}, options: Partial<EtcdOptions> = {}): Promise<Bed> {
  const etcd = await startEtcd(settings);
  try {
    const store = await openEtcdStore({ endpoints: etcd.endpoints, prefix: '/t/', deadline: DEADLINE, ...options });
    return {
      etcd,
      store,
      async [Symbol.asyncDispose]() {
        await store.close();
        await etcd[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await etcd[Symbol.asyncDispose]();
    throw error;
  }
}

/** Collects what a watch tells, for as long as the test wants. */
function collect(store: Store, prefix: string, from: number) {
  const messages: WatchMessage[] = [];
  const stop = new AbortController();
  const ended = (async () => {
    for await (const message of store.watch(prefix, from, stop.signal)) messages.push(message);
  })();
  return {
    messages,
    async until(done: (messages: readonly WatchMessage[]) => boolean): Promise<void> {
      const end = performance.now() + 20_000;
      while (!done(messages)) {
        if (performance.now() > end) assert.fail(`only ${JSON.stringify(messages).slice(0, 2000)}`);
        await delay(20);
      }
    },
    async stop(): Promise<void> {
      stop.abort();
      await ended;
    },
  };
}

/** Repeats until it works, as callers do; the store itself never repeats a write. */
async function persist<T>(work: () => Promise<T>, patience = 20_000): Promise<T> {
  const end = performance.now() + patience;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (performance.now() > end || (error as { code?: string }).code !== 'STORE_UNAVAILABLE') throw error;
    }
    await delay(50);
  }
}

async function timed(work: Promise<unknown>): Promise<{ readonly error: unknown; readonly milliseconds: number }> {
  const started = performance.now();
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return { error, milliseconds: performance.now() - started };
}

const revisions = (messages: readonly WatchMessage[]) => messages.map(({ revision }) => revision);

describe('etcd that fails', { timeout: 240_000 }, () => {
  it('is killed and started again: calls fail in time, then work; a watch misses and repeats nothing', async () => {
    await using bed = await setUp();
    const { etcd, store } = bed;
    const [member] = etcd.members;
    const written = [await committed(store, put('w/0', ''))];
    const watch = collect(store, 'w/', written[0]!);
    for (let round = 1; round <= 3; round++) {
      await member!.kill();
      const { error, milliseconds } = await timed(store.get('w/0'));
      assert.equal((error as { code?: string }).code, 'STORE_UNAVAILABLE');
      assert.ok(milliseconds < DEADLINE + SLACK, `${milliseconds} ms`);
      await member!.start();
      written.push(await persist(() => committed(store, put(`w/${round}`, ''))));
      await watch.until(({ length }) => length >= written.length);
    }
    assert.deepEqual(revisions(watch.messages), written);
    await watch.stop();
  });

  it('is frozen: no call takes longer than its deadline, a write is in doubt, and all goes on afterwards', async () => {
    await using bed = await setUp();
    const { etcd, store } = bed;
    const [member] = etcd.members;
    const first = await committed(store, put('w/0', ''));
    const lease = await store.grantLease(60);
    const watch = collect(store, 'w/', first);
    await watch.until(({ length }) => length === 1);
    member!.freeze();
    const calls = [
      store.get('w/0'),
      store.list('w/'),
      write(store, put('w/1', '')),
      store.keepAlive(lease),
      store.grantLease(1),
      store.revokeLease('1234'),
      store.compact(1000),
    ];
    for (const { error, milliseconds } of await Promise.all(calls.map(timed))) {
      assert.equal((error as { code?: string }).code, 'STORE_UNAVAILABLE');
      assert.ok(milliseconds < DEADLINE + SLACK, `${milliseconds} ms`);
    }
    // The first write was sent, and nobody knows; later ones have nobody to be sent to.
    const before = await timed(write(store, put('w/2', '')));
    assert.match((before.error as Error).message, /did not answer/);
    member!.thaw();
    await persist(() => committed(store, put('w/3', '')));
    const listing = await store.list('w/');
    await watch.until((messages) => messages.at(-1)?.revision === listing.revision);
    const keys = watch.messages.flatMap((message) =>
      message.type === 'changes'
        ? message.changes.map((change) => (change.type === 'put' ? change.entry.key : ''))
        : [],
    );
    assert.deepEqual(
      keys.toSorted(),
      listing.entries.map(({ key }) => key),
    );
    assert.equal(await store.keepAlive(lease), true);
    await watch.stop();
  });

  it('says of a write without an answer that nobody knows whether it was done', async () => {
    await using bed = await setUp();
    const [member] = bed.etcd.members;
    member!.freeze();
    const { error } = await timed(write(bed.store, put('a', '')));
    assert.match((error as Error).message, /unknown whether it was done/);
    await member!.kill();
    // Refused connections are no doubt.
    await timed(bed.store.get('a'));
    const refused = await timed(write(bed.store, put('a', '')));
    assert.equal((refused.error as { code?: string }).code, 'STORE_UNAVAILABLE');
    assert.doesNotMatch((refused.error as Error).message, /unknown/);
  });

  it('is compacted while a watch is cut off: the watch is told so, and another goes on from the next revision', async () => {
    await using bed = await setUp();
    const { etcd, store } = bed;
    const [member] = etcd.members;
    const forgotten = await committed(store, put('w/a', '0'));
    const first = await committed(store, put('w/a', '1'));
    const watch = collect(store, 'w/', first);
    await watch.until(({ length }) => length === 1);
    // While it is connected, a compaction is nothing to it. One into the future is one of all but the present.
    await store.compact(first + 1000);
    assert.deepEqual(await take(store, 'w/', forgotten, 1), [{ type: 'compacted', revision: first }]);
    const second = await committed(store, put('w/a', '2'));
    await watch.until(({ length }) => length === 2);
    assert.deepEqual(revisions(watch.messages), [first, second]);
    await watch.stop();

    await committed(store, put('w/a', '3'));
    const removed = await committed(store, { do: 'delete', key: 'w/a' });
    await member!.ctl('compact', `${removed}`);
    const [message] = await take(store, 'w/', second + 1, 1);
    assert.deepEqual(message, { type: 'compacted', revision: removed + 1 });
    // etcd has thrown the deletion at its own revision away, and would not say so.
    const [again] = await take(store, 'w/', removed, 1);
    assert.equal(again?.type, 'compacted');
    const next = await committed(store, put('w/b', '1'));
    assert.deepEqual(revisions(await take(store, 'w/', removed + 1, 1)), [next]);
  });

  it('keeps a quiet watch from being told of a compaction that does not concern it', async () => {
    await using bed = await setUp({ flags: ['--experimental-watch-progress-notify-interval=200ms'] });
    const { etcd, store } = bed;
    const [member] = etcd.members;
    const first = await committed(store, put('w/a', '1'));
    const watch = collect(store, 'w/', first);
    await watch.until(({ length }) => length === 1);
    for (let n = 0; n < 20; n++) await committed(store, put('other', `${n}`));
    await delay(1000);
    await member!.ctl('compact', `${(await store.list('')).revision - 1}`);
    await member!.kill();
    await member!.start();
    await serves(member!);
    const second = await persist(() => committed(store, put('w/a', '2')));
    await watch.until(({ length }) => length === 2);
    assert.deepEqual(revisions(watch.messages), [first, second]);
    await watch.stop();
  });

  it('a lease lasts at least as long as was asked for', async () => {
    await using bed = await setUp();
    const lease = await bed.store.grantLease(7.2);
    assert.match(await bed.etcd.members[0]!.ctl('lease', 'timetolive', lease), /granted with TTL\(8s\)/);
  });

  it('a list of many pages is of one revision, also when that is compacted meanwhile', async () => {
    await using bed = await setUp();
    const { store } = bed;
    const batches = Array.from({ length: 35 }, (_, batch) =>
      write(store, ...Array.from({ length: 100 }, (_, n) => put(`k/${`${batch * 100 + n}`.padStart(6, '0')}`, 'v'))),
    );
    await Promise.all(batches);
    let writing = true;
    const churn = (async () => {
      for (let n = 0; writing; n++) {
        // Both or neither: a listing of two revisions would show the one without the other.
        const revision = await committed(store, put('k/000000', `${n}`), put('k/999999', `${n}`));
        await store.compact(revision);
      }
    })();
    for (let n = 0; n < 15; n++) {
      const { entries, more } = await store.list('k/');
      assert.equal(more, false);
      assert.ok(entries.length >= 3500);
      if (entries.length > 3500) assert.equal(entries[0]!.value, entries.at(-1)!.value);
    }
    writing = false;
    await churn;
  });
});

describe('three members of etcd', { timeout: 240_000 }, () => {
  it('one is lost, whichever it is: reads and writes go on, and a watch', async () => {
    await using bed = await setUp({ members: 3 });
    const { etcd, store } = bed;
    const written = [await committed(store, put('w/0', ''))];
    const watch = collect(store, 'w/', written[0]!);
    for (const [n, member] of etcd.members.entries()) {
      await member.kill();
      assert.equal((await persist(() => store.get('w/0')))?.key, 'w/0');
      written.push(await persist(() => committed(store, put(`w/${n + 1}`, ''))));
      await member.start();
      await serves(member);
    }
    await watch.until(({ length }) => length >= written.length);
    assert.deepEqual(revisions(watch.messages), written);
    await watch.stop();
  });

  it('one is frozen, whichever it is: the others are asked instead, and a watch moves', async () => {
    await using bed = await setUp({ members: 3 });
    const { etcd, store } = bed;
    const written = [await committed(store, put('w/0', ''))];
    const watch = collect(store, 'w/', written[0]!);
    for (const [n, member] of etcd.members.entries()) {
      member.freeze();
      const { milliseconds } = await timed(store.get('w/0'));
      assert.ok(milliseconds < DEADLINE + SLACK, `${milliseconds} ms`);
      // The answer to a write may be lost with the member; a condition makes it safe to repeat.
      const key = `w/${n + 1}`;
      await persist(async () => {
        await store.transact({ if: [{ key, is: 'absent' }], then: [put(key, '')] });
      });
      written.push((await persist(() => store.get(key)))!.modRevision);
      await watch.until(({ length }) => length >= written.length);
      member.thaw();
      await serves(member);
    }
    assert.deepEqual(revisions(watch.messages), written);
    await watch.stop();
  });

  it('one is frozen while there is nothing but a watch: the watch moves by itself', async () => {
    await using bed = await setUp({ members: 3 });
    const { etcd, store } = bed;
    const first = await committed(store, put('w/0', ''));
    const watch = collect(store, 'w/', first);
    await watch.until(({ length }) => length === 1);
    // All are on this machine, so it is the first of them that is asked.
    const others = await openEtcdStore({ endpoints: etcd.endpoints.slice(1), prefix: '/t/' });
    try {
      etcd.members[0]!.freeze();
      const second = await persist(() => committed(others, put('w/1', '')));
      await watch.until(({ length }) => length === 2);
      assert.deepEqual(revisions(watch.messages), [first, second]);
      await watch.stop();
    } finally {
      etcd.members[0]!.thaw();
      await others.close();
    }
  });

  it('two are lost: calls fail in time; they come back: all goes on', async () => {
    await using bed = await setUp({ members: 3 });
    const { etcd, store } = bed;
    const first = await committed(store, put('w/0', ''));
    const watch = collect(store, 'w/', first);
    await Promise.all([etcd.members[0]!.kill(), etcd.members[1]!.kill()]);
    const calls = [store.get('w/0'), store.list('w/'), write(store, put('w/1', ''))];
    for (const { error, milliseconds } of await Promise.all(calls.map(timed))) {
      assert.equal((error as { code?: string }).code, 'STORE_UNAVAILABLE');
      assert.ok(milliseconds < DEADLINE + SLACK, `${milliseconds} ms`);
    }
    await Promise.all([etcd.members[0]!.start(), etcd.members[1]!.start()]);
    const second = await persist(() => committed(store, put('w/2', '')));
    await watch.until((messages) => messages.at(-1)?.revision === second);
    await watch.stop();
  });

  it('the lead changes hands: leases and watches live on', async () => {
    await using bed = await setUp({ members: 3 });
    const { etcd, store } = bed;
    const lease = await store.grantLease(30);
    const first = await committed(store, put('w/0', '', lease));
    const watch = collect(store, 'w/', first);
    await etcd.moveLeader(((await etcd.leader()) + 1) % 3);
    assert.equal(await persist(() => store.keepAlive(lease)), true);
    const second = await persist(() => committed(store, put('w/1', '', lease)));
    await watch.until((messages) => messages.at(-1)?.revision === second);
    assert.deepEqual(revisions(watch.messages), [first, second]);
    await watch.stop();
  });
});

/** What becomes of a transaction whose connection breaks: before etcd has heard of it, and after etcd has carried it out. */

import assert from 'node:assert/strict';
import { after, before, beforeEach, it } from 'node:test';
import { committed, put } from '../conformance.ts';
import type { Store, Transaction } from '../store.ts';
import { openEtcdStore } from './store.ts';
import { type BreakableWay, startBreakableWay } from './testing/cut.ts';
import { startEtcd } from './testing/etcd.ts';

const stack = new AsyncDisposableStack();
let way: BreakableWay;
/** By a way that breaks. */
let store: Store;
/** By one that does not: somebody else. */
let other: Store;
let round = 0;
/** A key that no other test uses. */
let key: string;

const open = async (url: string): Promise<Store> => {
  const opened = await openEtcdStore({ endpoints: [{ url }], prefix: '/t/' });
  stack.defer(() => opened.close());
  return opened;
};

before(async () => {
  const etcd = stack.use(await startEtcd());
  way = stack.use(await startBreakableWay(etcd.members[0]!.address));
  other = await open(etcd.members[0]!.url);
  store = await open(way.url);
});
after(() => stack.disposeAsync());
beforeEach(() => {
  round += 1;
  key = `k/${round}`;
});

/** A transaction that the way breaks at. */
async function broken(
  what: 'question' | 'answer',
  transaction: Transaction,
  meanwhile?: () => Promise<void>,
): ReturnType<Store['transact']> {
  const before = way.breaks();
  way.breakAtNext(what, meanwhile);
  const result = await store.transact(transaction);
  assert.equal(way.breaks(), before + 1, 'it broke');
  return result;
}

const create = (value: string): Transaction => ({ if: [{ key, is: 'absent' }], then: [put(key, value)] });

for (const what of ['question', 'answer'] as const) {
  it(`the ${what} is lost: what is made only if it is absent is there once, and its maker is told so`, async () => {
    const head = (await store.list('')).revision;
    const result = await broken(what, create('mine'));
    const entry = (await other.get(key))!;
    assert.deepEqual(result, { committed: true, revision: head + 1 });
    assert.deepEqual([entry.value, entry.createRevision, entry.modRevision], ['mine', head + 1, head + 1]);
    assert.equal((await other.list('')).revision, head + 1, 'nothing was written twice');
  });

  it(`the ${what} is lost: what changes a key at a revision does so once`, async () => {
    const revision = await committed(other, put(key, '1'));
    const change: Transaction = {
      if: [{ key, is: 'at', revision }],
      then: [put(`${key}/beside`, ''), put(key, '2')],
    };
    assert.deepEqual(await broken(what, change), { committed: true, revision: revision + 1 });
    assert.equal((await other.get(key))?.modRevision, revision + 1);
  });

  it(`the ${what} is lost: a key that somebody else has had all along is not ours`, async () => {
    const revision = await committed(other, put(key, 'theirs'));
    await store.list('');
    const result = await broken(what, create('theirs'));
    assert.equal(result.committed, false, 'though they have written just what we would have');
    assert.equal(!result.committed && result.found?.modRevision, revision);
  });

  it(`the ${what} is lost: what is written without a condition stands there`, async () => {
    assert.equal((await broken(what, { then: [put(key, '1')] })).committed, true);
    assert.equal((await other.get(key))?.value, '1');
  });

  it(`the ${what} is lost: what is deleted is gone`, async () => {
    const revision = await committed(other, put(key, '1'));
    const result = await broken(what, { if: [{ key, is: 'at', revision }], then: [{ do: 'delete', key }] });
    assert.equal(await other.get(key), undefined);
    // A deletion leaves no trace of who deleted: that the key has gone is all that can be told.
    if (what === 'answer') assert.deepEqual([result.committed, !result.committed && result.found], [false, undefined]);
    else assert.equal(result.committed, true);
  });
}

it('the answer is lost, and others change the key before it can be asked again: ours came first', async () => {
  const head = (await store.list('')).revision;
  const result = await broken('answer', create('mine'), async () => {
    for (const value of ['theirs', 'theirs too']) await committed(other, put(key, value));
  });
  assert.deepEqual(result, { committed: true, revision: head + 1 });
  assert.equal((await other.get(key))?.value, 'theirs too');
});

it('the answer is lost, and the history with it: it is unknown', async () => {
  const lost = broken('answer', create('mine'), async () => {
    await committed(other, put(key, 'theirs'));
    await other.compact((await committed(other, put(key, 'theirs too'))) + 1);
  });
  await assert.rejects(lost, { code: 'STORE_UNAVAILABLE', message: /compacted; it is unknown whether it was done/ });
});

it('the question is lost, and others are faster: ours did nothing, and we are told what stands there', async () => {
  const result = await broken('question', create('mine'), async () => {
    for (const value of ['theirs', 'theirs too']) await committed(other, put(key, value));
  });
  assert.equal(result.committed, false);
  assert.equal(!result.committed && result.found?.value, 'theirs too');
});

it('the question is lost, and others write the same on a lease of theirs: it is not ours', async () => {
  const [ours, theirs] = [await store.grantLease(60), await other.grantLease(60)];
  const gate = (lease: string): Transaction => ({ if: [{ key, is: 'absent' }], then: [put(key, '', lease)] });
  const result = await broken('question', gate(ours), async () => {
    assert.equal((await other.transact(gate(theirs))).committed, true);
  });
  assert.equal(result.committed, false);
  const again = await broken('answer', { ...gate(ours), if: [{ key, is: 'present' }] });
  assert.equal(again.committed, true);
});

it('a transaction as large as etcd takes them is looked after as well', async () => {
  const then = Array.from({ length: 127 }, (_, n) => put(`${key}/${n}`, 'mine'));
  const result = await broken('answer', { if: [{ key: `${key}/0`, is: 'absent' }], then });
  assert.equal(result.committed, true);
});

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { createMemoryStore } from './memory.ts';
import { migrateStore } from './migrate.ts';
import type { Store } from './store.ts';

async function filled(count = 250): Promise<Store> {
  const store = createMemoryStore();
  const then = Array.from(
    { length: count },
    (_, n) => ({ do: 'put', key: `berth/lease/p/=${n}`, value: `${n}` }) as const,
  );
  await store.transact({ then });
  await store.transact({ then: [{ do: 'put', key: 'other/program', value: '' }] });
  await store.transact({ then: [{ do: 'put', key: 'berth/network/own', value: 'me' }] });
  const lease = await store.grantLease(60);
  await store.transact({ then: [{ do: 'put', key: 'berth/host/x', value: '', lease }] });
  return store;
}

const stateOf = async (store: Store) =>
  (await store.list('')).entries.map(({ key, value }) => `${key}=${value}`).filter((line) => line.includes('/lease/'));
const origin = 'here';

it('copies what is state, in transactions that etcd takes, and tells how far it is', async () => {
  const [source, target] = [await filled(), createMemoryStore()];
  const seen: string[] = [];
  let most = 0;
  const counting: Store = {
    ...target,
    transact(transaction) {
      most = Math.max(most, transaction.then.length);
      return target.transact(transaction);
    },
  };
  const result = await migrateStore(source, counting, { origin, progress: (done, of) => seen.push(`${done}/${of}`) });
  assert.deepEqual([result.keys, result.written, result.removed], [250, 250, 0]);
  assert.deepEqual(seen, ['100/250', '200/250', '250/250']);
  assert.ok(most <= 128);
  assert.deepEqual(await stateOf(target), await stateOf(source));
  assert.equal((await target.list('')).entries.length, 250);
});

it('only looks when asked to', async () => {
  const [source, target] = [await filled(), createMemoryStore()];
  const result = await migrateStore(source, target, { origin, dryRun: true });
  assert.equal(result.written, 250);
  assert.deepEqual((await target.list('')).entries, []);
});

it('refuses a target with state, unless it is to be replaced', async () => {
  const [source, target] = [await filled(), await filled(3)];
  await target.transact({ then: [{ do: 'put', key: 'berth/lease/p/=old', value: '' }] });
  const before = await stateOf(target);
  await assert.rejects(migrateStore(source, target, { origin }), { code: 'STORE_NOT_EMPTY' });
  assert.deepEqual(await stateOf(target), before);
  const result = await migrateStore(source, target, { origin, force: true });
  assert.deepEqual([result.written, result.removed], [247, 1]);
  assert.deepEqual(await stateOf(target), await stateOf(source));
});

it('goes on where it was interrupted, and marks the target until it is whole', async () => {
  const [source, target] = [await filled(), createMemoryStore()];
  let calls = 0;
  const dying: Store = {
    ...target,
    transact: (transaction) =>
      ++calls === 3 ? Promise.reject(new Error('the power failed')) : target.transact(transaction),
  };
  await assert.rejects(migrateStore(source, dying, { origin }), /power/);
  assert.equal((await target.get('berth/migration'))?.value, origin);
  assert.equal((await stateOf(target)).length, 100);
  const result = await migrateStore(source, target, { origin });
  assert.equal(result.written, 150);
  assert.equal(await target.get('berth/migration'), undefined);
  assert.deepEqual(await stateOf(target), await stateOf(source));
});

it('refuses while an agent runs on either side', async () => {
  for (const which of [0, 1]) {
    const stores = [await filled(), createMemoryStore()] as const;
    const lease = await stores[which]!.grantLease(60);
    await stores[which]!.transact({ then: [{ do: 'put', key: 'berth/agent/h7', value: '', lease }] });
    await assert.rejects(migrateStore(stores[0], stores[1], { origin }), { code: 'STATE_LOCKED', message: /h7/ });
    assert.deepEqual(await stateOf(stores[1]), []);
  }
});

it('notices a source that changes, and a second migration', async () => {
  const [source, target] = [await filled(), createMemoryStore()];
  const put = (store: Store, key: string) => store.transact({ then: [{ do: 'put', key, value: 'x' }] });
  const changing = { origin, progress: () => void put(source, 'berth/lease/p/=new') };
  await assert.rejects(migrateStore(source, target, changing), { code: 'STATE_LOCKED', message: /source was changed/ });
  const racing = { origin, progress: () => void put(target, 'berth/migration') };
  await assert.rejects(migrateStore(source, target, { ...racing, force: true }), {
    code: 'STATE_LOCKED',
    message: /another migration/,
  });
});

it('notices a copy that differs', async () => {
  const [source, target] = [await filled(), createMemoryStore()];
  const lossy: Store = {
    ...target,
    transact: ({ then, ...rest }) => target.transact({ ...rest, then: then.filter(({ key }) => !key.endsWith('=7')) }),
  };
  await assert.rejects(migrateStore(source, lossy, { origin }), { code: 'INTERNAL', message: /=7/ });
  assert.ok((await target.get('berth/migration')) !== undefined);
});

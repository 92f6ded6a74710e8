import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BerthError } from '../../model/errors.ts';
import { createMemoryStore } from '../../store/memory.ts';
import { type Operation, type Store, StoreNotReached } from '../../store/store.ts';
import { withLastKnown as open } from './last-known.ts';

const put = (key: string, value = key): Operation => ({ do: 'put', key, value });

let opened: ReturnType<typeof open>;
function withLastKnown(shared: Store, local: Store, isAway = false): Store {
  opened = open(shared, local, () => isAway);
  return opened.store;
}

function away(): Store {
  const fail = () => Promise.reject(new BerthError('STORE_UNAVAILABLE', 'gone'));
  return Object.create(createMemoryStore(), { list: { value: fail }, transact: { value: fail } }) as Store;
}

const listed = async (store: Store, prefix: string) =>
  (await store.list(prefix)).entries.map(({ key, value }) => `${key}=${value}`);

test('without the store: all pools, and the leases that were written here; not those of others', async () => {
  const [shared, local] = [createMemoryStore(), createMemoryStore()];
  await shared.transact({ then: [put('berth/pool/others'), put('berth/lease/p/=10.0.0.9')] });
  const store = withLastKnown(shared, local);
  await store.list('berth/pool/');
  await store.transact({ then: [put('berth/lease/p/=10.0.0.1'), put('berth/lease/p/=10.0.0.2'), put('berth/host/a')] });
  await store.transact({ then: [{ do: 'delete', key: 'berth/lease/p/=10.0.0.2' }] });
  const later = withLastKnown(away(), local);
  assert.deepEqual(await listed(later, 'berth/pool/'), ['berth/pool/others=berth/pool/others']);
  assert.deepEqual(await listed(later, 'berth/lease/'), ['berth/lease/p/=10.0.0.1=berth/lease/p/=10.0.0.1']);
  assert.equal((await later.list('berth/lease/')).revision, 0);
  await assert.rejects(later.transact({ then: [put('berth/pool/x')] }), { code: 'STORE_UNAVAILABLE' });
  await assert.rejects(later.list('berth/host/'), { code: 'STORE_UNAVAILABLE' });
  const unasked = withLastKnown(shared, local, true);
  assert.deepEqual(await listed(unasked, 'berth/lease/'), ['berth/lease/p/=10.0.0.1=berth/lease/p/=10.0.0.1']);
});

test('what did not take place is not remembered; what others did to ours since is', async () => {
  const [shared, local] = [createMemoryStore(), createMemoryStore()];
  const store = withLastKnown(shared, local);
  const key = 'berth/lease/p/=10.0.0.1';
  await store.transact({ then: [put(key, 'mine')] });
  const refused = await store.transact({ if: [{ key, is: 'absent' }], then: [put(key, 'again')] });
  assert.equal(refused.committed, false);
  assert.deepEqual(await listed(withLastKnown(away(), local), 'berth/lease/'), [`${key}=mine`]);
  await shared.transact({ then: [put(key, 'changed')] });
  await withLastKnown(shared, local).list('berth/lease/');
  assert.deepEqual(await listed(withLastKnown(away(), local), 'berth/lease/'), [`${key}=changed`]);
  await shared.transact({ then: [{ do: 'delete', key }] });
  await withLastKnown(shared, local).list('berth/lease/');
  assert.deepEqual(await listed(withLastKnown(away(), local), 'berth/lease/'), []);
});

test('pools that others make and remove are followed', async () => {
  const [shared, local] = [createMemoryStore(), createMemoryStore()];
  const store = withLastKnown(shared, local);
  const stop = new AbortController();
  const seen = store.watch('berth/pool/', 1, stop.signal)[Symbol.asyncIterator]();
  await shared.transact({ then: [put('berth/pool/a'), put('berth/pool/b')] });
  await seen.next();
  await shared.transact({ then: [{ do: 'delete', key: 'berth/pool/a' }] });
  await seen.next();
  stop.abort();
  await opened.written();
  assert.deepEqual(await listed(withLastKnown(away(), local), 'berth/pool/'), ['berth/pool/b=berth/pool/b']);
});

test('what is being given back is forgotten before: an agent that is killed meanwhile does not take it for its own', async () => {
  const [shared, local] = [createMemoryStore(), createMemoryStore()];
  const key = 'berth/lease/p/=10.0.0.1';
  await withLastKnown(shared, local).transact({ then: [put(key, 'mine')] });
  const release = { then: [{ do: 'delete', key } as const] };
  const known = () => listed(withLastKnown(away(), local), 'berth/lease/');
  const unreached = Object.create(shared, {
    transact: { value: () => Promise.reject(new StoreNotReached('gone')) },
  }) as Store;
  await assert.rejects(withLastKnown(unreached, local).transact(release), { code: 'STORE_UNAVAILABLE' });
  assert.deepEqual(await known(), [`${key}=mine`], 'it was not reached');
  const other = { ...release, if: [{ key, is: 'absent' } as const] };
  assert.equal((await withLastKnown(shared, local).transact(other)).committed, false);
  assert.deepEqual(await known(), [`${key}=mine`], 'it was refused');
  const asked = Promise.withResolvers<void>();
  const silent = Object.create(shared, {
    transact: {
      value() {
        asked.resolve();
        return new Promise(() => {});
      },
    },
  }) as Store;
  void withLastKnown(silent, local).transact(release);
  await asked.promise;
  assert.deepEqual(await known(), []);
});

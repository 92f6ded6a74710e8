/** What is read is never older than the question, whatever becomes of the watch. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BerthError } from '../model/errors.ts';
import { keys } from '../model/keys.ts';
import { kindOf } from '../model/objects/kinds.ts';
import { createMemoryStore } from '../store/memory.ts';
import type { Store, WatchMessage } from '../store/store.ts';
import { openRegistry } from './registry.ts';
import { openReplica } from './replica.ts';
import { type ObjectEvent, watchObjects } from './watch.ts';

const tenant = kindOf('tenant');

/** Reads through a store whose watch is another, while somebody else writes to the real one. */
async function reading(watch: (store: Store) => Store['watch'], rounds = 5): Promise<void> {
  const store = createMemoryStore();
  const writer = openRegistry(store);
  const replica = openReplica({ ...store, watch: watch(store) });
  for (let round = 0; round < rounds; round++) {
    await writer.put(tenant, `t${round}`, { tenantName: `t${round}` });
    assert.ok((await replica.current()).objects.get('tenant', `t${round}`) !== undefined, `t${round}`);
    if (round % 2 === 1) {
      await writer.delete(tenant, `t${round}`);
      assert.equal((await replica.current()).objects.get('tenant', `t${round}`), undefined);
    }
  }
  replica.close();
  writer.close();
  await store.close();
}

describe('a replica is right', () => {
  it('while its watch works', () => reading((store) => store.watch, 20));

  it('when its watch ends each time, because what was to follow is forgotten', () =>
    reading(
      () =>
        async function* () {
          yield { type: 'compacted', revision: 1 } satisfies WatchMessage;
        },
    ));

  it('when its watch fails', () =>
    reading(
      () =>
        async function* () {
          yield { type: 'changes', revision: 0, changes: [] } satisfies WatchMessage;
          throw new BerthError('STORE_UNAVAILABLE', 'the watch is away');
        },
    ));

  it('when its watch says nothing', () =>
    reading(
      () =>
        async function* (_prefix, _from, signal) {
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
          yield { type: 'compacted', revision: 1 } satisfies WatchMessage;
        },
      2,
    ));

  it('when its watch tells of one transaction after the other, late', () =>
    reading(
      (store) =>
        async function* (prefix, from, signal) {
          for await (const message of store.watch(prefix, from, signal)) {
            await new Promise((resolve) => setTimeout(resolve, 20));
            yield message;
          }
        },
      6,
    ));
});

it('a value that cannot be read is named at each question, until it is mended', async () => {
  const store = createMemoryStore();
  const replica = openReplica(store);
  await replica.current();
  const key = keys.object('tenant', 'bad');
  await store.transact({
    then: [
      { do: 'put', key, value: '{"version":99}' },
      { do: 'put', key: keys.objectsHead, value: 'x' },
    ],
  });
  for (let round = 0; round < 2; round++) await assert.rejects(replica.current(), { code: 'STORE_NEWER' });
  await store.transact({
    then: [
      { do: 'delete', key },
      { do: 'put', key: keys.objectsHead, value: 'y' },
    ],
  });
  assert.deepEqual((await replica.current()).objects.list('tenant'), []);
  replica.close();
  await assert.rejects(replica.current(), { code: 'SHUTTING_DOWN' });
  await store.close();
});

it('an agent is told what there is, then each change', async () => {
  const store = createMemoryStore();
  const registry = openRegistry(store);
  await registry.put(tenant, 'a', { tenantName: 'a' });
  const control = new AbortController();
  const events = await watchObjects(store, { kind: 'tenant' }, control.signal);
  const shown: string[] = [];
  const next = async () => {
    const event = (await events.next()).value as ObjectEvent;
    const key = event.type === 'put' ? event.object.key : event.type === 'delete' ? event.key : '';
    shown.push(`${event.type} ${key}`.trim());
  };
  await next();
  await next();
  await registry.put(tenant, 'b', { tenantName: 'b' });
  await registry.delete(tenant, 'a');
  await next();
  await next();
  assert.deepEqual(shown, ['put a', 'synchronized', 'put b', 'delete a']);
  control.abort();
  registry.close();
  await store.close();
});

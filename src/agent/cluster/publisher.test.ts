import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { BerthError } from '../../model/errors.ts';
import { keys } from '../../model/keys.ts';
import type { ClusterEndpoint } from '../../objects/codec.ts';
import { createMemoryStore } from '../../store/memory.ts';
import type { Store } from '../../store/store.ts';
import { createPublisher, type Publisher } from './publisher.ts';

const NETWORK = 'default:web';
const endpoint = (id: string, more: Partial<ClusterEndpoint> = {}): ClusterEndpoint => ({
  id,
  network: NETWORK,
  host: 'h1',
  addresses: ['10.1.1.1'],
  mac: '02:02:0a:01:01:01',
  ...more,
});

let publisher: Publisher | undefined;
let said: string[] = [];
afterEach(() => {
  publisher?.close();
  said = [];
});

async function stage(): Promise<Store> {
  const store = createMemoryStore();
  for (const network of [NETWORK, 'default:db']) {
    await store.transact({ then: [{ do: 'put', key: keys.object('network', network), value: '{}' }] });
  }
  return store;
}

function publish(store: Store, wanted: () => readonly ClusterEndpoint[]): Publisher {
  publisher = createPublisher({ store, host: 'h1', events: { emit: (event) => void said.push(event) }, wanted });
  return publisher;
}

const published = async (store: Store): Promise<string[]> =>
  (await store.list(keys.clusterEndpoints)).entries.map(({ key }) => key.slice(keys.clusterEndpoints.length));
const indexed = async (store: Store): Promise<string[]> =>
  (await store.list(keys.hostEndpoints('h1'))).entries.map(({ key }) => key.slice(keys.hostEndpoints('h1').length));

test('tells what comes, what changes and what goes, each with its entry in the index of the host', async () => {
  const store = await stage();
  let own = [endpoint('a'), endpoint('b')];
  const { update } = publish(store, () => own);
  await update();
  assert.deepEqual(await published(store), [`${NETWORK}/a`, `${NETWORK}/b`]);
  const before = (await store.get(keys.clusterEndpoint(NETWORK, 'b')))!.modRevision;
  own = [endpoint('a', { containerName: 'web' }), endpoint('b')];
  await update();
  assert.match((await store.get(keys.clusterEndpoint(NETWORK, 'a')))!.value, /"containerName":"web"/);
  assert.equal((await store.get(keys.clusterEndpoint(NETWORK, 'b')))!.modRevision, before);
  own = [endpoint('b', { network: 'default:db' })];
  await update();
  assert.deepEqual(await published(store), ['default:db/b']);
  assert.deepEqual(await indexed(store), ['b']);
});

test('what an earlier process told and is no more is withdrawn; more than one transaction takes', async () => {
  const store = await stage();
  const many = Array.from({ length: 170 }, (_, n) => endpoint(`e${n}`));
  await publish(store, () => many).update();
  assert.equal((await published(store)).length, 170);
  publisher!.close();
  await publish(store, () => many.slice(0, 1)).update();
  assert.deepEqual(await published(store), [`${NETWORK}/e0`]);
  assert.deepEqual(await indexed(store), ['e0']);
});

test('nothing is added to a network whose gate is closed, until it opens', async () => {
  const store = await stage();
  await store.transact({ then: [{ do: 'put', key: keys.gate(NETWORK), value: '{}' }] });
  const { update } = publish(store, () => [endpoint('a'), endpoint('b', { network: 'default:db' })]);
  await update();
  assert.deepEqual(await published(store), ['default:db/b']);
  await store.transact({ then: [{ do: 'delete', key: keys.gate(NETWORK) }] });
  await update();
  assert.deepEqual(await published(store), ['default:db/b', `${NETWORK}/a`]);
});

test('nothing is told of a network that is gone; that is told once', async () => {
  const store = await stage();
  await store.transact({ then: [{ do: 'delete', key: keys.object('network', NETWORK) }] });
  const { update } = publish(store, () => [endpoint('a')]);
  await update();
  await update();
  assert.deepEqual(await published(store), []);
  assert.deepEqual(said, ['cluster.orphaned']);
});

test('after a store that did not answer, what it has is read again: it may have done it', async () => {
  const store = await stage();
  let own = [endpoint('a')];
  let broken = false;
  const flaky = Object.create(store, {
    transact: {
      async value(...given: Parameters<Store['transact']>) {
        const result = await store.transact(...given);
        if (broken) throw new BerthError('STORE_UNAVAILABLE', 'no answer');
        return result;
      },
    },
  }) as Store;
  const { update } = publish(flaky, () => own);
  broken = true;
  await update();
  own = [];
  broken = false;
  await update();
  assert.deepEqual(await published(store), []);
  assert.deepEqual(said, []);
});

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { encodeLease } from '../../ipam/codec.ts';
import { parseAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import { type EndpointId, type PoolId, parseNetworkId } from '../../model/ids.ts';
import { keys } from '../../model/keys.ts';
import { type ClusterEndpoint, decodeClusterEndpoint } from '../../objects/codec.ts';
import { createMemoryStore } from '../../store/memory.ts';
import type { Store, Transaction, TransactionResult } from '../../store/store.ts';
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
let now = 0;
afterEach(() => {
  publisher?.close();
  said = [];
  now = 0;
});

async function stage(): Promise<Store> {
  const store = createMemoryStore();
  for (const network of [NETWORK, 'default:db']) {
    await store.transact({ then: [{ do: 'put', key: keys.object('network', network), value: '{}' }] });
  }
  return store;
}

/** @param leases the keys of what the addresses are leased by; without any, others see to whose they are. */
function publish(
  store: Store,
  wanted: () => readonly ClusterEndpoint[],
  leases: ReadonlyMap<string, string> = new Map(),
): Publisher {
  publisher = createPublisher({
    store,
    host: 'h1',
    events: { emit: (event) => void said.push(event) },
    wanted: () => wanted().map((endpoint) => ({ endpoint, leases })),
    owns: ({ engine }) => engine === 'host/h1',
    monotonic: () => now,
  });
  return publisher;
}

const POOL = 'default:web/10.1.0.0-16' as PoolId;
const leaseKey = (address: string) => keys.lease(POOL, parseAddress(address)!);
const LEASED = new Map(['10.1.1.1', '10.1.1.2'].map((address) => [address, leaseKey(address)]));

/** @param holder the endpoint that has it; absent: it has only been asked for. */
async function lease(store: Store, address: string, host: string, holder?: string): Promise<void> {
  const value = encodeLease({
    pool: POOL,
    address: parseAddress(address)!,
    holder:
      holder === undefined
        ? { kind: 'request' }
        : { kind: 'endpoint', endpoint: holder as EndpointId, network: parseNetworkId('b'.repeat(64))! },
    engine: `host/${host}`,
    createdAt: 1,
  });
  await store.transact({ then: [{ do: 'put', key: leaseKey(address), value }] });
}

const addressesOf = async (store: Store, id: string): Promise<readonly string[]> =>
  decodeClusterEndpoint((await store.get(keys.clusterEndpoint(NETWORK, id)))!).addresses;

/** The store, but for what a transaction meets on its way: it is told before, and may keep the transaction. */
const onTheWay = (store: Store, meet: (transact: () => Promise<TransactionResult>) => Promise<TransactionResult>) =>
  Object.create(store, {
    transact: {
      value: (transaction: Transaction) =>
        transaction.then.some(({ key }) => key.startsWith(keys.clusterEndpoints))
          ? meet(() => store.transact(transaction))
          : store.transact(transaction),
    },
  }) as Store;

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

const [A, B] = ['a'.repeat(64), 'b'.repeat(64)];

test('an address is told of only while it is leased to the container, or is about to be', async () => {
  const store = await stage();
  await lease(store, '10.1.1.1', 'h2', B);
  const { update } = publish(store, () => [endpoint(A)], LEASED);
  await update();
  assert.deepEqual(await published(store), []);
  await lease(store, '10.1.1.1', 'h1', B);
  now += 60_000;
  await update();
  assert.deepEqual(await published(store), []);
  await store.transact({ then: [{ do: 'delete', key: leaseKey('10.1.1.1') }] });
  now += 60_000;
  await update();
  assert.deepEqual(await published(store), []);
  await lease(store, '10.1.1.1', 'h1');
  now += 60_000;
  await update();
  assert.deepEqual(await published(store), [`${NETWORK}/${A}`]);
});

test('what was refused is asked again ever later, and at once when there is something else to tell', async () => {
  const store = await stage();
  let asked = 0;
  const counting = Object.create(store, {
    get: {
      value(key: string) {
        if (key === leaseKey('10.1.1.1')) asked += 1;
        return store.get(key);
      },
    },
  }) as Store;
  let own = endpoint(A);
  const { update } = publish(counting, () => [own], LEASED);
  for (const [passed, expected] of [
    [0, 1],
    [99, 1],
    [1, 2],
    [199, 2],
    [1, 3],
  ] as const) {
    now += passed;
    await update();
    assert.equal(asked, expected, `at ${now}`);
  }
  own = endpoint(A, { containerName: 'web' });
  await update();
  assert.equal(asked, 4);
});

test('one that has lost an address is told of with the others, and keeps none from being told', async () => {
  const store = await stage();
  await lease(store, '10.1.1.2', 'h1', A);
  const other = endpoint(B, { addresses: ['10.1.1.1'] });
  const { update } = publish(store, () => [endpoint(A, { addresses: ['10.1.1.1', '10.1.1.2'] }), other], LEASED);
  await update();
  assert.deepEqual(await published(store), [`${NETWORK}/${A}`]);
  assert.deepEqual(await addressesOf(store, A), ['10.1.1.2']);
  await lease(store, '10.1.1.1', 'h1', A);
  now += 100;
  await update();
  assert.deepEqual(await addressesOf(store, A), ['10.1.1.1', '10.1.1.2']);
});

test("an address that becomes another host's while it is being told of is not told of", async () => {
  const store = await stage();
  await lease(store, '10.1.1.1', 'h1', A);
  let met = 0;
  const late = onTheWay(store, async (transact) => {
    if (met++ === 0) await lease(store, '10.1.1.1', 'h2', B);
    return await transact();
  });
  await publish(late, () => [endpoint(A)], LEASED).update();
  assert.ok(met > 0);
  assert.deepEqual(await published(store), []);
});

test('a lease that is claimed while its address is being told of costs one more try', async () => {
  const store = await stage();
  await lease(store, '10.1.1.1', 'h1');
  let met = 0;
  const late = onTheWay(store, async (transact) => {
    if (met++ === 0) await lease(store, '10.1.1.1', 'h1', A);
    return await transact();
  });
  await publish(late, () => [endpoint(A)], LEASED).update();
  assert.deepEqual(await published(store), [`${NETWORK}/${A}`]);
});

test('what was on its way when the store did not answer is refused when it comes at last', async () => {
  const store = await stage();
  let own = [endpoint(A)];
  let kept: (() => Promise<TransactionResult>) | undefined;
  const frozen = onTheWay(store, (transact) => {
    if (kept !== undefined) return transact();
    kept = transact;
    return Promise.reject(new BerthError('STORE_UNAVAILABLE', 'no answer'));
  });
  const { update } = publish(frozen, () => own);
  await update();
  own = [];
  await update();
  assert.equal((await kept!()).committed, false);
  assert.deepEqual(await published(store), []);
});

test('what an agent that was killed had on its way is refused once another has begun; of two, the last counts', async () => {
  const store = await stage();
  let kept: (() => Promise<TransactionResult>) | undefined;
  const killed = onTheWay(store, (transact) => {
    kept = transact;
    return new Promise(() => {});
  });
  void publish(killed, () => [endpoint(A)]).update();
  while (kept === undefined) await new Promise(setImmediate);
  publisher!.close();
  await publish(store, () => [endpoint(B)]).update();
  assert.equal((await kept()).committed, false);
  assert.deepEqual(await published(store), [`${NETWORK}/${B}`]);
});

test('a host that has nothing to tell, and never had, writes nothing', async () => {
  const store = await stage();
  await publish(store, () => []).update();
  assert.equal(await store.get(keys.publisher('h1')), undefined);
});

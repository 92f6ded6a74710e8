import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Call, IpamDriver, NetworkDriver } from '../../docker/driver.ts';
import { openBook } from '../../fabric/neutron/book.ts';
import type { PoolRecord, PortRecord } from '../../fabric/neutron/records.ts';
import { memoryNotes } from '../../fabric/neutron/testing/notes.ts';
import type { EndpointId, NetworkId, PoolId } from '../../model/ids.ts';
import type { Endpoint, Network } from '../../model/network.ts';
import { parsePrefix } from '../../model/prefix.ts';
import { createAsking } from './asking.ts';
import { createSweep } from './sweep.ts';

const network = 'a'.repeat(64) as NetworkId;
const lost = 'b'.repeat(64) as NetworkId;
const endpoint = 'e'.repeat(64) as EndpointId;
const port = (key: string, more: Partial<PortRecord> = {}): PortRecord => ({
  key,
  phase: 'held',
  origin: 'created',
  network,
  addresses: [],
  createdAt: 0,
  ...more,
});
const pool = (id: string, of?: NetworkId): PoolRecord => ({
  id: id as PoolId,
  subnet: parsePrefix('10.0.0.0/24')!,
  options: {},
  auxiliary: [],
  ...(of && { network: of }),
  createdAt: 0,
});

test('what nobody owns goes after the grace, and nothing else', async () => {
  const book = await openBook(memoryNotes(), assert.fail);
  for (const id of [network, lost])
    await book.networks.put({ id, phase: 'held', origin: 'created', key: id, subnets: [], tags: [] });
  for (const one of [port('used', { endpoint }), port('forgotten'), port('made', { phase: 'making' })])
    await book.ports.put(one);
  for (const one of [pool('of', network), pool('asked')]) await book.pools.put(one);
  const gone: string[] = [];
  let unused: readonly string[] = [];
  const isOutside = { phase: 'held', network, port: 'p' } as const;
  await book.outside.put({ ...isOutside, endpoint });
  let now = 0;
  const sweep = createSweep({
    book,
    networks: { close: (id) => Promise.resolve(void gone.push(id)) },
    ports: { abandon: (key) => Promise.resolve(void gone.push(key)) },
    outside: { close: (id) => Promise.resolve(void gone.push(`outside ${id}`)) },
    groups: { unused: () => unused, remove: (key) => Promise.resolve(void gone.push(key)) },
    state: { networks: new Map([[network, {} as Network]]), endpoints: new Map([[endpoint, {} as Endpoint]]) },
    grace: 10,
    serialise: (_id, work) => work(),
    quiet: () => Number.POSITIVE_INFINITY,
    monotonic: () => now,
  });
  await sweep();
  now = 9;
  await sweep();
  assert.deepEqual(gone, []);

  // It turns out that it has an owner after all, and is without one again later.
  await book.ports.put(port('forgotten', { endpoint }));
  await sweep();
  await book.ports.put(port('forgotten'));
  now = 11;
  await sweep();
  assert.deepEqual(gone, [lost]);
  assert.deepEqual(
    book.pools.all().map(({ id }) => id),
    ['of'],
  );
  await book.networks.delete(lost);
  now = 22;
  await sweep();
  assert.deepEqual(gone, [lost, 'forgotten']);

  // A container that nobody ended, and a group that the next container might need.
  const ended = 'd'.repeat(64) as EndpointId;
  await book.ports.delete('forgotten');
  await book.outside.put({ ...isOutside, endpoint: ended });
  unused = ['group'];
  await sweep();
  now = 31;
  await sweep();
  assert.equal(gone.length, 2);
  now = 32;
  await sweep();
  assert.deepEqual(gone.slice(2), [`outside ${ended}`, 'group']);
});

test('what is still being made is waited for, and has an owner then', async () => {
  const book = await openBook(memoryNotes(), assert.fail);
  await book.networks.put({ id: network, phase: 'held', origin: 'created', key: 'k', subnets: [], tags: [] });
  await book.ports.put(port('bound', { endpoint }));
  await book.outside.put({ phase: 'held', network, port: 'p', endpoint });
  const state = { networks: new Map<NetworkId, Network>(), endpoints: new Map<EndpointId, Endpoint>() };
  const waitedFor: string[] = [];
  const sweep = createSweep({
    book,
    networks: { close: assert.fail },
    ports: { abandon: assert.fail },
    outside: { close: assert.fail },
    groups: { unused: () => [], remove: assert.fail },
    state,
    grace: 0,
    serialise: (id, work) => {
      waitedFor.push(id);
      state.networks.set(network, {} as Network);
      state.endpoints.set(endpoint, {} as Endpoint);
      return work();
    },
    quiet: () => Number.POSITIVE_INFINITY,
    monotonic: () => 0,
  });
  await sweep();
  assert.deepEqual(waitedFor, [endpoint]);
  state.networks.clear();
  await sweep();
  assert.deepEqual(waitedFor, [endpoint, network]);
});

test('a pool stays while Docker waits for its network, however long, and goes when nothing has come of it', async () => {
  const book = await openBook(memoryNotes(), assert.fail);
  await book.pools.put(pool('asked'));
  let now = 0;
  const making = Promise.withResolvers<void>();
  const { watched, quiet } = createAsking(() => now);
  const drivers = watched({
    network: { createNetwork: () => making.promise } as unknown as NetworkDriver,
    ipam: {} as IpamDriver,
  });
  const sweep = createSweep({
    book,
    networks: { close: assert.fail },
    ports: { abandon: assert.fail },
    outside: { close: assert.fail },
    groups: { unused: () => [], remove: assert.fail },
    state: { networks: new Map(), endpoints: new Map() },
    grace: 10,
    serialise: (_id, work) => work(),
    quiet,
    monotonic: () => now,
  });
  await sweep();
  const answer = drivers.network.createNetwork({} as Parameters<NetworkDriver['createNetwork']>[0], {} as Call);
  now = 30;
  await sweep();
  assert.equal(book.pools.all().length, 1);
  making.reject(new Error('Neutron has not answered'));
  await assert.rejects(answer, /not answered/);
  now = 39;
  await sweep();
  assert.equal(book.pools.all().length, 1);
  now = 40;
  await sweep();
  assert.equal(book.pools.all().length, 0);
});

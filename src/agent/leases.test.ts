import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Call } from '../docker/driver.ts';
import type { EngineNetwork } from '../docker/engine.ts';
import { openIpam } from '../ipam/ipam.ts';
import { parseAddress } from '../model/address.ts';
import type { NetworkId } from '../model/ids.ts';
import type { Network } from '../model/network.ts';
import { type Prefix, parsePrefix } from '../model/prefix.ts';
import { createMemoryStore } from '../store/memory.ts';
import { createLeases } from './leases.ts';
import { createNames } from './names.ts';
import { openState } from './state.ts';
import { noConflicts } from './testing/conflicts.ts';

const subnet = parsePrefix('10.1.0.0/24')!;
const call = { plugin: 'local', signal: new AbortController().signal } satisfies Call;
const request = { space: 'berth', subnet, family: 4 as const, options: {} };
const networkId = (digit: string) => digit.repeat(64) as NetworkId;
const network = (digit: string): Network => ({
  id: networkId(digit),
  fabric: 'lan',
  plugin: 'local',
  subnets: [{ prefix: subnet, auxiliary: {} }],
  internal: false,
  options: {},
  settings: null,
  leased: true,
  createdAt: 0,
});

async function open() {
  const store = createMemoryStore();
  const state = await openState(store, 'h');
  const ipam = await openIpam(store);
  const view = { links: [], addresses: [], routes: [] };
  const leases = createLeases({
    ipam,
    state,
    host: { current: () => view, refresh: () => Promise.resolve(view), onChange() {} },
    names: createNames(),
    plugins: new Map(),
    conflicts: noConflicts,
    engineId: () => 'engine',
    monotonic: () => performance.now(),
  });
  leases.reconciled();
  /** As an engine makes a network, and as it removes one. */
  const make = async (digit: string, range?: string) => {
    const { id } = await leases.driver.requestPool(
      range === undefined ? request : { ...request, range: parsePrefix(range)! },
      call,
    );
    const { pools } = leases.settle(network(digit).subnets);
    await state.putNetwork({ ...network(digit), pools });
    return id;
  };
  const giveBack = () => leases.driver.releasePool(ipam.pools()[0]!.id, call);
  const forget = async (digit: string) => {
    const gone = state.networks.get(networkId(digit))!;
    await state.deleteNetwork(gone.id);
    await leases.freeReleased(gone);
  };
  const remove = async (digit: string) => {
    await giveBack();
    await forget(digit);
  };
  return { ipam, state, leases, make, remove, giveBack, forget };
}

test('of networks that share a subnet, one that goes does not make the others look done with', async () => {
  const { ipam, leases, make, remove } = await open();
  await make('1');
  await make('2');
  await remove('2');
  assert.equal(ipam.pools()[0]?.released, false);
  await make('3');
  assert.equal(leases.givenBack(networkId('1')), false);
  await remove('3');
  await remove('1');
  assert.deepEqual(ipam.pools(), []);
});

test('of networks that have a range of a subnet each, one that goes takes its own and nothing else', async () => {
  const { ipam, leases, make, forget } = await open();
  const first = await make('1', '10.1.0.128/26');
  const second = await make('2', '10.1.0.192/26');
  await leases.driver.releasePool(second, call);
  await forget('2');
  assert.deepEqual(
    ipam.pools().map(({ id, released }) => [id, released]),
    [[first, false]],
  );
  assert.equal(await make('3', '10.1.0.192/26'), second);
  assert.equal(leases.givenBack(networkId('1')), false);
  await leases.driver.releasePool(first, call);
  await forget('1');
  await leases.driver.releasePool(second, call);
  await forget('3');
  assert.deepEqual(ipam.pools(), []);
});

/** A network as an engine tells of it. */
const told = (digit: string, range: Prefix): EngineNetwork => ({
  id: networkId(digit),
  name: '',
  driver: 'local',
  ipamDriver: 'local',
  scope: 'local',
  internal: false,
  options: {},
  ipamOptions: {},
  labels: {},
  subnets: [{ subnet, range, auxiliary: {} }],
  endpoints: [],
});
const FIRST = parsePrefix('10.1.0.128/26')!;
const SECOND = parsePrefix('10.1.0.192/26')!;

test('of two networks that are made at once, each gets the pool that its gateway and reserved addresses were asked of', async () => {
  const { leases } = await open();
  const { driver } = leases;
  const gateway = { purpose: 'gateway' } as const;
  const first = await driver.requestPool({ ...request, range: FIRST }, call);
  const second = await driver.requestPool({ ...request, range: SECOND }, call);
  await driver.requestAddress({ pool: first.id, address: parseAddress('10.1.0.1')!, ...gateway }, call);
  await driver.requestAddress({ pool: second.id, address: parseAddress('10.1.0.1')!, ...gateway }, call);
  await driver.requestAddress({ pool: second.id, address: parseAddress('10.1.0.9')!, purpose: 'endpoint' }, call);
  const of = { prefix: subnet, gateway: parseAddress('10.1.0.1')! };
  assert.deepEqual(leases.settle([{ ...of, auxiliary: { router: parseAddress('10.1.0.9')! } }]).pools, [second.id]);
  assert.deepEqual(leases.settle([{ ...of, auxiliary: {} }]).pools, [first.id]);
});

test('as long as nothing tells them apart, neither looks done with because the other goes and comes', async () => {
  const { state, leases, forget } = await open();
  const first = await leases.driver.requestPool({ ...request, range: FIRST }, call);
  await leases.driver.requestPool({ ...request, range: SECOND }, call);
  // Made in the other order.
  for (const digit of ['2', '1'])
    await state.putNetwork({ ...network(digit), pools: leases.settle(network(digit).subnets).pools });
  await leases.driver.releasePool(first.id, call);
  await forget('1');
  await leases.driver.requestPool({ ...request, range: FIRST }, call);
  assert.equal(leases.givenBack(networkId('2')), false);
});

test('a pool that was given back in the wrong name goes when the engine tells whose it was', async () => {
  const { ipam, state, leases, forget } = await open();
  const first = await leases.driver.requestPool({ ...request, range: FIRST }, call);
  const second = await leases.driver.requestPool({ ...request, range: SECOND }, call);
  for (const digit of ['2', '1'])
    await state.putNetwork({ ...network(digit), pools: leases.settle(network(digit).subnets).pools });
  await leases.driver.releasePool(first.id, call);
  await forget('1');
  await leases.match(told('2', SECOND));
  assert.deepEqual(
    ipam.pools().map(({ id, released }) => [id, released]),
    [[second.id, false]],
  );
});

test('where nothing tells them apart, the engine does it a moment later', async () => {
  const { ipam, state, leases, forget } = await open();
  const first = await leases.driver.requestPool({ ...request, range: FIRST }, call);
  const second = await leases.driver.requestPool({ ...request, range: SECOND }, call);
  // Made in the other order.
  for (const digit of ['2', '1'])
    await state.putNetwork({ ...network(digit), pools: leases.settle(network(digit).subnets).pools });
  await leases.match(told('1', FIRST));
  await leases.match(told('2', SECOND));
  await leases.match(told('3', SECOND));
  assert.deepEqual(
    [...state.networks.values()].map(({ pools }) => pools),
    [[second.id], [first.id]],
  );
  await leases.driver.releasePool(first.id, call);
  await forget('1');
  assert.deepEqual(
    ipam.pools().map(({ id, released }) => [id, released]),
    [[second.id, false]],
  );
  await leases.driver.requestPool({ ...request, range: FIRST }, call);
  assert.equal(leases.givenBack(networkId('2')), false);
});

test('a pool that a restarted engine asked for again goes with its network', async () => {
  const { ipam, leases, make, remove } = await open();
  await make('1');
  leases.engineStarted();
  await leases.driver.requestPool(request, call);
  leases.reconciled();
  await remove('1');
  assert.deepEqual(ipam.pools(), []);
});

test('a network that could not be made leaves its pool as one that is asked for', async () => {
  const { ipam, leases } = await open();
  const { id } = await leases.driver.requestPool(request, call);
  leases.settle(network('1').subnets).undo();
  await leases.driver.releasePool(id, call);
  assert.deepEqual(ipam.pools(), []);
});

test('of networks that share a subnet, those that go at the same time leave nothing', async () => {
  const { ipam, make, remove, giveBack, forget } = await open();
  for (const digit of ['1', '2', '3']) await make(digit);
  await giveBack();
  await giveBack();
  await forget('1');
  await forget('2');
  assert.equal(ipam.pools()[0]?.released, false, 'one is left');
  await remove('3');
  assert.deepEqual(ipam.pools(), []);
});

test('a network that goes has nothing to do with the pools of another that is about to go', async () => {
  const { ipam, make, giveBack, forget, leases } = await open();
  await make('1');
  await giveBack();
  await leases.freeReleased({ ...network('2'), subnets: [{ prefix: parsePrefix('10.2.0.0/24')!, auxiliary: {} }] });
  await forget('1');
  assert.deepEqual(ipam.pools(), []);
});

test('a network that was refused does not make the one that was there look done with, however often', async () => {
  const { ipam, leases, make } = await open();
  await make('1');
  for (let time = 0; time < 3; time++) {
    const { id } = await leases.driver.requestPool(request, call);
    await leases.driver.releasePool(id, call);
    assert.equal(leases.givenBack(networkId('1')), false);
    assert.equal(ipam.pools()[0]?.released, false);
  }
});

test('a network whose pool was given back and asked for anew is done with', async () => {
  const { leases, make } = await open();
  const id = await make('1');
  await leases.driver.releasePool(id, call);
  await leases.driver.requestPool(request, call);
  assert.equal(leases.givenBack(networkId('1')), true);
});

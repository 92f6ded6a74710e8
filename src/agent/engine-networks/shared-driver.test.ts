import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { Call, CreateEndpoint, NetworkDriver } from '../../docker/driver.ts';
import type { FabricContext } from '../../fabric/fabric.ts';
import type { NetworkId } from '../../model/ids.ts';
import type { Network } from '../../model/network.ts';
import { parsePrefix } from '../../model/prefix.ts';
import { createMemoryStore } from '../../store/memory.ts';
import type { Store } from '../../store/store.ts';
import type { PluginConfig } from '../config.ts';
import { withSharedNetworks } from './shared-driver.ts';
import { openSharedNetworks, type SharedNetworks } from './shared-networks.ts';

const id = 'a'.repeat(64) as NetworkId;
const call = { plugin: 'berth' } as Call;
const subnets = [{ prefix: parsePrefix('10.1.0.0/24')!, auxiliary: {} }];
const request = { id, plugin: 'berth', subnets, internal: false, options: {} };

let store: Store;
let opened: SharedNetworks[];
beforeEach(() => {
  store = createMemoryStore();
  opened = [];
});
afterEach(() => Promise.all(opened.map((one) => one.close())));

/** A host with a driver that keeps networks, and refuses what it does not know. */
function host(name: string, scope: PluginConfig['scope'] = 'global') {
  const shared = openSharedNetworks(store, { emit: () => undefined });
  opened.push(shared);
  const networks = new Map<NetworkId, Network>();
  const removed: string[] = [];
  const known = (network: NetworkId) =>
    networks.has(network) ? Promise.resolve() : Promise.reject(new Error('unknown'));
  const driver = {
    createNetwork: (given: typeof request) => {
      networks.set(given.id, { ...request, fabric: 'cluster', leased: true, settings: {}, createdAt: 0 });
      return Promise.resolve();
    },
    deleteNetwork: (gone: NetworkId) => Promise.resolve(void networks.delete(gone)),
    createEndpoint: ({ network }: CreateEndpoint) => known(network),
    join: ({ network }: { network: NetworkId }) => known(network),
  } as unknown as NetworkDriver;
  const plugins = new Map([['berth', { name: 'berth', fabric: 'cluster', scope }]] as const);
  const with_ = withSharedNetworks(driver, {
    host: name,
    plugins,
    shared,
    state: { networks },
    lifecycle: {
      context: () => ({ networks: [], host: { routes: [] } }) as unknown as FabricContext,
      serialise: (_: string, work) => work(),
      addNetwork: (network) => Promise.resolve(void networks.set(network.id, network)),
    },
    removed: ({ id: gone }) => void removed.push(gone),
    now: () => 1,
  });
  return { driver: with_, networks, removed, shared };
}

const endpoint = { network: id } as CreateEndpoint;

test('a network that one host made is understood by the others when they first hear of it', async () => {
  const [one, two] = [host('h1'), host('h2')];
  await assert.rejects(two.driver.createEndpoint(endpoint, call), /unknown/);
  await one.driver.createNetwork({ ...request, ipv6: false }, call);
  await two.driver.createEndpoint(endpoint, call);
  const { settings: _settings, ...network } = two.networks.get(id)!;
  assert.deepEqual(network, { ...request, fabric: 'cluster', leased: true, createdAt: 1 });
});

test('whoever is told of its removal tells it', async () => {
  const [one, two] = [host('h1'), host('h2')];
  await one.driver.createNetwork({ ...request, ipv6: false }, call);
  await two.driver.createEndpoint(endpoint, call);
  await two.driver.deleteNetwork(id, call);
  assert.deepEqual([await one.shared.read(id), two.removed], [undefined, [id]]);
});

test('everybody hears of its removal, and of what it was', async () => {
  const [one, two] = [host('h1'), host('h2')];
  await one.driver.createNetwork({ ...request, ipv6: false }, call);
  const known = Promise.withResolvers<void>();
  two.shared.onChange(() => void (two.shared.all()?.has(id) === true && known.resolve()));
  await two.driver.createEndpoint(endpoint, call);
  const gone = Promise.withResolvers<unknown>();
  two.shared.onGone(({ id: which, scope, host: by }) => gone.resolve([which, scope, by]));
  await known.promise;
  await one.driver.deleteNetwork(id, call);
  assert.deepEqual(await gone.promise, [id, 'global', 'h1']);
});

test('one that only its own engine has is nobody else’s', async () => {
  const [one, two] = [host('h1', 'local'), host('h2', 'local')];
  await one.driver.createNetwork({ ...request, ipv6: false }, call);
  assert.equal(await one.shared.read(id), undefined);
  await assert.rejects(two.driver.createEndpoint(endpoint, call), /unknown/);
});

test('without the store no network is made, for the others would not understand it', async () => {
  const one = host('h1');
  store.transact = () => Promise.reject(new Error('the store is away'));
  await assert.rejects(one.driver.createNetwork({ ...request, ipv6: false }, call), /the store is away/);
  assert.equal(one.networks.size, 0);
});

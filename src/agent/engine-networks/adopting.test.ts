import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { EngineNetwork } from '../../docker/engine.ts';
import { clusterNetwork } from '../../fabric/cluster/view.ts';
import type { FabricContext } from '../../fabric/fabric.ts';
import { parseAddress } from '../../model/address.ts';
import type { NetworkId } from '../../model/ids.ts';
import { keys } from '../../model/keys.ts';
import type { Json, Network } from '../../model/network.ts';
import { parsePrefix } from '../../model/prefix.ts';
import { encodeClusterEndpoint } from '../../objects/codec.ts';
import { openRegistry, type Registry } from '../../objects/registry.ts';
import { createMemoryStore } from '../../store/memory.ts';
import type { Store } from '../../store/store.ts';
import { type Adopting, createAdopting } from './adopting.ts';
import { openSharedNetworks, type SharedNetworks } from './shared-networks.ts';

const id = 'a'.repeat(64) as NetworkId;
const subnet = parsePrefix('10.1.0.0/24')!;
const gateway = parseAddress('10.1.0.1')!;
const seen: EngineNetwork = {
  id,
  name: 'shop',
  driver: 'berth',
  ipamDriver: 'berth',
  scope: 'local',
  internal: false,
  options: {},
  ipamOptions: {},
  labels: {},
  subnets: [{ subnet, auxiliary: {} }],
  endpoints: [],
};

let store: Store;
let registry: Registry;
let shared: SharedNetworks;
let networks: Map<NetworkId, Network>;
let events: string[];
let clock: number;
let adopting: Adopting;

beforeEach(async () => {
  [store, events, clock] = [createMemoryStore(), [], 0];
  registry = openRegistry(store);
  shared = openSharedNetworks(store, { emit: () => undefined });
  networks = new Map();
  networks.set(id, {
    id,
    fabric: 'cluster',
    plugin: 'berth',
    subnets: [{ prefix: subnet, gateway, auxiliary: {} }],
    leased: true,
    internal: false,
    options: {},
    settings: { bridge: 'bt1', masquerade: true, interfacePrefix: 'eth' },
    createdAt: 0,
  });
  const objects = await registry.current();
  adopting = createAdopting({
    host: 'h1',
    driver: 'berth',
    store,
    registry,
    shared,
    state: { networks },
    lifecycle: {
      become: (which: NetworkId, settings: Json) => {
        networks.set(which, { ...networks.get(which)!, settings });
        return Promise.resolve();
      },
      context: () =>
        ({
          networks: [...networks.values()],
          host: { routes: [], links: [], addresses: [] },
          cluster: { network: (key: string) => clusterNetwork(objects, key) },
        }) as unknown as FabricContext,
    },
    moveLeases: () => Promise.resolve(),
    events: { emit: (event) => void events.push(event) },
    monotonic: () => clock,
  });
});
afterEach(async () => {
  registry.close();
  await shared.close();
});

const look = async (...listed: EngineNetwork[]) => adopting.listed(listed, await registry.current());
const names = async () => (await registry.current()).list('network').map(({ key }) => key);
/** A container on a host, as its agent tells it. */
async function put(host: string): Promise<void> {
  const endpoint = { id: 'e1', network: 'default:shop', host, addresses: ['10.1.0.2'], mac: '02:42:0a:01:00:02' };
  const value = encodeClusterEndpoint(endpoint);
  await store.transact({ then: [{ do: 'put', key: keys.clusterEndpoint('default:shop', 'e1'), value }] });
}

test('one becomes the cluster’s, also where nothing was ever set', async () => {
  await look(seen);
  await look(seen);
  assert.deepEqual(await names(), ['default:shop']);
  assert.deepEqual([...adopting.adopted()], [[id, 'network default:shop']]);
  const { cluster } = networks.get(id)!.settings as { cluster: { tenant: string; gateways: string[] } };
  assert.deepEqual([cluster.tenant, cluster.gateways], ['default', ['10.1.0.1']]);
  const { config } = (await registry.current()).get('network', 'default:shop')!;
  assert.deepEqual([config.subnet, config.gateway], ['10.1.0.0/24', '10.1.0.1']);
});

test('it goes with its Docker network, unless containers of other hosts are on it', async () => {
  await look(seen);
  await look(seen);
  networks.clear();
  await put('h2');
  assert.equal(await look(), true);
  assert.deepEqual([await names(), [...adopting.adopted()], events.at(-1)], [['default:shop'], [], 'network.kept']);
});

test('a container of this host that has just gone is waited for', async () => {
  await look(seen);
  await look(seen);
  networks.clear();
  await put('h1');
  await look();
  assert.deepEqual([await names(), adopting.adopted().size, adopting.problems().length], [['default:shop'], 1, 1]);
  await store.transact({ then: [{ do: 'delete', key: keys.clusterEndpoint('default:shop', 'e1') }] });
  clock += adopting.wait()!;
  await look();
  assert.deepEqual([await names(), adopting.adopted().size, adopting.problems()], [[], 0, []]);
});

test('what is closed, swarm’s, ours or another’s is none of its business', async () => {
  for (const more of [
    { internal: true },
    { scope: 'swarm' },
    { labels: { 'net.berth.cluster': 'default:shop' } },
    { driver: 'bridge' },
  ])
    assert.equal(await look({ ...seen, ...more }), false);
  assert.deepEqual([await names(), adopting.problems()], [[], []]);
});

test('one that cannot be is told once, and tried again', async () => {
  const strange = { ...seen, ipamDriver: 'default' };
  await look(strange);
  clock += adopting.wait()!;
  await look(strange);
  assert.match(adopting.problems().join(), /^the Docker network shop is of this host alone: .* --ipam-driver berth$/);
  assert.deepEqual(events, ['network.unshared']);
  clock += adopting.wait()!;
  await look(seen);
  await look(seen);
  assert.deepEqual([await names(), adopting.problems()], [['default:shop'], []]);
});

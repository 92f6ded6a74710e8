import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { pino } from 'pino';
import type { HostView, Kernel } from '../kernel/kernel.ts';
import { type KernelObject, objectKey } from '../kernel/objects.ts';
import { parseAddress } from '../model/address.ts';
import { BerthError } from '../model/errors.ts';
import type { EndpointId, NetworkId } from '../model/ids.ts';
import { macFromAddress } from '../model/mac.ts';
import type { Endpoint, Network } from '../model/network.ts';
import { parsePrefix } from '../model/prefix.ts';
import { DEFAULT_DATABASE } from '../ovs/address.ts';
import { openSqliteStore } from '../store/sqlite/store.ts';
import type { Store } from '../store/store.ts';
import { openEvents } from './events.ts';
import { createLifecycle, type Lifecycle } from './lifecycle.ts';
import { openState, type State, storeNotes } from './state.ts';

const bare: HostView = { links: [], addresses: [], routes: [] };
const network: Network = {
  id: 'n1'.padEnd(64, '0') as NetworkId,
  fabric: 'cluster',
  plugin: 'berth',
  subnets: [{ prefix: parsePrefix('10.1.0.0/24')!, gateway: parseAddress('10.1.0.1')!, auxiliary: {} }],
  leased: true,
  internal: false,
  options: {},
  settings: { bridge: 'bt1', masquerade: true, interfacePrefix: 'eth' },
  createdAt: 0,
};
const address = parseAddress('10.1.0.2')!;
const endpoint: Endpoint = {
  id: 'e1'.padEnd(64, '0') as EndpointId,
  network: network.id,
  phase: 'created',
  addresses: [{ address, length: 24 }],
  mac: macFromAddress(address),
  publishes: false,
  options: {},
  settings: null,
  createdAt: 0,
};

/** A kernel that only remembers; `refuse` makes it fail for one owner, `hold` makes removals wait. */
function rememberingKernel() {
  const owned = new Map<string, readonly KernelObject[]>();
  const fake = {
    owned,
    refuse: undefined as string | undefined,
    hold: Promise.resolve(),
    /** What is in containers. */
    inside: bare,
    removals: [] as { readonly owner: string; readonly known: readonly KernelObject[] }[],
    links: () =>
      [...owned.values()]
        .flat()
        .filter((object) => object.kind === 'link')
        .map((object) => object.name),
    apply(owner: string, objects: readonly KernelObject[]) {
      if (fake.refuse !== undefined && owner.startsWith(fake.refuse))
        return Promise.reject(new BerthError('KERNEL_REFUSED', `no ${owner}`));
      owned.set(owner, objects);
      return Promise.resolve();
    },
    declare: (owner: string, objects: readonly KernelObject[]) => void owned.set(owner, objects),
    async remove(owner: string, known: readonly KernelObject[] = [], begun?: () => void) {
      fake.removals.push({ owner, known });
      begun?.();
      await fake.hold;
      owned.delete(owner);
    },
    view: (netns?: string) => Promise.resolve(netns === undefined ? bare : fake.inside),
    audit: () => Promise.resolve([]),
    execute: () => Promise.resolve(),
    announce: () => Promise.resolve(),
    belongings: () => Promise.resolve([]),
    neighbours: () => Promise.resolve([]),
    entries: () => Promise.resolve([]),
    packets: () => Promise.reject(new BerthError('KERNEL_LACKS', 'no packets')),
    beforeResolver: () => Promise.reject(new BerthError('KERNEL_LACKS', 'no resolver')),
    resolverStream: () => Promise.reject(new BerthError('KERNEL_LACKS', 'no resolver')),
    onDrift() {},
    onChange() {},
    onArrival() {},
    close: () => Promise.resolve(),
  };
  return fake satisfies Kernel;
}

let folder: string;
let store: Store;
let kernel: ReturnType<typeof rememberingKernel>;
let state: State;
let lifecycle: Lifecycle;
let host: HostView;
/** The host as it was last read. */
let seen: HostView;

function refresh(): Promise<HostView> {
  seen = host;
  return Promise.resolve(seen);
}

async function open(linger = 0): Promise<void> {
  store = await openSqliteStore(join(folder, 'berth.db'));
  state = await openState(store, 'h');
  lifecycle = createLifecycle({
    state,
    kernel,
    host: { current: () => seen, refresh, onChange() {} },
    notes: storeNotes(store, 'h'),
    events: openEvents(pino({ level: 'silent' })),
    defaults: { bridge: 'br0', ovsDatabase: DEFAULT_DATABASE },
    engineRefusesGateway: () => false,
    linger,
  });
}

/** As after a kill: memory is gone, the store and the kernel are not. */
async function restart(): Promise<void> {
  lifecycle.close();
  await store.close();
  await open();
  await lifecycle.recover();
  await lifecycle.settled();
}

beforeEach(async () => {
  host = bare;
  seen = bare;
  folder = mkdtempSync(join(tmpdir(), 'berth-lifecycle-'));
  kernel = rememberingKernel();
  await open();
});
afterEach(async () => {
  lifecycle.close();
  await store.close();
  rmSync(folder, { recursive: true });
});

const eventually = async (condition: () => boolean): Promise<void> => {
  const deadline = Date.now() + 30_000;
  while (!condition()) {
    assert.ok(Date.now() < deadline, 'it did not come about within 30 s');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

test('a network costs nothing until an endpoint is attached, and again when the last is gone', async () => {
  await lifecycle.addNetwork(network);
  await lifecycle.addEndpoint(endpoint);
  assert.equal(kernel.owned.size, 0);
  const answer = await lifecycle.attach(endpoint.id, '/run/docker/netns/x', false);
  assert.deepEqual([answer.gateway4, answer.gateway6], [parseAddress('10.1.0.1'), undefined]);
  assert.deepEqual([...kernel.owned.keys()], ['fabric/cluster', `network/${network.id}`, `endpoint/${endpoint.id}`]);
  await lifecycle.removeEndpoint(endpoint.id);
  await eventually(() => kernel.owned.size === 0 && state.endpoints.size === 0);
  assert.equal(state.pending(), 0);
});

test('the filter is in the kernel before the link that it guards', async () => {
  await lifecycle.addNetwork(network);
  await lifecycle.addEndpoint(endpoint);
  const order: string[] = [];
  const { apply } = kernel;
  kernel.apply = (owner, objects) => {
    order.push(...objects.map(objectKey));
    return apply(owner, objects);
  };
  await lifecycle.attach(endpoint.id, '/x', false);
  assert.ok(order.indexOf('nft-table inet berth') < order.findIndex((key) => key.startsWith('link bv')), order.join());
});

test('what the kernel refuses is undone, and the endpoint can be deleted', async () => {
  await lifecycle.addNetwork(network);
  await lifecycle.addEndpoint(endpoint);
  kernel.refuse = 'endpoint/';
  await assert.rejects(lifecycle.attach(endpoint.id, '/x', false), { code: 'KERNEL_REFUSED' });
  assert.equal(state.endpoints.get(endpoint.id)?.phase, 'created');
  assert.equal(state.pending(), 0);
  await lifecycle.removeEndpoint(endpoint.id);
  await eventually(() => state.endpoints.size === 0);
});

test('a removal is answered before the kernel has done it, and its record stays until it has', async () => {
  await lifecycle.addNetwork(network);
  await lifecycle.addEndpoint(endpoint);
  await lifecycle.attach(endpoint.id, '/x', false);
  const gate = Promise.withResolvers<void>();
  kernel.hold = gate.promise;
  await lifecycle.removeEndpoint(endpoint.id);
  assert.equal(state.endpoints.get(endpoint.id)?.phase, 'removing');
  assert.equal(state.holder(network.id, '10.1.0.2'), undefined, 'its address may be used again');
  gate.resolve();
  await eventually(() => state.endpoints.size === 0);
});

test('of a container that has ended the link goes at Leave, of one that runs only with its endpoint', async () => {
  await lifecycle.addNetwork(network);
  await lifecycle.addEndpoint(endpoint);
  for (const ended of [false, true]) {
    await lifecycle.attach(endpoint.id, '/x', false);
    await lifecycle.detach(endpoint.id, { ended });
    if (ended) await eventually(() => !kernel.owned.has(`endpoint/${endpoint.id}`));
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(kernel.owned.has(`endpoint/${endpoint.id}`), !ended);
    assert.equal(state.endpoints.get(endpoint.id)?.sandbox, undefined);
    assert.equal(state.holder(network.id, '10.1.0.2')?.id, endpoint.id, 'its address is still its own');
  }
  await eventually(() => kernel.owned.size === 0);
  await lifecycle.removeEndpoint(endpoint.id);
  await eventually(() => state.endpoints.size === 0);
});

test('Leave is answered as soon as the kernel is at the removal, and does not wait for its end', async (t) => {
  await lifecycle.addNetwork(network);
  await lifecycle.addEndpoint(endpoint);
  await lifecycle.attach(endpoint.id, '/x', false);
  const gate = Promise.withResolvers<void>();
  kernel.hold = gate.promise;
  // It is not time that ends it.
  t.mock.timers.enable({ apis: ['setTimeout'] });
  await lifecycle.detach(endpoint.id, { ended: true });
  t.mock.timers.reset();
  assert.deepEqual(
    kernel.removals.map(({ owner }) => owner),
    [`endpoint/${endpoint.id}`],
  );
  assert.ok(kernel.owned.has(`endpoint/${endpoint.id}`), 'the kernel is still at it');
  gate.resolve();
  await eventually(() => !kernel.owned.has(`endpoint/${endpoint.id}`));
});

test('nor does it wait for a kernel that does not get to it', async () => {
  await lifecycle.addNetwork(network);
  await lifecycle.addEndpoint(endpoint);
  await lifecycle.attach(endpoint.id, '/x', false);
  const { promise, resolve } = Promise.withResolvers<void>();
  kernel.remove = () => promise;
  await lifecycle.detach(endpoint.id, { ended: true });
  resolve();
});

test('a link that is in a container as a whole is removed there, though nobody has seen yet where it is', async () => {
  const parent = { index: 2, name: 'eth2', mtu: 1500, mac: endpoint.mac, up: true, running: true, loopback: false };
  host = { ...bare, links: [parent] };
  await refresh();
  const settings = { mode: 'macvlan', parent: 'eth2', variant: 'bridge', hostAccess: false, interfacePrefix: 'eth' };
  await lifecycle.addNetwork({ ...network, fabric: 'lan', plugin: 'berth-lan', settings });
  await lifecycle.addEndpoint(endpoint);
  await lifecycle.attach(endpoint.id, '/x', false);
  const plugged = { ...parent, name: 'eth0', alias: `berth endpoint ${endpoint.id.slice(0, 12)}` };
  kernel.inside = { ...bare, links: [{ ...parent, name: 'lo' }, plugged] };
  await lifecycle.detach(endpoint.id, { ended: true });
  const [link] = kernel.removals[0]!.known;
  assert.deepEqual(link?.kind === 'link' && 'plugged' in link && link.plugged, { netns: '/x', name: 'eth0' });
});

test('an endpoint that is joined again while its link is being removed has one afterwards', async () => {
  await lifecycle.addNetwork(network);
  await lifecycle.addEndpoint(endpoint);
  await lifecycle.attach(endpoint.id, '/x', false);
  const detached = lifecycle.detach(endpoint.id, { ended: true });
  await lifecycle.attach(endpoint.id, '/y', false);
  await detached;
  await lifecycle.settled();
  assert.equal(kernel.links().filter((name) => name.startsWith('bv')).length, 1);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.ok(kernel.owned.has(`network/${network.id}`), 'the network has an endpoint again');
});

test('a restart finishes a removal that was interrupted', async () => {
  await lifecycle.addNetwork(network);
  await lifecycle.addEndpoint(endpoint);
  await lifecycle.attach(endpoint.id, '/x', false);
  await lifecycle.settled();
  await state.putEndpoint(
    { ...state.endpoints.get(endpoint.id)!, phase: 'removing' },
    { open: { name: `endpoint-${endpoint.id}`, operation: 'remove', target: endpoint.id } },
  );
  await restart();
  assert.equal(state.endpoints.size, 0);
  assert.equal(state.pending(), 0);
  assert.deepEqual(
    kernel.links().filter((name) => name.startsWith('bv')),
    [],
  );
});

test('a restart declares what an interrupted attach had begun', async () => {
  await lifecycle.addNetwork(network);
  await lifecycle.addEndpoint(endpoint);
  await state.putEndpoint(
    { ...endpoint, phase: 'attached', sandbox: '/x' },
    { open: { name: `endpoint-${endpoint.id}`, operation: 'attach', target: endpoint.id } },
  );
  await restart();
  assert.equal(state.pending(), 0);
  assert.equal(kernel.links().filter((name) => name.startsWith('bv')).length, 1);
});

test('a restart finishes the removal of a network', async () => {
  await lifecycle.addNetwork(network);
  await lifecycle.addEndpoint(endpoint);
  await lifecycle.attach(endpoint.id, '/x', false);
  await lifecycle.settled();
  await state.putNetwork(network, { open: { name: `network-${network.id}`, operation: 'close', target: network.id } });
  await restart();
  assert.deepEqual([state.networks.size, state.endpoints.size, state.pending(), kernel.owned.size], [0, 0, 0, 0]);
});

test('what cannot be finished at the start is told and tried again, and the agent serves all the same', async () => {
  await lifecycle.addNetwork(network);
  await lifecycle.addEndpoint(endpoint);
  await lifecycle.attach(endpoint.id, '/x', false);
  await lifecycle.settled();
  await state.putNetwork(network, { open: { name: `network-${network.id}`, operation: 'close', target: network.id } });
  const { remove } = kernel;
  kernel.remove = () => Promise.reject(new BerthError('KERNEL_BUSY', 'not now'));
  await restart();
  assert.equal(state.networks.size, 1);
  kernel.remove = remove;
  await lifecycle.maintain();
  await lifecycle.settled();
  assert.deepEqual([state.networks.size, state.endpoints.size, state.pending(), kernel.owned.size], [0, 0, 0, 0]);
});

test('between two containers the network stays in the kernel for a while', async () => {
  lifecycle.close();
  await store.close();
  await open(60_000);
  await lifecycle.addNetwork(network);
  await lifecycle.addEndpoint(endpoint);
  await lifecycle.attach(endpoint.id, '/x', false);
  await lifecycle.removeEndpoint(endpoint.id);
  await eventually(() => state.endpoints.size === 0);
  assert.deepEqual(kernel.links(), ['bt1']);
  await lifecycle.removeNetwork(network.id);
  assert.equal(kernel.owned.size, 0);
});

test('a removal that the store refused is done by the next maintenance', async () => {
  await lifecycle.addNetwork(network);
  await lifecycle.addEndpoint(endpoint);
  await lifecycle.attach(endpoint.id, '/run/docker/netns/x', false);
  await lifecycle.settled();
  const { deleteEndpoint } = state;
  state.deleteEndpoint = () => Promise.reject(new BerthError('STORE_FULL', 'no room'));
  await lifecycle.removeEndpoint(endpoint.id);
  await lifecycle.settled();
  await lifecycle.maintain();
  await lifecycle.settled();
  assert.equal(state.endpoints.get(endpoint.id)?.phase, 'removing', 'there is still no room');
  state.deleteEndpoint = deleteEndpoint;
  await lifecycle.maintain();
  await eventually(() => kernel.owned.size === 0 && state.endpoints.size === 0);
  assert.equal(state.pending(), 0);
});

test('a bridge that was made just before the container starts is found', async () => {
  const lan: Network = {
    ...network,
    fabric: 'lan',
    settings: { bridge: 'br0', confirm: 'auto', confirmSeconds: 60, interfacePrefix: 'eth' },
  };
  await lifecycle.addNetwork(lan);
  await lifecycle.addEndpoint(endpoint);
  await assert.rejects(lifecycle.attach(endpoint.id, '/run/docker/netns/x', false), { code: 'INTERFACE_UNKNOWN' });
  const bridge = { index: 2, name: 'br0', type: 'bridge', mtu: 1500, up: true, running: true, loopback: false };
  host = { ...bare, links: [bridge] };
  await lifecycle.attach(endpoint.id, '/run/docker/netns/x', false);
  assert.equal(state.endpoints.get(endpoint.id)?.phase, 'attached');
});

test('a network whose record was lost is declared as it is, with what runs on it', async () => {
  await lifecycle.adopt(network, [{ ...endpoint, phase: 'attached' }]);
  assert.deepEqual(
    [...kernel.owned.keys()].toSorted(),
    [`endpoint/${endpoint.id}`, 'fabric/cluster', `network/${network.id}`].toSorted(),
  );
  await restart();
  assert.deepEqual([...state.networks.keys()], [network.id]);
  assert.equal(state.endpoints.get(endpoint.id)?.phase, 'attached');
  // It stays as long as what ran on it before the loss.
  await lifecycle.addEndpoint({ ...endpoint, id: 'e2'.padEnd(64, '0') as EndpointId });
  await lifecycle.attach('e2'.padEnd(64, '0') as EndpointId, '/run/docker/netns/y', false);
  await lifecycle.removeEndpoint('e2'.padEnd(64, '0') as EndpointId);
  await lifecycle.settled();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.ok(kernel.owned.has(`network/${network.id}`));
});

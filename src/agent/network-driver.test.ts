import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import type { Kernel } from '../kernel/kernel.ts';
import { formatAddress, parseAddress } from '../model/address.ts';
import type { EndpointId, NetworkId } from '../model/ids.ts';
import { parsePrefix } from '../model/prefix.ts';
import { DEFAULT_DATABASE } from '../ovs/address.ts';
import { createMemoryStore } from '../store/memory.ts';
import type { Dhcp } from './dhcp/manager.ts';
import { openEvents } from './events.ts';
import type { Leases } from './leases.ts';
import { createLifecycle } from './lifecycle.ts';
import { createNames } from './names.ts';
import { createNetworkDriver } from './network-driver.ts';
import { openState, storeNotes } from './state.ts';
import { noConflicts } from './testing/conflicts.ts';

const view = { links: [], addresses: [], routes: [] };
const kernel: Kernel = {
  apply: () => Promise.resolve(),
  remove: () => Promise.resolve(),
  declare() {},
  audit: () => Promise.resolve([]),
  execute: () => Promise.resolve(),
  announce: () => Promise.resolve(),
  belongings: () => Promise.resolve([]),
  neighbours: () => Promise.resolve([]),
  entries: () => Promise.resolve([]),
  packets: () => Promise.reject(new Error('no packets')),
  beforeResolver: () => Promise.reject(new Error('no resolver')),
  resolverStream: () => Promise.reject(new Error('no resolver')),
  view: () => Promise.resolve(view),
  onDrift() {},
  onChange() {},
  onArrival() {},
  close: () => Promise.resolve(),
};
const call = { plugin: 'berth', signal: new AbortController().signal };
const network = 'n1'.padEnd(64, '0') as NetworkId;
const id = (name: string) => name.padEnd(64, '0') as EndpointId;
const on = (text: string) => {
  const [address, length] = text.split('/');
  return { address: parseAddress(address!)!, length: Number(length) };
};

/** A dual-stack network; `leased` says who holds what of our IPAM, and is absent when the addresses are the engine's own. */
async function openDriver(leased?: ReadonlyMap<string, EndpointId>, occupied = true) {
  const store = createMemoryStore();
  const state = await openState(store, 'h');
  const host = { current: () => view, refresh: () => Promise.resolve(view), onChange() {} };
  const lifecycle = createLifecycle({
    state,
    kernel,
    host,
    notes: storeNotes(store, 'h'),
    events: openEvents(pino({ level: 'silent' })),
    defaults: { bridge: 'br0', ovsDatabase: DEFAULT_DATABASE },
    engineRefusesGateway: () => false,
    linger: 0,
  });
  const leases = {
    reserve: () => Promise.resolve(),
    settle: () => ({ pools: [], undo() {} }),
    givenBack: () => false,
    claim: () => Promise.resolve(),
    holder: (_network, _subnet, address) => leased?.get(formatAddress(address)),
    serves: () => leased !== undefined,
    refused() {},
    engineIsNew: () => false,
  } satisfies Partial<Leases> as unknown as Leases;
  const plugins = new Map([['berth', { name: 'berth', fabric: 'cluster', scope: 'local' } as const]]);
  const driver = createNetworkDriver({
    conflicts: noConflicts,
    state,
    lifecycle,
    leases,
    names: createNames(),
    dhcp: {
      serves: () => false,
      claim: () => Promise.resolve(undefined),
      attached() {},
      networkGoes: () => Promise.resolve(),
    } as Partial<Dhcp> as Dhcp,
    host,
    plugins,
    now: () => 1,
    occupied: () => occupied,
  });
  const subnets = ['10.1.0.0/24', 'fd00::/64'].map((text) => ({ prefix: parsePrefix(text)!, auxiliary: {} }));
  await driver.createNetwork({ id: network, subnets, internal: false, ipv6: true, options: {} }, call);
  return {
    endpoints: () =>
      Object.fromEntries(
        [...state.endpoints.values()]
          .filter(({ phase }) => phase !== 'removing')
          .map(({ id: name, addresses }) => [
            name.slice(0, 2),
            addresses.map(({ address }) => formatAddress(address)).join(' '),
          ]),
      ),
    create: (name: string, ...addresses: string[]) =>
      driver.createEndpoint(
        { network, endpoint: id(name), addresses: addresses.map(on), options: {}, publishes: false },
        call,
      ),
    join: (name: string) =>
      driver.join({ network, endpoint: id(name), sandbox: '/run/docker/netns/x', publishes: false }, call),
    another: (subnet: string) => {
      const other = 'n2'.padEnd(64, '0') as NetworkId;
      const asked = [{ prefix: parsePrefix(subnet)!, auxiliary: {} }];
      return driver.createNetwork({ id: other, subnets: asked, internal: false, ipv6: false, options: {} }, call);
    },
    /** On a network of the cluster, which is made if it is not there. */
    async createFor(tenant: string, name: string, address: string) {
      const of = tenant.padEnd(64, '0') as NetworkId;
      const cluster = { tenant, network: 'shop', encapsulation: 'vxlan', tag: 1, kind: 'data', forwarding: 'bridge' };
      const settings = {
        bridge: tenant,
        masquerade: true,
        interfacePrefix: 'eth',
        cluster: { ...cluster, gateways: [] },
      };
      await state.putNetwork({ ...state.networks.get(network)!, id: of, settings });
      const request = { network: of, endpoint: id(name), addresses: [on(address)], options: {}, publishes: false };
      return driver.createEndpoint(request, call);
    },
    networks: () => [...state.networks.keys()].map((name) => name.slice(0, 2)),
    settled: () => lifecycle.settled(),
  };
}

test('an address that another endpoint holds is refused', async () => {
  const driver = await openDriver(new Map([['10.1.0.2', id('e1')]]));
  await driver.create('e1', '10.1.0.2/24');
  await assert.rejects(driver.create('e2', '10.1.0.2/24'), /10\.1\.0\.2 is held by the endpoint e10/);
  assert.deepEqual(driver.endpoints(), { e1: '10.1.0.2' });
});

for (const leased of [new Map<string, EndpointId>(), undefined]) {
  test(`an endpoint all of whose addresses are given away is gone, ${leased ? 'our' : "the engine's"} IPAM`, async () => {
    const driver = await openDriver(leased);
    await driver.create('e1', '10.1.0.2/24', 'fd00::2/64');
    await driver.create('e2', '10.1.0.2/24', 'fd00::2/64');
    await driver.settled();
    assert.deepEqual(driver.endpoints(), { e2: '10.1.0.2 fd00::2' });
  });
}

for (const leased of [new Map([['10.1.0.2', id('e1')]]), undefined]) {
  test(`an endpoint that gave one address back lives on the other, ${leased ? 'our' : "the engine's"} IPAM`, async () => {
    const driver = await openDriver(leased);
    await driver.create('e1', '10.1.0.2/24', 'fd00::2/64');
    await driver.create('e2', '10.1.0.3/24', 'fd00::2/64');
    await driver.settled();
    assert.deepEqual(driver.endpoints(), { e1: '10.1.0.2', e2: '10.1.0.3 fd00::2' });
  });
}

test('a network that its engine has forgotten makes room for one on its subnet', async () => {
  const driver = await openDriver(undefined, false);
  await driver.create('e1', '10.1.0.2/24');
  await driver.join('e1');
  await driver.another('10.1.0.0/25');
  assert.deepEqual(driver.networks(), ['n2']);
});

test('a network that a container runs on never does, whatever IPAM gives out its subnet again', async () => {
  const driver = await openDriver();
  await driver.create('e1', '10.1.0.2/24');
  await driver.join('e1');
  await assert.rejects(driver.another('10.1.0.0/25'), { code: 'SUBNET_OVERLAP' });
  assert.deepEqual(driver.networks(), ['n1']);
});

test('an address of one tenant is another one than that of another', async () => {
  const driver = await openDriver(new Map([['10.1.0.2', id('e2')]]));
  const { mac } = await driver.createFor('red', 'e1', '10.1.0.2/24');
  assert.equal(mac, '02:02:0a:01:00:02');
  await driver.createFor('blue', 'e2', '10.1.0.2/24');
  assert.deepEqual(driver.endpoints(), { e1: '10.1.0.2', e2: '10.1.0.2' });
});

/** Networks on one segment, and what leads from it to other hosts. */

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import type { RemoteEndpoint } from '../fabric/cluster/overlay.ts';
import { segmentBridge } from '../fabric/cluster/segment.ts';
import type { FabricContext } from '../fabric/fabric.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { KernelObject } from '../kernel/objects.ts';
import { formatAddress, parseAddress } from '../model/address.ts';
import type { NetworkId } from '../model/ids.ts';
import { parseMac } from '../model/mac.ts';
import type { Network } from '../model/network.ts';
import { type InterfaceAddress, parsePrefix } from '../model/prefix.ts';
import { createBackground } from './background.ts';
import { type Carriage, type CarriageParts, createCarriage } from './carriage.ts';
import type { State } from './state.ts';

const SHOP = 'red:shop';
const address = (text: string) => parseAddress(text)!;

function network(name: string, group?: string): Network {
  return {
    id: name.padEnd(64, '0') as NetworkId,
    fabric: 'cluster',
    plugin: 'berth',
    subnets: [{ prefix: parsePrefix('10.1.0.0/24')!, gateway: address('10.1.0.254'), auxiliary: {} }],
    leased: true,
    internal: false,
    options: {},
    settings: {
      bridge: segmentBridge(SHOP),
      masquerade: true,
      interfacePrefix: 'eth',
      cluster: {
        tenant: 'red',
        network: 'shop',
        ...(group === undefined ? {} : { group }),
        encapsulation: 'vxlan',
        tag: 7,
        kind: 'data',
        forwarding: 'bridge',
        gateways: ['10.1.0.254'],
      },
    },
    createdAt: 0,
  };
}

const remote = (number: number, host: number): RemoteEndpoint => ({
  mac: parseMac(`02:02:0a:01:00:0${number}`)!,
  addresses: [address(`10.1.0.${number}`)],
  vtep: address(`10.9.0.${host}`),
});

const [whole, web] = [network('whole'), network('web', 'web')];
let owned: Map<string, readonly KernelObject[]>;
let calls: string[];
let carriers: Set<NetworkId>;
let networks: Map<NetworkId, Network>;
let kernel: Kernel;
let removed: [string, readonly KernelObject[]][];
let complete: boolean;
let own: readonly InterfaceAddress[];
let remotes: readonly RemoteEndpoint[] | undefined;
let parts: CarriageParts;
let carriage: Carriage;
let background: ReturnType<typeof createBackground>;

beforeEach(() => {
  owned = new Map();
  calls = [];
  carriers = new Set();
  networks = new Map([whole, web].map((one) => [one.id, one]));
  remotes = [];
  removed = [];
  complete = false;
  own = [];
  kernel = {
    apply(owner: string, objects: readonly KernelObject[]) {
      calls.push(owner);
      owned.set(owner, objects);
      return Promise.resolve();
    },
    declare: (owner: string, objects: readonly KernelObject[]) => void owned.set(owner, objects),
    entries: () => Promise.resolve([]),
    remove(owner: string, known?: readonly KernelObject[]) {
      calls.push(`-${owner}`);
      if (owner.startsWith('stray/')) removed.push([owner, known ?? []]);
      owned.delete(owner);
      return Promise.resolve();
    },
  } as unknown as Kernel;
  const context = (): FabricContext =>
    ({
      kernel,
      host: { links: [], addresses: [], routes: [] },
      networks: [...networks.values()],
      engineBridges: [],
      endpointsOf: (id: NetworkId) => (carriers.has(id) ? [{ phase: 'attached' }] : []),
      cluster: {
        host: 'one',
        vtep: address('10.9.0.1'),
        vxlanPort: 4789,
        uplinks: [],
        network: () => undefined,
        remotes: () => remotes,
        complete: () => complete,
        hostAddresses: () => own,
      },
    }) as unknown as FabricContext;
  background = createBackground({ emit: (_event: string, message: string) => assert.fail(message) } as never);
  parts = {
    state: { networks, carries: (id: NetworkId) => carriers.has(id) } as unknown as State,
    kernel,
    background,
    context,
    linger: 0,
  };
  carriage = createCarriage(parts);
});

const remoteOwners = () => [...owned.keys()].filter((owner) => owner.startsWith('remote/'));

test('networks on one segment have one set of objects, as long as one of them has an endpoint', async () => {
  carriers.add(whole.id);
  await carriage.apply(whole);
  carriers.add(web.id);
  await carriage.apply(web);
  await background.settled();
  assert.deepEqual([...owned.keys()], ['fabric/cluster', `network/${SHOP}`]);
  assert.deepEqual(carriage.segments(), [SHOP]);
  carriers.delete(whole.id);
  await carriage.withdraw(whole);
  assert.ok(owned.has(`network/${SHOP}`), 'the group has one');
  assert.ok(carriage.carried(whole));
  carriers.delete(web.id);
  await carriage.withdraw(web);
  assert.deepEqual([owned.size, carriage.segments()], [0, []]);
});

test('each host has its own part, and a change on one touches no other', async () => {
  const [a, b, c] = [remote(2, 2), remote(3, 2), remote(4, 3)];
  remotes = [a, b, c];
  carriers.add(whole.id);
  await carriage.apply(whole);
  await background.settled();
  assert.deepEqual(remoteOwners(), [`remote/${SHOP}/10.9.0.2`, `remote/${SHOP}/10.9.0.3`]);
  calls.length = 0;
  remotes = [a, c];
  carriage.refresh(SHOP);
  await background.settled();
  assert.deepEqual(
    calls.filter((call) => call.includes('remote/')),
    [`remote/${SHOP}/10.9.0.2`],
  );
  calls.length = 0;
  // From the second host to the third: it arrives there before it leaves here.
  remotes = [c, remote(2, 3)];
  carriage.refresh(SHOP);
  await background.settled();
  assert.deepEqual(
    calls.filter((call) => call.includes('remote/')),
    [`remote/${SHOP}/10.9.0.3`, `-remote/${SHOP}/10.9.0.2`],
  );
});

test("who turns up with an address that was another MAC's is announced here, once the way there leads to him", async () => {
  kernel.view = () =>
    Promise.resolve({ links: [{ name: segmentBridge(SHOP), index: 7 }], addresses: [], routes: [] } as never);
  kernel.announce = ({ link, mac, addresses }) => {
    calls.push(`announce ${link} ${mac} ${addresses.map(formatAddress).join()}`);
    return Promise.resolve();
  };
  const moved = { ...remote(2, 3), mac: parseMac('02:00:00:00:00:77')! };
  const own = { ...remote(4, 3), mac: parseMac('02:00:00:00:00:78')! };
  remotes = [remote(2, 2), remote(3, 2)];
  carriers.add(whole.id);
  await carriage.apply(whole);
  await background.settled();
  carriage.left(whole, remote(4, 1));
  calls.length = 0;
  // The one by way of not being anywhere, the other straight from us.
  for (remotes of [[remote(3, 2)], [remote(3, 2), moved, own]]) {
    carriage.refresh(SHOP);
    await background.settled();
  }
  assert.deepEqual(calls.filter((call) => /remote|announce/.test(call)).slice(-3), [
    `remote/${SHOP}/10.9.0.3`,
    'announce 7 02:00:00:00:00:77 10.1.0.2',
    'announce 7 02:00:00:00:00:78 10.1.0.4',
  ]);
});

test('what is not known changes nothing, and what is not carried is not made', async () => {
  remotes = [remote(2, 2)];
  carriage.refresh(SHOP);
  await background.settled();
  assert.equal(owned.size, 0);
  carriers.add(web.id);
  await carriage.apply(web);
  await background.settled();
  remotes = undefined;
  carriage.refresh(SHOP);
  await background.settled();
  assert.deepEqual(remoteOwners(), [`remote/${SHOP}/10.9.0.2`]);
});

test('what an earlier process has left is removed, once it is known for certain who is where', async () => {
  const stale: KernelObject = {
    kind: 'fdb',
    link: 'bx',
    mac: parseMac('02:02:0a:01:00:09')!,
    dst: address('10.9.0.9'),
  };
  kernel.entries = (link) => Promise.resolve(link.startsWith('bx') ? [stale] : []);
  remotes = [remote(2, 2)];
  carriers.add(whole.id);
  carriage.declare(whole);
  carriage.refresh(SHOP);
  await background.settled();
  assert.deepEqual(removed, [], 'that is what was remembered');
  complete = true;
  carriage.refresh(SHOP);
  carriage.refresh(SHOP);
  await background.settled();
  assert.deepEqual(removed, [[`stray/${SHOP}`, [stale]]]);
});

test('what leads to other hosts goes with the segment', async () => {
  remotes = [remote(2, 2), remote(3, 3)];
  carriers.add(whole.id);
  carriage.declare(whole);
  assert.equal(remoteOwners().length, 2);
  carriers.clear();
  await carriage.withdraw(whole);
  assert.deepEqual(remoteOwners(), []);
});

test('what is needed by itself goes with its record, and not sooner or later', async () => {
  const settings = whole.settings as { readonly cluster: object };
  const hosts = { ...whole, settings: { ...settings, cluster: { ...settings.cluster, kind: 'infra' } } };
  networks = new Map([[hosts.id, hosts]]);
  carriage = createCarriage({ ...parts, state: { ...parts.state, networks } });
  own = [{ address: address('10.1.0.1'), length: 24 }];
  carriage.follow(hosts);
  await background.settled();
  assert.deepEqual(carriage.segments(), [SHOP]);
  await carriage.withdraw(hosts);
  await background.settled();
  assert.deepEqual([carriage.segments(), owned.size], [[], 0]);
});

test('with one network of a tenant come those that it is routed to, and go with it', async () => {
  const routed = (name: string, tenant: string): Network => {
    const settings = network(name).settings as { readonly cluster: object };
    const of = { ...settings.cluster, tenant, network: name, forwarding: 'routing' };
    return { ...network(name), settings: { ...settings, bridge: segmentBridge(`${tenant}:${name}`), cluster: of } };
  };
  const [a, b, c] = [routed('a', 'red'), routed('b', 'red'), routed('c', 'blue')];
  networks = new Map([a, b, c].map((one) => [one.id, one]));
  carriage = createCarriage({ ...parts, state: { ...parts.state, networks } });
  carriers.add(a.id);
  await carriage.apply(a);
  await background.settled();
  assert.deepEqual(carriage.segments(), ['red:a', 'red:b']);
  carriers.clear();
  carriage.linger(a);
  const deadline = Date.now() + 5000;
  while (carriage.segments().length > 0) {
    assert.ok(Date.now() < deadline, 'they are gone within 5 s');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.equal(owned.size, 0);
});

/** What a host's records and its leases in the cluster have to do with each other. */

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { EngineNetwork } from '../../docker/engine.ts';
import { settingsFor } from '../../fabric/cluster/testing/settings.ts';
import { formatAddress, parseAddress } from '../../model/address.ts';
import type { EndpointId, NetworkId } from '../../model/ids.ts';
import { macFromAddress } from '../../model/mac.ts';
import type { Endpoint, Network } from '../../model/network.ts';
import { kindOf } from '../../model/objects/kinds.ts';
import { networkOfPool } from '../../model/pool.ts';
import { parsePrefix } from '../../model/prefix.ts';
import type { Registry } from '../../objects/registry.ts';
import { createMemoryStore } from '../../store/memory.ts';
import type { Store } from '../../store/store.ts';
import { findGarbage, garbageId } from '../garbage.ts';
import { makeGroup, makeNetwork, openCluster, openHost, type TestHost } from './testing/hosts.ts';

const subnet = parsePrefix('10.1.1.0/24')!;
const on = (address: string) => parseAddress(address)!;

let store: Store;
let registry: Registry;
let host: TestHost;
let other: TestHost;

beforeEach(async () => {
  store = createMemoryStore();
  registry = await openCluster(store);
  [host, other] = [await openHost(store, 'A'), await openHost(store, 'B')];
  await registry.put(kindOf('tenant'), 'blue', { tenantName: 'blue' });
  for (const tenant of ['default', 'blue']) await makeNetwork(registry, `${tenant}:net1`, '10.1.1.0/24');
});

afterEach(async () => {
  await host[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
  registry.close();
});

/** A Docker network of a host that stands for one of the cluster. */
function dockerNetwork(digit: string, tenant: string, group?: string): Network {
  return {
    id: digit.repeat(64) as NetworkId,
    fabric: 'cluster',
    plugin: 'berth',
    subnets: [{ prefix: subnet, auxiliary: {} }],
    internal: false,
    options: {},
    settings: settingsFor({ tenant, network: 'net1', ...(group === undefined ? {} : { group }) }),
    leased: true,
    createdAt: 0,
  };
}

function endpoint(digit: string, network: Network, address: string): Endpoint {
  return {
    id: digit.repeat(64) as EndpointId,
    network: network.id,
    phase: 'created',
    addresses: [{ address: on(address), length: 24 }],
    mac: macFromAddress(on(address)),
    publishes: false,
    options: {},
    settings: null,
    createdAt: 0,
  };
}

/** Which endpoint, or what else, has an address of each tenant. */
const holders = ({ ipam }: TestHost, address: string) =>
  Object.fromEntries(
    ipam.pools().flatMap((pool) => {
      const holder = ipam.find(pool.id, on(address))?.holder;
      return holder === undefined
        ? []
        : [[networkOfPool(pool), 'endpoint' in holder ? holder.endpoint[0] : holder.kind]];
    }),
  );

test('an endpoint has the address of its own network, though another tenant has the same', async () => {
  const [ours, theirs] = [dockerNetwork('1', 'default'), dockerNetwork('2', 'blue')];
  for (const tenant of ['default', 'blue']) await host.request(await host.pool({ tenant, network: 'net1' }));
  await host.leases.claim(theirs, endpoint('b', theirs, '10.1.1.1'));
  assert.deepEqual(holders(host, '10.1.1.1'), { 'default:net1': 'request', 'blue:net1': 'b' });
  await host.leases.claim(ours, endpoint('a', ours, '10.1.1.1'));
  assert.deepEqual(holders(host, '10.1.1.1'), { 'default:net1': 'a', 'blue:net1': 'b' });
  assert.equal(host.leases.holder(ours, subnet, on('10.1.1.1')), 'a'.repeat(64));
  assert.equal(host.leases.holder(theirs, subnet, on('10.1.1.1')), 'b'.repeat(64));
  // The engine undoes what was refused on the one; that changes nothing, and on the other nothing either.
  host.leases.refused(theirs, subnet, on('10.1.1.1'));
  await host.release(await host.pool({ tenant: 'blue', network: 'net1' }), '10.1.1.1');
  await host.release(await host.pool({ network: 'net1' }), '10.1.1.1');
  assert.deepEqual(holders(host, '10.1.1.1'), { 'blue:net1': 'b' });
});

test('an address that the engine itself gave out is leased too, unless somebody has it', async () => {
  const network = dockerNetwork('1', 'default');
  await host.leases.claim(network, endpoint('a', network, '10.1.1.7'));
  assert.deepEqual(holders(host, '10.1.1.7'), { 'default:net1': 'a' });
  const refused = other.leases.claim(network, endpoint('b', network, '10.1.1.7'));
  await assert.rejects(refused, { code: 'ADDRESS_TAKEN' });
  assert.deepEqual(holders(host, '10.1.1.7'), { 'default:net1': 'a' });
});

test('an attachment has an address of its group', async () => {
  await makeGroup(registry, 'default:net1', 'web', '10.1.1.20-10.1.1.21');
  const network = dockerNetwork('1', 'default', 'web');
  const hold = (address?: string) =>
    host.leases.hold(network, subnet, 'c'.repeat(64) as EndpointId, {
      name: 'c',
      address: address === undefined ? undefined : on(address),
    });
  assert.equal(formatAddress((await hold())!), '10.1.1.20');
  assert.equal(formatAddress((await hold('10.1.1.21'))!), '10.1.1.21');
  await assert.rejects(hold(), { code: 'POOL_EXHAUSTED' });
});

test('a host frees what its own engine has forgotten, and nothing of other hosts, of services or of the cluster', async () => {
  await makeNetwork(registry, 'default:net2', '10.2.2.0/24');
  const [pool, blue] = [await host.pool({ network: 'net1' }), await host.pool({ tenant: 'blue', network: 'net1' })];
  const service = {
    tenantName: 'default',
    networkName: 'net1',
    serviceName: 's',
    ports: ['80:80:TCP'],
    selectors: ['a=b'],
  };
  await registry.put(kindOf('serviceLB'), 'default:s', service);
  await host.request(pool, '10.1.1.5');
  await host.request(pool, '10.1.1.6');
  await host.request(blue, '10.1.1.6');
  await other.request(pool, '10.1.1.8');
  const seen: EngineNetwork = {
    id: '2'.repeat(64) as NetworkId,
    name: 'net1/blue',
    driver: 'berth',
    ipamDriver: 'berth',
    scope: 'local',
    internal: false,
    options: {},
    ipamOptions: { tenant: 'blue', network: 'net1' },
    labels: {},
    subnets: [{ subnet, auxiliary: {} }],
    endpoints: [
      {
        id: 'e'.repeat(64) as EndpointId,
        container: 'c',
        name: 'c',
        addresses: [{ address: on('10.1.1.6'), length: 24 }],
      },
    ],
  };
  const { leases } = host;
  for (let turn = 0; turn < 50 && leases.all().length < 5; turn++) await Promise.resolve();
  assert.equal(leases.all().length, 5);
  const records = {
    networks: [],
    endpoints: [],
    pools: leases.pools(),
    leases: leases.all().filter(leases.isOwn),
    poolsAreShared: leases.isShared,
  };
  assert.deepEqual(
    findGarbage(records, [seen], new Set(['berth'])).map((garbage) => garbageId(garbage).split(' ').slice(0, 2)),
    [
      ['default:net1/10.1.1.0-24', '10.1.1.5'],
      ['default:net1/10.1.1.0-24', '10.1.1.6'],
    ],
  );
});

test('a release that comes late frees nothing that is of another host by now', async () => {
  const pool = await host.pool({ network: 'net1' });
  await host.request(pool, '10.1.1.5');
  // Its agent was away when the container went; the engine tells again when it is back.
  await host.leases.free(host.leases.all()[0]!);
  await other.request(await other.pool({ network: 'net1' }), '10.1.1.5');
  for (const caughtUp of [false, true]) {
    for (let turn = 0; caughtUp && turn < 50; turn++) await Promise.resolve();
    await host.release(pool, '10.1.1.5');
    assert.equal((await store.list('berth/lease/')).entries.length, 1);
  }
  await host.leases.free(other.leases.all()[0]!);
  assert.equal((await store.list('berth/lease/')).entries.length, 1);
  await other.release(pool, '10.1.1.5');
  assert.equal((await store.list('berth/lease/')).entries.length, 0);
});

test('what was looked at is freed only while it is still that: not when the address has been leased anew since, or is claimed', async () => {
  const pool = await host.pool({ network: 'net1' });
  await host.request(pool, '10.1.1.5');
  const [seen] = host.leases.all();
  await host.release(pool, '10.1.1.5');
  while (Date.now() === seen!.createdAt) await new Promise(setImmediate);
  await host.request(pool, '10.1.1.5');
  assert.equal(await host.leases.free(seen!), false);
  const [again] = host.leases.all();
  assert.notEqual(again?.createdAt, seen!.createdAt);
  const network = dockerNetwork('1', 'default');
  await host.leases.claim(network, endpoint('e', network, '10.1.1.5'));
  assert.equal(await host.leases.free(again!), false);
  const [claimed] = host.leases.all();
  assert.equal(claimed?.holder.kind, 'endpoint');
  assert.equal(await host.leases.free(claimed!), true);
  assert.deepEqual(host.leases.all(), []);
});

test('two machines of one image, with one engine id, do not free what the other has', async () => {
  await using twin = await openHost(store, 'C', 'A');
  const pool = await host.pool({ network: 'net1' });
  await host.request(pool);
  await twin.request(await twin.pool({ network: 'net1' }));
  assert.equal(twin.leases.all().filter(twin.leases.isOwn).length, 1);
  await twin.release(pool, '10.1.1.1');
  assert.equal((await store.list('berth/lease/')).entries.length, 2);
});

test('what a host had before it was in a cluster is its own', async () => {
  const pool = await host.pool({ network: 'net1' });
  await host.ipam.lease({ pool, engine: 'A', holder: { kind: 'request' }, address: on('10.1.1.9') });
  host.leases.engineStarted();
  assert.equal(await host.request(pool, '10.1.1.9'), '10.1.1.9/24');
  await host.release(pool, '10.1.1.9');
  assert.deepEqual(host.leases.all(), []);
});

test('a pool that another host has removed is opened again, with what our network has of it', async () => {
  const shared = { space: 'berth', subnet: parsePrefix('10.9.0.0/24')!, family: 4, options: {}, taken: [] } as const;
  const { id } = await host.ipam.openPool(shared);
  await host.gateway(id, '10.9.0.1');
  const network: Network = {
    ...dockerNetwork('3', 'default'),
    settings: settingsFor(),
    subnets: [{ prefix: shared.subnet, gateway: on('10.9.0.1'), auxiliary: { router: on('10.9.0.2') } }],
    pools: [id],
  };
  await host.state.putNetwork(network);
  await host.state.putEndpoint(endpoint('d', network, '10.9.0.3'));
  await other.ipam.removePool(id);
  for (let turn = 0; turn < 50 && host.ipam.pool(id) !== undefined; turn++) await Promise.resolve();
  assert.equal(host.ipam.pool(id), undefined);
  assert.equal(await host.request(id), '10.9.0.4/24');
  assert.deepEqual(
    host.ipam.leasesOf(id).map(({ address, holder }) => `${formatAddress(address)} ${holder.kind}`),
    ['10.9.0.1 gateway', '10.9.0.2 auxiliary', '10.9.0.3 endpoint', '10.9.0.4 request'],
  );
  await host.state.deleteEndpoint('d'.repeat(64) as EndpointId);
  await host.state.deleteNetwork(network.id);
  await other.ipam.removePool(id);
  const strange = 'berth/10.99.0.0-24' as typeof id;
  await assert.rejects(host.request(strange), { code: 'POOL_UNKNOWN' });
});

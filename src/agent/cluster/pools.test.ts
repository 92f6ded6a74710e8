/** What engines are answered that ask for addresses on networks of the cluster. */

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { parseAddress } from '../../model/address.ts';
import { keys } from '../../model/keys.ts';
import { macFromAddress } from '../../model/mac.ts';
import { kindOf } from '../../model/objects/kinds.ts';
import { parsePrefix } from '../../model/prefix.ts';
import type { Registry } from '../../objects/registry.ts';
import { createMemoryStore } from '../../store/memory.ts';
import type { Store } from '../../store/store.ts';
import { makeGroup, makeNetwork, openCluster, openHost, type TestHost } from './testing/hosts.ts';

let store: Store;
let registry: Registry;
let host: TestHost;

const net1 = { network: 'net1' };
const web = { network: 'net1', group: 'web' };

beforeEach(async () => {
  store = createMemoryStore();
  registry = await openCluster(store);
  host = await openHost(store, 'A');
  await makeNetwork(registry, 'default:net1', '10.1.1.0/24', { gateway: '10.1.1.254' });
});

afterEach(async () => {
  await host[Symbol.asyncDispose]();
  registry.close();
});

test('a network has the pool of its object, and a group the same under a name of its own', async () => {
  await makeGroup(registry, 'default:net1', 'web');
  assert.equal(await host.pool(net1, '10.1.1.0/24'), 'default:net1/10.1.1.0-24');
  assert.equal(await host.pool({ tenant: 'default', ...web }), 'default:net1/10.1.1.0-24/web');
  assert.equal((await store.list(keys.pools)).entries.length, 1);
});

test('what is not there, or not so, is refused by name', async () => {
  const refused = (given: Promise<unknown>, code: string, message: RegExp) => assert.rejects(given, { code, message });
  await refused(host.pool({ network: 'none' }), 'NETWORK_UNKNOWN', /no network default:none/);
  await refused(host.pool({ network: 'net1', tenant: 'blue' }), 'NETWORK_UNKNOWN', /no network blue:net1/);
  await refused(host.pool(web), 'OBJECT_UNKNOWN', /no group default:web on the network default:net1/);
  await refused(host.pool(net1, '10.1.2.0/24'), 'BAD_SUBNET', /has the subnet 10\.1\.1\.0\/24, not 10\.1\.2\.0\/24/);
  await refused(host.pool(net1, undefined, 6), 'BAD_SUBNET', /no IPv6 subnet/);
  await refused(host.pool({ group: 'web' }), 'BAD_OPTION', /'group' is given without 'network'/);
  await refused(host.pool({ network: 'net1', colour: 'red' }), 'BAD_OPTION', /'colour'/);
  assert.equal(
    await host.pool({ network: 'net1', 'com.docker.network.ipam.serial': 'true' }),
    'default:net1/10.1.1.0-24',
  );
});

test('the gateway is that of the object, and nobody else gets it', async () => {
  const pool = await host.pool(net1);
  assert.equal(await host.gateway(pool), '10.1.1.254/24');
  assert.equal(await host.gateway(pool, '10.1.1.254'), '10.1.1.254/24');
  await assert.rejects(host.gateway(pool, '10.1.1.1'), { code: 'BAD_OPTION', message: /the gateway 10\.1\.1\.254/ });
  await assert.rejects(host.request(pool, '10.1.1.254'), { code: 'ADDRESS_TAKEN', message: /gateway of the network/ });
  // Engines release it with the network.
  await host.release(pool, '10.1.1.254');
  assert.equal(await host.gateway(pool), '10.1.1.254/24');
  assert.deepEqual(host.ipam.leases(), []);
});

test("a network without a gateway has its own address in place of one, which is no container's", async () => {
  await makeNetwork(registry, 'default:net2', '10.2.2.0/24');
  const pool = await host.pool({ network: 'net2' });
  assert.equal(await host.gateway(pool), '10.2.2.0/24');
  assert.equal(await host.gateway(pool, '10.2.2.0'), '10.2.2.0/24');
  await assert.rejects(host.gateway(pool, '10.2.2.1'), { code: 'BAD_OPTION', message: /no gateway/ });
  assert.equal(await host.request(pool), '10.2.2.1/24');
});

test('the lowest free address; that of a group from its range, and of nobody else', async () => {
  await makeGroup(registry, 'default:net1', 'web', '10.1.1.2-10.1.1.3');
  await makeGroup(registry, 'default:net1', 'any');
  const [network, group, any] = [
    await host.pool(net1),
    await host.pool(web),
    await host.pool({ ...net1, group: 'any' }),
  ];
  assert.equal(await host.request(network), '10.1.1.1/24');
  assert.equal(await host.request(any), '10.1.1.4/24');
  assert.equal(await host.request(group), '10.1.1.2/24');
  assert.equal(await host.request(group), '10.1.1.3/24');
  await assert.rejects(host.request(group), {
    code: 'POOL_EXHAUSTED',
    message: 'auto allocation failed - address exhaustion in pool 10.1.1.2-10.1.1.3',
  });
  await host.release(group, '10.1.1.2');
  await assert.rejects(host.request(network, '10.1.1.2'), { code: 'ADDRESS_TAKEN', message: /kept for the group web/ });
  assert.equal(await host.request(group, '10.1.1.2'), '10.1.1.2/24');
  assert.equal(await host.request(group, '10.1.1.9'), '10.1.1.9/24');
  await assert.rejects(host.request(network, '10.1.1.9'), { code: 'ADDRESS_TAKEN' });
});

test('a range of addresses of a network is all that it gives out', async () => {
  await makeNetwork(registry, 'default:net3', '10.3.3.10-10.3.3.11/24');
  const pool = await host.pool({ network: 'net3' });
  assert.equal(await host.request(pool), '10.3.3.10/24');
  assert.equal(await host.request(pool), '10.3.3.11/24');
  await assert.rejects(host.request(pool), {
    message: 'auto allocation failed - address exhaustion in subnet 10.3.3.0/24',
  });
  await assert.rejects(host.request(pool, '10.3.3.12'), { message: /10\.3\.3\.10-10\.3\.3\.11/ });
});

test('IPv6 addresses are leased and freed like others', async () => {
  await makeNetwork(registry, 'default:six', '10.6.6.0/24', { ipv6Subnet: 'fd00:6::/64', ipv6Gateway: 'fd00:6::1' });
  const pool = await host.pool({ network: 'six' }, 'fd00:6::/64', 6);
  assert.equal(await host.gateway(pool), 'fd00:6::1/64');
  assert.equal(await host.request(pool), 'fd00:6::2/64');
  assert.equal(await host.request(pool), 'fd00:6::3/64');
  await host.release(pool, 'fd00:6::2');
  assert.equal(await host.request(pool), 'fd00:6::2/64');
});

test('networks of two tenants with one subnet have nothing to do with each other', async () => {
  await registry.put(kindOf('tenant'), 'blue', { tenantName: 'blue' });
  await makeNetwork(registry, 'blue:net1', '10.1.1.0/24');
  const [ours, theirs] = [await host.pool(net1), await host.pool({ network: 'net1', tenant: 'blue' })];
  assert.equal(await host.request(ours), '10.1.1.1/24');
  assert.equal(await host.request(theirs), '10.1.1.1/24');
  await host.release(theirs, '10.1.1.1');
  assert.equal(host.ipam.leases().length, 1);
});

test("an address that is kept for a container is that container's, by name or MAC, on any host", async () => {
  await using other = await openHost(store, 'B');
  const mac = macFromAddress(parseAddress('10.9.9.9')!);
  const subnet = parsePrefix('10.1.1.0/24')!;
  const reservation = { subnet, createdAt: 0 };
  await host.leases.reservations.add({ ...reservation, address: parseAddress('10.1.1.1')!, name: 'db' });
  await host.leases.reservations.add({ ...reservation, address: parseAddress('10.1.1.2')!, mac });
  const pool = await other.pool(net1);
  assert.equal(await other.request(pool), '10.1.1.3/24');
  assert.equal(await other.request(pool, undefined, { name: 'db' }), '10.1.1.1/24');
  assert.equal(await other.request(pool, undefined, { mac }), '10.1.1.2/24');
});

test("what a restarted engine repeats is granted again, and another host's is not", async () => {
  await using other = await openHost(store, 'B');
  const pool = await host.pool(net1);
  const given = await host.request(pool);
  await assert.rejects(host.request(pool, '10.1.1.1'), { code: 'ADDRESS_TAKEN' });
  host.leases.engineStarted();
  other.leases.engineStarted();
  assert.equal(await host.pool(net1, '10.1.1.0/24'), pool);
  assert.equal(await host.request(pool, '10.1.1.1'), given);
  await assert.rejects(other.request(await other.pool(net1), '10.1.1.1'), { code: 'ADDRESS_TAKEN' });
});

test('a network that goes takes its addresses along: clear errors, and a new one of that name begins anew', async () => {
  await makeGroup(registry, 'default:net1', 'web');
  const [pool, group] = [await host.pool(net1), await host.pool(web)];
  await registry.delete(kindOf('endpointGroup'), 'default:web');
  await assert.rejects(host.request(group), { code: 'OBJECT_UNKNOWN', message: /no group default:web/ });
  await registry.delete(kindOf('network'), 'default:net1');
  await assert.rejects(host.request(pool), { code: 'NETWORK_UNKNOWN', message: /no network default:net1/ });
  await assert.rejects(host.gateway(pool), { code: 'NETWORK_UNKNOWN' });
  await host.release(pool, '10.1.1.1');
  await makeNetwork(registry, 'default:net1', '10.1.1.0/24');
  assert.equal(await host.request(pool), '10.1.1.1/24');
});

test('who comes while the network is changed waits for it', async () => {
  const pool = await host.pool(net1);
  const gate = keys.gate('default:net1');
  await store.transact({ then: [{ do: 'put', key: gate, value: '{}' }] });
  let waiting = true;
  const asked = Promise.all([host.request(pool), host.request(pool)]).finally(() => (waiting = false));
  // Anything else goes on.
  await makeNetwork(registry, 'default:net2', '10.2.2.0/24');
  assert.equal(await host.request(await host.pool({ network: 'net2' })), '10.2.2.1/24');
  assert.ok(waiting);
  await store.transact({ then: [{ do: 'delete', key: gate }] });
  assert.deepEqual((await asked).toSorted(), ['10.1.1.1/24', '10.1.1.2/24']);
});

test('a host that shares no store is told so', async () => {
  const { withClusterPools } = await import('./pools.ts');
  const driver = withClusterPools(host.leases.driver, { addresses: undefined, granting: { release: async () => {} } });
  const call = { plugin: 'berth', signal: new AbortController().signal };
  const request = { space: 'berth', family: 4, options: net1 } as const;
  await assert.rejects(driver.requestPool(request, call), { code: 'CLUSTER_ABSENT' });
});

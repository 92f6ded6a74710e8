/** The pools of networks, and what is leased from them. */

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { encodeLease } from '../ipam/codec.ts';
import { openIpam } from '../ipam/ipam.ts';
import { parseAddress } from '../model/address.ts';
import { keys } from '../model/keys.ts';
import { kindOf } from '../model/objects/kinds.ts';
import type { LeaseHolder } from '../model/pool.ts';
import { formatPrefix } from '../model/prefix.ts';
import { createMemoryStore } from '../store/memory.ts';
import type { Store } from '../store/store.ts';
import { networkPools } from './pools.ts';
import { openRegistry, type Registry } from './registry.ts';

const network = kindOf('network');
const body = {
  tenantName: 'default',
  networkName: 'net1',
  encap: 'vxlan',
  subnet: '10.1.1.0/24',
  ipv6Subnet: 'fd00:1::1/64',
};

let store: Store;
let registry: Registry;

beforeEach(async () => {
  store = createMemoryStore();
  registry = openRegistry(store);
  await registry.put(kindOf('global'), 'global', { fwdMode: 'bridge' });
  await registry.put(kindOf('tenant'), 'default', { tenantName: 'default' });
});

afterEach(() => registry.close());

async function lease(address: string, holder: LeaseHolder): Promise<void> {
  const on = parseAddress(address)!;
  const made = (await registry.current()).get('network', 'default:net1')!;
  const pool = networkPools(made).find(({ subnet }) => subnet.address.family === on.family)!.id;
  const value = encodeLease({ pool, address: on, holder, engine: 'A', createdAt: 0 });
  await store.transact({ then: [{ do: 'put', key: keys.lease(pool, on), value }] });
}

const leases = async () => (await store.list(keys.leases)).entries.length;

test('a network comes with a pool for each of its subnets, and they go with it', async () => {
  await registry.put(network, 'default:net1', body);
  const ipam = await openIpam(store);
  assert.deepEqual(
    ipam.pools().map(({ id, space, subnet, released }) => [id, space, formatPrefix(subnet), released]),
    [
      ['default:net1/10.1.1.0-24', 'default:net1', '10.1.1.0/24', false],
      ['default:net1/fd00:1::-64', 'default:net1', 'fd00:1::/64', false],
    ],
  );
  await registry.delete(network, 'default:net1');
  assert.deepEqual((await store.list(keys.pools)).entries, []);
});

test('a pool tells what may be given out, and what is for a group only, as the groups come and go', async () => {
  const group = kindOf('endpointGroup');
  const range = (first: string, last: string) => ({
    first: parseAddress(first)!.value,
    last: parseAddress(last)!.value,
  });
  const layouts = async () => (await openIpam(store)).pools().map(({ layout }) => layout);
  const subnet = '10.1.1.10-10.1.1.99/24';
  await registry.put(network, 'default:net1', { ...body, subnet, gateway: '10.1.1.254', ipv6Gateway: 'fd00:1::1' });
  const hosts = range('10.1.1.10', '10.1.1.99');
  const gateway = parseAddress('10.1.1.254')!;
  const v6 = {
    hosts: range('fd00:1::1', 'fd00:1::ffff:ffff:ffff:ffff'),
    gateway: parseAddress('fd00:1::1')!,
    groups: {},
  };
  assert.deepEqual(await layouts(), [{ hosts, gateway, groups: {} }, v6]);
  const put = (groupName: string, ipPool: string) =>
    registry.put(group, `default:${groupName}`, { tenantName: 'default', networkName: 'net1', groupName, ipPool });
  await put('web', '10.1.1.20-10.1.1.29');
  await put('any', '');
  await put('one', '10.1.1.30');
  const [web, one] = [range('10.1.1.20', '10.1.1.29'), range('10.1.1.30', '10.1.1.30')];
  assert.deepEqual(await layouts(), [{ hosts, gateway, groups: { web, one } }, v6]);
  await registry.delete(group, 'default:web');
  assert.deepEqual(await layouts(), [{ hosts, gateway, groups: { one } }, v6]);
  // Contiv gives no address of these by itself.
  await registry.put(network, 'default:net2', { ...body, networkName: 'net2', subnet: '10.2.2.0/31', ipv6Subnet: '' });
  assert.deepEqual((await layouts())[2], { groups: {} });
});

test('a network in which a container has an address is not deleted, though its host has not told of the container', async () => {
  await registry.put(network, 'default:net1', body);
  for (const [address, holder] of [
    ['10.1.1.7', { kind: 'request' }],
    ['fd00:1::7', { kind: 'request', name: 'web' }],
  ] as const) {
    await lease(address, holder);
    await assert.rejects(registry.delete(network, 'default:net1'), { code: 'OBJECT_IN_USE' });
    const [entry] = (await store.list(keys.leases)).entries;
    await store.transact({ then: [{ do: 'delete', key: entry!.key }] });
  }
  await registry.delete(network, 'default:net1');
});

test('addresses that no container has go with the network, however many', async () => {
  await registry.put(network, 'default:net1', body);
  for (let host = 1; host <= 250; host++) await lease(`10.1.1.${host}`, { kind: 'auxiliary' });
  assert.equal(await leases(), 250);
  await registry.delete(network, 'default:net1');
  assert.equal(await leases(), 0);
});

test('what a crash has left of a network is not taken for leases of the next one of that name', async () => {
  await registry.put(network, 'default:net1', body);
  await lease('10.1.1.1', { kind: 'auxiliary' });
  const left = (await store.list(keys.leases)).entries;
  await registry.delete(network, 'default:net1');
  await store.transact({ then: left.map(({ key, value }) => ({ do: 'put', key, value })) });
  await registry.put(network, 'default:net1', body);
  assert.equal(await leases(), 0);
});

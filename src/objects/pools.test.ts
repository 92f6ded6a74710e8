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

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Call, IpamDriver } from '../../docker/driver.ts';
import { settingsFor } from '../../fabric/cluster/testing/settings.ts';
import { parseAddress } from '../../model/address.ts';
import type { NetworkId, PoolId } from '../../model/ids.ts';
import type { Network } from '../../model/network.ts';
import { parsePrefix } from '../../model/prefix.ts';
import { withAdoptedPools } from './adopted-pools.ts';
import type { SharedNetwork } from './shared-networks.ts';

const id = 'a'.repeat(64) as NetworkId;
const subnets = ['10.1.0.0/24', 'fd01::/64'].map((text) => ({ prefix: parsePrefix(text)!, auxiliary: {} }));
const pools = ['berth/10.1.0.0-24/10.1.0.64-26', 'berth/fd01::-64'] as PoolId[];
const local = (settings: Network['settings']): Network => ({
  id,
  fabric: 'cluster',
  plugin: 'berth',
  subnets,
  leased: true,
  pools,
  internal: false,
  options: {},
  settings,
  createdAt: 0,
});
const member = settingsFor({ tenant: 'blue', network: 'shop' });
const record: SharedNetwork = {
  id,
  host: 'h1',
  name: 'shop',
  network: 'blue:shop',
  scope: 'global',
  plugin: 'berth',
  subnets,
  leased: true,
  pools,
  internal: false,
  options: {},
};

/** The pools that addresses are asked of and given back to. */
async function asked(networks: readonly Network[], shared: readonly SharedNetwork[], told: PoolId): Promise<string[]> {
  const pools: string[] = [];
  const driver = {
    requestAddress: ({ pool }: { pool: PoolId }) => Promise.resolve(void pools.push(pool)),
    releaseAddress: (pool: PoolId) => Promise.resolve(void pools.push(pool)),
  } as unknown as IpamDriver;
  const adopted = withAdoptedPools(driver, {
    state: { networks: new Map(networks.map((network) => [network.id, network])) },
    shared: () => new Map(shared.map((one) => [one.id, one])),
  });
  await adopted.requestAddress({ pool: told, purpose: 'endpoint' }, {} as Call);
  await adopted.releaseAddress(told, parseAddress('10.1.0.2')!, {} as Call);
  return pools;
}

const both = (pool: string) => [pool, pool];

test('addresses of a network that has become the cluster’s are of its pool there, for either family', async () => {
  assert.deepEqual(await asked([local(member)], [], pools[0]!), both('blue:shop/10.1.0.0-24'));
  assert.deepEqual(await asked([local(member)], [], pools[1]!), both('blue:shop/fd01::-64'));
});

test('also on a host that has not heard of the network itself', async () => {
  assert.deepEqual(await asked([], [record], pools[0]!), both('blue:shop/10.1.0.0-24'));
});

test('all others stay as they are', async () => {
  const { network: _network, ...unshared } = record;
  for (const told of [pools[0]!, 'berth/10.2.0.0-24', 'blue:shop/10.1.0.0-24/web'] as PoolId[])
    assert.deepEqual(await asked([local(settingsFor())], [unshared], told), both(told));
});

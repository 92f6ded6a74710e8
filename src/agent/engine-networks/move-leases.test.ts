import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { settingsFor } from '../../fabric/cluster/testing/settings.ts';
import { type Ipam, openIpam } from '../../ipam/ipam.ts';
import { formatAddress, parseAddress } from '../../model/address.ts';
import type { EndpointId, NetworkId, PoolId } from '../../model/ids.ts';
import type { Network } from '../../model/network.ts';
import { kindOf } from '../../model/objects/kinds.ts';
import { parsePrefix } from '../../model/prefix.ts';
import { openRegistry } from '../../objects/registry.ts';
import { createMemoryStore } from '../../store/memory.ts';
import type { Store } from '../../store/store.ts';
import { moveLeases } from './move-leases.ts';

const subnet = parsePrefix('10.1.0.0/24')!;
const endpoint = (digit: string) => digit.repeat(64) as EndpointId;
const id = 'a'.repeat(64) as NetworkId;
const CLUSTER = 'default:shop/10.1.0.0-24' as PoolId;

let store: Store;
let ipam: Ipam;
let local: PoolId;
let network: Network;

beforeEach(async () => {
  store = createMemoryStore();
  const registry = openRegistry(store);
  await registry.put(kindOf('global'), 'global', { name: 'global', fwdMode: 'bridge' });
  await registry.put(kindOf('tenant'), 'default', { tenantName: 'default' });
  const body = {
    tenantName: 'default',
    networkName: 'shop',
    encap: 'vxlan',
    subnet: '10.1.0.0/24',
    gateway: '10.1.0.1',
  };
  await registry.put(kindOf('network'), 'default:shop', body);
  registry.close();
  ipam = await openIpam(store);
  local = (await ipam.openPool({ space: 'berth', subnet, family: 4, options: {}, taken: [] })).id;
  const subnets = [{ prefix: subnet, auxiliary: {} }];
  const record = {
    fabric: 'cluster',
    plugin: 'berth',
    leased: true,
    internal: false,
    options: {},
    createdAt: 0,
  } as const;
  network = { ...record, id, subnets, pools: [local], settings: settingsFor() };
});

const lease = (pool: PoolId, address: string, engine: string, of?: string) =>
  ipam.lease({
    pool,
    address: parseAddress(address)!,
    engine,
    holder: of === undefined ? { kind: 'request' } : { kind: 'endpoint', endpoint: endpoint(of), network: id },
  });
const held = (pool: PoolId) =>
  ipam.leasesOf(pool).map(({ address, engine, holder }) => `${formatAddress(address)} ${engine} ${holder.kind}`);
const move = () => moveLeases({ ipam, isOwn: ({ engine }) => engine === 'mine' }, network, 'default:shop');

test('what containers of this host hold is the cluster’s, and nothing else', async () => {
  await lease(local, '10.1.0.2', 'mine', '2');
  await lease(local, '10.1.0.3', 'mine');
  await lease(local, '10.1.0.4', 'other', '4');
  await move();
  assert.deepEqual(held(CLUSTER), ['10.1.0.2 mine endpoint', '10.1.0.3 mine request']);
  assert.deepEqual(held(local), ['10.1.0.4 other endpoint']);
  await move();
  assert.equal(held(CLUSTER).length, 2);
});

test('what an earlier attempt has made is no obstacle', async () => {
  await lease(CLUSTER, '10.1.0.2', 'mine', '2');
  await lease(local, '10.1.0.2', 'mine', '2');
  await lease(local, '10.1.0.3', 'mine', '3');
  await move();
  assert.deepEqual([held(CLUSTER), held(local)], [['10.1.0.2 mine endpoint', '10.1.0.3 mine endpoint'], []]);
});

test('all or none: where another host was faster, everything is as it was', async () => {
  await lease(local, '10.1.0.2', 'mine', '2');
  await lease(local, '10.1.0.3', 'mine', '3');
  await lease(CLUSTER, '10.1.0.3', 'other', '5');
  await assert.rejects(move(), { code: 'ADDRESS_TAKEN' });
  assert.deepEqual(held(CLUSTER), ['10.1.0.3 other endpoint']);
  assert.deepEqual(held(local), ['10.1.0.2 mine endpoint', '10.1.0.3 mine endpoint']);
});

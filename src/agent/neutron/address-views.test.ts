import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openBook } from '../../fabric/neutron/book.ts';
import { memoryNotes } from '../../fabric/neutron/testing/notes.ts';
import { parseAddress } from '../../model/address.ts';
import type { EndpointId, NetworkId, PoolId } from '../../model/ids.ts';
import { parseMac } from '../../model/mac.ts';
import { parseInterfaceAddress, parsePrefix } from '../../model/prefix.ts';
import { createNames } from '../names.ts';
import { neutronLeases, neutronPools } from './address-views.ts';

const network = 'a'.repeat(64) as NetworkId;
const endpoint = 'e'.repeat(64) as EndpointId;
const [pool, alias] = ['neutron-1/10.0.0.0-24', 'neutron-2/10.0.0.0-24'] as [PoolId, PoolId];

async function filled() {
  const book = await openBook(memoryNotes(), assert.fail);
  const record = {
    id: pool,
    subnet: parsePrefix('10.0.0.0/24')!,
    range: parsePrefix('10.0.0.128/25')!,
    options: {},
    gateway: { address: parseAddress('10.0.0.1')!, chosen: false },
    auxiliary: [parseAddress('10.0.0.2')!],
    network,
    createdAt: 0,
  };
  await book.pools.put(record);
  await book.pools.put({ ...record, id: alias, as: pool });
  const port = {
    origin: 'created' as const,
    network,
    addresses: [{ pool, on: parseInterfaceAddress('10.0.0.130/24')!, taken: true }],
    createdAt: 0,
  };
  const mac = parseMac('02:00:00:00:00:01')!;
  await book.ports.put({ ...port, key: 'held', phase: 'held', port: 'p1', mac, endpoint });
  await book.ports.put({ ...port, key: 'going', phase: 'leaving', port: 'p2' });
  return book;
}

test('a pool is listed once, under the id that it had first, with what is held and kept of it', async () => {
  const [view, ...others] = neutronPools(await filled());
  assert.deepEqual(others, []);
  const { id, space, subnet, range, leases, size, networks } = view!;
  assert.deepEqual(
    { id, space, subnet, range, leases, size, networks },
    {
      id: pool,
      space: 'neutron',
      subnet: '10.0.0.0/24',
      range: '10.0.0.128/25',
      leases: 3,
      size: '126',
      networks: [network],
    },
  );
});

test('addresses are those of ports that are held, and those that no container is to have', async () => {
  const leases = neutronLeases(await filled(), createNames());
  assert.deepEqual(
    leases.map(({ address, kind, port, endpoint: of, mac }) => [address, kind, port, of, mac]),
    [
      ['10.0.0.1', 'gateway', undefined, undefined, undefined],
      ['10.0.0.2', 'auxiliary', undefined, undefined, undefined],
      ['10.0.0.130', 'port', 'p1', endpoint, '02:00:00:00:00:01'],
    ],
  );
});

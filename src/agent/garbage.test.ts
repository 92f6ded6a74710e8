import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EngineNetwork } from '../docker/engine.ts';
import { settingsFor } from '../fabric/cluster/testing/settings.ts';
import { parseAddress } from '../model/address.ts';
import type { EndpointId, NetworkId } from '../model/ids.ts';
import { macFromAddress } from '../model/mac.ts';
import type { Endpoint, Network } from '../model/network.ts';
import { type Lease, type LeaseHolder, type Pool, poolId } from '../model/pool.ts';
import { parsePrefix } from '../model/prefix.ts';
import { findGarbage, garbageId, type Records } from './garbage.ts';

const subnet = parsePrefix('10.1.0.0/24')!;
const net = 'a'.repeat(64) as NetworkId;
const drivers = new Set(['berth']);
const at = (last: number) => parseAddress(`10.1.0.${last}`)!;

const pool: Pool = { id: poolId('berth', subnet), space: 'berth', subnet, released: false, options: {}, createdAt: 0 };
const network: Network = {
  id: net,
  fabric: 'cluster',
  plugin: 'berth',
  subnets: [{ prefix: subnet, gateway: at(1), auxiliary: {} }],
  leased: true,
  internal: false,
  options: {},
  settings: settingsFor(),
  createdAt: 0,
};

function endpoint(id: string, last: number): Endpoint {
  return {
    id: id as EndpointId,
    network: net,
    phase: 'attached',
    addresses: [{ address: at(last), length: 24 }],
    mac: macFromAddress(at(last)),
    publishes: false,
    options: {},
    settings: null,
    createdAt: 0,
  };
}

function lease(last: number, holder: LeaseHolder): Lease {
  return { pool: pool.id, address: at(last), holder, engine: 'e', createdAt: 0 };
}

function engine(...endpoints: (readonly [id: string, last: number])[]): EngineNetwork {
  return {
    id: net,
    name: 'n',
    driver: 'berth',
    ipamDriver: 'berth',
    scope: 'local',
    internal: false,
    options: {},
    ipamOptions: {},
    labels: {},
    subnets: [{ subnet, gateway: at(1), auxiliary: {} }],
    endpoints: endpoints.map(([id, last]) => ({
      id: id as EndpointId,
      container: 'c',
      name: 'c',
      addresses: [{ address: at(last), length: 24 }],
    })),
  };
}

const find = (records: Partial<Records>, seen: readonly EngineNetwork[]) =>
  findGarbage({ networks: [], endpoints: [], pools: [], leases: [], ...records }, seen, drivers).map(
    (found) => `${found.kind} ${garbageId(found).slice(0, 24)}`,
  );

test('an attachment, and what was made up for it, is nobody else’s to free', () => {
  const container = { id: 'c'.repeat(64), name: 'web' };
  const attachment = { container, keep: false, interface: 'eth1', gateways: [], displaced: [], request: '' };
  const attached = { ...endpoint('f1', 7), attachment };
  const adHoc = { ...network, id: 'b'.repeat(64) as NetworkId, adHoc: true } as const;
  const held = lease(7, { kind: 'endpoint', endpoint: attached.id, network: net });
  const records: Records = { networks: [adHoc], endpoints: [attached], pools: [pool], leases: [held] };
  assert.deepEqual(findGarbage(records, [engine()], drivers), []);
});

test('what the engine runs is not garbage', () => {
  const records = {
    networks: [network],
    endpoints: [endpoint('e1', 2)],
    pools: [pool],
    leases: [lease(1, { kind: 'gateway' }), lease(2, { kind: 'endpoint', endpoint: 'e1' as EndpointId, network: net })],
  };
  assert.deepEqual(find(records, [engine(['e1', 2])]), []);
});

test('an endpoint whose container is gone is garbage, and its lease once the endpoint is gone', () => {
  const held = lease(2, { kind: 'endpoint', endpoint: 'e1' as EndpointId, network: net });
  assert.deepEqual(
    find({ networks: [network], endpoints: [endpoint('e1', 2)], pools: [pool], leases: [held] }, [engine()]),
    ['endpoint e1'],
  );
  assert.deepEqual(find({ networks: [network], pools: [pool], leases: [held] }, [engine()]), [
    'lease berth/10.1.0.0-24 10.1.0',
  ]);
});

test('a lease that another driver of the engine uses is not garbage, one that nobody uses is', () => {
  const foreign = { ...engine(['other', 7]), driver: 'bridge' };
  const leases = [lease(7, { kind: 'request' }), lease(8, { kind: 'request' })];
  assert.deepEqual(find({ pools: [pool], leases }, [foreign]), ['lease berth/10.1.0.0-24 10.1.0']);
});

test('an endpoint that is being made holds its address before its lease says so', () => {
  assert.deepEqual(
    find(
      { networks: [network], endpoints: [endpoint('new', 9)], pools: [pool], leases: [lease(9, { kind: 'request' })] },
      [engine(['new', 9])],
    ),
    [],
  );
});

test('gateways and reserved addresses go with their pool, not before', () => {
  const leases = [lease(1, { kind: 'gateway' }), lease(3, { kind: 'auxiliary' })];
  assert.deepEqual(find({ networks: [network], pools: [pool], leases }, [engine()]), []);
  assert.deepEqual(find({ pools: [pool], leases }, []), ['pool berth/10.1.0.0-24']);
});

test('a network that the engine does not have is garbage', () => {
  assert.deepEqual(find({ networks: [network] }, []), [`network ${'a'.repeat(24)}`]);
});

test('an address leased anew is not the garbage that was seen before', () => {
  const old = { kind: 'lease', lease: lease(5, { kind: 'request' }), reason: '' } as const;
  assert.notEqual(garbageId(old), garbageId({ ...old, lease: { ...old.lease, createdAt: 1 } }));
});

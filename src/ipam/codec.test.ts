import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseAddress } from '../model/address.ts';
import type { EndpointId, NetworkId, PoolId } from '../model/ids.ts';
import { parseMac } from '../model/mac.ts';
import { type Lease, type Pool, poolId } from '../model/pool.ts';
import { parsePrefix } from '../model/prefix.ts';
import { createMemoryStore } from '../store/memory.ts';
import { decodeLease, decodePool, encodeLease, encodePool } from './codec.ts';
import { openIpam } from './ipam.ts';

const subnet = parsePrefix('10.1.0.0/24')!;
const range = parsePrefix('10.1.0.128/25')!;
const pool: Pool = {
  id: poolId('berth', subnet, range),
  space: 'berth',
  subnet,
  range,
  released: false,
  options: { a: 'b' },
  createdAt: 1_700_000_000_000,
};
const lease: Lease = {
  pool: pool.id,
  address: parseAddress('10.1.0.130')!,
  holder: {
    kind: 'endpoint',
    endpoint: 'e'.repeat(64) as EndpointId,
    network: 'n'.repeat(64) as NetworkId,
    name: 'web',
  },
  engine: 'ABCD:EFGH',
  mac: parseMac('02:42:0a:01:00:82')!,
  createdAt: 1_700_000_000_001,
};

describe('pools and leases in the store', () => {
  it('come back as they were', () => {
    assert.deepEqual(decodePool('k', encodePool(pool)), pool);
    assert.deepEqual(decodeLease('k', encodeLease(lease)), lease);
    const { mac: _, ...withoutMac } = lease;
    const plain = [
      { kind: 'request' },
      { kind: 'request', name: 'web' },
      { kind: 'gateway' },
      { kind: 'auxiliary' },
    ] as const;
    for (const holder of plain) {
      const one: Lease = { ...withoutMac, holder };
      assert.deepEqual(decodeLease('k', encodeLease(one)), one);
    }
    const { range: _range, ...whole } = pool;
    const wide = { ...whole, id: poolId('berth', subnet) };
    assert.deepEqual(decodePool('k', encodePool(wide)), wide);
  });

  it('are the same text whatever the order of their fields', () => {
    const turned = Object.fromEntries(Object.entries(lease).toReversed()) as unknown as Lease;
    assert.equal(encodeLease(turned), encodeLease(lease));
  });

  it('are refused when they cannot be read, naming the key', () => {
    const cases: [string, string][] = [
      ['', 'STORE_CORRUPT'],
      ['null', 'STORE_CORRUPT'],
      ['{"version":1}', 'STORE_CORRUPT'],
      [encodePool(pool).replace('"version":1', '"version":2'), 'STORE_NEWER'],
      [encodePool(pool).replace('10.1.0.0/24', '10.1.0.1/24'), 'STORE_CORRUPT'],
      [encodePool(pool).replace('false', '"no"'), 'STORE_CORRUPT'],
      [encodePool(pool).replace('"released"', '"more":1,"released"'), 'STORE_CORRUPT'],
    ];
    for (const [text, code] of cases) {
      assert.throws(
        () => decodePool('berth/pool/x', text),
        (error: Error & { code?: string }) => error.code === code && error.message.includes('berth/pool/x'),
        text,
      );
    }
    for (const [from, to] of [
      ['10.1.0.130', '10.1.0.999'],
      ['"endpoint"', '"landlord"'],
      ['02:42', '03:42'],
    ] as const) {
      assert.throws(() => decodeLease('berth/lease/x', encodeLease(lease).replace(from, to)), {
        code: 'STORE_CORRUPT',
      });
    }
  });

  it('stop the start when one of them is unreadable, and are left as they are', async () => {
    const good = 'berth/lease/berth/10.1.0.0-24/=10.1.0.130';
    const bad: [string, string][] = [
      ['berth/pool/berth/10.1.0.0-24/10.1.0.128-25', '{'],
      ['berth/pool/other', encodePool(pool)],
      ['berth/lease/berth/10.1.0.0-24/=10.1.0.131', encodeLease(lease)],
      ['berth/lease/berth/10.1.1.0-24/=10.1.0.130', encodeLease(lease)],
      ['berth/lease/berth/10.1.0.0-24/=nonsense', encodeLease(lease)],
      ['berth/lease/nonsense', encodeLease(lease)],
      [good, encodeLease({ ...lease, pool: 'berth/10.9.0.0-24' as PoolId })],
    ];
    for (const [key, value] of bad) {
      const store = createMemoryStore();
      await store.transact({ then: [{ do: 'put', key, value }] });
      await assert.rejects(
        openIpam(store),
        (error: Error & { code?: string }) => error.code === 'STORE_CORRUPT' && error.message.includes(key),
        key,
      );
      assert.equal((await store.get(key))?.value, value);
    }
    const store = createMemoryStore();
    await store.transact({ then: [{ do: 'put', key: good, value: encodeLease(lease) }] });
    await openIpam(store);
  });
});

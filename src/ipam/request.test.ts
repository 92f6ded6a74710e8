/** What a request can say of the address that it wants, beside its number. */

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { macFromAddress } from '../model/mac.ts';
import type { Range } from '../model/objects/ranges.ts';
import type { Pool } from '../model/pool.ts';
import { createMemoryStore } from '../store/memory.ts';
import type { Condition, Store } from '../store/store.ts';
import { type Ipam, openIpam } from './ipam.ts';
import type { Limits } from './layout.ts';
import { ConditionFailed } from './leases.ts';
import { address, leaseAddress, openPool, prefix } from './testing/requests.ts';

let store: Store;
let ipam: Ipam;
let pool: Pool;

const range = (first: string, last: string): Range => ({ first: address(first).value, last: address(last).value });

beforeEach(async () => {
  store = createMemoryStore();
  ipam = await openIpam(store, { seed: 'test' });
  pool = await openPool(ipam, '10.1.0.0/16');
});

const limits = (...ranges: readonly Range[]): Limits => ({
  ranges,
  refusal: ({ value }) => (value === address('10.1.0.9').value ? 'of somebody else' : undefined),
});

test('the lowest free one of some ranges, and none beyond them', async () => {
  const given = limits(range('10.1.1.10', '10.1.1.10'), range('10.1.200.0', '10.1.200.0'));
  const next = () => leaseAddress(ipam, pool.id, undefined, { limits: () => given });
  assert.equal(await next(), '10.1.1.10');
  assert.equal(await next(), '10.1.200.0');
  await assert.rejects(next(), { code: 'POOL_EXHAUSTED' });
  await ipam.release(pool.id, address('10.1.1.10'));
  assert.equal(await next(), '10.1.1.10');
});

test('an address that is named may lie outside of them, unless it is refused', async () => {
  const given = limits(range('10.1.1.10', '10.1.1.10'));
  const named = (text: string) => leaseAddress(ipam, pool.id, text, { limits: () => given });
  assert.equal(await named('10.1.0.5'), '10.1.0.5');
  await assert.rejects(named('10.1.0.9'), {
    code: 'ADDRESS_TAKEN',
    message: 'the address 10.1.0.9 is of somebody else',
  });
});

test('the limits are those of the pool as it is when the address is leased', async () => {
  const other = await openIpam(store, { seed: 'test' });
  // It does not know that the pool was changed.
  await ipam.releasePool(pool.id, { inUse: true });
  const seen: boolean[] = [];
  const given = (of: Pool): Limits => {
    seen.push(of.released);
    return limits(of.released ? range('10.1.7.1', '10.1.7.9') : range('10.1.8.1', '10.1.8.9'));
  };
  assert.equal(await leaseAddress(other, pool.id, undefined, { limits: given }), '10.1.7.1');
  assert.ok(seen.includes(false) && seen.at(-1) === true);
});

test('an address that is kept for who asks is his where the request allows it', async () => {
  const mac = macFromAddress(address('10.9.9.9'));
  await ipam.reservations.add({ subnet: prefix('10.1.0.0/16'), address: address('10.1.5.5'), mac, createdAt: 0 });
  const from = (first: string, last: string) =>
    leaseAddress(ipam, pool.id, undefined, { mac, limits: () => limits(range(first, last)) });
  assert.equal(await from('10.1.6.1', '10.1.6.9'), '10.1.6.1');
  assert.equal(await from('10.1.5.1', '10.1.5.9'), '10.1.5.5');
});

test('a condition that does not hold: nothing is leased, and it is told which', async () => {
  const conditions: Condition[] = [
    { key: 'there', is: 'present' },
    { key: 'gate', is: 'absent' },
  ];
  const put = (key: string) => store.transact({ then: [{ do: 'put', key, value: '' }] });
  const refused = (key: string) => (error: unknown) => error instanceof ConditionFailed && error.condition.key === key;
  for (const given of [undefined, '10.1.0.7'])
    await assert.rejects(leaseAddress(ipam, pool.id, given, { conditions }), refused('there'));
  await put('there');
  await put('gate');
  await assert.rejects(leaseAddress(ipam, pool.id, undefined, { conditions }), refused('gate'));
  assert.deepEqual(ipam.leases(), []);
  await store.transact({ then: [{ do: 'delete', key: 'gate' }] });
  assert.equal(await leaseAddress(ipam, pool.id, undefined, { conditions }), '10.1.0.1');
  // The conditions are told of rather than that the pool has gone.
  await store.transact({
    then: [
      { do: 'delete', key: 'there' },
      { do: 'delete', key: `berth/pool/${pool.id}` },
    ],
  });
  await assert.rejects(leaseAddress(ipam, pool.id, undefined, { conditions }), refused('there'));
});

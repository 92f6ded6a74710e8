/** What a request can say of the address that it wants, beside its number. */

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { macFromAddress } from '../model/mac.ts';
import type { Range } from '../model/objects/ranges.ts';
import type { Pool } from '../model/pool.ts';
import { createMemoryStore } from '../store/memory.ts';
import type { Condition, Store } from '../store/store.ts';
import { type Ipam, openIpam } from './ipam.ts';
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

test('the lowest free one of a range, and none beyond it', async () => {
  const within = range('10.1.1.10', '10.1.1.11');
  assert.equal(await leaseAddress(ipam, pool.id, undefined, { within }), '10.1.1.10');
  assert.equal(await leaseAddress(ipam, pool.id, undefined, { within }), '10.1.1.11');
  await assert.rejects(leaseAddress(ipam, pool.id, undefined, { within }), {
    code: 'POOL_EXHAUSTED',
    message: 'all addresses of 10.1.1.10-10.1.1.11 in 10.1.0.0/16 are taken',
  });
  await ipam.release(pool.id, address('10.1.1.10'));
  assert.equal(await leaseAddress(ipam, pool.id, undefined, { within }), '10.1.1.10');
});

test('ranges that are of somebody else are passed over, however large, and named ones are given', async () => {
  const reserved = [range('10.1.0.1', '10.1.0.1'), range('10.1.0.3', '10.1.200.0'), range('10.1.0.9', '10.1.0.20')];
  const next = () => leaseAddress(ipam, pool.id, undefined, { reserved });
  assert.equal(await next(), '10.1.0.2');
  assert.equal(await next(), '10.1.200.1');
  assert.equal(await leaseAddress(ipam, pool.id, '10.1.0.5', { reserved }), '10.1.0.5');
  assert.equal(await next(), '10.1.200.2');
});

test('an address that is kept for who asks is his where the request allows it', async () => {
  const mac = macFromAddress(address('10.9.9.9'));
  await ipam.reservations.add({ subnet: prefix('10.1.0.0/16'), address: address('10.1.5.5'), mac, createdAt: 0 });
  const reserved = [range('10.1.5.0', '10.1.5.255')];
  assert.equal(await leaseAddress(ipam, pool.id, undefined, { mac, reserved }), '10.1.0.1');
  const within = range('10.1.6.1', '10.1.6.9');
  assert.equal(await leaseAddress(ipam, pool.id, undefined, { mac, within }), '10.1.6.1');
  assert.equal(await leaseAddress(ipam, pool.id, undefined, { mac, within: reserved[0]! }), '10.1.5.5');
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

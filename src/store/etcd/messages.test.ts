import assert from 'node:assert/strict';
import { it } from 'node:test';
import { formatLease, parseLease, prefixRange } from './messages.ts';

const end = (...bytes: number[]) => [...prefixRange(Buffer.from(bytes)).to];

it('ends a prefix before the first key that does not begin so', () => {
  assert.deepEqual(end(0x61, 0x62), [0x61, 0x63]);
  assert.deepEqual(end(0x61, 0xff), [0x62]);
  assert.deepEqual(end(0xff, 0xff), [0]);
  assert.deepEqual(end(), [0]);
  assert.deepEqual([...prefixRange(Buffer.alloc(0)).from], [0]);
});

it('writes leases as etcdctl does', () => {
  assert.equal(parseLease(formatLease(2n ** 63n - 1n)), 2n ** 63n - 1n);
  assert.equal(formatLease(255n), 'ff');
  assert.equal(parseLease('ff'), 255n);
  for (const text of ['', 'lease-1', 'no such lease', '-1', 'FF', '0123456789abcdef0'])
    assert.equal(parseLease(text), undefined);
});

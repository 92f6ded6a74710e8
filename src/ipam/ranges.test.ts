import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AddressSet } from './ranges.ts';

/** The same set without any cleverness. */
function firstFree(set: ReadonlySet<bigint>, from: bigint): bigint {
  let value = from;
  while (set.has(value)) value++;
  return value;
}

function intervalsOf(set: ReadonlySet<bigint>): (readonly [bigint, bigint])[] {
  const intervals: [bigint, bigint][] = [];
  for (const value of [...set].sort((a, b) => (a < b ? -1 : 1))) {
    const last = intervals.at(-1);
    if (last !== undefined && last[1] === value - 1n) last[1] = value;
    else intervals.push([value, value]);
  }
  return intervals;
}

describe('the set of addresses', () => {
  it('is what a plain set is, whatever is added and deleted', () => {
    const base = fc.constantFrom(0n, 0x0a01_0000n, (1n << 128n) - 700n);
    const steps = fc.array(fc.tuple(fc.boolean(), fc.bigInt(0n, 600n)), { minLength: 400, maxLength: 1200 });
    fc.assert(
      fc.property(base, steps, (offset, todo) => {
        const plain = new Set<bigint>();
        const set = new AddressSet();
        for (const [add, step] of todo) {
          const value = offset + step;
          assert.equal(add ? set.add(value) : set.delete(value), add ? !plain.has(value) : plain.has(value));
          if (add) plain.add(value);
          else plain.delete(value);
          assert.equal(set.firstFree(value), firstFree(plain, value));
          assert.equal(set.firstFree(offset), firstFree(plain, offset));
        }
        assert.equal(set.size, plain.size);
        assert.deepEqual([...set.intervals()], intervalsOf(plain));
        for (let n = -1n; n <= 601n; n++) assert.equal(set.has(offset + n), plain.has(offset + n));
      }),
      { numRuns: 150 },
    );
  });

  it('stays right when it is taken apart and put together again', () => {
    const set = new AddressSet();
    const count = 20_000n;
    for (let n = 0n; n < count; n++) {
      assert.equal(set.firstFree(0n), n);
      set.add(n);
    }
    assert.deepEqual([...set.intervals()], [[0n, count - 1n]]);
    for (let n = 0n; n < count; n += 2n) assert.ok(set.delete(n));
    assert.equal([...set.intervals()].length, Number(count) / 2);
    for (let n = 0n; n < count; n += 2n) {
      assert.equal(set.firstFree(0n), n);
      assert.ok(set.add(n));
    }
    assert.deepEqual([...set.intervals()], [[0n, count - 1n]]);
    for (let n = count - 1n; n >= 0n; n--) assert.ok(set.delete(n));
    assert.deepEqual([...set.intervals()], []);
    assert.equal(set.firstFree(7n), 7n);
  });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatVlans, parseVlans } from './vlans.ts';

test('lists of VLANs are read, put in order, and written with their runs', () => {
  assert.deepEqual(parseVlans('10,20,30-32'), [10, 20, 30, 31, 32]);
  assert.deepEqual(parseVlans(' 20 , 10,10,9-11'), [9, 10, 11, 20]);
  assert.equal(formatVlans([9, 10, 11, 20]), '9-11,20');
  assert.equal(formatVlans([]), '');
  for (const bad of ['', ',', '1,', 'a', '-1', '4096', '5-4', '1-', '1.5', '1 2', '99999']) {
    assert.equal(parseVlans(bad), undefined, bad);
  }
});

test('what is written is read as the same', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 4095 }), { minLength: 1 }), (vlans) => {
      const sorted = vlans.toSorted((a, b) => a - b);
      assert.deepEqual(parseVlans(formatVlans(sorted)), sorted);
    }),
  );
});

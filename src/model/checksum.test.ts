import assert from 'node:assert/strict';
import { test } from 'node:test';
import { internetChecksum, onesComplementSum } from './checksum.ts';

/** RFC 1071 §3. */
const example = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);

test('the example of the RFC', () => {
  assert.equal(onesComplementSum(example), 0xddf2);
  assert.equal(internetChecksum(example), 0x220d);
});

test('with its checksum it adds up to ones, in one go or in parts', () => {
  assert.equal(onesComplementSum(Uint8Array.of(...example, 0x22, 0x0d)), 0xffff);
  assert.equal(onesComplementSum(Uint8Array.of(0x22, 0x0d), onesComplementSum(example)), 0xffff);
  assert.equal(internetChecksum(example.subarray(4), onesComplementSum(example.subarray(0, 4))), 0x220d);
});

test('an odd byte is the high half of a word, and the longest packet does not overflow', () => {
  assert.equal(onesComplementSum(Uint8Array.of(0x12)), 0x1200);
  assert.equal(onesComplementSum(new Uint8Array(65536).fill(0xff)), 0xffff);
});

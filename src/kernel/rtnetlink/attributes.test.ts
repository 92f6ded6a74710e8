import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  getString,
  getU8,
  getU16,
  getU16BE,
  getU32,
  getU64,
  nestedAttributes,
  readAttributes,
  Writer,
} from './attributes.ts';

test('what is written is read', () => {
  const writer = new Writer(4);
  writer
    .attributeU8(1, 0xfe)
    .attributeU16(2, 0xfedc)
    .attributeU16BE(3, 4789)
    .attributeU32(4, 0xfedcba98)
    .attributeU64(5, 0xfedcba9876543210n)
    .attributeString(6, 'bv1234')
    .attribute(7, Uint8Array.of(1, 2, 3))
    .nested(8, () => writer.attributeU32(1, 7).nested(2, () => writer.attributeString(1, 'inner')));
  const attributes = readAttributes(writer.bytes);
  assert.equal(writer.length % 4, 0);
  assert.equal(getU8(attributes, 1), 0xfe);
  assert.equal(getU16(attributes, 2), 0xfedc);
  assert.equal(getU16BE(attributes, 3), 4789);
  assert.equal(getU32(attributes, 4), 0xfedcba98);
  assert.equal(getU64(attributes, 5), 0xfedcba9876543210n);
  assert.equal(getString(attributes, 6), 'bv1234');
  assert.deepEqual(attributes.get(7), Uint8Array.of(1, 2, 3));
  const nested = nestedAttributes(attributes, 8);
  assert.equal(getU32(nested, 1), 7);
  assert.equal(getString(nestedAttributes(nested, 2), 1), 'inner');
});

test('the layout is that of struct nlattr', () => {
  const writer = new Writer();
  writer.attributeString(3, 'lo');
  // nla_len counts the header and the zero, not the padding (linux/netlink.h).
  assert.deepEqual(writer.bytes, Uint8Array.of(7, 0, 3, 0, 0x6c, 0x6f, 0, 0));
});

test('a nested attribute carries the flag and the length of everything in it', () => {
  const writer = new Writer();
  writer.nested(18, () => writer.attributeU8(1, 5));
  assert.deepEqual(writer.bytes, Uint8Array.of(12, 0, 18, 0x80, 5, 0, 1, 0, 5, 0, 0, 0));
});

test('an attribute that is not there, or too short for its type, is undefined', () => {
  const attributes = readAttributes(new Writer().attributeU8(1, 5).bytes);
  assert.equal(getU32(attributes, 1), undefined);
  assert.equal(getU16(attributes, 1), undefined);
  assert.equal(getU64(attributes, 1), undefined);
  assert.equal(getString(attributes, 2), undefined);
  assert.equal(nestedAttributes(attributes, 2).size, 0);
});

test('any bytes end, and nothing outside of them is read', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(16), (bytes, before) => {
      const larger = new Uint8Array(before + bytes.length + 16).fill(0xff);
      larger.set(bytes, before);
      const view = larger.subarray(before, before + bytes.length);
      for (const payload of readAttributes(view).values()) {
        assert.ok(payload.byteOffset >= view.byteOffset);
        assert.ok(payload.byteOffset + payload.length <= view.byteOffset + view.length);
      }
    }),
  );
});

import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { bytesField, idField, intField, message, messageField, readMessage } from './protobuf.ts';

it('writes what protobuf documents', () => {
  // https://protobuf.dev/programming-guides/encoding/: field 1 is 150; field 2 is "testing"; field 3 is a message with 150.
  assert.equal(intField(1, 150).toString('hex'), '089601');
  assert.equal(bytesField(2, 'testing').toString('hex'), '120774657374696e67');
  assert.equal(messageField(3, intField(1, 150)).toString('hex'), '1a03089601');
  assert.equal(message(intField(1, 0), bytesField(2, ''), idField(3, 0n)).length, 0);
  assert.equal(messageField(3, message()).toString('hex'), '1a00');
});

it('reads back what it wrote', () => {
  const numbers = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
  const ids = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
  fc.assert(
    fc.property(numbers, ids, fc.string({ unit: 'binary' }), fc.array(fc.string()), (number, id, text, list) => {
      const inner = list.map((item) => messageField(4, bytesField(1, item)));
      const fields = readMessage(message(intField(1, number), idField(20, id), bytesField(3, text), ...inner));
      assert.equal(fields.int(1), number);
      assert.equal(fields.id(20), id);
      assert.equal(fields.text(3), text);
      assert.deepEqual(
        fields.messages(4).map((one) => one.text(1)),
        list,
      );
      assert.deepEqual([fields.int(9), fields.id(9), fields.text(9), fields.message(9)], [0, 0n, '', undefined]);
    }),
  );
});

it('passes over fields of every kind that it does not know, and reads a negative number', () => {
  const fixed = Buffer.from([(9 << 3) | 1, 1, 2, 3, 4, 5, 6, 7, 8, (10 << 3) | 5, 1, 2, 3, 4]);
  const fields = readMessage(message(fixed, idField(1, -1n)));
  assert.equal(fields.int(1), -1);
});

it('refuses what is no message', () => {
  for (const hex of ['08', '0a05aa', '0bff', '08ffffffffffffffffffffffff01']) {
    assert.throws(() => readMessage(Buffer.from(hex, 'hex')), RangeError, hex);
  }
});

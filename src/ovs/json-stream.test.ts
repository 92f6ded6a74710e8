import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createJsonStream, ProtocolError } from './json-stream.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test('messages come out whole however the stream is cut', () => {
  const message = fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue({ maxDepth: 4 }));
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 4 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 9 })),
      (all, sizes) => {
        const stream = createJsonStream();
        const whole = bytes(all.map((one, index) => JSON.stringify(one) + ' \n'.repeat(index)).join(''));
        const got: unknown[] = [];
        for (let at = 0; at < whole.length; ) {
          const size: number = sizes.next().value!;
          // The reader's buffer is used again for what comes next.
          const chunk = whole.slice(at, at + size);
          got.push(...stream.push(chunk));
          chunk.fill(0);
          at += size;
        }
        assert.deepEqual(
          got,
          all.map((one) => JSON.parse(JSON.stringify(one)) as unknown),
        );
      },
    ),
  );
});

test('what is not OVSDB is refused: text, lists, bad JSON, bad UTF-8', () => {
  const hostile: (string | Uint8Array)[] = [
    'HTTP/1.1 400 Bad Request',
    '"text"',
    '[1]',
    '{]',
    '{"a":}',
    '}',
    '{"a":1}x',
    Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d),
  ];
  for (const text of hostile) {
    assert.throws(
      () => createJsonStream().push(typeof text === 'string' ? bytes(text) : text),
      ProtocolError,
      String(text),
    );
  }
});

test('a message has a greatest size and depth, whether or not it ever ends', () => {
  assert.throws(() => {
    const stream = createJsonStream(1000);
    for (let count = 0; count < 100; count++) stream.push(bytes(count === 0 ? '{"a":"' : 'x'.repeat(20)));
  }, /larger than 1000/);
  assert.throws(() => createJsonStream().push(bytes(`{"a":${'['.repeat(100_000)}`)), /nested/);
});

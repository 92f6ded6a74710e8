import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseAddress } from '../model/address.ts';
import { macFromBytes } from '../model/mac.ts';
import { code, decodeMessage, encodeMessage, type Message, typeOf } from './message.ts';
import { readTerms } from './terms.ts';

const mac = macFromBytes(Uint8Array.of(2, 0, 0, 0, 0, 7));
const plain: Message = {
  op: 'request',
  transaction: 0xdeadbeef,
  seconds: 7,
  broadcast: true,
  mac,
  options: new Map([[code.messageType, Uint8Array.of(1)]]),
};

const address = fc.integer({ min: 1, max: 0xffffffff }).map((value) => ({ family: 4 as const, value: BigInt(value) }));
const messages: fc.Arbitrary<Message> = fc.record(
  {
    op: fc.constantFrom('request' as const, 'reply' as const),
    transaction: fc.integer({ min: 0, max: 0xffffffff }),
    seconds: fc.integer({ min: 0, max: 0xffff }),
    broadcast: fc.boolean(),
    current: address,
    yours: address,
    mac: fc.uint8Array({ minLength: 6, maxLength: 6 }).map(macFromBytes),
    options: fc
      .uniqueArray(
        fc.tuple(
          fc.integer({ min: 1, max: 254 }).filter((option) => option !== code.overload),
          fc.uint8Array({ maxLength: 600 }),
        ),
        {
          selector: ([option]) => option,
          maxLength: 8,
        },
      )
      .map((options) => new Map(options)),
  },
  { requiredKeys: ['op', 'transaction', 'seconds', 'broadcast', 'mac', 'options'], noNullPrototype: true },
);

test('what is written is read, long options too', () => {
  fc.assert(
    fc.property(messages, (message) => {
      assert.deepEqual(decodeMessage(encodeMessage(message)), message);
    }),
  );
});

test('no bytes of a stranger do harm', () => {
  const damaged = fc
    .tuple(messages.map(encodeMessage), fc.nat(), fc.integer({ min: 0, max: 255 }), fc.nat())
    .map(([bytes, at, value, length]) => {
      bytes[at % bytes.length] = value;
      return bytes.subarray(0, length % (bytes.length + 1));
    });
  fc.assert(
    fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 700 })), (bytes) => {
      const message = decodeMessage(bytes);
      if (message === undefined) return;
      typeOf(message);
      readTerms(message);
    }),
    { numRuns: 2000 },
  );
});

test('a message is as long as relays want it', () => {
  const bytes = encodeMessage(plain);
  assert.equal(bytes.length, 300);
  assert.deepEqual([...bytes.subarray(236, 244)], [99, 130, 83, 99, 53, 1, 1, 255]);
  assert.deepEqual([...bytes.subarray(0, 12)], [1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef, 0, 7, 0x80, 0]);
});

test('options go on in the fields for the file and the server, in this order', () => {
  const bytes = encodeMessage({ ...plain, options: new Map([[code.overload, Uint8Array.of(3)]]) });
  bytes.set([code.domain, 2, 0x61, 0x62, 0, code.domain, 1, 0x63, 255], 108);
  bytes.set([code.domain, 1, 0x64, 255], 44);
  const read = decodeMessage(bytes);
  assert.equal(Buffer.from(read!.options.get(code.domain)!).toString(), 'abcd');
});

test('an option that is cut off spoils the message', () => {
  const bytes = encodeMessage(plain);
  bytes.set([code.domain, 200], 243);
  assert.equal(decodeMessage(bytes), undefined);
});

test('what is no DHCP over Ethernet is passed over', () => {
  for (const [at, value] of [
    [0, 3],
    [1, 6],
    [2, 16],
    [236, 0],
  ] as const) {
    const bytes = encodeMessage(plain);
    bytes[at] = value;
    assert.equal(decodeMessage(bytes), undefined, `byte ${at}`);
  }
  assert.equal(decodeMessage(encodeMessage(plain).subarray(0, 239)), undefined);
  assert.deepEqual(
    decodeMessage(encodeMessage({ ...plain, yours: parseAddress('10.0.0.1')! }))?.yours,
    parseAddress('10.0.0.1'),
  );
});

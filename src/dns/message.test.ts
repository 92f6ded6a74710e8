import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseAddress } from '../model/address.ts';
import { decodeMessage, encodeMessage, IN, type Message, readName, type } from './message.ts';
import {
  child,
  type DomainName,
  isWithin,
  labelsOf,
  nameFromLabels,
  parentOf,
  parseName,
  ROOT,
  reverseName,
  sameName,
} from './name.ts';
import { addressOf, nameBytes, nothingElseRecord, serviceRecord, targetOf, textRecord, textsOf } from './records.ts';

const label = fc.uint8Array({ minLength: 1, maxLength: 63 });
const names = fc
  .array(label, { maxLength: 5 })
  .map((labels) => nameFromLabels(labels))
  .filter((name): name is DomainName => name !== undefined);
const word = fc.integer({ min: 0, max: 0xffff });
/** Types in which no name is looked for. */
const opaque = word.filter((kind) => ![2, 5, 6, 12, 15, 33, 39, 47].includes(kind));
const record = fc.record({
  name: names,
  type: opaque,
  class: word,
  ttl: fc.integer({ min: 0, max: 0xffffffff }),
  data: fc.uint8Array({ maxLength: 300 }),
});
const pointer = fc.record({ name: names, target: names }).map(({ name, target }) => ({
  name,
  type: type.PTR,
  class: IN,
  ttl: 120,
  data: nameBytes(target),
}));
const records = fc.array(fc.oneof(record, pointer), { maxLength: 4 });
const messages: fc.Arbitrary<Message> = fc.record({
  id: word,
  flags: word,
  questions: fc.array(fc.record({ name: names, type: word, class: word }), { maxLength: 3 }),
  answers: records,
  authorities: records,
  additionals: records,
});
/** Without the prototypes that fast-check leaves out. */
const plain = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_, part) => (part instanceof Uint8Array ? [...part] : part)));

test('a message is read as it was written', () => {
  fc.assert(
    fc.property(messages, (message) => {
      assert.deepEqual(plain(decodeMessage(encodeMessage(message))), plain(message));
    }),
  );
});

test('whatever comes is read or refused, and never throws', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      decodeMessage(bytes);
    }),
    { numRuns: 2000 },
  );
  fc.assert(
    fc.property(
      messages,
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
      fc.nat(),
      (message, hits, cut) => {
        const bytes = encodeMessage(message);
        for (const [at, value] of hits) bytes[at % bytes.length] = value;
        decodeMessage(bytes);
        decodeMessage(bytes.subarray(0, cut % bytes.length));
      },
    ),
    { numRuns: 1000 },
  );
});

test('a message that is cut off is refused', () => {
  fc.assert(
    fc.property(messages, fc.nat(), (message, cut) => {
      const bytes = encodeMessage(message);
      assert.equal(decodeMessage(bytes.subarray(0, cut % bytes.length)), undefined);
    }),
  );
});

test('names are written as text and read again, whatever bytes are in them', () => {
  fc.assert(
    fc.property(names, (name) => {
      if (name !== ROOT) assert.equal(parseName(name), name);
      assert.equal(nameFromLabels(labelsOf(name)), name);
    }),
  );
  assert.equal(parseName('web.home.example.'), 'web.home.example');
  assert.equal(parseName('.'), ROOT);
  assert.deepEqual(
    labelsOf(parseName('a\\.b.\\195\\164')!).map((bytes) => [...bytes]),
    [
      [0x61, 0x2e, 0x62],
      [0xc3, 0xa4],
    ],
  );
  for (const text of ['', '..', 'a..b', '.a', 'a b', 'ä', 'a\\', '\\256', `${'a'.repeat(64)}.b`, 'aa.'.repeat(90)])
    assert.equal(parseName(text), undefined, text);
});

test('names above and below', () => {
  const zone = parseName('Home.example')!;
  assert.equal(child('web', zone), 'web.Home.example');
  assert.equal(child('web', ROOT), 'web');
  assert.equal(child('', zone), undefined);
  assert.equal(child('a'.repeat(64), zone), undefined);
  assert.ok(isWithin(parseName('web.hOME.example')!, zone));
  assert.ok(isWithin(zone, zone));
  assert.ok(!isWithin(parseName('webhome.example')!, zone));
  assert.ok(sameName(parseName('HOME.EXAMPLE')!, zone));
  assert.equal(parentOf(zone), 'example');
  assert.equal(parentOf(ROOT), undefined);
});

test('reverse names', () => {
  assert.equal(reverseName(parseAddress('192.0.2.9')!), '9.2.0.192.in-addr.arpa');
  assert.equal(
    reverseName(parseAddress('2001:db8::9')!),
    '9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa',
  );
});

test('compressed names, also within data', () => {
  // An answer of RFC 1035 §4.1.4's kind: F.ISI.ARPA as a pointer to its first use, and an SRV record as mDNS compresses it.
  const head = [0, 7, 0x84, 0, 0, 1, 0, 2, 0, 0, 0, 0];
  const question = [1, 0x46, 3, 0x49, 0x53, 0x49, 4, 0x41, 0x52, 0x50, 0x41, 0, 0, 1, 0, 1];
  const answer = [0xc0, 12, 0, 12, 0, 1, 0, 0, 0, 60, 0, 6, 3, 0x46, 0x4f, 0x4f, 0xc0, 14];
  const service = [0xc0, 14, 0, 33, 0, 1, 0, 0, 0, 60, 0, 8, 0, 1, 0, 2, 0, 80, 0xc0, 12];
  const message = decodeMessage(Uint8Array.from([...head, ...question, ...answer, ...service]))!;
  assert.deepEqual(
    message.answers.map(({ name }) => name),
    ['F.ISI.ARPA', 'ISI.ARPA'],
  );
  assert.equal(targetOf(message.answers[0]!), 'FOO.ISI.ARPA');
  assert.deepEqual([...message.answers[1]!.data], [0, 1, 0, 2, 0, 80, ...nameBytes(parseName('F.ISI.ARPA')!)]);
});

test('pointers that lead to themselves, forwards or round in circles are refused', () => {
  for (const bytes of [
    [0xc0, 0],
    [0xc0, 2, 0],
    [1, 0x61, 0xc0, 0],
    [0xc0, 4, 0xc0, 0, 0xc0, 2],
  ])
    assert.equal(readName(Uint8Array.from(bytes), 0), undefined);
  // Each of a long chain of pointers is right, but the name grows too long.
  const chain: number[] = [0];
  for (let at = 0; chain.length < 2000; ) {
    const target = at === 0 ? [0] : [0xc0 | (at >> 8), at & 255];
    at = chain.length;
    chain.push(20, ...Array.from({ length: 20 }, () => 0x61), ...target);
  }
  const last = chain.length - 23;
  assert.equal(readName(Uint8Array.from(chain), last), undefined);
  assert.equal(labelsOf(readName(Uint8Array.from(chain), 1 + 22 + 23 * 3)!.name).length, 5);
});

test('records', () => {
  const name = parseName('web.local')!;
  assert.deepEqual(textsOf(textRecord(name, ['a=1', ''], 5)), ['a=1', '']);
  assert.deepEqual(textsOf(textRecord(name, [], 5)), ['']);
  assert.equal(textsOf({ ...textRecord(name, ['abc'], 5), data: Uint8Array.of(9, 0x61) }), undefined);
  assert.throws(() => textRecord(name, ['a'.repeat(256)], 5), RangeError);
  assert.equal(addressOf({ name, type: type.A, class: IN, ttl: 1, data: Uint8Array.of(1, 2, 3) }), undefined);
  assert.deepEqual([...serviceRecord(name, name, 8080, 1).data.subarray(0, 6)], [0, 0, 0, 0, 31, 144]);
  // The bitmap of RFC 4034 §4.1.2: A is bit 1, AAAA bit 28, SRV bit 33.
  const { data } = nothingElseRecord(name, [type.A, type.AAAA, type.SRV], 1);
  assert.deepEqual([...data.subarray(nameBytes(name).length)], [0, 5, 0x40, 0, 0, 0x08, 0x40]);
});

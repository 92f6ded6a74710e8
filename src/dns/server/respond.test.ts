import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Address, formatAddress, parseAddress } from '../../model/address.ts';
import { decodeMessage, encodeMessage, flag, has, IN, type Message, rcode, rcodeOf, type } from '../message.ts';
import { type DomainName, nameKey, parseName, reverseName } from '../name.ts';
import { addressOf, targetOf } from '../records.ts';
import { failure, type Known, respond, TTL } from './respond.ts';
import { addressOfReverse } from './reverse.ts';

const address = (text: string): Address => parseAddress(text)!;
const many = Array.from({ length: 300 }, (_, n) => address(`10.1.${n >> 8}.${n & 255}`));
const known: Readonly<Record<string, Known>> = {
  web: { addresses: [address('10.1.0.2'), address('fd00::2')] },
  four: { addresses: [address('10.1.0.4')] },
  nobody: { addresses: [] },
  crowd: { addresses: many },
  '2.0.1.10.in-addr.arpa': { target: parseName('web.shop')! },
};
const lookup = (name: DomainName): Known | undefined => known[nameKey(name)];

const OPT = { name: '' as DomainName, type: type.OPT, class: 1232, ttl: 0, data: new Uint8Array() };
function query(name: string, kind: number, more: Partial<Message> = {}): Uint8Array {
  const questions = [{ name: parseName(name)!, type: kind, class: IN }];
  return encodeMessage({ id: 7, flags: 0x0100, questions, answers: [], authorities: [], additionals: [], ...more });
}
function answered(bytes: Uint8Array, over: 'udp' | 'tcp' = 'udp', turn = 0): Message {
  const response = respond(bytes, lookup, over, turn);
  assert.ok(typeof response !== 'string', `it said ${response as string}`);
  const message = decodeMessage(response);
  assert.ok(message !== undefined);
  return message;
}
const told = ({ answers }: Message): string[] => answers.map((record) => formatAddress(addressOf(record)!));

test('addresses of the family that is asked for, and the question as it was asked', () => {
  const four = answered(query('WeB', type.A));
  assert.deepEqual(told(four), ['10.1.0.2']);
  assert.equal(four.questions[0]!.name, 'WeB');
  assert.equal(four.answers[0]!.name, 'WeB');
  assert.equal(four.answers[0]!.ttl, TTL);
  assert.equal(four.id, 7);
  assert.equal(four.flags, 0x8580);
  assert.deepEqual(told(answered(query('web', type.AAAA))), ['fd00::2']);
  assert.deepEqual(told(answered(query('web', type.ANY))), ['10.1.0.2', 'fd00::2']);
});

test('a name that exists without such a record is no error, and one that is not known is not ours', () => {
  for (const [name, kind] of [
    ['four', type.AAAA],
    ['web', type.MX],
    ['web', 65],
    ['nobody', type.A],
    ['2.0.1.10.in-addr.arpa', type.A],
  ] as const) {
    const message = answered(query(name, kind));
    assert.deepEqual([rcodeOf(message), message.answers.length], [rcode.noError, 0], name);
  }
  assert.equal(respond(query('www.example', type.A), lookup, 'udp', 0), 'onward');
});

test('the name of an address', () => {
  const message = answered(query('2.0.1.10.in-addr.arpa', type.PTR));
  assert.equal(targetOf(message.answers[0]!), 'web.shop');
});

test('several addresses take turns', () => {
  const first = Array.from({ length: 3 }, (_, turn) => told(answered(query('crowd', type.A), 'tcp', turn))[0]);
  assert.deepEqual(first, ['10.1.0.0', '10.1.0.1', '10.1.0.2']);
});

test('what does not fit into a datagram is cut off and said to be, and comes whole over TCP', () => {
  const size = (bytes: Uint8Array, over: 'udp' | 'tcp') => (respond(bytes, lookup, over, 0) as Uint8Array).length;
  const plain = answered(query('crowd', type.A));
  assert.ok(has(plain, flag.truncated) && plain.answers.length > 20);
  assert.ok(size(query('crowd', type.A), 'udp') <= 512);
  for (const [asked, limit] of [
    [0, 512],
    [100, 512],
    [1232, 1232],
    [65_535, 4096],
  ] as const) {
    const bytes = query('crowd', type.A, { additionals: [{ ...OPT, class: asked }] });
    const length = size(bytes, 'udp');
    assert.ok(length <= limit && length > limit - 16, `${asked}: ${length}`);
    assert.equal(answered(bytes).additionals.length, 1);
  }
  const whole = answered(query('crowd', type.A), 'tcp');
  assert.deepEqual([has(whole, flag.truncated), whole.answers.length], [false, 300]);
});

test('EDNS is answered with EDNS, and a version that does not exist with its error', () => {
  const [option] = answered(query('web', type.A, { additionals: [OPT] })).additionals;
  assert.deepEqual([option?.type, option?.class, option?.ttl], [type.OPT, 1232, 0]);
  const bad = answered(query('web', type.A, { additionals: [{ ...OPT, ttl: 0x0001_0000 }] }));
  assert.equal(bad.answers.length, 0);
  assert.equal(bad.additionals[0]!.ttl >>> 24, 1);
  const two = answered(query('web', type.A, { additionals: [OPT, OPT] }));
  assert.equal(rcodeOf(two), rcode.formatError);
});

const web = query('web', type.A);
/** A query that would be answered, with other bytes at a place. */
const changed = (at: number, ...bytes: readonly number[]): Uint8Array => {
  const copy = Uint8Array.from(web);
  copy.set(bytes, at);
  return copy;
};
const header = (...words: readonly number[]): number[] => words.flatMap((word) => [word >> 8, word & 255]);
const raw = (...bytes: readonly number[]): Uint8Array => Uint8Array.from(bytes);
const QUESTION = header(7, 0x0100, 1, 0, 0, 0);
const record = { name: parseName('web')!, type: type.A, class: IN, ttl: 1, data: raw(1, 2, 3, 4) };

const hostile: readonly (readonly [string, Uint8Array, 'onward' | 'ignore'])[] = [
  ['nothing', raw(), 'ignore'],
  ['one byte', raw(0), 'ignore'],
  ['half a header', web.subarray(0, 6), 'ignore'],
  ['all but the last byte of a header', web.subarray(0, 11), 'ignore'],
  ['an answer', changed(2, 0x81), 'ignore'],
  ['an answer with an error', changed(2, 0x80, 0x03), 'ignore'],
  ['an answer to an update', changed(2, 0xa8), 'ignore'],
  ['a header alone', web.subarray(0, 12), 'onward'],
  ['a header that promises a question', raw(...QUESTION), 'onward'],
  ['no question', changed(4, 0, 0), 'onward'],
  ['two questions, of which one is there', changed(4, 0, 2), 'onward'],
  ['65535 questions', changed(4, 255, 255), 'onward'],
  ['an answer in the question', query('web', type.A, { answers: [record] }), 'onward'],
  ['65535 answers', changed(6, 255, 255), 'onward'],
  ['an authority in the question', query('web', type.A, { authorities: [record] }), 'onward'],
  ['65535 authorities', changed(8, 255, 255), 'onward'],
  ['three additional records', query('web', type.A, { additionals: [OPT, record, record] }), 'onward'],
  ['65535 additional records', changed(10, 255, 255), 'onward'],
  ['an additional record that is not there', changed(10, 0, 1), 'onward'],
  ['an inverse query', changed(2, 0x09), 'onward'],
  ['a status query', changed(2, 0x11), 'onward'],
  ['a notification', changed(2, 0x21), 'onward'],
  ['an update', changed(2, 0x29), 'onward'],
  ['an operation that there is not', changed(2, 0x79), 'onward'],
  ['a question that is cut off', changed(2, 0x03), 'onward'],
  ['a name without an end', web.subarray(0, 15), 'onward'],
  ['a name without a type', web.subarray(0, 17), 'onward'],
  ['a type without a class', web.subarray(0, 19), 'onward'],
  ['a label longer than the message', changed(12, 63), 'onward'],
  ['a label of a kind that there is not (01)', changed(12, 0x40), 'onward'],
  ['a label of a kind that there is not (10)', changed(12, 0x80), 'onward'],
  ['a pointer to itself', raw(...QUESTION, 0xc0, 12, 0, 1, 0, 1), 'onward'],
  ['a pointer forwards', raw(...QUESTION, 0xc0, 40, 0, 1, 0, 1), 'onward'],
  ['a pointer into the header', raw(...QUESTION, 0xc0, 0, 0, 1, 0, 1), 'onward'],
  ['half a pointer', raw(...QUESTION, 0xc0), 'onward'],
  [
    'a name of 256 bytes',
    raw(
      ...QUESTION,
      ...Array(4)
        .fill([63, ...Array(63).fill(97)])
        .flat(),
      0,
      0,
      1,
      0,
      1,
    ),
    'onward',
  ],
  ['the root', raw(...QUESTION, 0, 0, 1, 0, 1), 'onward'],
  ['the class of Chaosnet', changed(19, 3), 'onward'],
  ['the class NONE', changed(19, 254), 'onward'],
  [
    'an additional record that is longer than the message',
    raw(...web.subarray(0, 10), 0, 1, ...web.subarray(12), 0, 0, 41, 4, 208, 0, 0, 0, 0, 255, 255),
    'onward',
  ],
  ['a name with zeros in it', raw(...QUESTION, 3, 0, 0, 0, 0, 0, 1, 0, 1), 'onward'],
  ['a name with a dot in a label', raw(...QUESTION, 3, 119, 46, 98, 0, 0, 1, 0, 1), 'onward'],
];

test('hostile packets are not answered out of what is known, and do no harm', () => {
  assert.ok(hostile.length >= 30);
  for (const [what, bytes, expected] of hostile) assert.equal(respond(bytes, lookup, 'udp', 0), expected, what);
});

test('whatever comes, it never throws, never sends more than asked for, and only answers', () => {
  const check = (bytes: Uint8Array): void => {
    const response = respond(bytes, lookup, 'udp', 3);
    if (typeof response === 'string') return;
    assert.ok(response.length <= 4096);
    const message = decodeMessage(response);
    assert.ok(message !== undefined && has(message, flag.response));
    assert.equal(message.id, (bytes[0]! << 8) | bytes[1]!);
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), check), { numRuns: 2000 });
  const one = fc.tuple(fc.nat(), fc.nat(255));
  fc.assert(
    fc.property(fc.array(one, { maxLength: 5 }), fc.nat(), (hits, cut) => {
      const bytes = query('crowd', type.A, { additionals: [OPT] });
      for (const [at, value] of hits) bytes[at % bytes.length] = value;
      check(bytes);
      check(bytes.subarray(0, cut % bytes.length));
    }),
    { numRuns: 3000 },
  );
});

test('a failure is the header of the question', () => {
  const message = decodeMessage(failure(web))!;
  assert.deepEqual([message.id, rcodeOf(message), has(message, flag.response)], [7, rcode.serverFailure, true]);
  assert.equal(message.questions.length, 0);
});

test('reverse names are read as they are written', () => {
  for (const text of ['10.1.0.2', '0.0.0.0', '255.255.255.255', 'fd00::2', '2001:db8:1:2:3:4:5:abcd'])
    assert.deepEqual(addressOfReverse(reverseName(address(text))), address(text));
  for (const text of ['1.0.1.10.in-addr.arpa.x', '256.0.1.10.in-addr.arpa', '1.10.in-addr.arpa', '1.ip6.arpa', 'web'])
    assert.equal(addressOfReverse(parseName(text)!), undefined, text);
  assert.deepEqual(addressOfReverse(parseName('2.0.1.10.IN-ADDR.ARPA')!), address('10.1.0.2'));
});

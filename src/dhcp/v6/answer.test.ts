import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseAddress } from '../../model/address.ts';
import { macFromBytes } from '../../model/mac.ts';
import { readAnswer, termsOf } from './answer.ts';
import { begin } from './client.ts';
import { clientOf6 } from './identity.ts';
import { code, decodeMessage, encodeMessage, number } from './message.ts';
import { type Answer, answer, SERVER } from './testing/server.ts';

const mac = macFromBytes(Uint8Array.of(2, 0, 0, 0, 0, 7));
const client = clientOf6({ mac, clientId: Uint8Array.of(1, 2, 0, 0, 0, 0, 7) });
const solicitation = begin(client, { kind: 'solicit' }, 0, () => 0.5).send!;
const server = parseAddress(SERVER)!;
const terms = (how: Answer) => termsOf(readAnswer(answer(solicitation, how), client.association)!, server);

test('T1 and T2 as the server says, or a half and four fifths; no time is beyond the lease', () => {
  const times = (how: Answer) => {
    const { lease, renew, rebind } = terms(how)!;
    return [lease, renew, rebind];
  };
  assert.deepEqual(times({ renew: 100, rebind: 200 }), [3600, 100, 200]);
  assert.deepEqual(times({}), [3600, 900, 1440]);
  assert.deepEqual(times({ renew: 5000, rebind: 6000 }), [3600, 900, 1440]);
  assert.deepEqual(times({ preferred: 0 }), [3600, 1800, 2880]);
  assert.deepEqual(times({ preferred: 0xffffffff, valid: 0xffffffff }), [Infinity, Infinity, Infinity]);
  assert.deepEqual(times({ preferred: 1, valid: 1 })[0], 10, 'not without pause');
});

test('what contradicts itself, and what no host can have, is no offer', () => {
  assert.equal(terms({ renew: 200, rebind: 100 }), undefined);
  assert.equal(terms({ preferred: 3600, valid: 1800 }), undefined);
  assert.equal(terms({ valid: 0, preferred: 0 }), undefined);
  for (const address of ['fe80::1', 'ff02::1', '::', '::1']) assert.equal(terms({ addresses: [address] }), undefined);
  const other = answer(solicitation, {});
  assert.equal(termsOf(readAnswer(other, client.association + 1)!, server), undefined, 'of another association');
});

test('a limit for solicitations counts between a minute and a day', () => {
  const longest = (value: number) =>
    readAnswer(
      answer(solicitation, { options: [{ code: code.solicitMaxTime, value: number(value, 4) }] }),
      client.association,
    )!.solicitMaxTime;
  assert.deepEqual([59, 60, 86_400, 86_401].map(longest), [undefined, 60, 86_400, undefined]);
});

test('nothing that is sent brings it down', () => {
  const good = encodeMessage(answer(solicitation, { status: 0 }));
  assert.ok(decodeMessage(good) !== undefined);
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length), (at, byte, length) => {
      const bad = good.slice(0, length);
      if (at < length) bad[at] = byte;
      const message = decodeMessage(bad);
      const read = message && readAnswer(message, client.association);
      if (read !== undefined) termsOf(read, server);
    }),
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void decodeMessage(bytes)));
});

test('the DUID is that of the client id, or the MAC', () => {
  const duid = [0, 4, ...Array.from({ length: 16 }, (_, index) => index)];
  const named = clientOf6({ mac, clientId: Uint8Array.of(255, 0xde, 0xad, 0xbe, 0xef, ...duid) });
  assert.deepEqual([named.association, [...named.duid]], [0xdeadbeef, duid]);
  assert.deepEqual([client.association, [...client.duid]], [7, [0, 3, 0, 1, 2, 0, 0, 0, 0, 7]]);
});

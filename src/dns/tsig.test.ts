import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseKeyFile, type TsigKey } from './key-file.ts';
import { decodeMessage, encodeMessage, flagsOf, opcode, type } from './message.ts';
import { parseName } from './name.ts';
import { sign, verify } from './tsig.ts';

const text = `# made by hand
key "berth" { // see below
	algorithm hmac-sha256;
	secret "c2VjcmV0//9hbmQgc28gb24=";
};`;
const key = parseKeyFile(text) as TsigKey;
const request = encodeMessage({
  id: 77,
  flags: flagsOf(opcode.update),
  questions: [{ name: parseName('home.example')!, type: type.SOA, class: 1 }],
  answers: [],
  authorities: [],
  additionals: [],
});
const NOW = 1_700_000_000;

test('key files as BIND reads them', () => {
  assert.equal(key.name, 'berth');
  assert.equal(key.algorithm, 'hmac-sha256');
  assert.deepEqual(Buffer.from(key.secret), Buffer.from('c2VjcmV0//9hbmQgc28gb24=', 'base64'));
  const other = parseKeyFile('/* key "x" {} */ key dhcp.example. {secret "AAAA";algorithm HMAC-SHA512;};') as TsigKey;
  assert.deepEqual([other.name, other.algorithm, other.secret.length], ['dhcp.example', 'hmac-sha512', 3]);
});

test('a key file that is none says why, and nothing of its secret', () => {
  for (const [bad, why] of [
    ['', /no key/],
    ['key "a" { algorithm hmac-sha256; };', /without a secret/],
    ['key "a" { algorithm hmac-sha256; secret "hidden!"; };', /without a secret/],
    ['key "a" { algorithm hmac-md5; secret "hidden"; };', /another algorithm/],
    ['key "a..b" { algorithm hmac-sha256; secret "hidden"; };', /no domain name/],
    [text + text, /more than one/],
  ] as const) {
    const { problem } = parseKeyFile(bad) as { problem: string };
    assert.match(problem, why);
    assert.doesNotMatch(problem, /hidden|c2Vj/);
  }
});

test('what is signed is accepted, and the answer only with its request', () => {
  const signed = sign(request, key, NOW);
  assert.equal(decodeMessage(signed.bytes)?.additionals.length, 1);
  assert.deepEqual(verify(signed.bytes, key, NOW + 299), { is: 'good', mac: signed.mac });
  const answer = sign(request, key, NOW, signed.mac);
  assert.equal(verify(answer.bytes, key, NOW, signed.mac).is, 'good');
  assert.equal(verify(answer.bytes, key, NOW).is, 'bad');
  assert.equal(verify(request, key, NOW).is, 'unsigned');
});

test('another time, key or secret is not accepted', () => {
  const { bytes } = sign(request, key, NOW);
  assert.equal(verify(bytes, key, NOW + 301).is, 'bad');
  assert.equal(verify(bytes, { ...key, secret: Uint8Array.of(1) }, NOW).is, 'bad');
  assert.equal(verify(bytes, { ...key, name: parseName('other')! }, NOW).is, 'bad');
  assert.equal(verify(bytes, { ...key, algorithm: 'hmac-sha512' }, NOW).is, 'bad');
  assert.equal(verify(sign(request, { ...key, name: parseName('BERTH')! }, NOW).bytes, key, NOW).is, 'good');
});

test('no other message has the same signature', () => {
  const { bytes } = sign(request, key, NOW);
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, bits) => {
      const damaged = bytes.slice();
      damaged[at]! ^= bits;
      const verdict = verify(damaged, key, NOW);
      // Only the case of a name, and the id that is replaced by the signed one, do not matter; the TTL is not signed.
      if (verdict.is === 'good') assert.ok(isFree(at, bits, bytes), `byte ${at} ^ ${bits}`);
    }),
    { numRuns: 3000 },
  );
});

function isFree(at: number, bits: number, bytes: Uint8Array): boolean {
  const record = request.length;
  const inName = at >= record && at < record + 7;
  const inAlgorithm = at >= record + 17 && at < record + 30;
  const ttlOrClass = at >= record + 9 && at < record + 15;
  const letter = /[a-z]/i.test(String.fromCharCode(bytes[at]!));
  return at < 2 || ((inName || inAlgorithm) && bits === 0x20 && letter) || ttlOrClass;
}

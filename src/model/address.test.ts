import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Address, addressBytes, addressFromBytes, formatAddress, parseAddress } from './address.ts';

const v4 = fc.bigInt({ min: 0n, max: (1n << 32n) - 1n }).map((value): Address => ({ family: 4, value }));
const v6 = fc
  .bigInt({ min: 0n, max: (1n << 128n) - 1n })
  .filter((value) => value >> 32n !== 0xffffn)
  .map((value): Address => ({ family: 6, value }));
/** Mostly zeros, so that `::` falls in every place. */
const sparse = fc
  .array(fc.constantFrom(0, 0, 0, 1, 0xffff), { minLength: 8, maxLength: 8 })
  .map((groups): Address => ({ family: 6, value: groups.reduce((sum, group) => (sum << 16n) | BigInt(group), 0n) }))
  .filter(({ value }) => value >> 32n !== 0xffffn);
const any = fc.oneof(v4, v6, sparse);

test('what is formatted parses to the same address', () => {
  fc.assert(fc.property(any, (address) => assert.deepEqual(parseAddress(formatAddress(address)), address)));
});

test('the text is what Node takes for the same family', () => {
  fc.assert(fc.property(any, (address) => assert.equal(isIP(formatAddress(address)), address.family)));
});

test('bytes and back', () => {
  fc.assert(fc.property(any, (address) => assert.deepEqual(addressFromBytes(addressBytes(address)), address)));
  assert.throws(() => addressFromBytes(new Uint8Array(5)), RangeError);
});

test('IPv6 text is canonical (RFC 5952)', () => {
  const cases = [
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ];
  for (const [text, canonical] of cases) assert.equal(formatAddress(parseAddress(text!)!), canonical);
});

test('what is not an address is refused, not guessed at', () => {
  const bad = [
    '',
    '1.2.3',
    '1.2.3.4.5',
    '010.0.0.1',
    '1.2.3.256',
    '1.2.3.-4',
    '1.2.3.4 ',
    ' 1.2.3.4',
    '0x1.2.3.4',
    '1.2.3.4/24',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
    'g::',
    'fe80::1%eth0',
    '[::1]',
    '1.2.3.4::',
    '::1.2.3',
    '::ffff:10.0.0.1',
    '::FFFF:0a00:0001',
    '1:2:3:4:5:6:7:8::',
  ];
  for (const text of bad) assert.equal(parseAddress(text), undefined, JSON.stringify(text));
});

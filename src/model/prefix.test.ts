import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bits, parseAddress } from './address.ts';
import {
  contains,
  covers,
  formatPrefix,
  hostRange,
  lastAddress,
  overlaps,
  type Prefix,
  parseInterfaceAddress,
  parsePrefix,
  prefixOf,
} from './prefix.ts';

const anyPrefix = fc
  .constantFrom<4 | 6>(4, 6)
  .chain((family) =>
    fc
      .tuple(fc.bigInt({ min: 0n, max: (1n << BigInt(bits(family))) - 1n }), fc.integer({ min: 0, max: bits(family) }))
      .map(([value, length]): Prefix => prefixOf({ address: { family, value }, length })),
  );

test('a prefix has no host bits, and one with host bits is refused', () => {
  assert.equal(formatPrefix(parsePrefix('10.1.0.0/24')!), '10.1.0.0/24');
  for (const text of [
    '10.1.0.1/24',
    '10.1.0.0/33',
    '10.1.0.0',
    '10.1.0.0/',
    '10.1.0.0/024',
    '10.1.0.0/-1',
    'fd00::1/64',
    'fd00::/129',
    '/24',
  ]) {
    assert.equal(parsePrefix(text), undefined, text);
  }
  assert.equal(formatPrefix(parseInterfaceAddress('10.1.0.1/24')!), '10.1.0.1/24');
});

test('two blocks overlap exactly when they share an address', () => {
  fc.assert(
    fc.property(anyPrefix, anyPrefix, (a, b) => {
      const share =
        a.address.family === b.address.family &&
        a.address.value <= lastAddress(b).value &&
        b.address.value <= lastAddress(a).value;
      assert.equal(overlaps(a, b), share);
      assert.equal(covers(a, b), share && a.length <= b.length);
    }),
  );
});

test('a block contains its ends and not what is beyond', () => {
  const prefix = parsePrefix('10.1.2.0/23')!;
  for (const [text, inside] of [
    ['10.1.2.0', true],
    ['10.1.3.255', true],
    ['10.1.1.255', false],
    ['10.1.4.0', false],
    ['::a01:200', false],
  ] as const) {
    assert.equal(contains(prefix, parseAddress(text)!), inside, text);
  }
});

test('hosts have neither the network nor the broadcast address, except in the smallest blocks', () => {
  const count = (text: string) => {
    const { first, last } = hostRange(parsePrefix(text)!);
    return last - first + 1n;
  };
  assert.equal(count('10.0.0.0/24'), 254n);
  assert.equal(count('10.0.0.0/30'), 2n);
  assert.equal(count('10.0.0.0/31'), 2n);
  assert.equal(count('10.0.0.1/32'), 1n);
  assert.equal(count('fd00::/64'), (1n << 64n) - 1n);
  assert.equal(count('fd00::/127'), 2n);
});

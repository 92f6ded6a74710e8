import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatPrefix } from '../prefix.ts';
import {
  formatAddresses,
  formatTags,
  intersect,
  merge,
  parseAddressRange,
  parseSubnetText,
  type Range,
  without,
} from './ranges.ts';

describe('a subnet as Contiv writes it', () => {
  const shown = (text: string) => {
    const subnet = parseSubnetText(text);
    if (subnet === undefined) return undefined;
    return `${formatPrefix(subnet.prefix)} ${subnet.hosts === undefined ? 'none' : formatAddresses([subnet.hosts])}`;
  };
  // Contiv's integration tests (test/integration/endpoint_test.go), to the character.
  const cases: readonly (readonly [text: string, shown: string | undefined])[] = [
    ['10.1.1.0/24', '10.1.1.0/24 10.1.1.1-10.1.1.254'],
    ['10.1.1.5/24', '10.1.1.0/24 10.1.1.1-10.1.1.254'],
    ['10.100.100.194-10.100.100.222/27', '10.100.100.192/27 10.100.100.194-10.100.100.222'],
    ['10.1.1.5-10.1.1.15/27', '10.1.1.0/27 10.1.1.5-10.1.1.15'],
    ['10.1.1.0/27', '10.1.1.0/27 10.1.1.1-10.1.1.30'],
    ['10.1.1.0/28', '10.1.1.0/28 10.1.1.1-10.1.1.14'],
    ['10.1.1.0/29', '10.1.1.0/29 10.1.1.1-10.1.1.6'],
    ['10.1.1.0/30', '10.1.1.0/30 10.1.1.1-10.1.1.2'],
    ['10.1.1.0/31', '10.1.1.0/31 none'],
    ['20.1.1.0-20.1.1.9/24', '20.1.1.0/24 20.1.1.1-20.1.1.9'],
    ['10.1.1.250-10.1.1.255/24', '10.1.1.0/24 10.1.1.250-10.1.1.254'],
    ['10.1.1.10-10.1.1.1/24', undefined],
    ['10.1.1.10-10.1.2.30/24', undefined],
    ['10.1.1.0', undefined],
    ['fd00::/64', undefined],
    ['', undefined],
  ];
  for (const [text, expected] of cases) it(text || 'nothing', () => assert.equal(shown(text), expected));
});

it('a range of addresses is one address or two in order, of IPv4', () => {
  assert.deepEqual(parseAddressRange('0.0.0.1'), { first: 1n, last: 1n });
  assert.deepEqual(parseAddressRange('0.0.0.1-0.0.0.3'), { first: 1n, last: 3n });
  for (const bad of ['', '0.0.0.3-0.0.0.1', '0.0.0.1-2', '::1', '::1-::2', 'a-b'])
    assert.equal(parseAddressRange(bad), undefined);
});

it('tags are listed as Contiv lists them', () => {
  assert.equal(formatTags([1, 2, 3, 4, 5, 6, 8]), '1-6, 8');
  assert.equal(formatTags([1, 77]), '1, 77');
  assert.equal(formatTags([]), '');
});

describe('ranges', () => {
  const range = fc
    .tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 12 }))
    .map(([first, length]): Range => ({ first: BigInt(first), last: BigInt(first + length) }));
  const numbers = (ranges: readonly Range[]) => {
    const set = new Set<number>();
    for (const { first, last } of ranges) for (let value = first; value <= last; value++) set.add(Number(value));
    return [...set].sort((a, b) => a - b);
  };

  it('say the same when they are merged, and none touches another', () => {
    fc.assert(
      fc.property(fc.array(range), (ranges) => {
        const merged = merge(ranges);
        assert.deepEqual(numbers(merged), numbers(ranges));
        for (const [index, { first }] of merged.entries())
          if (index > 0) assert.ok(first > merged[index - 1]!.last + 1n);
      }),
    );
  });

  it('less others are what is in the one and in none of the others', () => {
    fc.assert(
      fc.property(range, fc.array(range), (whole, taken) => {
        const gone = new Set(numbers(taken));
        assert.deepEqual(
          numbers(without(whole, taken)),
          numbers([whole]).filter((value) => !gone.has(value)),
        );
      }),
    );
  });

  it('have in common what is in both', () => {
    fc.assert(
      fc.property(range, range, (a, b) => {
        const shared = intersect(a, b);
        const both = new Set(numbers([b]));
        assert.deepEqual(
          shared === undefined ? [] : numbers([shared]),
          numbers([a]).filter((value) => both.has(value)),
        );
      }),
    );
  });
});

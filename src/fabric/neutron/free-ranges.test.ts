import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAddress, parseAddress } from '../../model/address.ts';
import { parsePrefix } from '../../model/prefix.ts';
import { freeRanges } from './free-ranges.ts';

const free = (subnet: string, range: string | undefined, ...kept: string[]) =>
  freeRanges(
    parsePrefix(subnet)!,
    range === undefined ? undefined : parsePrefix(range)!,
    kept.map((text) => parseAddress(text)!),
  ).map(({ first, last }) => `${formatAddress(first)}-${formatAddress(last)}`);

test('all that hosts may have, but what is kept', () => {
  assert.deepEqual(free('10.0.0.0/24', undefined), ['10.0.0.1-10.0.0.254']);
  assert.deepEqual(free('10.0.0.0/24', undefined, '10.0.0.1'), ['10.0.0.2-10.0.0.254']);
  assert.deepEqual(free('10.0.0.0/29', undefined, '10.0.0.6', '10.0.0.3', '10.0.0.3', '10.0.0.4'), [
    '10.0.0.1-10.0.0.2',
    '10.0.0.5-10.0.0.5',
  ]);
  assert.deepEqual(free('10.0.0.0/30', undefined, '10.0.0.1', '10.0.0.2'), []);
  assert.deepEqual(free('fd00::/126', undefined, 'fd00::1'), ['fd00::2-fd00::3']);
});

test('a range within a subnet has its own first and last address, unless they are the subnet’s', () => {
  assert.deepEqual(free('10.0.0.0/16', '10.0.0.128/25', '10.0.0.254'), [
    '10.0.0.128-10.0.0.253',
    '10.0.0.255-10.0.0.255',
  ]);
  assert.deepEqual(free('10.0.0.0/24', '10.0.0.0/25'), ['10.0.0.1-10.0.0.127']);
  assert.deepEqual(free('10.0.0.0/24', '10.0.0.128/25', '10.0.0.5'), ['10.0.0.128-10.0.0.254']);
});

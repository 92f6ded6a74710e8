import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '../model/address.ts';
import { formatAddresses, parseAddressRange } from '../model/objects/ranges.ts';
import { type Pool, poolId } from '../model/pool.ts';
import { parsePrefix } from '../model/prefix.ts';
import { limitsOf } from './layout.ts';

const subnet = parsePrefix('10.1.1.0/24')!;
const range = (text: string) => parseAddressRange(text)!;
const bare: Pool = {
  id: poolId('default:net1', subnet),
  space: 'default:net1',
  subnet,
  released: false,
  options: {},
  createdAt: 0,
};
const pool: Pool = {
  ...bare,
  layout: {
    hosts: range('10.1.1.1-10.1.1.99'),
    gateway: parseAddress('10.1.1.20')!,
    groups: { web: range('10.1.1.15-10.1.1.25'), app: range('10.1.1.50') },
  },
};
const ranges = (group?: string) => formatAddresses(limitsOf(pool, group).ranges);
const refusal = (address: string, group?: string) => limitsOf(pool, group).refusal(parseAddress(address)!);

test('a group with a range gets addresses of it, everybody else those that are left, nobody the gateway', () => {
  assert.equal(ranges(), '10.1.1.1-10.1.1.14, 10.1.1.26-10.1.1.49, 10.1.1.51-10.1.1.99');
  assert.equal(ranges('without'), ranges());
  assert.equal(ranges('web'), '10.1.1.15-10.1.1.19, 10.1.1.21-10.1.1.25');
  assert.equal(ranges('app'), '10.1.1.50');
});

test('who names an address may have it, unless it is the gateway, of another group, or outside of the network', () => {
  assert.equal(refusal('10.1.1.5', 'web'), undefined);
  assert.equal(refusal('10.1.1.16', 'web'), undefined);
  assert.equal(refusal('10.1.1.20', 'web'), 'the gateway of the network');
  assert.equal(refusal('10.1.1.16'), 'kept for the group web');
  assert.equal(refusal('10.1.1.50', 'web'), 'kept for the group app');
  assert.equal(refusal('10.1.1.100'), 'not among those of the network, 10.1.1.1-10.1.1.99');
});

test('a network that gives out none by itself gives those that are named, and those of groups', () => {
  const none = { ...bare, layout: { groups: { web: range('10.1.1.0-10.1.1.1') } } };
  assert.deepEqual(limitsOf(none, undefined).ranges, []);
  assert.equal(limitsOf(none, undefined).refusal(parseAddress('10.1.1.3')!), undefined);
  assert.equal(formatAddresses(limitsOf(none, 'web').ranges), '10.1.1.0-10.1.1.1');
});

test('a pool without a layout is all for everybody', () => {
  assert.equal(formatAddresses(limitsOf(bare, 'web').ranges), '10.1.1.1-10.1.1.254');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { overlapping } from '../suites/churn.ts';
import { type Change, heldTwice } from './history.ts';

const LEASE = '/berth/lease/default:net/10.1.0.0/24/=10.1.0.1';
const lease = (engine: string) => JSON.stringify({ engine });
const endpoint = (host: string) => JSON.stringify({ host, addresses: ['10.1.0.1'] });

function history(...changes: readonly (readonly [key: string, value?: string])[]): Change[] {
  return changes.map(([key, value], n) => ({ revision: n + 1, key, value }));
}

test('a lease that is given, taken into use, given back and given to another host is in order', () => {
  const fine = history([LEASE, lease('h1')], [LEASE, lease('h1')], [LEASE], [LEASE, lease('h2')]);
  assert.deepEqual(heldTwice(fine), []);
});

test('a lease that goes to another engine without being given back is a fault', () => {
  assert.equal(heldTwice(history([LEASE, lease('h1')], [LEASE, lease('h2')])).length, 1);
});

test('two endpoints of a network with one address are a fault, of two networks they are none', () => {
  const [a, b] = ['/berth/cluster-endpoint/t:n/a', '/berth/cluster-endpoint/t:n/b'];
  assert.deepEqual(heldTwice(history([a, endpoint('h1')], [a, endpoint('h1')], [a], [b, endpoint('h2')])), []);
  assert.equal(heldTwice(history([a, endpoint('h1')], [b, endpoint('h2')], [a])).length, 1);
  assert.deepEqual(heldTwice(history([a, endpoint('h1')], ['/berth/cluster-endpoint/t:m/b', endpoint('h2')])), []);
});

test('times in which two had an address are found, also across a shorter one', () => {
  const hold = (container: string, from: number, to: number) => ({ network: 'n', address: 'a', container, from, to });
  assert.deepEqual(overlapping([hold('a', 0, 1), hold('b', 1, 2)]), []);
  assert.deepEqual(overlapping([hold('a', 0, 9), hold('b', 1, 2), hold('c', 3, 4)]), ['n a: a and b', 'n a: a and c']);
});

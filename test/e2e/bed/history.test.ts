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

test('who tells of an address that another host holds is at fault; who is late to tell of the end of its own is not', () => {
  const [a, b] = ['/berth/cluster-endpoint/default:net/a', '/berth/cluster-endpoint/default:net/b'];
  const host = (name: string) =>
    [`/berth/host/${name}`, JSON.stringify({ engine: { id: `engine of ${name}` } })] as const;
  const hosts = [host('h1'), host('h2')] as const;
  const [first, second] = [lease('host/h1'), lease('host/h2')];
  const late = history(
    ...hosts,
    [LEASE, first],
    [a, endpoint('h1')],
    [LEASE],
    [LEASE, second],
    [b, endpoint('h2')],
    [a],
  );
  assert.deepEqual(heldTwice(late), []);
  assert.equal(heldTwice(history([LEASE, first], [b, endpoint('h2')])).length, 1);
  const elsewhere = '/berth/cluster-endpoint/default:other/b';
  const also = LEASE.replace('default:net', 'default:other');
  assert.deepEqual(heldTwice(history([LEASE, first], [also, second], [elsewhere, endpoint('h2')])), []);
});

test('who tells of an address that nobody holds is at fault', () => {
  const key = '/berth/cluster-endpoint/default:net/a';
  assert.equal(heldTwice(history([key, endpoint('h1')])).length, 1);
  assert.equal(heldTwice(history([LEASE, lease('host/h1')], [LEASE], [key, endpoint('h1')])).length, 1);
});

test('times in which two had an address are found, also across a shorter one', () => {
  const hold = (container: string, from: number, to: number) => ({ network: 'n', address: 'a', container, from, to });
  assert.deepEqual(overlapping([hold('a', 0, 1), hold('b', 1, 2)]), []);
  const found = overlapping([hold('a', 0, 9), hold('b', 1, 2), hold('c', 3, 4)]);
  assert.deepEqual(
    found.map((fault) => fault.replace(/ from .*/, '')),
    ['n a: a and b', 'n a: a and c'],
  );
});

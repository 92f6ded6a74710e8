/** Which network a pool is for: Docker does not say. That the rest works is shown with a real Neutron. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RequestPool } from '../../docker/driver.ts';
import { parseAddress } from '../../model/address.ts';
import type { NetworkId } from '../../model/ids.ts';
import { parsePrefix } from '../../model/prefix.ts';
import { within } from '../../openstack/bounds.ts';
import { openSession } from '../../openstack/keystone/session.ts';
import { createNeutron } from '../../openstack/neutron/neutron.ts';
import { openBook } from './book.ts';
import { createPools } from './pools.ts';
import { memoryNotes } from './testing/notes.ts';

const subnet = parsePrefix('10.0.0.0/24')!;
const request: RequestPool = { space: 'neutron', subnet, family: 4, options: {} };
const [red, blue] = ['a', 'b'].map((digit) => digit.repeat(64) as NetworkId) as [NetworkId, NetworkId];
const of = [{ prefix: subnet, auxiliary: {} }];
// None of this asks Neutron.
const neutron = createNeutron(openSession({ authentication: { kind: 'none', endpoint: 'http://127.0.0.1:9' } }));

async function hold() {
  const book = await openBook(memoryNotes(), assert.fail);
  return createPools({ book, neutron, defaults: { pools: { 4: 'kuryr', 6: 'kuryr6' } }, now: Date.now });
}

test('two networks with the same subnet that are made at the same time have a pool each', async () => {
  const pools = await hold();
  const bounds = within(60_000);
  const first = await pools.open(request, bounds);
  const order: string[] = [];
  const second = pools.open(request, bounds).then((pool) => {
    order.push('second');
    return pool;
  });
  const third = pools.open(request, bounds).then((pool) => {
    order.push('third');
    return pool;
  });
  await pools.keep(first, parseAddress('10.0.0.1'), 'gateway');
  assert.deepEqual(order, []);
  assert.deepEqual(
    pools.settle(red, of).map(({ id }) => id),
    [first.id],
  );
  const { id } = await second;
  await new Promise(setImmediate);
  assert.deepEqual(order, ['second']);
  // The first is still being made: what it has is not taken.
  assert.deepEqual(
    pools.settle(blue, of).map((pool) => pool.id),
    [id],
  );
  assert.deepEqual(
    pools.settle(red, of).map((pool) => pool.id),
    [first.id],
  );
  await pools.release((await third).id);
});

test('what Docker has given up holds up nobody', async () => {
  const pools = await hold();
  const first = await pools.open(request, within(60_000));
  const second = pools.open(request, within(60_000));
  await pools.release(first.id);
  await second;
  // Nobody gives this one up: who comes next waits for as long as there is time.
  await pools.open(request, within(20));
});

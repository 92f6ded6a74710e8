/**
 * A Neutron that fails in every way, at every call of the making and the removal of networks. Docker is answered within 10 s, the user
 * reads what was wrong, and once it is well again Neutron, Berth and the kernel agree, and nothing is left.
 */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { type Bed, openBed } from './bed/bed.ts';
import { asItIs, type FaultyBed, type FaultyHost, faultyBed, networkOn, throughout } from './suites/neutron-faults.ts';

let bed: Bed;
let faulty: FaultyBed;

before(async () => {
  bed = await openBed('neutron-faults');
  faulty = await faultyBed(bed, 3);
});
afterEach(() => faulty.stack.calls.heal());
after(() => bed[Symbol.asyncDispose]());

const two = [
  { subnet: '10.21.0.0/24', gateway: '10.21.0.1' },
  { subnet: 'fd21::/64', gateway: 'fd21::1' },
];

test('a network of two families', (context) => throughout(context, faulty, (on) => networkOn(on, { subnets: two })));

test('a network that was there, with a subnet that is made and one that was there', async (context) => {
  const { stack, hosts } = faulty;
  const theirs = new Map<FaultyHost, { id: string; was: unknown }>();
  for (const on of hosts) {
    const { id } = await stack.neutron.post('/networks', { name: `theirs-${on.number}` });
    await stack.neutron.post('/subnets', { network_id: id, ip_version: 4, cidr: two[0]!.subnet, name: 'theirs' });
    theirs.set(on, { id, was: await asItIs(stack, `/networks/${id}`) });
  }
  await throughout(context, faulty, (on) => {
    const { id, was } = theirs.get(on)!;
    const subnets = two.map(({ subnet }) => ({ subnet }));
    const options = { 'neutron.net.name': `theirs-${on.number}` };
    return networkOn(on, { subnets, options }, async () =>
      assert.deepEqual(await asItIs(stack, `/networks/${id}`), was),
    );
  });
  for (const { id } of theirs.values()) await stack.neutron.delete(`/networks/${id}`);
});

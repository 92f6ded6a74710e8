/**
 * A Neutron that fails in every way, at every call of the making and the removal of networks that have more than subnets: a subnet
 * pool, a router, a floating IP. Docker is answered within 10 s, the user reads what was wrong, and once it is well again Neutron, Berth
 * and the kernel agree, and nothing is left.
 */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { type Bed, openBed } from './bed/bed.ts';
import { type FaultyBed, type FaultyHost, faultyBed, networkOn, throughout } from './suites/neutron-faults.ts';

let bed: Bed;
let faulty: FaultyBed;

before(async () => {
  bed = await openBed('neutron-faults-ways');
  faulty = await faultyBed(bed, 3);
});
afterEach(() => faulty.stack.calls.heal());
after(() => bed[Symbol.asyncDispose]());

test('a network with all that Neutron has for it: of a subnet pool, on a router, with a floating IP', async (context) => {
  const { stack, hosts } = faulty;
  const { neutron } = stack;
  const outside = await neutron.post('/networks', { name: 'outside', 'router:external': true });
  await neutron.post('/subnets', { network_id: outside.id, ip_version: 4, cidr: '172.24.4.0/24' });
  const operator = stack.as('operator');
  await operator.post('/security-groups', { name: 'tight' });
  await neutron.post('/qos/policies', { name: 'slow', shared: true });
  const routers = new Map<FaultyHost, string>();
  for (const on of hosts) {
    const { number } = on;
    routers.set(on, (await operator.post('/routers', { name: `router-${number}` })).id);
    // Who cuts from the same at the same time is in the other's way.
    const prefixes = [`10.${128 + number}.0.0/16`];
    await operator.post('/subnetpools', { name: `pool-${number}`, prefixes, default_prefixlen: 26 });
  }
  await throughout(context, faulty, (on) => {
    const options = {
      'neutron.router': `router-${on.number}`,
      'neutron.floating_network': 'outside',
      'neutron.publish': 'floating-ip',
      'neutron.security_groups': 'tight',
      'neutron.qos_policy': 'slow',
    };
    const ipamOptions = { 'neutron.pool.name': `pool-${on.number}` };
    return networkOn(on, { subnets: [{}], options, ipamOptions }, async () =>
      assert.deepEqual(await neutron.get(`/ports?device_id=${routers.get(on)!}`), []),
    );
  });
});

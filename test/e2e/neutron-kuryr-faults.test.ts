/**
 * What kuryr-libnetwork did wrong, as users and its own bug tracker tell: each fault that concerns networks and pools, by its number in the
 * study of it, shown to be absent here. An engine's calls come from the test, on two hosts. Those that concern ports are in
 * `neutron-kuryr-ports.test.ts`.
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Resource } from './bed/openstack/rest.ts';
import { waitFor } from './bed/process.ts';
import type { EngineNetwork } from './suites/engine-calls.ts';
import { agree, nothing } from './suites/neutron-agreement.ts';
import { kuryrStage, on } from './suites/neutron-kuryr.ts';

const stage = kuryrStage('neutron-kuryr-faults');

describe('what is somebody else’s', () => {
  test('3: a host that leaves a network harms no other, and the last one leaves nothing', async () => {
    const { stack, h2, one, two, theirs, asItIs } = stage();
    const net = await theirs();
    const before = await asItIs(`/networks/${net.id}`);
    const wanted = { subnets: [{ subnet: '10.43.0.0/24', gateway: '10.43.0.1' }], ...on(net) };
    const n1 = await one.createNetwork(wanted);
    const n2 = await two.createNetwork(wanted);
    const [c1, c2] = [await one.start(n1), await two.start(n2)];
    assert.notDeepEqual(c1.addresses, c2.addresses);
    await one.stop(n1, c1);
    await one.removeNetwork(n1);
    await waitFor('the host to leave', async () => {
      const { tags } = await stack.neutron.get<{ tags: string[] }>(`/networks/${net.id}`);
      return !tags.some((tag) => tag.startsWith('berth:h1:'));
    });
    const again = await two.start(n2);
    await two.stop(n2, again);
    await two.stop(n2, c2);
    await two.removeNetwork(n2);
    await agree(stack, h2, nothing);
    assert.deepEqual(await asItIs(`/networks/${net.id}`), before);
  });

  test('4: a network that was there is never renamed and never removed', async () => {
    const { stack, h1, one, theirs, asItIs } = stage();
    const net = await theirs({ cidr: '10.44.0.0/24', name: 'kuryr-subnet-10.44.0.0/24' });
    const [subnet] = await stack.neutron.get(`/subnets?network_id=${net.id}`);
    const look = () => Promise.all([asItIs(`/networks/${net.id}`), asItIs(`/subnets/${subnet!.id}`)]);
    const before = await look();
    const network = await one.createNetwork({
      subnets: [{ subnet: '10.44.0.0/24' }],
      options: { 'neutron.net.name': 'theirs' },
    });
    assert.equal((await stack.neutron.get<Resource>(`/networks/${net.id}`)).name, 'theirs');
    await one.stop(network, await one.start(network));
    await one.removeNetwork(network);
    await agree(stack, h1, nothing);
    assert.deepEqual(await look(), before);
  });

  test('19: a request without a MAC address takes no port that is there', async () => {
    const { one, make, theirs, asItIs } = stage();
    const net = await theirs({ cidr: '10.45.0.0/24' });
    const free = await make('/ports', { network_id: net.id, name: 'free' });
    const before = await asItIs(`/ports/${free.id}`);
    const network = await one.createNetwork({ subnets: [{ subnet: '10.45.0.0/24' }], ...on(net) });
    const PoolID = network.pools[0]!.id;
    const { Address } = await one.call('IpamDriver.RequestAddress', { PoolID, Address: '', Options: null });
    assert.deepEqual(await asItIs(`/ports/${free.id}`), before);
    await one.call('IpamDriver.ReleaseAddress', { PoolID, Address: (Address as string).replace(/\/.*/, '') });
    await one.removeNetwork(network);
  });

  test('20: subnets elsewhere in the cloud with the same CIDR do not matter', async () => {
    const { one, theirs } = stage();
    await theirs({ cidr: '10.46.0.0/24', gateway_ip: '10.46.0.254' });
    const network = await one.createNetwork({ subnets: [{ subnet: '10.46.0.0/24', gateway: '10.46.0.1' }] });
    const container = await one.start(network);
    assert.equal(container.joined.Gateway, '10.46.0.1');
    await one.stop(network, container);
    await one.removeNetwork(network);
  });
});

describe('networks', () => {
  test('2: a second one with the same CIDR is another network', async () => {
    const { one, containersOn, neutronsOf } = stage();
    const wanted = { subnets: [{ subnet: '10.47.0.0/24', gateway: '10.47.0.1' }] };
    const networks = await Promise.all([one.createNetwork(wanted), one.createNetwork(wanted)]);
    const [first, second] = networks as [EngineNetwork, EngineNetwork];
    const [a, b] = [await one.start(first, { ip: '10.47.0.9' }), await one.start(second, { ip: '10.47.0.9' })];
    for (const network of networks) assert.equal((await containersOn((await neutronsOf(network)).id)).length, 1);
    await one.stop(second, b);
    await one.removeNetwork(second);
    await one.stop(first, await one.start(first));
    await one.stop(first, a);
    await one.removeNetwork(first);
  });

  test('8: without a subnet, each is cut from the default pool', async () => {
    const { stack, h1, one, make } = stage();
    await make('/subnetpools', { name: 'kuryr', prefixes: ['10.48.0.0/16'], default_prefixlen: 24 });
    const networks = [await one.createNetwork({ subnets: [{}] }), await one.createNetwork({ subnets: [{}] })];
    const addresses = [];
    for (const network of networks) {
      const container = await one.start(network);
      addresses.push(container.addresses[0]);
      await one.stop(network, container);
    }
    assert.match(addresses.join(' '), /^10\.48\.0\.\d+\/24 10\.48\.1\.\d+\/24$/);
    for (const network of networks) await one.removeNetwork(network);
    // The pool cannot be removed while subnets are of it.
    await agree(stack, h1, nothing);
  });

  test('9: without a gateway, the first address is it', async () => {
    const { one } = stage();
    const network = await one.createNetwork({ subnets: [{ subnet: '10.49.0.0/24' }] });
    const container = await one.start(network);
    assert.equal(container.joined.Gateway, '10.49.0.1');
    await one.stop(network, container);
    await one.removeNetwork(network);
  });

  test('10: auxiliary addresses are kept from containers', async () => {
    const { one } = stage();
    const auxiliary = { router: '10.50.0.2', printer: '10.50.0.3' };
    const network = await one.createNetwork({ subnets: [{ subnet: '10.50.0.0/29', gateway: '10.50.0.1', auxiliary }] });
    const containers = [await one.start(network), await one.start(network), await one.start(network)];
    assert.deepEqual(
      containers.flatMap(({ addresses }) => addresses).toSorted(),
      [4, 5, 6].map((n) => `10.50.0.${n}/29`),
    );
    await assert.rejects(one.start(network), /no free address/);
    for (const container of containers) await one.stop(network, container);
    await one.removeNetwork(network);
  });

  test('13: what fails is undone', async () => {
    const { stack, h1, one, theirs, asItIs } = stage();
    const net = await theirs({ cidr: '10.51.0.0/24' });
    const before = await asItIs(`/networks/${net.id}`);
    const subnets = [{ subnet: '10.51.0.0/24' }];
    const options = { 'neutron.net.uuid': net.id, 'neutron.net.shared': 'true' };
    await assert.rejects(one.createNetwork({ subnets, options }), /not shared/);
    // Overlaps with the subnet that is there: Neutron refuses it after the tag is set.
    await assert.rejects(one.createNetwork({ subnets: [{ subnet: '10.51.0.0/16' }], ...on(net) }), /Neutron/);
    await agree(stack, h1, nothing);
    assert.deepEqual(await asItIs(`/networks/${net.id}`), before);
    const quota = await stack.neutron.call('PUT', `/quotas/${stack.identity.users.operator.projectId}`, {
      quota: { subnet: 0 },
    });
    assert.equal(quota.status, 200, quota.body);
    try {
      await assert.rejects(one.createNetwork({ subnets: [{ subnet: '10.52.0.0/24' }] }), /OverQuota/);
    } finally {
      await stack.neutron.call('DELETE', `/quotas/${stack.identity.users.operator.projectId}`);
    }
    await agree(stack, h1, nothing);
  });

  test('21: three subnets are no hindrance', async () => {
    const { one, theirs } = stage();
    const named = (cidr: string) => ({ cidr, name: `kuryr-subnet-${cidr}` });
    const net = await theirs(named('10.53.0.0/24'), named('10.53.1.0/24'), named('10.53.2.0/24'));
    const network = await one.createNetwork({ subnets: [{ subnet: '10.53.1.0/24' }], ...on(net) });
    const container = await one.start(network);
    assert.match(container.addresses[0]!, /^10\.53\.1\./);
    await one.stop(network, container);
    await one.removeNetwork(network);
  });

  test('22: a container has the routes of its own subnets', async () => {
    const { one, theirs } = stage();
    const route = (destination: string, nexthop: string) => ({ host_routes: [{ destination, nexthop }] });
    const net = await theirs(
      { cidr: '10.54.0.0/24', ...route('192.0.2.0/24', '10.54.0.7') },
      { cidr: '10.54.1.0/24', ...route('198.51.100.0/24', '10.54.1.7') },
    );
    const network = await one.createNetwork({ subnets: [{ subnet: '10.54.0.0/24' }], ...on(net) });
    const container = await one.start(network);
    assert.deepEqual(container.joined.StaticRoutes, [
      { Destination: '192.0.2.0/24', RouteType: 0, NextHop: '10.54.0.7' },
    ]);
    await one.stop(network, container);
    await one.removeNetwork(network);
  });
});

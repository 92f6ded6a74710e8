/**
 * What kuryr-libnetwork did wrong, as users and its own bug tracker tell: each fault that concerns networks, pools, ports and what is left
 * behind, by its number in the study of it, shown to be absent here. An engine's calls come from the test, on two hosts.
 */

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { type Bed, openBed } from './bed/bed.ts';
import type { Host } from './bed/host.ts';
import { type OpenStack, startOpenStack } from './bed/openstack/openstack.ts';
import type { Resource } from './bed/openstack/rest.ts';
import { waitFor } from './bed/process.ts';
import { type EngineCalls, type EngineNetwork, engineCalls, type WantedNetwork } from './suites/engine-calls.ts';
import { neutronHost, startNeutronAgent, warmUp } from './suites/neutron.ts';
import { agree, nothing } from './suites/neutron-agreement.ts';

let bed: Bed;
let stack: OpenStack;
let h1: Host;
let h2: Host;
let one: EngineCalls;
let two: EngineCalls;

before(async () => {
  bed = await openBed('neutron-kuryr-faults');
  const lan = await bed.lan({ name: 'management', subnet: '10.8.65.0/24', gateway: '10.8.65.1' });
  stack = await startOpenStack({ on: { bed, lan, address: '10.8.65.11' }, hosts: ['h1', 'h2'] });
  await warmUp(stack);
  h1 = await neutronHost(bed, lan, 'h1', '10.8.65.79/24', stack, { start: false });
  h2 = await neutronHost(bed, lan, 'h2', '10.8.65.80/24', stack, { start: false });
  [one, two] = [engineCalls(h1, 'kuryr'), engineCalls(h2, 'kuryr')];
});
/** Whatever a test has made in Neutron itself. */
const made: string[] = [];
afterEach(async () => {
  stack.calls.heal();
  await agree(stack, h1, nothing);
  await agree(stack, h2, nothing);
  for (const path of made.splice(0).toReversed()) await stack.neutron.delete(path);
});
after(() => bed[Symbol.asyncDispose]());

async function make(path: string, attributes: Readonly<Record<string, unknown>>): Promise<Resource> {
  const object = await stack.neutron.post(path, attributes);
  made.push(`${path}/${object.id}`);
  return object;
}

/** A network of Neutron with subnets, as its owner made them. */
async function theirs(...subnets: readonly Readonly<Record<string, unknown>>[]): Promise<Resource> {
  const network = await make('/networks', { name: 'theirs' });
  for (const subnet of subnets) await make('/subnets', { network_id: network.id, ip_version: 4, ...subnet });
  return network;
}

/** Without what every change changes. */
async function asItIs(path: string): Promise<unknown> {
  const { revision_number: _revision, updated_at: _time, ...rest } = await stack.neutron.get<Resource>(path);
  return rest;
}

const containersOn = async (network: string): Promise<readonly Resource[]> =>
  (await stack.neutron.get(`/ports?network_id=${network}`)).filter((port) =>
    String(port.device_owner).startsWith('compute:kuryr'),
  );
const neutronsOf = async ({ id }: EngineNetwork): Promise<Resource> =>
  (await stack.neutron.get(`/networks?name=kuryr-net-${id.slice(0, 8)}`))[0]!;
const on = (network: Resource): Pick<WantedNetwork, 'options'> => ({ options: { 'neutron.net.uuid': network.id } });

describe('what is somebody else’s', () => {
  test('1: ports of machines and of other containers are not taken over', async () => {
    const net = await theirs({ cidr: '10.41.0.0/24' });
    const vm = await make('/ports', {
      network_id: net.id,
      name: 'vm',
      device_id: 'vm',
      device_owner: 'compute:nova',
      'binding:host_id': 'h2',
      fixed_ips: [{ ip_address: '10.41.0.9' }],
    });
    const before = await asItIs(`/ports/${vm.id}`);
    const [n1, n2] = [
      await one.createNetwork({ subnets: [{ subnet: '10.41.0.0/24' }], ...on(net) }),
      await two.createNetwork({ subnets: [{ subnet: '10.41.0.0/24' }], ...on(net) }),
    ];
    await assert.rejects(
      one.start(n1, { ip: '10.41.0.9' }),
      /10\.41\.0\.9 is held by a port of compute:nova in Neutron: 'vm'/,
    );
    assert.deepEqual(await asItIs(`/ports/${vm.id}`), before);

    const first = await one.start(n1, { ip: '10.41.0.20' });
    const [port] = await containersOn(net.id);
    const running = await asItIs(`/ports/${port!.id}`);
    await assert.rejects(one.start(n1, { ip: '10.41.0.20' }), /10\.41\.0\.20 is held by another container/);
    await assert.rejects(two.start(n2, { ip: '10.41.0.20' }), /10\.41\.0\.20 is held by a port of compute:kuryr/);
    await assert.rejects(two.start(n2, { mac: first.mac }), /held by a port of compute:kuryr/);
    assert.deepEqual(await asItIs(`/ports/${port!.id}`), running);
    await one.stop(n1, first);
    await one.removeNetwork(n1);
    await two.removeNetwork(n2);
    await agree(stack, h1, nothing);
    assert.deepEqual(await asItIs(`/ports/${vm.id}`), before);
  });

  test('3: a host that leaves a network harms no other, and the last one leaves nothing', async () => {
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
    const network = await one.createNetwork({ subnets: [{ subnet: '10.49.0.0/24' }] });
    const container = await one.start(network);
    assert.equal(container.joined.Gateway, '10.49.0.1');
    await one.stop(network, container);
    await one.removeNetwork(network);
  });

  test('10: auxiliary addresses are kept from containers', async () => {
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
    const named = (cidr: string) => ({ cidr, name: `kuryr-subnet-${cidr}` });
    const net = await theirs(named('10.53.0.0/24'), named('10.53.1.0/24'), named('10.53.2.0/24'));
    const network = await one.createNetwork({ subnets: [{ subnet: '10.53.1.0/24' }], ...on(net) });
    const container = await one.start(network);
    assert.match(container.addresses[0]!, /^10\.53\.1\./);
    await one.stop(network, container);
    await one.removeNetwork(network);
  });

  test('22: a container has the routes of its own subnets', async () => {
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

describe('containers', () => {
  test('7 and 18: of two families, with one port that is made once', async () => {
    const subnets = [{ subnet: '10.55.0.0/24' }, { subnet: 'fd55::/64' }];
    const network = await one.createNetwork({ subnets });
    stack.calls.clear();
    const container = await one.start(network);
    assert.deepEqual(stack.calls.counts({ service: 'neutron' }), { 'POST /v2.0/ports': 1 });
    assert.equal(container.addresses.length, 2);
    const named = await one.start(network, { ip: '10.55.0.77', ip6: 'fd55::77' });
    assert.deepEqual(named.addresses, ['10.55.0.77/24', 'fd55::77/64']);
    const ports = await containersOn((await neutronsOf(network)).id);
    assert.deepEqual(
      ports.map(({ fixed_ips }) => (fixed_ips as unknown[]).length),
      [2, 2],
    );
    for (const each of [container, named]) await one.stop(network, each);
    await one.removeNetwork(network);
  });

  test('16: what an engine never takes back goes by itself, also when the agent was killed', async () => {
    const network = await one.createNetwork({ subnets: [{ subnet: '10.56.0.0/24' }] });
    const PoolID = network.pools[0]!.id;
    const Options = { 'com.docker.network.endpoint.macaddress': '02:42:0a:38:00:09' };
    await one.call('IpamDriver.RequestAddress', { PoolID, Address: '', Options });
    const container = await one.start(network);
    await h1.killBerth();
    await startNeutronAgent(h1);
    await agree(stack, h1, { networks: 1, containers: 1 });
    const endpoint = { NetworkID: network.id, EndpointID: container.id };
    await one.call('NetworkDriver.Leave', endpoint);
    await one.call('NetworkDriver.DeleteEndpoint', endpoint);
    await agree(stack, h1, { networks: 1, containers: 0 });
    await one.removeNetwork(network);
  });

  test('24: what is gone can be removed again', async () => {
    const network = await one.createNetwork({ subnets: [{ subnet: '10.57.0.0/24' }] });
    const container = await one.start(network);
    const [port] = await containersOn((await neutronsOf(network)).id);
    await stack.neutron.delete(`/ports/${port!.id}`);
    const endpoint = { NetworkID: network.id, EndpointID: container.id };
    for (const _twice of [1, 2]) await one.call('NetworkDriver.DeleteEndpoint', endpoint);
    const Address = container.addresses[0]!.replace(/\/.*/, '');
    for (const _twice of [1, 2]) await one.call('IpamDriver.ReleaseAddress', { PoolID: network.pools[0]!.id, Address });
    await one.removeNetwork(network);
    for (const _twice of [1, 2]) await one.call('NetworkDriver.DeleteNetwork', { NetworkID: network.id });
  });

  test('25: a host that Neutron does not know by this name is told of', async () => {
    await h1.stopBerth();
    await startNeutronAgent(h1, ['--host', 'elsewhere']);
    const network = await one.createNetwork({ subnets: [{ subnet: '10.58.0.0/24' }] });
    await assert.rejects(one.start(network), /does not bind the port on the host 'elsewhere' \(binding_failed\)/);
    await one.removeNetwork(network);
    await agree(stack, { ...h1, name: 'elsewhere' }, nothing);
    await h1.stopBerth();
    await startNeutronAgent(h1);
  });

  test('26: a subnet that is for containers only is for them', async () => {
    const net = await theirs({ cidr: '10.59.0.0/24', service_types: ['compute:kuryr'] });
    const network = await one.createNetwork({ subnets: [{ subnet: '10.59.0.0/24' }], ...on(net) });
    const container = await one.start(network);
    assert.match(container.addresses[0]!, /^10\.59\.0\./);
    await one.stop(network, container);
    await one.removeNetwork(network);
  });
});

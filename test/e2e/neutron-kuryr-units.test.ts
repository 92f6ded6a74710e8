/**
 * The scenarios of kuryr-libnetwork's unit tests, by their names, as an engine meets them: calls of the plugin, and a real Neutron behind
 * it. `docs/kuryr-tests.md` tells where each of them is, and those that are shown elsewhere.
 */

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import type { EngineContainer, EngineNetwork } from './suites/engine-calls.ts';
import {
  bare,
  clean,
  close,
  engine,
  host,
  inNeutron,
  isGone,
  make,
  neutronsOf,
  open,
  poolOf,
  random,
  request,
  stack,
  theirs,
} from './suites/kuryr-units.ts';
import { addresses, oneFamily, refusals } from './suites/kuryr-units-addresses.ts';
import { agree, nothing } from './suites/neutron-agreement.ts';
import { type NetworkSeen, type PortSeen, portsOn, portWith, stateOf, subnetsOf } from './suites/neutron-objects.ts';

before(open);
afterEach(() => stack.calls.heal());
after(close);

describe('TestKuryr and TestKuryrIpam, what needs no Neutron', () => {
  test('TestKuryr.test_remote_driver_endpoint', async () => {
    assert.deepEqual(await engine.call('Plugin.Activate', {}), { Implements: ['NetworkDriver', 'IpamDriver'] });
    const can = await engine.call('NetworkDriver.GetCapabilities', {});
    assert.deepEqual([can.Scope, can.ConnectivityScope], ['local', 'local']);
    assert.deepEqual(await engine.call('NetworkDriver.DiscoverNew', { DiscoveryType: 1, DiscoveryData: {} }), {});
    assert.deepEqual(await engine.call('NetworkDriver.DiscoverDelete', { DiscoveryType: 1, DiscoveryData: {} }), {});
  });

  test('TestKuryrIpam.test_remote_ipam_driver_endpoint', async () => {
    const spaces = await engine.call('IpamDriver.GetDefaultAddressSpaces', {});
    assert.ok(spaces.LocalDefaultAddressSpace && spaces.GlobalDefaultAddressSpace, JSON.stringify(spaces));
    assert.equal((await engine.call('IpamDriver.GetCapabilities', {})).RequiresMACAddress, true);
  });

  // kuryr answers them with nothing, and a swarm then has networks that work on no node.
  for (const method of ['AllocateNetwork', 'FreeNetwork'])
    test(`TestKuryr.test_network_driver_${method === 'FreeNetwork' ? 'free' : 'allocate'}_network`, async () => {
      const answer = engine.call(`NetworkDriver.${method}`, { NetworkID: random(), Options: {} });
      if (method === 'AllocateNetwork') await assert.rejects(answer, /cannot be networks of a swarm/);
      else assert.deepEqual(await answer, {});
    });

  test('TestKuryrSchema, and bad requests of every kind', async () => {
    const fits = (NetworkID: string) =>
      engine.call('NetworkDriver.DeleteNetwork', { NetworkID }).then(
        () => true,
        (error: Error) => !/NetworkID/.test(error.message),
      );
    assert.equal(await fits(random()), true, 'test_network_id_64_len');
    assert.equal(await fits('xqqzd9p112o4kvok38n3caxjm'), true, 'test_network_id_25_len');
    assert.equal(await fits('@#qzd9p112o4kvok38n3cax&%'), false, 'test_network_id_invalid_charactor');
    assert.equal(await fits(`${random()}abcd`), false, 'test_network_id_invalid_length');
    const bad = [
      ['test_network_create_schema_missing_required', 'NetworkDriver.CreateNetwork', { IPv4Data: [], Options: {} }],
      ['test_create_network_bad_request', 'NetworkDriver.CreateNetwork', { NetworkID: 'id-should-be-hexdigits' }],
      ['test_delete_network_bad_request', 'NetworkDriver.DeleteNetwork', { NetworkID: 'id-should-be-hexdigits' }],
      ['test_create_endpoint_bad_request', 'NetworkDriver.CreateEndpoint', { NetworkID: random(), EndpointID: '!' }],
      ['test_delete_endpoint_bad_request', 'NetworkDriver.DeleteEndpoint', { NetworkID: random(), EndpointID: '!' }],
      ['test_join_bad_request', 'NetworkDriver.Join', { NetworkID: random(), EndpointID: '!' }],
      ['test_leave_bad_request', 'NetworkDriver.Leave', { NetworkID: random(), EndpointID: '!' }],
      ['test_request_pool_bad_request_failure', 'IpamDriver.RequestPool', { AddressSpace: '', Pool: 'should-be-cidr' }],
    ] as const;
    for (const [name, method, body] of bad) await assert.rejects(engine.call(method, body), /: \S/, name);
  });
});

describe('TestKuryr, the life of a network and its containers', () => {
  let network: EngineNetwork;
  let behind: NetworkSeen;
  let container: EngineContainer;
  let port: PortSeen;
  after(clean);

  test('test_network_driver_create_v4_v6_network', async () => {
    network = await engine.createNetwork({
      subnets: [{ subnet: '10.60.0.0/24', gateway: '10.60.0.1' }, { subnet: 'fd60::/64' }],
    });
    behind = await neutronsOf(network);
    const subnets = await subnetsOf(stack, behind);
    assert.deepEqual(subnets.map(({ cidr, gateway_ip }) => `${cidr} ${gateway_ip}`).toSorted(), [
      '10.60.0.0/24 10.60.0.1',
      'fd60::/64 fd60::1',
    ]);
  });

  test('test_network_driver_create_v4_v6_endpoint, test_network_driver_join', async () => {
    container = await engine.start(network, { ip: '10.60.0.5' });
    port = await portWith(stack, behind, '10.60.0.5');
    assert.deepEqual(inNeutron(port), container.addresses.map((on) => bare(on)!).toSorted());
    assert.deepEqual([port.mac_address, port.device_owner], [container.mac, 'compute:kuryr']);
    const { InterfaceName, Gateway, GatewayIPv6 } = container.joined;
    assert.deepEqual([Gateway, GatewayIPv6], ['10.60.0.1', 'fd60::1']);
    const { SrcName, DstPrefix } = InterfaceName as { SrcName: string; DstPrefix: string };
    assert.equal(DstPrefix, 'eth');
    await host.net(['ip', 'link', 'show', SrcName]);
  });

  test('test_network_driver_endpoint_operational_info', async () => {
    const known = { NetworkID: network.id, EndpointID: container.id };
    assert.ok((await engine.call('NetworkDriver.EndpointOperInfo', known)).Value !== undefined);
  });

  test('test_network_driver_endpoint_operational_info_with_no_port', async () => {
    const unknown = { NetworkID: network.id, EndpointID: random() };
    const { Value } = await engine.call('NetworkDriver.EndpointOperInfo', unknown);
    assert.deepEqual(Value, {});
  });

  test('test_network_driver_leave, test_network_driver_delete_endpoint', async () => {
    await engine.stop(network, container);
    await isGone(`/ports/${port.id}`);
  });

  test('test_network_driver_create_v4_endpoint_in_dual_net', async () => {
    const mac = '02:42:0a:3c:00:09';
    const PoolID = network.pools[0]!.id;
    const { Address } = await request(PoolID, '10.60.0.9', mac);
    const endpoint = { NetworkID: network.id, EndpointID: random() };
    const Interface = { Address, MacAddress: mac };
    // The engine's own MAC address is not told it again.
    assert.deepEqual(await engine.call('NetworkDriver.CreateEndpoint', { ...endpoint, Interface, Options: {} }), {
      Interface: {},
    });
    assert.equal((await portsOn(stack, behind)).length, 1);
    await engine.call('NetworkDriver.DeleteEndpoint', endpoint);
    await engine.call('IpamDriver.ReleaseAddress', { PoolID, Address: '10.60.0.9' });
  });

  test('test_network_driver_create_endpoint_with_no_mac_address', async () => {
    const PoolID = network.pools[0]!.id;
    const { Address } = await request(PoolID);
    const endpoint = { NetworkID: network.id, EndpointID: random() };
    const told = await engine.call('NetworkDriver.CreateEndpoint', {
      ...endpoint,
      Interface: { Address },
      Options: {},
    });
    const { mac_address } = await portWith(stack, behind, bare(Address as string));
    assert.deepEqual(told, { Interface: { MacAddress: mac_address } });
    await engine.call('NetworkDriver.DeleteEndpoint', endpoint);
    await engine.call('IpamDriver.ReleaseAddress', { PoolID, Address: bare(Address as string) });
  });

  test('test_network_driver_delete_network, test_network_driver_delete_network_with_subnets', async () => {
    const subnets = await subnetsOf(stack, behind);
    await engine.removeNetwork(network);
    for (const { id } of subnets) await isGone(`/subnets/${id}`);
    await isGone(`/networks/${behind.id}`);
    assert.deepEqual(await engine.call('NetworkDriver.DeleteNetwork', { NetworkID: network.id }), {});
  });

  test('test_network_driver_create_v4_network, test_network_driver_create_endpoint', async () => {
    const net = await engine.createNetwork({ subnets: [{ subnet: '10.61.0.0/24' }] });
    const one = await engine.start(net);
    assert.match(one.addresses.join(), /^10\.61\.0\.\d+\/24$/);
    await engine.stop(net, one);
    await engine.removeNetwork(net);
  });

  test('test_network_driver_create_v6_network', async () => {
    const net = await engine.createNetwork({ subnets: [{ subnet: 'fd61::/64' }] });
    assert.deepEqual(
      (await subnetsOf(stack, await neutronsOf(net))).map(({ cidr, ip_version }) => [cidr, ip_version]),
      [['fd61::/64', 6]],
    );
    await engine.removeNetwork(net);
  });

  test('test_network_driver_create_network_wo_gw', async () => {
    // What is not named is the first address: docs of Docker say so, and kuryr failed.
    const net = await engine.createNetwork({ subnets: [{ subnet: '10.62.0.0/24' }] });
    assert.equal((await subnetsOf(stack, await neutronsOf(net)))[0]!.gateway_ip, '10.62.0.1');
    await engine.removeNetwork(net);
  });
});

describe('TestKuryr and TestKuryrNetworkPreExisting, networks that are there', () => {
  let user: NetworkSeen;
  let untouched: unknown;
  before(async () => {
    user = await theirs('mine', { cidr: '10.63.0.0/24' });
    untouched = await stateOf(stack, user);
  });
  after(clean);

  for (const [names, options] of [
    ['create_network_with_netid_option, test_create_network_pre_existing', () => ({ 'neutron.net.uuid': user.id })],
    ['create_network_with_net_name_option', () => ({ 'neutron.net.name': 'mine' })],
  ] as const)
    test(`test_network_driver_${names}`, async () => {
      const net = await engine.createNetwork({ subnets: [{ subnet: '10.63.0.0/24' }], options: options() });
      const container = await engine.start(net);
      await portWith(stack, user, bare(container.addresses[0]));
      await engine.stop(net, container);
      await engine.removeNetwork(net);
      await agree(stack, host, nothing);
      // test_delete_network_pre_existing_neutron_subnets_pre_created
      assert.deepEqual(await stateOf(stack, user), untouched);
    });

  test('test_create_network_and_subnet_pre_existing_add_tag_for_subnet, …_neutron_kuryr_subnets_pre_created', async () => {
    // Of two subnets one is the user's, and one is made for Docker: that one goes again.
    const subnets = [{ subnet: '10.63.0.0/24' }, { subnet: 'fd63::/64' }];
    const net = await engine.createNetwork({ subnets, options: { 'neutron.net.uuid': user.id } });
    const made = (await subnetsOf(stack, user)).map(({ cidr, description }) => `${cidr} ${String(description)}`);
    assert.deepEqual(made.toSorted(), ['10.63.0.0/24 ', `fd63::/64 berth/h1/${net.id.slice(0, 12)}`]);
    await engine.removeNetwork(net);
    await agree(stack, host, nothing);
    assert.deepEqual(await stateOf(stack, user), untouched);
  });

  test('test_delete_network_pre_existing_kuryr_subnets_pre_created', async () => {
    const bareOne = await theirs('bare');
    const before = await stateOf(stack, bareOne);
    stack.calls.clear();
    const options = { 'neutron.net.uuid': bareOne.id };
    const net = await engine.createNetwork({ subnets: [{ subnet: '10.64.0.0/24' }], options });
    assert.equal(stack.calls.all({ service: 'neutron' }).length, 3);
    assert.equal((await subnetsOf(stack, bareOne)).length, 1);
    await engine.removeNetwork(net);
    await agree(stack, host, nothing);
    assert.deepEqual(await stateOf(stack, bareOne), before);
  });

  test('test_network_driver_create_network_with_network_id_not_exist, …_network_name_not_exist', async () => {
    for (const [options, message] of [
      [{ 'neutron.net.uuid': '11111111-2222-3333-4444-555555555555' }, /no network 11111111/],
      [{ 'neutron.net.name': 'nobody' }, /no network 'nobody'/],
    ] as const) {
      await assert.rejects(engine.createNetwork({ subnets: [{ subnet: '10.65.0.0/24' }], options }), message);
      await agree(stack, host, nothing);
    }
  });
});

describe('TestKuryrIpam, pools', () => {
  after(clean);

  test('test_ipam_driver_request_pool_with_user_pool, test_ipam_driver_release_pool', async () => {
    const { PoolID, subnet } = await poolOf('10.66.0.0/24');
    assert.equal(subnet, '10.66.0.0/24');
    assert.deepEqual(await engine.call('IpamDriver.ReleasePool', { PoolID }), {});
    await assert.rejects(request(PoolID), /not known/);
  });

  for (const by of ['id', 'name', 'id_and_shared'])
    test(`test_ipam_driver_request_pool_with_existing_subnet_${by}`, async () => {
      const user = await theirs('owner', { name: `subnet ${by}`, cidr: '10.67.0.0/24' });
      if (by.endsWith('shared')) await stack.neutron.put(`/networks/${user.id}`, { shared: true });
      const [subnet] = await subnetsOf(stack, user);
      const ipamOptions: Record<string, string> =
        by === 'name' ? { 'neutron.subnet.name': `subnet ${by}` } : { 'neutron.subnet.uuid': subnet!.id };
      if (by.endsWith('shared')) ipamOptions['neutron.net.shared'] = 'true';
      const net = await engine.createNetwork({ subnets: [{}], ipamOptions, options: ipamOptions });
      const container = await engine.start(net);
      await portWith(stack, user, bare(container.addresses[0]));
      await engine.stop(net, container);
      await engine.removeNetwork(net);
      await clean();
    });

  for (const by of ['name', 'id'])
    test(`test_ipam_driver_request_pool_with_pool_${by}_option, test_network_driver_create_network_with_pool_${by}_option`, async () => {
      const pool = await make('/subnetpools', {
        name: `pool ${by}`,
        prefixes: ['10.68.0.0/16'],
        default_prefixlen: 24,
      });
      const wish = by === 'id' ? { 'neutron.pool.uuid': pool.id } : { 'neutron.pool.name': `pool ${by}` };
      const net = await engine.createNetwork({ subnets: [{}], ipamOptions: wish, options: wish });
      const [subnet] = await subnetsOf(stack, await neutronsOf(net));
      assert.equal(subnet!.subnetpool_id, pool.id);
      // test_ipam_driver_release_pool_with_pool_name_option: the pool is the user's.
      await engine.removeNetwork(net);
      await agree(stack, host, nothing);
      assert.equal((await stack.neutron.call('GET', `/subnetpools/${pool.id}`)).status, 200);
    });

  test('test_ipam_driver_request_pool_with_default_v6pool', async () => {
    const pool = await make('/subnetpools', { name: 'kuryr6', prefixes: ['fd69::/48'], default_prefixlen: 64 });
    const { PoolID, subnet } = await poolOf('', {}, true);
    assert.match(subnet, /^fd69:.*\/64$/);
    await engine.call('IpamDriver.ReleasePool', { PoolID });
    assert.deepEqual(await stack.neutron.get(`/subnets?subnetpool_id=${pool.id}`), []);
  });

  test('test_ipam_driver_request_pool_with_unmatched_cidr', async () => {
    // kuryr goes on with what the user has not named.
    const user = await theirs('owner', { name: 'other', cidr: '10.70.0.0/24' });
    const [subnet] = await subnetsOf(stack, user);
    const wish = { 'neutron.subnet.uuid': subnet!.id };
    const asked = { subnets: [{ subnet: '10.71.0.0/24' }], ipamOptions: wish, options: wish };
    await assert.rejects(engine.createNetwork(asked), /is 10\.70\.0\.0\/24, and --subnet another/);
  });
});

addresses();
oneFamily();
refusals();

/** What kuryr's unit tests ask of addresses, and of a Neutron that refuses. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '../bed/process.ts';
import type { EngineNetwork } from './engine-calls.ts';
import {
  bare,
  clean,
  engine,
  host,
  inNeutron,
  isGone,
  make,
  neutronsOf,
  poolOf,
  request,
  stack,
  theirs,
} from './kuryr-units.ts';
import { agree, nothing } from './neutron-agreement.ts';
import { type NetworkSeen, type PortSeen, portsOn, portWith, stateOf, subnetsOf } from './neutron-objects.ts';

export function addresses(): void {
  describe('TestKuryrIpam, addresses', () => {
    let user: NetworkSeen;
    let own: PortSeen;
    let untouched: unknown;
    let net: EngineNetwork;
    before(async () => {
      user = await theirs('users', { cidr: '10.72.0.0/24', gateway_ip: '10.72.0.1' });
      own = await make<PortSeen>('/ports', {
        network_id: user.id,
        name: 'own',
        fixed_ips: [{ ip_address: '10.72.0.9' }],
      });
      untouched = await stateOf(stack, user);
      const options = { 'neutron.net.uuid': user.id };
      net = await engine.createNetwork({ subnets: [{ subnet: '10.72.0.0/24', gateway: '10.72.0.1' }], options });
    });
    after(clean);
    const own$ = () => stack.neutron.get<PortSeen>(`/ports/${own.id}`);
    const held = async () => (await portsOn(stack, user)).map(({ id }) => id);

    test('test_ipam_driver_request_address_when_subnet_not_exist', async () => {
      await assert.rejects(request('neutron-0123456789abcdef/10.99.0.0-24'), /neutron-0123456789abcdef.* not known/);
    });

    test('test_ipam_driver_request_address, test_ipam_driver_release_address_w_existing_subnet', async () => {
      const { Address } = await request(net.pools[0]!.id, '', '02:42:0a:48:00:02');
      const port = await portWith(stack, user, bare(Address as string));
      assert.equal(port.mac_address, '02:42:0a:48:00:02');
      await engine.call('IpamDriver.ReleaseAddress', { PoolID: net.pools[0]!.id, Address: bare(Address as string) });
      await isGone(`/ports/${port.id}`);
    });

    test('test_ipam_driver_request_specific_address', async () => {
      const asked = { PoolID: net.pools[0]!.id, Address: '10.72.0.77' };
      assert.equal((await request(asked.PoolID, asked.Address, '02:42:0a:48:00:03')).Address, '10.72.0.77/24');
      await engine.call('IpamDriver.ReleaseAddress', asked);
    });

    for (const [name, wanted] of [
      ['test_ipam_driver_request_specific_address_existing_port', () => ({ ip: '10.72.0.9' })],
      ['test_ipam_driver_request_specific_mac_address_existing_port', () => ({ mac: own.mac_address })],
    ] as const)
      test(`${name}, test_ipam_driver_release_address_w_existing_port`, async () => {
        const container = await engine.start(net, wanted());
        assert.deepEqual([await held(), container.addresses], [[own.id], ['10.72.0.9/24']]);
        const taken = await own$();
        assert.deepEqual([taken['binding:host_id'], taken.mac_address], ['h1', container.mac]);
        await engine.stop(net, container);
        await waitFor('the port to be put back', async () => (await own$()).device_id === '', 30_000, 50);
        const { mac_address, name: called } = await own$();
        assert.deepEqual([mac_address, called], [own.mac_address, 'own']);
      });

    test('test_ipam_driver_request_address_for_same_gateway', async () => {
      const { PoolID } = await poolOf('10.72.0.0/24', { 'neutron.net.uuid': user.id });
      const Options = { RequestAddressType: 'com.docker.network.gateway' };
      const { Address } = await engine.call('IpamDriver.RequestAddress', { PoolID, Address: '10.72.0.1', Options });
      assert.equal(Address, '10.72.0.1/24');
      await engine.call('IpamDriver.ReleasePool', { PoolID });
    });

    test('test_ipam_driver_request_address_for_different_gateway', async () => {
      // kuryr refuses it. Here it is what the containers of this host get; the subnet keeps its own.
      const options = { 'neutron.net.uuid': user.id };
      const other = await engine.createNetwork({
        subnets: [{ subnet: '10.72.0.0/24', gateway: '10.72.0.5' }],
        options,
      });
      const container = await engine.start(other);
      assert.equal(container.joined.Gateway, '10.72.0.5');
      assert.equal((await subnetsOf(stack, user))[0]!.gateway_ip, '10.72.0.1');
      await engine.stop(other, container);
      await engine.removeNetwork(other);
    });

    test('test_ipam_driver_request_address_overlapping_cidr_in_neutron, …_in_kuryr, …_no_subnet_tags', async () => {
      const same = await theirs('same', { cidr: '10.72.0.0/24' });
      const second = await engine.createNetwork({ subnets: [{ subnet: '10.72.0.0/24' }] });
      // test_ipam_driver_release_address_w_same_ip_and_cidr, …_w_existing_port_w_same_ip_and_cidr
      const [left, right] = [
        await engine.start(net, { ip: '10.72.0.9' }),
        await engine.start(second, { ip: '10.72.0.9' }),
      ];
      assert.deepEqual(await held(), [own.id]);
      const [port, ...others] = await portsOn(stack, await neutronsOf(second));
      assert.deepEqual([inNeutron(port!), port!.mac_address, others], [['10.72.0.9'], right.mac, []]);
      await engine.stop(net, left);
      await waitFor('the port to be put back', async () => (await own$()).device_id === '', 30_000, 50);
      assert.equal((await stack.neutron.get<PortSeen>(`/ports/${port!.id}`)).device_id, port!.device_id);
      await engine.stop(second, right);
      await isGone(`/ports/${port!.id}`);
      await engine.removeNetwork(second);
      assert.deepEqual(await portsOn(stack, same), []);
    });

    test('and nothing of it is left', async () => {
      await engine.removeNetwork(net);
      await agree(stack, host, nothing);
      assert.deepEqual(await stateOf(stack, user), untouched);
    });
  });
}

/** What kuryr's tests do not ask, and its users did. */
export function oneFamily(): void {
  describe('ports of one family, on a network of two', () => {
    let user: NetworkSeen;
    let untouched: unknown;
    let net: EngineNetwork;
    before(async () => {
      user = await theirs('two', { cidr: '10.76.0.0/24' }, { cidr: 'fd76::/64' });
      const subnets = await subnetsOf(stack, user);
      for (const [name, address] of [
        ['four', '10.76.0.9'],
        ['six', 'fd76::9'],
      ] as const) {
        const { id } = subnets.find(({ ip_version }) => (ip_version === 6) === address.includes(':'))!;
        const fixed_ips = [{ subnet_id: id, ip_address: address }];
        await make('/ports', { network_id: user.id, name, fixed_ips });
      }
      untouched = await stateOf(stack, user);
      const options = { 'neutron.net.uuid': user.id };
      net = await engine.createNetwork({ subnets: [{ subnet: '10.76.0.0/24' }, { subnet: 'fd76::/64' }], options });
    });
    after(clean);
    const called = async (name: string) => (await portsOn(stack, user)).find((port) => port.name === name)!;

    for (const [what, wanted, name] of [
      ['of IPv4, by its address', () => ({ ip: '10.76.0.9' }), 'four'],
      ['of IPv4, with another address of IPv6', () => ({ ip: '10.76.0.9', ip6: 'fd76::77' }), 'four'],
      ['of IPv6, by its address', () => ({ ip6: 'fd76::9' }), 'six'],
    ] as const)
      test(what, async () => {
        const container = await engine.start(net, wanted());
        const ports = await portsOn(stack, user);
        assert.equal(ports.length, 2, JSON.stringify(ports));
        const port = await called(name);
        assert.deepEqual(inNeutron(port), container.addresses.map((on) => bare(on)!).toSorted());
        assert.deepEqual([port.mac_address, port['binding:host_id']], [container.mac, 'h1']);
        for (const given of Object.values<string>(wanted())) assert.ok(inNeutron(port).includes(given), given);
        await engine.stop(net, container);
        await agree(stack, host, { networks: 1, containers: 0 });
        const { device_id, fixed_ips } = await called(name);
        assert.deepEqual([device_id, fixed_ips.length], ['', 1]);
      });

    test('two of them are not one container’s', async () => {
      await assert.rejects(engine.start(net, { ip: '10.76.0.9', ip6: 'fd76::9' }), /fd76::9/);
      await engine.removeNetwork(net);
      await agree(stack, host, nothing);
      assert.deepEqual(await stateOf(stack, user), untouched);
    });
  });
}

export function refusals(): void {
  describe('what Neutron refuses', () => {
    after(clean);
    const answer = (status: number) =>
      ({
        kind: 'answer',
        status,
        body: JSON.stringify({ NeutronError: { type: 'X', message: `no (${status})` } }),
      }) as const;
    const told = (status: number) =>
      status === 401 ? /refuse|401|not accept/i : new RegExp(`no \\(${status}\\)|${status}`);

    test('TestKuryrNetworkCreateFailures.test_create_network_unauthorized', async () => {
      for (const status of [401, 403]) {
        stack.calls.inject(answer(status), { method: 'POST', template: '/v2.0/networks', times: Infinity });
        await assert.rejects(engine.createNetwork({ subnets: [{ subnet: '10.73.0.0/24' }] }), told(status));
        stack.calls.heal();
        await agree(stack, host, nothing);
      }
    });

    test('TestIpamRequestPoolFailures.test_request_pool_list_subnetpool_failure', async () => {
      stack.calls.inject(answer(403), { method: 'GET', template: '/v2.0/subnetpools', times: Infinity });
      await assert.rejects(poolOf(''), told(403));
    });

    test('TestKuryrEndpointCreateFailures.test_create_endpoint_port_failures', async () => {
      const net = await engine.createNetwork({ subnets: [{ subnet: '10.74.0.0/24' }] });
      for (const status of [401, 403, 404, 503]) {
        stack.calls.inject(answer(status), { method: 'POST', template: '/v2.0/ports', times: Infinity });
        await assert.rejects(engine.start(net), told(status));
        stack.calls.heal();
        await agree(stack, host, { networks: 1, containers: 0 });
      }
      await engine.removeNetwork(net);
    });

    test('TestKuryrNetworkDeleteFailures.test_delete_network_failures, …_with_subnet_deletion_failures', async () => {
      for (const status of [401, 404, 409]) {
        const net = await engine.createNetwork({ subnets: [{ subnet: '10.75.0.0/24' }] });
        const { id } = await neutronsOf(net);
        const refusal = stack.calls.inject(answer(status), {
          method: 'DELETE',
          template: '/v2.0/networks/{id}',
          times: 2,
        });
        // Docker is never held up by it, and it goes all the same.
        await engine.call('NetworkDriver.DeleteNetwork', { NetworkID: net.id });
        await refusal.hit();
        stack.calls.heal();
        if (status === 404) await stack.neutron.delete(`/networks/${id}`);
        await isGone(`/networks/${id}`);
        await agree(stack, host, nothing);
      }
    });
  });
}

/** Containers as ports of a real Neutron; ports bind without an agent (nobody wires them but Berth), so this is one host. */

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import type { LeaseView, PoolView } from '../../src/agent/api.ts';
import { type Bed, openBed } from './bed/bed.ts';
import type { Host } from './bed/host.ts';
import { type OpenStack, startOpenStack } from './bed/openstack/openstack.ts';
import { waitFor } from './bed/process.ts';
import { addressOf, start } from './suites/containers.ts';
import { engineCalls } from './suites/engine-calls.ts';
import { neutronHost } from './suites/neutron.ts';

let bed: Bed;
let stack: OpenStack;
let h1: Host;

interface Port {
  readonly id: string;
  readonly mac_address: string;
  readonly device_id: string;
  readonly device_owner: string;
  readonly fixed_ips: readonly { readonly subnet_id: string; readonly ip_address: string }[];
  readonly 'binding:host_id': string;
  readonly 'binding:vif_type': string;
}

const portsOf = async (network: string): Promise<readonly Port[]> =>
  (await stack.neutron.get<Port[]>(`/ports?network_id=${network}`)).filter(({ device_owner }) =>
    device_owner.startsWith('compute:'),
  );

const create = (host: Host, driver: string, name: string, ...flags: readonly string[]) =>
  host.docker('network', 'create', '--driver', driver, '--ipam-driver', driver, ...flags, name);

/** Everything of Docker's network, once Neutron has heard that it is gone. */
const gone = (path: string) =>
  waitFor(
    () => `Neutron to have nothing at ${path}`,
    async () => (await stack.neutron.get<unknown[]>(path)).length === 0,
    20_000,
    100,
  );

before(async () => {
  bed = await openBed('neutron');
  const lan = await bed.lan({ name: 'management', subnet: '10.8.65.0/24', gateway: '10.8.65.1' });
  stack = await startOpenStack({ on: { bed, lan, address: '10.8.65.11' }, hosts: ['h1', 'h2'] });
  // The first calls of a Neutron take seconds: it loads what it needs when it needs it.
  const { id } = await stack.neutron.post<{ id: string }>('/networks', { name: 'warm' });
  await stack.neutron.post('/subnets', { network_id: id, ip_version: 4, cidr: '10.99.0.0/24' });
  await stack.neutron.delete(`/networks/${id}`);
  h1 = await neutronHost(bed, lan, 'h1', '10.8.65.79/24', stack);
  // What an agent of Neutron does once it has looked at a port: the engine drops everything that is forwarded, also on a bridge.
  await h1.exec(['iptables', '-A', 'FORWARD', '-i', 'brq+', '-j', 'ACCEPT']);
});
afterEach(() => {
  stack.calls.heal();
  stack.calls.clear();
});
after(() => bed[Symbol.asyncDispose]());

describe('a network that Berth makes', () => {
  test('needs a subnet, or a pool that one is cut from, and says so', async () => {
    await assert.rejects(create(h1, 'berth-neutron', 'bare'), /no --subnet was given.*subnet pool create.* kuryr/s);
  });

  test('takes two calls, a container one to start and one to stop, and its removal one', async () => {
    await create(h1, 'berth-neutron', 'blue', '--subnet', '10.21.0.0/24', '--gateway', '10.21.0.1');
    const counts = stack.calls.counts({ service: 'neutron' });
    assert.deepEqual(counts, { 'POST /v2.0/networks': 1, 'POST /v2.0/subnets': 1 });
    stack.calls.clear();
    await start(h1, 'one', '--network blue');
    assert.deepEqual(stack.calls.counts({ service: 'neutron' }), { 'POST /v2.0/ports': 1 });
    const [net] = (await stack.neutron.get<{ id: string; name: string }[]>('/networks')).filter(({ name }) =>
      name.startsWith('berth-net-'),
    );
    const [port, ...others] = await portsOf(net!.id);
    assert.deepEqual(others, []);
    assert.equal(port!.fixed_ips[0]!.ip_address, await addressOf(h1, 'one'));
    assert.deepEqual([port!['binding:host_id'], port!['binding:vif_type']], ['h1', 'bridge']);

    await start(h1, 'two', '--network blue');
    const two = (await addressOf(h1, 'two'))!;
    await h1.docker('exec', 'one', 'ping', '-c', '1', '-W', '2', two);
    const list = async (kind: string) => JSON.parse((await h1.berth('--json', kind, 'ls')).stdout);
    const leases = (await list('lease')).map(({ address, kind, container }: LeaseView) => [address, [kind, container]]);
    assert.deepEqual(Object.fromEntries(leases), {
      '10.21.0.1': ['gateway', undefined],
      [port!.fixed_ips[0]!.ip_address]: ['port', 'one'],
      [two]: ['port', 'two'],
    });
    assert.deepEqual(
      (await list('pool')).map(({ subnet, leases: count }: PoolView) => [subnet, count]),
      [['10.21.0.0/24', 3]],
    );

    stack.calls.clear();
    await h1.docker('rm', '-f', 'two');
    await waitFor('the port to go', async () => (await portsOf(net!.id)).length === 1);
    assert.deepEqual(stack.calls.counts({ service: 'neutron' }), { 'DELETE /v2.0/ports/{id}': 1 });
    await h1.docker('rm', '-f', 'one');
    await waitFor('the other to go', async () => (await portsOf(net!.id)).length === 0);

    stack.calls.clear();
    await h1.docker('network', 'rm', 'blue');
    await gone(`/networks?id=${net!.id}`);
    assert.deepEqual(stack.calls.counts({ service: 'neutron' }), { 'DELETE /v2.0/networks/{id}': 1 });
    const left = await h1.exec(['ip', '-o', 'link']);
    assert.doesNotMatch(left.stdout, /tap|brq|t_c/);
  });
});

describe('an engine that leads a swarm', () => {
  before(() => h1.docker('swarm', 'init', '--advertise-addr', '10.8.65.79'));
  after(() => h1.docker('swarm', 'leave', '--force'));

  test('is told that the swarm cannot have networks of Neutron, and nothing is made of them', async () => {
    const flags = ['--driver', 'kuryr', '--ipam-driver', 'kuryr', '--subnet', '10.22.0.0/24'];
    await assert.rejects(
      h1.docker('network', 'create', '--scope', 'swarm', ...flags, 'wide'),
      /legacy plugin kuryr of type NetworkDriver is not supported in swarm mode/,
    );
    await h1.docker('network', 'create', ...flags, 'narrow');
    stack.calls.clear();
    const image = await h1.image();
    await assert.rejects(
      h1.docker('service', 'create', '--detach', '--network', 'narrow', image, 'sleep', '1000'),
      /network narrow not found/,
    );
    // As the swarm's leader asks a plugin that every node has.
    const { call } = engineCalls(h1, 'kuryr');
    const refusal = /networks of Neutron cannot be networks of a swarm: .*neutron\.net\.uuid/;
    const data = { AddressSpace: 'neutron', Pool: '10.22.0.0/24', Gateway: '10.22.0.1/24' };
    await assert.rejects(
      call('NetworkDriver.AllocateNetwork', {
        NetworkID: 'swarm0123456789',
        Options: {},
        IPv4Data: [data],
        IPv6Data: [],
      }),
      refusal,
    );
    const asked = { AddressSpace: 'neutron', Pool: '10.22.0.0/24', SubPool: '', Options: {}, V6: false };
    const { PoolID } = await call('IpamDriver.RequestPool', asked);
    const Options = { 'com.docker.network.ipam.serial': 'true' };
    await assert.rejects(call('IpamDriver.RequestAddress', { PoolID, Address: '', Options }), refusal);
    await call('IpamDriver.ReleasePool', { PoolID });
    assert.deepEqual(stack.calls.counts({ service: 'neutron' }), {});

    // What is one host's works all the same.
    await start(h1, 'alone', '--network narrow');
    await h1.docker('rm', '-f', 'alone');
    await h1.docker('network', 'rm', 'narrow');
    await waitFor('nothing to be left', async () =>
      (await stack.neutron.get<{ name: string }[]>('/networks')).every(({ name }) => !name.startsWith('kuryr-net-')),
    );
  });
});

/** Ports of Neutron that are made before a container needs them, on two hosts whose engines are different, with a real Neutron. */

import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { type Bed, openBed } from './bed/bed.ts';
import type { Host } from './bed/host.ts';
import type { CallFilter } from './bed/openstack/calls.ts';
import { type OpenStack, startOpenStack } from './bed/openstack/openstack.ts';
import type { Resource } from './bed/openstack/rest.ts';
import { waitFor } from './bed/process.ts';
import { ask } from './suites/agent.ts';
import { inspect, onlyInterface, reaches, start } from './suites/containers.ts';
import { neutronHost, startNeutronAgent, warmUp } from './suites/neutron.ts';

let bed: Bed;
let stack: OpenStack;
let h1: Host;
let h2: Host;

// A port that Docker has asked for has no owner until it has been told of the endpoint, which may take two calls of a busy Neutron.
const FLAGS = ['--neutron-macs', 'neutron', '--gc-grace', '10'];
const BULK: CallFilter = {
  service: 'neutron',
  method: 'POST',
  template: '/v2.0/ports',
  where: ({ body }) => body.startsWith('{"ports"'),
};

const create = (host: Host, name: string, ...flags: readonly string[]) =>
  host.docker('network', 'create', '--driver', 'kuryr', '--ipam-driver', 'kuryr', ...flags, name);

/** Neutron's id of Docker's network. */
async function behind(name: string, host = h1): Promise<string> {
  const id = await host.docker('network', 'inspect', '-f', '{{.Id}}', name);
  const [network] = await stack.neutron.get<Resource[]>(`/networks?description=berth/${host.name}/${id.slice(0, 12)}`);
  return network!.id;
}

interface Port extends Resource {
  readonly mac_address: string;
  readonly description: string;
  readonly 'binding:host_id': string;
  readonly fixed_ips: readonly { readonly ip_address: string }[];
}

const portsOn = async (network: string, host = h1): Promise<readonly Port[]> =>
  stack.neutron.get<Port[]>(`/ports?network_id=${network}&description=berth/${host.name}`);

/** Ids of ports, as the agent knows them. */
async function known(host: Host, kind: 'port' | 'warm port'): Promise<ReadonlySet<string>> {
  const leases = await ask(host, '/v1/leases');
  return new Set(leases.flatMap((lease) => (lease.kind === kind && lease.port !== undefined ? [lease.port] : [])));
}

/** Waits until a host has so many of them on a network, of so many ports there. */
async function settled(host: Host, warm: number, network: string, ports: number): Promise<readonly Port[]> {
  let found: readonly Port[] = [];
  let ready: readonly Port[] = [];
  await waitFor(
    () => `${warm} warm ports on ${host.name} of ${ports}, not ${ready.length} of ${found.length}`,
    async () => {
      const ahead = await known(host, 'warm port');
      found = await portsOn(network, host);
      ready = found.filter(({ id }) => ahead.has(id));
      return ready.length === warm && found.length === ports;
    },
    60_000,
    200,
  );
  return found;
}

async function portOf(host: Host, container: string, network: string): Promise<Port> {
  const { mac, addresses } = await onlyInterface(host, container);
  const port = (await portsOn(network, host)).find((one) => one.mac_address === mac);
  assert.ok(port, `no port has ${mac}`);
  const own = port.fixed_ips.map(({ ip_address }) => ip_address).toSorted();
  assert.deepEqual(own, addresses.map((address) => address.replace(/\/.*/, '')).toSorted());
  assert.equal(port['binding:host_id'], host.name);
  return port;
}

const gone = (network: string) =>
  waitFor(
    'Neutron to have forgotten the network',
    async () => (await stack.neutron.get<unknown[]>(`/networks?id=${network}`)).length === 0,
    30_000,
    200,
  );

before(async () => {
  bed = await openBed('neutron-warm');
  const lan = await bed.lan({ name: 'management', subnet: '10.8.65.0/24', gateway: '10.8.65.1' });
  stack = await startOpenStack({ on: { bed, lan, address: '10.8.65.11' }, hosts: ['h1', 'h2'] });
  await warmUp(stack);
  h1 = await neutronHost(bed, lan, 'h1', '10.8.65.79/24', stack, { flags: FLAGS });
  h2 = await neutronHost(bed, lan, 'h2', '10.8.65.80/24', stack, { flags: FLAGS, engine: '20.10' });
  for (const host of [h1, h2]) await host.exec(['iptables', '-A', 'FORWARD', '-i', 'brq+', '-j', 'ACCEPT']);
});
beforeEach((t) => {
  if ('after' in t) bed.watch(t);
});
afterEach(() => {
  stack.calls.heal();
  stack.calls.clear();
});
after(() => bed[Symbol.asyncDispose]());

describe('a network with warm ports', () => {
  test('starts containers without Neutron, and makes others afterwards', async () => {
    await create(h1, 'blue', '--subnet', '10.41.0.0/24', '--gateway', '10.41.0.1', '-o', 'neutron.warm-ports=2');
    const network = await behind('blue');
    const made = await settled(h1, 2, network, 2);
    const counts = stack.calls.counts({ service: 'neutron' });
    assert.equal(counts['POST /v2.0/networks'], 1);
    assert.equal(counts['POST /v2.0/ports'], 1, 'both in one call');

    stack.calls.clear();
    // No call is answered, and none is needed.
    const frozen = stack.calls.inject({ kind: 'freeze', when: 'before' }, { times: Number.POSITIVE_INFINITY });
    await start(h1, 'one', '--network blue');
    await start(h1, 'two', '--network blue');
    assert.equal(stack.calls.all({ where: ({ ended }) => ended !== undefined }).length, 0);
    const own = await onlyInterface(h1, 'one');
    assert.ok(
      made.some(({ mac_address, fixed_ips }) => {
        return mac_address === own.mac && own.addresses[0]!.startsWith(`${fixed_ips[0]!.ip_address}/`);
      }),
    );
    const two = await onlyInterface(h1, 'two');
    await reaches([h1, 'one'], two.addresses[0]!.replace(/\/.*/, ''));
    frozen.remove();
    await settled(h1, 2, network, 4);
    const { 'POST /v2.0/ports': posts, ...rest } = stack.calls.counts({ service: 'neutron', where: isChange });
    assert.ok(posts! <= 2, String(posts));
    assert.deepEqual(rest, {});

    // One that was used is not used again.
    const before = await portOf(h1, 'two', network);
    await h1.docker('rm', '-f', 'two');
    const left = await settled(h1, 2, network, 3);
    assert.ok(!left.some(({ id }) => id === before.id));
    await h1.docker('rm', '-f', 'one');
    await settled(h1, 2, network, 2);
    stack.calls.clear();
    await h1.docker('network', 'rm', 'blue');
    await gone(network);
    assert.deepEqual(stack.calls.counts({ service: 'neutron', where: isChange }), {
      'DELETE /v2.0/ports/{id}': 2,
      'DELETE /v2.0/networks/{id}': 1,
    });
  });

  test('gives a container what it asks for', async () => {
    const flags = ['--subnet', '10.42.0.0/24', '--gateway', '10.42.0.1', '-o', 'neutron.warm-ports=2'];
    await create(h1, 'green', ...flags, '--ipv6', '--subnet', 'fd42::/64', '--gateway', 'fd42::1');
    const network = await behind('green');
    const [first] = await settled(h1, 2, network, 2);
    const v4 = first!.fixed_ips.find(({ ip_address }) => !ip_address.includes(':'))!.ip_address;

    stack.calls.clear();
    await start(h1, 'its', `--network green --ip ${v4}`);
    assert.equal((await portOf(h1, 'its', network)).id, first!.id);
    assert.deepEqual(stack.calls.all({ service: 'neutron', method: 'PUT' }), []);
    await start(h1, 'other', '--network green --ip 10.42.0.222 --ip6 fd42::222');
    const { fixed_ips } = await portOf(h1, 'other', network);
    assert.deepEqual(fixed_ips.map(({ ip_address }) => ip_address).toSorted(), ['10.42.0.222', 'fd42::222']);
    await start(h1, 'mac', '--network green --mac-address 02:42:0a:2a:00:99');
    assert.equal((await portOf(h1, 'mac', network)).mac_address, '02:42:0a:2a:00:99');
    const group = await stack.as('operator').post('/security-groups', { name: 'guarded' });
    await start(h1, 'guarded', ['--network', `name=green,driver-opt=neutron.security_groups=${group.id}`]);
    assert.deepEqual((await portOf(h1, 'guarded', network)).security_groups, [group.id]);
    assert.equal((await known(h1, 'port')).size, 4);

    await h1.docker('rm', '-f', 'its', 'other', 'mac', 'guarded');
    await settled(h1, 2, network, 2);
    await h1.docker('network', 'rm', 'green');
    await gone(network);
  });

  test('is on two hosts, and none takes the ports of the other', async () => {
    const { id: network } = await stack.as('operator').post('/networks', { name: 'shared' });
    const flags = ['--subnet', '10.43.0.0/24', '--gateway', '10.43.0.1', '-o', `neutron.net.uuid=${network}`];
    await create(h1, 'shared', ...flags, '-o', 'neutron.warm_ports=2');
    await create(h2, 'shared', ...flags, '-o', 'neutron.warm_ports=3');
    await Promise.all([settled(h1, 2, network, 2), settled(h2, 3, network, 3)]);
    const names = ['c1', 'c2', 'c3'];
    const both = [h1, h2];
    await Promise.all(both.flatMap((host) => names.map((name) => start(host, name, '--network shared'))));
    const used = await Promise.all(both.flatMap((host) => names.map((name) => portOf(host, name, network))));
    assert.equal(new Set(used.flatMap(({ fixed_ips }) => fixed_ips[0]!.ip_address)).size, 6);
    await Promise.all([settled(h1, 2, network, 5), settled(h2, 3, network, 6)]);
    await h2.docker('rm', '-f', ...names);
    await h2.docker('network', 'rm', 'shared');
    await waitFor('h2 to leave', async () => (await portsOn(network, h2)).length === 0, 30_000, 200);
    await settled(h1, 2, network, 5);
    await h1.docker('rm', '-f', ...names);
    await h1.docker('network', 'rm', 'shared');
    await waitFor('h1 to leave', async () => (await portsOn(network)).length === 0, 30_000, 200);
    await stack.neutron.delete(`/networks/${network}`);
  });
});

describe('an agent that is killed', () => {
  const restart = async () => {
    await startNeutronAgent(h1, FLAGS);
  };

  test('while warm ports are made leaves none, and never has more than were asked for', async () => {
    for (const when of ['after', 'before'] as const) {
      const frozen = stack.calls.inject({ kind: 'freeze', when }, BULK);
      await create(h1, 'red', '--subnet', '10.44.0.0/24', '--gateway', '10.44.0.1', '-o', 'neutron.warm_ports=3');
      const network = await behind('red');
      const call = await frozen.hit();
      if (when === 'after') await waitFor('Neutron to have made them', () => call.passed !== undefined, 20_000, 50);
      await h1.killBerth();
      frozen.remove();
      const early = await portsOn(network);
      assert.equal(early.length, when === 'after' ? 3 : 0);
      let most = 0;
      await restart();
      await waitFor(
        'others to be made',
        async () => {
          const now = await portsOn(network);
          most = Math.max(most, now.length);
          return now.length === 3 && !now.some(({ id }) => early.some((one) => one.id === id));
        },
        60_000,
        50,
      );
      assert.equal(most, 3);
      await settled(h1, 3, network, 3);
      await h1.docker('network', 'rm', 'red');
      await gone(network);
    }
  });

  test('with its store loses neither containers nor warm ports', async () => {
    await create(h1, 'lost', '--subnet', '10.45.0.0/24', '--gateway', '10.45.0.1', '-o', 'neutron.warm_ports=2');
    const network = await behind('lost');
    await settled(h1, 2, network, 2);
    await start(h1, 'stays', '--network lost');
    const before = await settled(h1, 2, network, 3);
    const used = await portOf(h1, 'stays', network);
    await h1.killBerth();
    for (const suffix of ['', '-wal', '-shm']) rmSync(h1.path(`/var/lib/berth/berth.db${suffix}`), { force: true });
    await restart();
    await waitFor(
      'the warm ports to be others',
      async () => {
        const now = await portsOn(network);
        const known = now.filter(({ id }) => before.some((one) => one.id === id));
        return now.length === 3 && known.length === 1 && known[0]!.id === used.id;
      },
      60_000,
      200,
    );
    await settled(h1, 2, network, 3);
    assert.equal((await portOf(h1, 'stays', network)).id, used.id);
    await start(h1, 'new', '--network lost');
    const { NetworkSettings } = await inspect(h1, 'stays');
    assert.ok(NetworkSettings.Networks.lost);
    await reaches([h1, 'new'], used.fixed_ips[0]!.ip_address);
    const { stdout } = await h1.berth('gc', '--json');
    assert.doesNotMatch(stdout, /neutron/);
    await h1.docker('rm', '-f', 'stays', 'new');
    await h1.docker('network', 'rm', 'lost');
    await gone(network);
  });
});

const isChange = ({ method }: { readonly method: string }): boolean => method !== 'GET';

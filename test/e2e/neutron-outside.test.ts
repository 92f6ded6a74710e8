/**
 * How containers that are ports of a real Neutron are reached from outside, and reach it: by its objects, and by the packets that its L3
 * agent and its Linux bridge agent let through. The outside is a port without security on the external network.
 *
 * Neutron has no floating IPs of IPv6: there, containers are reached at their own addresses.
 */

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { type Bed, openBed } from './bed/bed.ts';
import type { Host } from './bed/host.ts';
import { type OpenStack, startOpenStack } from './bed/openstack/openstack.ts';
import type { VmPort } from './bed/openstack/vm.ts';
import { waitFor } from './bed/process.ts';
import { addressOf, defaultRoute, onlyInterface, reaches, start } from './suites/containers.ts';
import { neutronHost, patiently, startNeutronAgent, warmUp } from './suites/neutron.ts';

let bed: Bed;
let stack: OpenStack;
let h1: Host;
let router: string;
/** The external network. */
let outside: string;
/** Somebody there. */
let stranger: VmPort;
/** The router's addresses there. */
let gateways: readonly string[];

interface FloatingIp {
  readonly id: string;
  readonly floating_ip_address: string;
  readonly fixed_ip_address: string | null;
  readonly port_id: string | null;
}
interface Port {
  readonly id: string;
  readonly device_owner: string;
  readonly security_groups: readonly string[];
}
interface Rule {
  readonly direction: string;
  readonly ethertype: string;
  readonly protocol: string | null;
  readonly port_range_min: number | null;
  readonly port_range_max: number | null;
}
interface Group {
  readonly id: string;
  readonly name: string;
  readonly security_group_rules: readonly Rule[];
}

const floatingIps = () => stack.neutron.get<FloatingIp[]>('/floatingips');
const interfaces = () => stack.neutron.get<Port[]>(`/ports?device_id=${router}&device_owner=network:router_interface`);
const groups = async () =>
  (await stack.neutron.get<Group[]>('/security-groups')).filter(({ name }) => name.startsWith('berth-ports-'));
const containers = async () =>
  (await stack.neutron.get<Port[]>('/ports')).filter(({ device_owner }) => device_owner === 'compute:kuryr');
const until = (what: string, isSo: () => Promise<boolean>) => waitFor(what, isSo, 60_000, 250);

/** How many containers run. */
let expected = 0;

async function begin(name: string, flags: string, command?: readonly string[]): Promise<void> {
  await patiently(
    async () => {
      stack.calls.clear();
      await start(h1, name, flags, command);
    },
    async () => {
      await h1.docker('rm', '-f', name);
      await until('what was begun to be undone', async () => (await containers()).length === expected);
    },
  );
  expected++;
}

async function end(...names: readonly string[]): Promise<void> {
  await h1.docker('rm', '-f', ...names);
  expected = Math.max(0, expected - names.length);
}

const DRIVERS = ['--driver', 'berth-neutron', '--ipam-driver', 'berth-neutron'];

const create = (name: string, subnet: string, ...flags: readonly string[]) => {
  const on = ['--subnet', `${subnet}.0/24`, '--gateway', `${subnet}.1`];
  return patiently(() => h1.docker('network', 'create', ...DRIVERS, ...on, ...flags, name));
};

/** It serves itself on every port that is named. */
const serving = (...ports: readonly number[]): readonly string[] => [
  'sh',
  '-c',
  [...ports.map((port) => `httpd -p ${port} -h /bin`), 'exec sleep 1000000'].join('; '),
];

/** Whether somebody outside is given something at a place. (`wget -T` of some versions ends with a segmentation fault.) */
async function isServed(place: string): Promise<boolean> {
  const fetched = ['busybox', 'timeout', '3', 'busybox', 'wget', '-q', '-O', '/dev/null', `http://${place}/busybox`];
  return (await stranger.exec(fetched, { check: false })).code === 0;
}
/** Neutron's agents hear of what has changed after it has. */
const served = (place: string) => until(`${place} to be served outside`, () => isServed(place));
/** Without `vif_plugging_is_fatal` a container starts before the agent guards its port. */
const closed = (place: string) => until(`${place} to be closed`, async () => !(await isServed(place)));

const inspect = async (container: string) =>
  (JSON.parse((await h1.berth('endpoint', 'inspect', container, '--json')).stdout) as unknown[]).flat()[0] as {
    readonly details: { readonly port: string; readonly floatingIp?: string; readonly published?: readonly string[] };
  };

before(async () => {
  bed = await openBed('neutron-outside');
  const lan = await bed.lan({ name: 'management', subnet: '10.8.65.0/24', gateway: '10.8.65.1' });
  stack = await startOpenStack({ agents: 'real', on: { bed, lan, address: '10.8.65.11' } });
  const { neutron } = stack;
  outside = (await neutron.post('/networks', { name: 'public', 'router:external': true })).id;
  for (const [ip_version, cidr] of [
    [4, '172.24.4.0/24'],
    [6, 'fd24:4::/64'],
  ] as const)
    await neutron.post('/subnets', { network_id: outside, ip_version, cidr, enable_dhcp: false });
  const made = await neutron.post('/routers', { name: 'edge', external_gateway_info: { network_id: outside } });
  router = made.id;
  const { external_fixed_ips } = made.external_gateway_info as { external_fixed_ips: { ip_address: string }[] };
  gateways = external_fixed_ips.map(({ ip_address }) => ip_address);
  h1 = await neutronHost(bed, lan, 'h1', '10.8.65.79/24', stack);
  await stack.startAgents(h1, { localAddress: '10.8.65.79', l3: true });
  await warmUp(stack);
  const ip = await neutron.post('/floatingips', { floating_network_id: outside });
  await neutron.delete(`/floatingips/${ip.id}`);
  stranger = await stack.plugVm(h1, { id: outside }, { port_security_enabled: false });
  await stranger.active();
});
beforeEach((t) => {
  if ('after' in t) bed.watch(t);
});
afterEach(async () => {
  stack.calls.heal();
  // One that failed leaves nothing in the way of the next.
  for (const name of ['one', 'two']) await h1.docker('rm', '-f', name);
  const networks = await h1.docker('network', 'ls', '-q', '--filter', 'driver=berth-neutron');
  for (const id of networks.split('\n').filter(Boolean)) await h1.docker('network', 'rm', id);
  await until('the router to be detached', async () => (await interfaces()).length === 0);
  for (const { id } of await floatingIps()) await stack.neutron.call('DELETE', `/floatingips/${id}`);
  expected = 0;
  stack.calls.clear();
});
after(() => bed[Symbol.asyncDispose]());

describe('a network with a router and floating IPs', () => {
  test('is attached, its containers reach the outside and are reached at a floating IP each, and all of it goes again', async () => {
    await create('blue', '10.21.0', '-o', 'neutron.router=edge', '-o', 'neutron.floating_network=public');
    assert.equal((await interfaces()).length, 1);
    stack.calls.clear();
    await begin('one', '--network blue', serving(80, 81));
    assert.deepEqual(stack.calls.counts({ service: 'neutron' }), {
      'POST /v2.0/ports': 1,
      'POST /v2.0/floatingips': 1,
    });
    const [floating, ...others] = await floatingIps();
    assert.deepEqual(others, []);
    assert.equal(floating!.fixed_ip_address, await addressOf(h1, 'one'));
    const { details } = await inspect('one');
    assert.deepEqual(details, { port: floating!.port_id, floatingIp: floating!.floating_ip_address });

    await begin('two', '--network name=blue,driver-opt=neutron.floating_network=none');
    assert.equal((await floatingIps()).length, 1);
    await end('two');
    const [own] = stranger.addresses;
    await reaches([h1, 'one'], own!);
    // Nothing is let in but what the security groups allow; what is exposed, they do.
    const there = floating!.floating_ip_address;
    await closed(there);
    await end('one');
    await until('the floating IP to go', async () => (await floatingIps()).length === 0);
    await begin('one', '--network blue --expose 80', serving(80, 81));
    const [again] = await floatingIps();
    await served(again!.floating_ip_address);
    await closed(`${again!.floating_ip_address}:81`);
    assert.ok(await isServed(again!.floating_ip_address));

    await end('one');
    await until('the floating IP to go', async () => (await floatingIps()).length === 0);
    assert.equal(await isServed(again!.floating_ip_address), false);
    await h1.docker('network', 'rm', 'blue');
    await until('the router to be detached', async () => (await interfaces()).length === 0);
    await until('the network to go', async () => (await stack.neutron.get('/networks')).length === 1);
  });

  test('lends a floating IP that is there, takes it from nobody, and gives it back', async () => {
    await create('lent', '10.22.0', '-o', `neutron.router=${router}`);
    await begin('one', '--network name=lent,driver-opt=neutron.floating_network=public');
    assert.equal((await floatingIps())[0]!.fixed_ip_address, await addressOf(h1, 'one'));
    await end('one');
    await until('the floating IP to go', async () => (await floatingIps()).length === 0);
    const mine = await stack.neutron.post<FloatingIp>('/floatingips', { floating_network_id: outside });
    const wish = `--network name=lent,driver-opt=neutron.floating_ip=${mine.floating_ip_address}`;
    await begin('one', wish);
    assert.equal((await floatingIps())[0]!.fixed_ip_address, await addressOf(h1, 'one'));
    await assert.rejects(start(h1, 'two', wish), /is associated with the port/);
    await h1.docker('rm', '-f', 'two');
    await end('one');
    await begin('two', `${wish} --expose 80`, serving(80));
    assert.equal((await floatingIps())[0]!.fixed_ip_address, await addressOf(h1, 'two'));
    await served(mine.floating_ip_address);
    await end('two');
    await until('it to be given back', async () => (await floatingIps())[0]!.port_id === null);
    assert.equal((await floatingIps()).length, 1);
    await stack.neutron.delete(`/floatingips/${mine.id}`);
    await h1.docker('network', 'rm', 'lent');
    await until('the router to be detached', async () => (await interfaces()).length === 0);
  });
});

describe('published and exposed ports', () => {
  test('are forwarded by the floating IP of the network', async () => {
    const options = ['neutron.router=edge', 'neutron.floating_network=public', 'neutron.publish=floating-ip'];
    await create('web', '10.23.0', ...options.flatMap((option) => ['-o', option]));
    const [shared] = await floatingIps();
    assert.equal(shared!.port_id, null);
    await begin('one', '--network web -p 8080:80', serving(80, 81));
    const forwardings = await stack.neutron.get<Record<string, unknown>[]>(
      `/floatingips/${shared!.id}/port_forwardings`,
    );
    const told = forwardings.map(({ protocol, internal_port, external_port, internal_ip_address }) => [
      protocol,
      internal_port,
      external_port,
      internal_ip_address,
    ]);
    assert.deepEqual(told, [['tcp', 80, 8080, await addressOf(h1, 'one')]]);
    const { details } = await inspect('one');
    const place = shared!.floating_ip_address;
    assert.deepEqual(details.published, [`80/tcp -> ${place}:8080`]);
    // The default route is Neutron's, and not the engine's bridge.
    assert.equal(await defaultRoute(h1, 'one'), '10.23.0.1 eth0');
    await served(`${place}:8080`);
    for (const port of [80, 81]) await closed(`${place}:${port}`);

    await assert.rejects(start(h1, 'two', '--network web -p 8080:80'), /8080\/tcp .* another container/);
    await h1.docker('rm', '-f', 'two');
    await end('one');
    // Free again.
    await begin('two', '--network web -p 8080:81', serving(81));
    await served(`${place}:8080`);
    await end('two');
    await h1.docker('network', 'rm', 'web');
    await until('the floating IP to go', async () => (await floatingIps()).length === 0);
    await until('the router to be detached', async () => (await interfaces()).length === 0);
    await until('the group to go', async () => (await groups()).length === 0);
  });

  test('are let in by one group for all containers that open the same', async () => {
    await create('open', '10.24.0');
    await begin('one', '--network open --expose 80-81 --expose 53/udp --expose 9/sctp');
    stack.calls.clear();
    await begin('two', '--network open --expose 9/sctp --expose 53/udp --expose 81 --expose 80');
    assert.deepEqual(stack.calls.counts({ service: 'neutron' }), { 'POST /v2.0/ports': 1, 'PUT /v2.0/ports/{id}': 1 });
    const [group, ...others] = await groups();
    assert.deepEqual(others, []);
    for (const { security_groups } of await containers()) {
      assert.ok(security_groups.includes(group!.id));
      assert.equal(security_groups.length, 2);
    }
    const rules = group!.security_group_rules
      .filter(({ direction }) => direction === 'ingress')
      .map((rule) => [rule.ethertype, rule.protocol, rule.port_range_min, rule.port_range_max].join(' '))
      .toSorted();
    const expected = ['tcp 80 81', 'udp 53 53', 'sctp 9 9'].flatMap((rule) => [`IPv4 ${rule}`, `IPv6 ${rule}`]);
    assert.deepEqual(rules, expected.toSorted());
    await end('one', 'two');
    await until('the group to go', async () => (await groups()).length === 0);
    await h1.docker('network', 'rm', 'open');
  });

  for (const [family, name, prefix, flags] of [
    [4, 'four', '10.25.0.0/24', ['--subnet', '10.25.0.0/24', '--gateway', '10.25.0.1']],
    [6, 'six', 'fd25::/64', ['--ipv4=false', '--ipv6', '--subnet', 'fd25::/64', '--gateway', 'fd25::1']],
  ] as const)
    test(`are let in where security groups publish, and packets are routed both ways: IPv${family}`, async () => {
      const wayOut = ['-o', 'neutron.publish=security-group', '-o', 'neutron.router=edge'];
      await patiently(() => h1.docker('network', 'create', ...DRIVERS, ...flags, ...wayOut, name));
      await begin('one', `--network ${name} -p 8080:80`, serving(80, 81));
      const [port] = await containers();
      const [group] = await groups();
      assert.ok(port!.security_groups.includes(group!.id));
      const own = (addresses: readonly string[]): string =>
        addresses.find((address) => address.includes(':') === (family === 6))!.replace(/\/.*/, '');
      const address = own((await onlyInterface(h1, 'one')).addresses);
      await stranger.exec(['ip', 'route', 'replace', prefix, 'via', own(gateways)]);
      await reaches([h1, 'one'], own(stranger.addresses));
      const place = family === 6 ? `[${address}]` : address;
      await served(`${place}:80`);
      await closed(`${place}:81`);
      await assert.rejects(
        start(h1, 'two', `--network ${name} -p 127.0.0.1:8081:80`),
        /names the address 127\.0\.0\.1 of the host/,
      );
      await end('one', 'two');
      await h1.docker('network', 'rm', name);
      await until('the router to be detached', async () => (await interfaces()).length === 0);
      await until('the group to go', async () => (await groups()).length === 0);
    });
});

test('an agent that is killed while Neutron makes a floating IP leaves none behind', async () => {
  await create('killed', '10.26.0', '-o', 'neutron.router=edge', '-o', 'neutron.floating_network=public');
  const frozen = stack.calls.inject(
    { kind: 'freeze', when: 'after' },
    { method: 'POST', template: '/v2.0/floatingips' },
  );
  const starting = start(h1, 'one', '--network killed').catch(() => undefined);
  await frozen.hit();
  await until('Neutron to have made it', async () => (await floatingIps()).length === 1);
  await h1.killBerth();
  frozen.remove();
  await startNeutronAgent(h1);
  await until('the floating IP to go', async () => (await floatingIps()).length === 0);
  await starting;
  await h1.docker('rm', '-f', 'one').catch(() => undefined);
  await until('the port to go', async () => (await containers()).length === 0);
  await h1.docker('network', 'rm', 'killed');
  await until('the router to be detached', async () => (await interfaces()).length === 0);
});

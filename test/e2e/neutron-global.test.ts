/**
 * Transcript T4: two engines 20.10 with a cluster store, where networks of the plugin kuryr have scope global and are made once; on real
 * Neutron with its Linux bridge agents. Berth runs as kuryr-server on both, which know each other by Neutron alone.
 */

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { type Bed, openBed } from './bed/bed.ts';
import { type EtcdMember, etcdMembers } from './bed/control.ts';
import type { Host } from './bed/host.ts';
import type { Lan } from './bed/lan.ts';
import { repository } from './bed/machine.ts';
import { type OpenStack, startOpenStack } from './bed/openstack/openstack.ts';
import type { Resource } from './bed/openstack/rest.ts';
import { waitFor } from './bed/process.ts';
import { ask } from './suites/agent.ts';
import { networkOn, reachesName } from './suites/cluster.ts';
import { addressOf, inspectNetwork, reaches, start } from './suites/containers.ts';
import { kuryrConf, patiently } from './suites/neutron.ts';

let bed: Bed;
let stack: OpenStack;
let etcd: EtcdMember;
let first: Host;
let second: Host;

async function openHost(lan: Lan, name: string, address: string): Promise<Host> {
  const host = await bed.host(name, { engine: '20.10', underlay: false, start: false });
  await lan.plug(host, { addresses: [`${address}/24`] });
  await host.startEngine(['--cluster-store', `etcd://${etcd.address}:2379`, '--cluster-advertise', 'eth0:2376']);
  mkdirSync(host.path('/etc/kuryr/more.d'), { recursive: true });
  writeFileSync(host.path('/etc/kuryr/kuryr.conf'), kuryrConf(stack), { mode: 0o600 });
  writeFileSync(host.path('/etc/kuryr/more.d/scope.conf'), '[DEFAULT]\ncapability_scope = global\n');
  return host;
}

async function startServer(host: Host): Promise<void> {
  const conf = '--config-file /etc/kuryr/kuryr.conf --config-dir /etc/kuryr/more.d --log-file /var/log/kuryr.log';
  const quick = '--gc-grace 1 --audit-interval 2 --linger 0';
  const server = await host.spawn([join(repository, 'bin/kuryr-server'), ...`${conf} ${quick}`.split(' ')]);
  await waitFor(
    'kuryr-server to serve',
    async () => {
      const log = await server.output();
      if (!server.running()) throw new Error(log);
      if (!log.includes('"event":"agent.ready"')) return false;
      assert.match(log, /--log-file has no effect/);
      return true;
    },
    60_000,
  );
}

/** Of containers and machines; agents of Neutron have their own. */
const portsOn = async (network: string): Promise<readonly Resource[]> =>
  (await stack.neutron.get(`/ports?network_id=${network}`)).filter(
    ({ device_owner }) => device_owner === 'compute:kuryr',
  );

const begin = (host: Host, name: string, flags: string): Promise<void> =>
  patiently(
    () => start(host, name, flags),
    () => host.docker('rm', '-f', name),
  );

const behind = async (id: string): Promise<readonly Resource[]> =>
  stack.neutron.get(`/networks?tags=kuryr.net.uuid.lh:${id.slice(0, 32)},kuryr.net.uuid.uh:${id.slice(32)}`);

const forgotten = (host: Host) =>
  waitFor(`${host.name} to forget`, async () => (await ask(host, '/v1/networks')).length === 0, 30_000, 200);

before(async () => {
  bed = await openBed('neutron-global');
  const lan = await bed.lan({ name: 'management', subnet: '10.8.65.0/24', gateway: '10.8.65.1' });
  const machine = await lan.machine('etcd', '10.8.65.10/24');
  [etcd] = etcdMembers([{ machine, address: '10.8.65.10' }]) as [EtcdMember];
  await etcd.start();
  stack = await startOpenStack({ agents: 'real', on: { bed, lan, address: '10.8.65.11' } });
  const { id } = await stack.neutron.post('/networks', { name: 'warm' });
  await stack.neutron.post('/subnets', { network_id: id, ip_version: 4, cidr: '10.99.0.0/24' });
  await stack.neutron.delete(`/networks/${id}`);
  [first, second] = [await openHost(lan, 'h1', '10.8.65.79'), await openHost(lan, 'h2', '10.8.65.80')];
  await Promise.all([
    stack.startAgents(first, { localAddress: '10.8.65.79' }),
    stack.startAgents(second, { localAddress: '10.8.65.80' }),
  ]);
  await Promise.all([startServer(first), startServer(second)]);
});
beforeEach((t) => {
  if ('after' in t) bed.watch(t);
});
after(() => bed[Symbol.asyncDispose]());

describe('T4, a subnet shared through the cluster store of Docker', () => {
  test('as the transcript says', async () => {
    const network = await stack.as('operator').post('/networks', { name: 'guests' });
    const flags = [
      '--driver=kuryr',
      '--ipam-driver=kuryr',
      ...'--subnet 10.0.0.0/16 --gateway 10.0.0.1 --ip-range 10.0.0.0/24'.split(' '),
      '-o',
      `neutron.net.uuid=${network.id}`,
    ];
    const id = await first.docker('network', 'create', ...flags, 'kuryr');
    const shown = await inspectNetwork(first, 'kuryr');
    assert.equal((await networkOn(first, 'kuryr'))!.Scope, 'global');
    assert.deepEqual(shown.IPAM.Config, [{ Subnet: '10.0.0.0/16', IPRange: '10.0.0.0/24', Gateway: '10.0.0.1' }]);
    assert.equal(shown.Options['neutron.net.uuid'], network.id);
    assert.match(await second.docker('network', 'ls', '--no-trunc'), new RegExp(`^${id} +kuryr +kuryr +global`, 'm'));
    assert.deepEqual(
      (await behind(id)).map((one) => one.id),
      [network.id],
    );

    await start(second, 'c2', '--net kuryr');
    await start(first, 'c1', '--net kuryr');
    const [one, two] = [await addressOf(first, 'c1'), await addressOf(second, 'c2')];
    for (const address of [one, two]) assert.match(address, /^10\.0\.0\.\d+$/);
    // A new connection of an agent to its queue may stand still for a minute.
    await waitFor(
      'the agents of Neutron to have wired both',
      async () => (await portsOn(network.id)).every(({ status }) => status === 'ACTIVE'),
      150_000,
      500,
    );
    await reaches([first, 'c1'], two);
    await reaches([second, 'c2'], one);
    await reachesName([first, 'c1'], 'c2');
    await reachesName([second, 'c2'], 'c1');
    const ports = await portsOn(network.id);
    assert.deepEqual(ports.map((port) => String(port['binding:host_id'])).toSorted(), ['h1', 'h2']);

    const { Containers } = await inspectNetwork(first, 'kuryr');
    const [own, other] = Object.entries(Containers).toSorted(([a]) => (a.startsWith('ep-') ? 1 : -1));
    assert.deepEqual([own![1].Name, own![1].IPv4Address, other![1].IPv4Address], ['c1', `${one}/16`, `${two}/16`]);
    assert.equal(other![0], `ep-${other![1].EndpointID}`);
    const there = ports.find((port) => port['binding:host_id'] === 'h2')!;
    assert.equal(other![1].MacAddress, there.mac_address);
    const listed = (await etcd.ctl2(['ls', '/docker/network/v1.0'])).stdout;
    for (const folder of ['network', 'endpoint', 'endpoint_count'])
      assert.match(listed, new RegExp(`^/docker/network/v1.0/${folder}$`, 'm'));

    // Made on one engine, removed on another, which is then the only one that calls its plugin.
    await first.docker('rm', '-f', 'c1');
    await second.docker('rm', '-f', 'c2');
    await second.docker('network', 'rm', 'kuryr');
    await waitFor(
      'Neutron to be as it was',
      async () => {
        const { tags, subnets } = await stack.neutron.get<Resource>(`/networks/${network.id}`);
        return (tags as []).length === 0 && (subnets as []).length === 0;
      },
      30_000,
      200,
    );
    await Promise.all([first, second].map(forgotten));
    await stack.neutron.delete(`/networks/${network.id}`);
  });

  test('a network that Berth makes has what its user wants on every host, from the first container on', async () => {
    const { neutron } = stack;
    const group = await stack.as('operator').post('/security-groups', { name: 'closed' });
    const outside = await neutron.post('/networks', { name: 'public', 'router:external': true });
    await neutron.post('/subnets', { network_id: outside.id, ip_version: 4, cidr: '172.24.4.0/24' });
    const router = await neutron.post('/routers', { name: 'edge', external_gateway_info: { network_id: outside.id } });
    const wayOut = { router: 'edge', floating_network: 'public', publish: 'floating-ip' };
    const options = [
      ...Object.entries({ security_groups: group.id, ...wayOut }).flatMap(([name, value]) => [
        '-o',
        `neutron.${name}=${value}`,
      ]),
      '-o',
      'mtu=1400',
      '--aux-address',
      'nas=10.7.0.3',
    ];
    const flags = ['-d', 'kuryr', '--ipam-driver', 'kuryr', '--subnet', '10.7.0.0/24', '--gateway', '10.7.0.9'];
    const id = await patiently(() => second.docker('network', 'create', ...flags, ...options, 'tea'));
    // Before any engine can have been asked about it.
    await begin(first, 'one', '--network tea -p 8081:80');
    const [network] = await behind(id);
    const [port] = await portsOn(network!.id);
    assert.equal(port!['binding:host_id'], 'h1');
    assert.ok((port!.security_groups as string[]).includes(group.id));
    await begin(second, 'two', '--network tea -p 8082:80');
    // One floating IP for the containers of all hosts, each of which knows only its own.
    const [floating, ...others] = await neutron.get<Resource[]>('/floatingips');
    assert.deepEqual(others, []);
    await assert.rejects(start(second, 'three', '--network tea -p 8081:80'), /NEUTRON|Neutron/);
    await second.docker('rm', '-f', 'three');
    const forwardings = await neutron.get<Resource[]>(`/floatingips/${floating!.id}/port_forwardings`);
    assert.deepEqual(
      forwardings
        .map(({ external_port, internal_ip_address }) => `${String(external_port)} ${String(internal_ip_address)}`)
        .toSorted(),
      [`8081 ${await addressOf(first, 'one')}`, `8082 ${await addressOf(second, 'two')}`],
    );
    const attached = `/ports?device_id=${router.id}&network_id=${network!.id}`;
    assert.equal((await neutron.get<Resource[]>(attached)).length, 1);
    const card = await first.docker('exec', 'one', 'ip', 'link', 'show', 'eth0');
    assert.match(card, /mtu 1400/);
    assert.match(await first.docker('exec', 'one', 'ip', 'route'), /default via 10\.7\.0\.9/);
    await first.docker('rm', '-f', 'one');
    await second.docker('rm', '-f', 'two');
    // Made on the other.
    await first.docker('network', 'rm', 'tea');
    await waitFor('Neutron to have nothing of it', async () => (await behind(id)).length === 0, 60_000, 200);
    for (const path of [`/subnets?network_id=${network!.id}`, '/floatingips', attached])
      assert.deepEqual(await stack.neutron.get(path), []);
    await Promise.all([first, second].map(forgotten));
  });
});

/**
 * A host moves from kuryr-libnetwork to Berth without restarting a container, and back to Berth from a lost store. Where BERTH_KURYR
 * names the original it is the original; otherwise a stand-in that makes the same objects.
 */

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Bed, openBed } from './bed/bed.ts';
import type { Host } from './bed/host.ts';
import type { Lan } from './bed/lan.ts';
import { repository } from './bed/machine.ts';
import { findKuryr, kuryrEngineFlags, startKuryr } from './bed/openstack/kuryr.ts';
import { startLikeKuryr } from './bed/openstack/like-kuryr.ts';
import { type OpenStack, startOpenStack } from './bed/openstack/openstack.ts';
import type { Resource } from './bed/openstack/rest.ts';
import { type Process, waitFor } from './bed/process.ts';
import { ask } from './suites/agent.ts';
import { addressOf, docker, inspect, reaches, start } from './suites/containers.ts';
import { kuryrConf } from './suites/neutron.ts';

let bed: Bed;
let lan: Lan;
let stack: OpenStack;

before(async () => {
  bed = await openBed('neutron-migrate');
  lan = await bed.lan({ name: 'management', subnet: '10.8.65.0/24', gateway: '10.8.65.1' });
  stack = await startOpenStack({ on: { bed, lan, address: '10.8.65.11' }, hosts: ['h1', 'h2'] });
  const { id } = await stack.neutron.post('/networks', { name: 'warm' });
  await stack.neutron.post('/subnets', { network_id: id, ip_version: 4, cidr: '10.99.0.0/24' });
  await stack.neutron.delete(`/networks/${id}`);
});
after(() => bed[Symbol.asyncDispose]());

async function openHost(name: string, address: string): Promise<Host> {
  const host = await bed.host(name, { engine: '20.10', underlay: false, start: false });
  await lan.plug(host, { addresses: [address] });
  await host.startEngine([...kuryrEngineFlags, '--live-restore']);
  await host.exec(['iptables', '-A', 'FORWARD', '-i', 'brq+', '-j', 'ACCEPT']);
  mkdirSync(host.path('/etc/kuryr'), { recursive: true });
  writeFileSync(host.path('/etc/kuryr/kuryr.conf'), kuryrConf(stack), { mode: 0o600 });
  return host;
}

async function startServer(host: Host): Promise<Process> {
  const flags = '--config-file /etc/kuryr/kuryr.conf --gc-grace 1 --audit-interval 2 --linger 0'.split(' ');
  const server = await host.spawn([join(repository, 'bin/kuryr-server'), ...flags]);
  await waitFor(
    'kuryr-server to serve',
    async () => {
      const log = await server.output();
      if (!server.running()) throw new Error(log);
      return log.includes('"event":"agent.ready"');
    },
    60_000,
  );
  return server;
}

/** @returns what ends it. */
async function serveKuryr(host: Host): Promise<() => Promise<void>> {
  const original = findKuryr();
  if ('home' in original) {
    const kuryr = await startKuryr(original.home, host, stack);
    return async () => void (await kuryr.stop('SIGTERM', 10_000));
  }
  const stop = await startLikeKuryr(host, stack);
  return () => Promise.resolve(stop());
}

const taken = (host: Host, networks: number, endpoints: number) =>
  waitFor(
    'the networks to be taken over',
    async () =>
      (await ask(host, '/v1/networks')).length === networks && (await ask(host, '/v1/endpoints')).length === endpoints,
    30_000,
    200,
  );

/** What there is in Neutron, but for what a change of tags or of a binding changes. */
async function standing(): Promise<unknown> {
  const kinds = await Promise.all(
    ['networks', 'subnets', 'subnetpools', 'ports'].map((kind) => stack.neutron.get(`/${kind}`)),
  );
  return kinds.map((objects) => objects.map((object) => [object.id, object.revision_number]));
}

const becomesEmpty = (path: string) =>
  waitFor(`nothing to be at ${path}`, async () => (await stack.neutron.get(path)).length === 0, 30_000, 200);

const create = (host: Host, name: string, flags: string) =>
  docker(host, `network create -d kuryr --ipam-driver kuryr ${flags} ${name}`);

async function sameAs(host: Host, containers: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, startedAt] of Object.entries(containers))
    assert.equal(await docker(host, `inspect -f {{.State.StartedAt}} ${name}`), startedAt, `${name} was restarted`);
}

async function startedAt(host: Host, ...names: readonly string[]): Promise<Readonly<Record<string, string>>> {
  const times = names.map(
    async (name) => [name, await docker(host, `inspect -f {{.State.StartedAt}} ${name}`)] as const,
  );
  return Object.fromEntries(await Promise.all(times));
}

describe('a host of kuryr-libnetwork', () => {
  test('is taken over as it is, and everything of kuryr’s goes with its containers and networks', async (t) => {
    bed.watch(t);
    const host = await openHost('h1', '10.8.65.79/24');
    const stop = await serveKuryr(host);
    t.diagnostic('home' in findKuryr() ? 'with the original' : 'with a stand-in');

    const operator = stack.as('operator');
    const guests = await operator.post('/networks', { name: 'guests' });
    const theirs = await operator.post('/subnets', { network_id: guests.id, ip_version: 4, cidr: '10.2.0.0/24' });
    const vip = await operator.post('/ports', {
      name: 'vip',
      network_id: guests.id,
      fixed_ips: [{ subnet_id: theirs.id, ip_address: '10.2.0.77' }],
    });
    await create(host, 'blue', '--subnet 10.1.0.0/24 --gateway 10.1.0.1');
    await create(host, 'guests', `--subnet 10.2.0.0/24 --gateway 10.2.0.1 -o neutron.net.uuid=${guests.id}`);
    await start(host, 'one', '--network blue');
    await start(host, 'two', '--network blue');
    await start(host, 'three', '--network guests --ip 10.2.0.77');
    const [one, two] = [await addressOf(host, 'one'), await addressOf(host, 'two')];
    await reaches([host, 'one'], two);
    const times = await startedAt(host, 'one', 'two', 'three');

    // As docs/migrate-kuryr.md says it.
    await stop();
    const before = await standing();
    await startServer(host);
    await taken(host, 2, 3);
    await host.stopEngine();
    await host.startEngine([...kuryrEngineFlags, '--live-restore']);
    await sameAs(host, times);
    assert.deepEqual(await standing(), before, 'nothing in Neutron was touched');
    await reaches([host, 'one'], two);
    const audit = await host.berth('audit', '--json');
    assert.deepEqual(JSON.parse(audit.stdout), [], audit.stdout);

    // Old and new side by side, on the pools that kuryr has told Docker of.
    await start(host, 'four', '--network blue');
    await reaches([host, 'four'], one);
    await reaches([host, 'two'], await addressOf(host, 'four'));
    await start(host, 'five', '--network guests');
    await sameAs(host, times);

    await docker(host, 'restart -t 0 two');
    await reaches([host, 'two'], one);
    await docker(host, 'rm -f one two three four five');
    const [blue] = (await stack.neutron.get('/networks')).filter(({ name }) => String(name).startsWith('kuryr-net-'));
    await becomesEmpty(`/ports?network_id=${blue!.id}&device_owner=compute:kuryr`);
    await waitFor('the port to be as it was', async () => {
      const port = await stack.neutron.get<Resource>(`/ports/${vip.id}`);
      const now = [port.name, port.device_id, port.device_owner, port['binding:host_id'], port.tags];
      return JSON.stringify(now) === JSON.stringify(['vip', '', '', '', []]);
    });
    await docker(host, 'network rm blue');
    await docker(host, 'network rm guests');
    await becomesEmpty(`/networks?id=${blue!.id}`);
    await becomesEmpty('/subnetpools');
    await waitFor('the tags to go', async () => {
      const [network, subnet] = [
        await stack.neutron.get<Resource>(`/networks/${guests.id}`),
        await stack.neutron.get<Resource>(`/subnets/${theirs.id}`),
      ];
      return JSON.stringify([network.tags, subnet.tags]) === '[[],[]]';
    });
    assert.doesNotMatch((await host.exec(['ip', '-o', 'link'])).stdout, /tap|t_c/);
  });
});

describe('a host of Berth’s whose store is lost', () => {
  test('takes its networks up from the engine and Neutron, and gives nobody a port that is in use', async (t) => {
    bed.watch(t);
    const host = await openHost('h2', '10.8.65.80/24');
    let server = await startServer(host);
    const guests = await stack.as('operator').post('/networks', { name: 'guests2' });
    await create(host, 'red', '--subnet 10.3.0.0/24 --gateway 10.3.0.1 --ip-range 10.3.0.128/25');
    await create(host, 'guests', `--subnet 10.4.0.0/24 -o neutron.net.uuid=${guests.id}`);
    await start(host, 'one', '--network red');
    await start(host, 'two', '--network guests');
    const times = await startedAt(host, 'one', 'two');
    const [one, two] = [await addressOf(host, 'one'), await addressOf(host, 'two')];
    const before = await standing();
    assert.equal(await server.stop('SIGTERM', 30_000), 0);
    await host.sh('rm -r /var/lib/berth/*');
    server = await startServer(host);
    await taken(host, 2, 2);
    assert.deepEqual(await standing(), before);
    const audit = await host.berth('audit', '--json');
    assert.deepEqual(JSON.parse(audit.stdout), [], audit.stdout);

    await start(host, 'three', '--network red');
    await start(host, 'four', '--network guests');
    await reaches([host, 'three'], one);
    await reaches([host, 'four'], two);
    await sameAs(host, times);
    assert.equal((await inspect(host, 'one')).State.Running, true);
    await docker(host, 'rm -f one two three four');
    await docker(host, 'network rm red');
    await docker(host, 'network rm guests');
    await waitFor('nothing of Berth’s to be left', async () => {
      const left = await Promise.all(['networks', 'subnets', 'ports'].map((kind) => stack.neutron.get(`/${kind}`)));
      const network = await stack.neutron.get<Resource>(`/networks/${guests.id}`);
      return (
        left.flat().every(({ description }) => !String(description).startsWith('berth/')) &&
        (network.tags as []).length === 0
      );
    });
    assert.doesNotMatch((await host.exec(['ip', '-o', 'link'])).stdout, /tap|t_c|brq/);
  });
});

/**
 * The transcripts of kuryr-libnetwork on two hosts, with Neutron's real Linux bridge agents: containers and a machine on the same
 * network, across hosts, guarded by their security groups, and routed where a router is.
 */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { type Bed, openBed } from './bed/bed.ts';
import type { Host } from './bed/host.ts';
import type { Machine } from './bed/machine.ts';
import { type OpenStack, startOpenStack } from './bed/openstack/openstack.ts';
import type { VmPort } from './bed/openstack/vm.ts';
import { waitFor } from './bed/process.ts';
import { addressOf, defaultRoute, docker, enter, inspect, onlyInterface, reaches, start } from './suites/containers.ts';
import { neutronHost, warmUp } from './suites/neutron.ts';
import {
  becomes,
  type NetworkSeen,
  networkBehind,
  nothingMadeBy,
  type PortSeen,
  patient,
  patiently,
  portsOn,
  portWith,
  stateOf,
  subnetsOf,
} from './suites/neutron-objects.ts';

let bed: Bed;
let stack: OpenStack;
let a: Host;
let b: Host;
/** Has routers and the machine; no engine. */
let controller: Machine;

before(async () => {
  bed = await openBed('neutron-transcripts');
  const lan = await bed.lan({ name: 'management', subnet: '10.8.65.0/24', gateway: '10.8.65.1' });
  stack = await startOpenStack({ agents: 'real', on: { bed, lan, address: '10.8.65.11' } });
  await warmUp(stack);
  controller = await lan.machine('controller', '10.8.65.81/24');
  [a, b] = await Promise.all([
    neutronHost(bed, lan, 'h1', '10.8.65.79/24', stack, { flags: patient }),
    neutronHost(bed, lan, 'h2', '10.8.65.80/24', stack, { engine: '26.1', flags: patient }),
  ]);
  await Promise.all([
    stack.startAgents(a, { localAddress: '10.8.65.79' }),
    stack.startAgents(b, { localAddress: '10.8.65.80' }),
    stack.startAgents(controller, { localAddress: '10.8.65.81', l3: true }),
  ]);
});
beforeEach((t) => {
  if ('after' in t) bed.watch(t);
});
after(() => bed[Symbol.asyncDispose]());

const containers = () => stack.as('operator');
const create = (host: Host, flags: string) =>
  patiently(() => docker(host, `network create --driver=kuryr --ipam-driver=kuryr ${flags} kuryr`));
const run = (host: Host, name: string, command?: string) =>
  start(host, name, '-it --net kuryr --privileged=true', command);

const active = (port: Pick<PortSeen, 'id'>) =>
  waitFor(
    `the port ${port.id} to be ACTIVE`,
    async () => (await stack.neutron.get<PortSeen>(`/ports/${port.id}`)).status === 'ACTIVE',
    60_000,
    200,
  );

/** Security groups are in force some seconds after Neutron was told. */
const eventually = (what: string, probe: () => Promise<boolean>) => waitFor(what, probe, 60_000, 200);

const answers = async (from: Host, container: string, to: string, ...flags: readonly string[]) =>
  (await enter(from, container, 'busybox', 'ping', '-c2', '-W1', ...flags, to)).stdout.includes('bytes from');

/** The MTU of a link in a host's own network. */
async function mtuOf(host: Machine, link: string): Promise<number> {
  const { stdout } = await host.net(['ip', '-j', 'link', 'show', link]);
  return (JSON.parse(stdout) as { mtu: number }[])[0]!.mtu;
}

async function linksOf(host: Machine): Promise<readonly string[]> {
  const { stdout } = await host.net(['ip', '-j', 'link']);
  return (JSON.parse(stdout) as { ifname: string }[])
    .map(({ ifname }) => ifname)
    .filter((name) => /^(tap|t_c|brq)/.test(name));
}

/** @param of which links; the bridge of a network is the agent's as long as Neutron has the network, for its tunnel is in it. */
const noLinks = (host: Host, of = /^(tap|t_c)/) =>
  waitFor(
    `no links ${of} to be left on ${host.name}`,
    async () => !(await linksOf(host)).some((name) => of.test(name)),
    60_000,
    500,
  );

/** The user's own networks go: then nothing of them may be left on any host. */
async function removeOwn(...networks: readonly Pick<NetworkSeen, 'id'>[]): Promise<void> {
  for (const { id } of networks) await containers().delete(`/networks/${id}`);
  await Promise.all([noLinks(a, /./), noLinks(b, /./)]);
}

describe('T2: two hosts with different ranges of one subnet, on a network that was there', () => {
  let network: NetworkSeen;
  let untouched: unknown;
  let vm: VmPort;
  const address = { one: '', two: '' };

  before(async () => {
    network = await containers().post<NetworkSeen>('/networks', { name: 'guests' });
    untouched = await stateOf(stack, network);
    const common = '--subnet 10.0.0.0/16 --ip-range';
    await create(a, `${common} 10.0.0.0/25 --gateway 10.0.0.1 -o neutron.net.uuid=${network.id}`);
    await create(b, `${common} 10.0.0.128/25 --gateway 10.0.0.254 -o neutron.net.uuid=${network.id}`);
    await Promise.all([run(a, 'one'), run(b, 'two')]);
    address.one = await addressOf(a, 'one');
    address.two = await addressOf(b, 'two');
    vm = await stack.plugVm(controller, network, {
      project_id: network.project_id,
      fixed_ips: [{ ip_address: '10.0.1.1' }],
    });
  });

  test('Neutron shows one subnet, and a port per container with its address, MAC, host, owner and device', async () => {
    const subnets = await subnetsOf(stack, network);
    assert.deepEqual(
      subnets.map(({ cidr }) => cidr),
      ['10.0.0.0/16'],
    );
    const devices = new Set<string>();
    assert.match(address.one, /^10\.0\.0\.([2-9]|\d\d|1[01]\d|12[0-7])$/);
    assert.match(address.two, /^10\.0\.0\.(12[89]|1[3-9]\d|2\d\d)$/);
    for (const [host, name, ip] of [
      [a, 'one', address.one],
      [b, 'two', address.two],
    ] as const) {
      const card = await onlyInterface(host, name);
      assert.deepEqual(card.addresses, [`${ip}/16`]);
      const port = await portWith(stack, network, ip);
      assert.equal(port.mac_address, card.mac);
      assert.equal(port['binding:host_id'], host.name);
      assert.equal(port.device_owner, 'compute:kuryr');
      devices.add(port.device_id);
      await active(port);
    }
    assert.ok(devices.size === 2 && !devices.has(''), [...devices].join());
    await vm.active();
    assert.equal((await portsOn(stack, network)).length, 3);
    assert.equal(await defaultRoute(a, 'one'), '10.0.0.1 eth0');
    assert.equal(await defaultRoute(b, 'two'), '10.0.0.254 eth0');
  });

  test('containers reach each other and the machine, which reaches them', async () => {
    await reaches([a, 'one'], address.two);
    await reaches([b, 'two'], address.one);
    for (const [host, name, ip] of [
      [a, 'one', address.one],
      [b, 'two', address.two],
    ] as const) {
      await reaches([host, name], vm.addresses[0]!);
      await eventually(`the machine to reach ${name}`, () => vm.pings(ip));
    }
  });

  test('1 MB comes through where the tunnel takes 50 bytes of each packet', async () => {
    assert.equal(await mtuOf(a, 'eth0'), 1500);
    assert.equal(network.mtu, 1450);
    for (const [host, name] of [
      [a, 'one'],
      [b, 'two'],
    ] as const) {
      assert.equal((await onlyInterface(host, name)).mtu, 1450);
      const links = await linksOf(host);
      assert.equal(links.length, 2, links.join());
      for (const link of links) assert.equal(await mtuOf(host, link), 1450, link);
    }
    await run(b, 'web', 'httpd -f -p 80 -h /tmp');
    await docker(b, 'exec web dd if=/dev/urandom of=/tmp/mega bs=1024 count=1024');
    const web = await addressOf(b, 'web');
    await active(await portWith(stack, network, web));
    const { stdout: sum } = await b.exec(['docker', 'exec', 'web', 'md5sum', '/tmp/mega']);
    await reaches([a, 'one'], web);
    const { State } = await inspect(a, 'one');
    const fetched = join(a.dir, 'mega');
    const curl = ['curl', '-sSf', '-m', '60', '-o', fetched, `http://${web}/mega`];
    await a.net(['nsenter', `--net=${a.path(`/proc/${State.Pid}/ns/net`)}`, '--', ...curl]);
    assert.equal((await a.net(['md5sum', fetched])).stdout.split(' ')[0], sum.split(' ')[0]);
    await vm.exec(['curl', '-sSf', '-m', '60', '-o', '/dev/null', `http://${web}/mega`]);
    await docker(b, 'rm -f web');
  });

  test('security groups are enforced: closed, opened by a rule, and against a forged source', async () => {
    const port = await portWith(stack, network, address.two);
    const [standard] = port.security_groups;
    const closed = await containers().post('/security-groups', { name: 'closed' });
    await stack.neutron.put(`/ports/${port.id}`, { security_groups: [closed.id] });
    await eventually('the closed group to be in force', async () => !(await answers(a, 'one', address.two)));
    // It is the port that is closed, and not its sender.
    assert.equal(await answers(a, 'one', vm.addresses[0]!), true);
    await containers().post('/security-group-rules', {
      security_group_id: closed.id,
      direction: 'ingress',
      protocol: 'icmp',
      ethertype: 'IPv4',
    });
    await eventually('the rule to open it', () => answers(a, 'one', address.two));
    // From anybody now: yet not with an address that is not the sender's.
    await enter(a, 'one', 'ip', 'address', 'add', '10.0.9.9/16', 'dev', 'eth0');
    assert.equal(await answers(a, 'one', address.two, '-I', '10.0.9.9'), false);
    assert.equal(await answers(a, 'one', address.two), true);
    await enter(a, 'one', 'ip', 'address', 'delete', '10.0.9.9/16', 'dev', 'eth0');
    await stack.neutron.put(`/ports/${port.id}`, { security_groups: [standard] });
    await eventually('the default group to be in force again', () => answers(a, 'one', address.two));
    await containers().delete(`/security-groups/${closed.id}`);
  });

  test('who is not in the default group does not reach it', async () => {
    const stranger = await containers().post('/security-groups', { name: 'stranger' });
    const other = await stack.plugVm(controller, network, {
      project_id: network.project_id,
      security_groups: [stranger.id],
      fixed_ips: [{ ip_address: '10.0.1.2' }],
    });
    await other.active();
    await eventually('the stranger to be heard of', async () => !(await other.pings(address.one)));
    await stack.neutron.put(`/ports/${other.id}`, {
      security_groups: (await portWith(stack, network, address.one)).security_groups,
    });
    await eventually('a member of the group to reach it', () => other.pings(address.one));
    await other.remove();
    await containers().delete(`/security-groups/${stranger.id}`);
  });

  test('where routers are, packets are routed to another network, on each host by its own gateway', async () => {
    const beyond = await containers().post<NetworkSeen>('/networks', { name: 'beyond' });
    const subnet = await containers().post('/subnets', { network_id: beyond.id, ip_version: 4, cidr: '10.1.0.0/24' });
    const [inner] = await subnetsOf(stack, network);
    const legs = async (name: string, here: string, there: string) => {
      const router = await containers().post('/routers', { name });
      for (const [of, on, ip] of [
        [network, inner!.id, here],
        [beyond, subnet.id, there],
      ] as const) {
        const fixed_ips = [{ subnet_id: on, ip_address: ip }];
        const leg = await containers().post('/ports', { network_id: of.id, fixed_ips });
        const { status, body } = await containers().call('PUT', `/routers/${router.id}/add_router_interface`, {
          port_id: leg.id,
        });
        assert.equal(status, 200, body);
      }
      return router;
    };
    const routers = [await legs('one', '10.0.0.1', '10.1.0.1'), await legs('two', '10.0.0.254', '10.1.0.254')];
    const far = await stack.plugVm(controller, beyond, { project_id: network.project_id });
    await far.active();
    const routed = (host: Host, name: string) =>
      waitFor(`${name} to be routed`, () => answers(host, name, far.addresses[0]!), 120_000, 500);
    await routed(a, 'one');
    await routed(b, 'two');

    await far.remove();
    for (const router of routers) {
      const path = `/ports?device_id=${router.id}`;
      for (const { id } of await stack.neutron.get(path))
        await containers().call('PUT', `/routers/${router.id}/remove_router_interface`, { port_id: id });
      await containers().delete(`/routers/${router.id}`);
    }
    await containers().delete(`/networks/${beyond.id}`);
  });

  test('what is removed on one host is missed on no other, and the network stays as it was', async () => {
    await docker(b, 'rm -f two');
    await waitFor('the port of B to go', async () => (await portsOn(stack, network)).length === 2, 30_000, 200);
    await docker(b, 'network rm kuryr');
    await nothingMadeBy(stack, b);
    await noLinks(b);
    assert.equal(await answers(a, 'one', vm.addresses[0]!), true);
    await run(a, 'three');
    const three = await addressOf(a, 'three');
    await active(await portWith(stack, network, three));
    await reaches([a, 'three'], vm.addresses[0]!);

    await docker(a, 'rm -f one three');
    await vm.remove();
    await docker(a, 'network rm kuryr');
    await nothingMadeBy(stack, a);
    await noLinks(a);
    await becomes(stack, network, untouched);
    await removeOwn(network);
  });

  test('without neutron.net.uuid a network and a subnet are made, and removed later', async () => {
    await create(a, '--subnet 10.0.0.0/16 --gateway 10.0.0.1 --ip-range 10.0.0.0/25');
    const made = await networkBehind(stack, a, 'kuryr');
    assert.equal((await subnetsOf(stack, made))[0]!.cidr, '10.0.0.0/16');
    await run(a, 'one');
    await active(await portWith(stack, made, await addressOf(a, 'one')));
    await docker(a, 'rm -f one');
    await docker(a, 'network rm kuryr');
    await nothingMadeBy(stack, a);
    assert.equal((await stack.neutron.call('GET', `/networks/${made.id}`)).status, 404);
    await noLinks(a, /./);
  });
});

describe('T3: two hosts share one subnet and its range', () => {
  test('no address is given out twice, and a host that leaves harms nothing on the other', async () => {
    const network = await containers().post<NetworkSeen>('/networks', { name: 'shared by hosts' });
    const untouched = await stateOf(stack, network);
    const uuid = `-o neutron.net.uuid=${network.id}`;
    // At the same moment: one of the two makes the subnet.
    await Promise.all([
      create(a, `--subnet 10.0.0.0/16 --gateway 10.0.0.1 --ip-range 10.0.0.0/24 ${uuid}`),
      create(b, `--subnet 10.0.0.0/16 --gateway 10.0.0.254 --ip-range 10.0.0.0/24 ${uuid}`),
    ]);
    assert.equal((await subnetsOf(stack, network)).length, 1);
    const names = ['one', 'two', 'three'];
    await Promise.all(
      [a, b].map(async (host) => {
        for (const name of names) await run(host, name);
      }),
    );
    const all = await Promise.all([a, b].flatMap((host) => names.map((name) => addressOf(host, name))));
    assert.equal(new Set(all).size, 6, all.join());
    for (const one of all) assert.match(one, /^10\.0\.0\.(?!(?:1|254)$)\d+$/);
    const inNeutron = (await portsOn(stack, network)).map(({ fixed_ips }) => fixed_ips[0]!.ip_address);
    assert.deepEqual(inNeutron.toSorted(), all.toSorted());
    await reaches([a, 'one'], all[3]!);
    await reaches([b, 'one'], all[0]!);

    // One host goes, while the other has no container, and just keeps its network: the subnet stays, whoever has made it.
    await docker(b, `rm -f ${names.join(' ')}`);
    await docker(a, `rm -f ${names.join(' ')}`);
    await waitFor('all ports to go', async () => (await portsOn(stack, network)).length === 0, 60_000, 200);
    await docker(a, 'network rm kuryr');
    await noLinks(a);
    await waitFor(
      'the mark of A to go',
      async () => (await stack.neutron.get<NetworkSeen>(`/networks/${network.id}`)).tags.length === 1,
      30_000,
      200,
    );
    await run(b, 'later');
    await active(await portWith(stack, network, await addressOf(b, 'later')));

    // And comes back.
    await create(a, `--subnet 10.0.0.0/16 --gateway 10.0.0.1 --ip-range 10.0.0.0/24 ${uuid}`);
    await run(a, 'again');
    await reaches([a, 'again'], await addressOf(b, 'later'));
    await docker(a, 'rm -f again');
    await docker(a, 'network rm kuryr');
    // The subnet is still B's.
    await run(b, 'last');
    await reaches([b, 'last'], await addressOf(b, 'later'));
    await docker(b, 'rm -f last');
    await docker(b, 'rm -f later');
    await docker(b, 'network rm kuryr');
    await becomes(stack, network, untouched);
    await Promise.all([nothingMadeBy(stack, a), nothingMadeBy(stack, b)]);
    await removeOwn(network);
  });
});

describe('two networks with the same subnet', () => {
  test("users' ports with the same address become ACTIVE, and one of them DOWN when its container goes", async () => {
    const made: { name: string; network: NetworkSeen; port: PortSeen; untouched: unknown }[] = [];
    for (const name of ['left', 'right']) {
      const network = await containers().post<NetworkSeen>('/networks', { name });
      await containers().post('/subnets', { network_id: network.id, name, ip_version: 4, cidr: '192.168.1.0/24' });
      const port = await containers().post<PortSeen>('/ports', {
        network_id: network.id,
        fixed_ips: [{ ip_address: '192.168.1.10' }],
      });
      made.push({ name, network, port, untouched: await stateOf(stack, network) });
      await docker(
        a,
        `network create --driver kuryr --ipam-driver kuryr --subnet 192.168.1.0/24 --gateway 192.168.1.1
          -o neutron.net.name=${name} -o neutron.subnet.name=${name} --ipam-opt neutron.subnet.name=${name} ${name}`,
      );
    }
    for (const { name } of made) await start(a, name, `--network ${name} --ip 192.168.1.10`);
    for (const { port } of made) await active(port);
    const statusOf = async ({ port }: (typeof made)[number]) =>
      (await stack.neutron.get<PortSeen>(`/ports/${port.id}`)).status;
    for (const [index, one] of made.entries()) {
      const other = made[index + 1];
      await docker(a, `network disconnect ${one.name} ${one.name}`);
      await waitFor('the port to be DOWN', async () => (await statusOf(one)) === 'DOWN', 60_000, 200);
      if (other !== undefined) assert.equal(await statusOf(other), 'ACTIVE');
    }
    for (const { name, network, untouched } of made) {
      await docker(a, `rm -f ${name}`);
      await docker(a, `network rm ${name}`);
      await becomes(stack, network, untouched);
    }
    for (const { port } of made) await containers().delete(`/ports/${port.id}`);
    await removeOwn(...made.map(({ network }) => network));
    await nothingMadeBy(stack, a);
  });
});

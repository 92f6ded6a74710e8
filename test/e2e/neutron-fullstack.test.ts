/**
 * The fullstack scenarios of kuryr-libnetwork, by their names, on a real Neutron whose agents are only in its books. Where kuryr's
 * objects in Neutron are not ours, what stands in their place is looked at, and said.
 */

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { type Bed, openBed } from './bed/bed.ts';
import type { Host } from './bed/host.ts';
import { type OpenStack, startOpenStack } from './bed/openstack/openstack.ts';
import { docker, inspectNetwork, interfaces, start } from './suites/containers.ts';
import { clear, nothingLeft } from './suites/leftovers.ts';
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
  settled,
  stateOf,
  subnetsOf,
} from './suites/neutron-objects.ts';

let bed: Bed;
let stack: OpenStack;
let host: Host;

before(async () => {
  bed = await openBed('neutron-fullstack');
  const lan = await bed.lan({ name: 'management', subnet: '10.8.65.0/24', gateway: '10.8.65.1' });
  stack = await startOpenStack({ on: { bed, lan, address: '10.8.65.11' }, hosts: ['h1'] });
  await warmUp(stack);
  host = await neutronHost(bed, lan, 'h1', '10.8.65.79/24', stack, { flags: patient });
});
beforeEach((t) => {
  if ('after' in t) bed.watch(t);
});
afterEach(async () => {
  stack.calls.clear();
  await clear(host);
  await nothingMadeBy(stack, host);
  await nothingLeft(host);
});
after(() => bed[Symbol.asyncDispose]());

const create = (name: string, flags: string) =>
  patiently(() => docker(host, `network create --driver kuryr --ipam-driver kuryr ${flags} ${name}`));

/** A container that is on no network of Neutron yet. */
const idle = (name: string) => start(host, name, []);
/** The card that it has got last. */
const cardOf = async (name: string) => (await interfaces(host, name)).at(-1)!;

const connect = (network: string, container: string, flags = '') =>
  patiently(() => docker(host, `network connect ${flags} ${network} ${container}`));

const disconnect = (network: string, container: string) => docker(host, `network disconnect ${network} ${container}`);

async function noPorts(network: Pick<NetworkSeen, 'id'>): Promise<void> {
  await settled(host);
  assert.deepEqual(await portsOn(stack, network), []);
}

async function isGone(path: string): Promise<void> {
  await settled(host);
  assert.equal((await stack.neutron.call('GET', path)).status, 404, path);
}

const portAt = (id: string) => stack.neutron.get<PortSeen>(`/ports/${id}`);

/** A user's own network with a subnet of the same name. */
async function usersNetwork(name: string, ...cidrs: readonly string[]) {
  const network = await stack.as('operator').post<NetworkSeen>('/networks', { name });
  for (const cidr of cidrs) {
    const ip_version = cidr.includes(':') ? 6 : 4;
    await stack.as('operator').post('/subnets', { network_id: network.id, name, ip_version, cidr });
  }
  return network;
}

// Here no DHCP agent has a port on each network, as it has in kuryr's own run: every count of ports is one less.

test('ContainerTest.test_connect_disconnect_container', async () => {
  await create('net', '--subnet 10.10.0.0/16 --ip-range 10.10.1.0/24 --gateway 10.10.1.1');
  const network = await networkBehind(stack, host, 'net');
  await idle('box');
  await connect('net', 'box');
  assert.equal((await portsOn(stack, network)).length, 1);
  await disconnect('net', 'box');
  await noPorts(network);
  await docker(host, 'network rm net');
  await isGone(`/networks/${network.id}`);
});

test('NetworkTest.test_create_delete_network_with_kuryr_driver', async () => {
  await create('net', '--subnet 10.0.0.0/16 --gateway 10.0.0.1 --ip-range 10.0.0.0/24');
  // kuryr finds its networks by two tags with the halves of Docker's id; ours are found by the description.
  const network = await networkBehind(stack, host, 'net');
  const { Id } = await inspectNetwork(host, 'net');
  assert.equal(network.name, `kuryr-net-${Id.slice(0, 8)}`);
  await docker(host, 'network rm net');
  await isGone(`/networks/${network.id}`);
});

test('NetworkTest.test_create_delete_dualstack_network_with_kuryr_driver', async () => {
  await create(
    'net',
    `--ipv6 --subnet 10.0.0.0/16 --ip-range 10.0.0.0/24 --gateway 10.0.0.1
     --subnet fd00:a::/64 --ip-range fd00:a::/80 --gateway fd00:a::1`,
  );
  const network = await networkBehind(stack, host, 'net');
  const subnets = await subnetsOf(stack, network);
  // kuryr makes the range the subnet; ours is the subnet that the user gave, with the range as what it gives out.
  assert.deepEqual(subnets.map(({ name }) => name).toSorted(), [
    'kuryr-subnet-10.0.0.0/16',
    'kuryr-subnet-fd00:a::/64',
  ]);
  assert.deepEqual(subnets.flatMap(({ allocation_pools: [pool] }) => `${pool?.start}-${pool?.end}`).toSorted(), [
    '10.0.0.2-10.0.0.255',
    'fd00:a::2-fd00:a::ffff:ffff:ffff',
  ]);
  await docker(host, 'network rm net');
  for (const { id } of subnets) await isGone(`/subnets/${id}`);
  await isGone(`/networks/${network.id}`);
});

test('NetworkTest.test_create_delete_network_without_kuryr_driver', async () => {
  stack.calls.clear();
  const count = (await stack.neutron.get('/networks')).length;
  await docker(host, 'network create --driver bridge plain');
  assert.equal((await stack.neutron.get('/networks')).length, count);
  await docker(host, 'network rm plain');
  assert.deepEqual(stack.calls.counts(), {});
});

test('IpamTest.test_container_ipam_request_release_pool', async () => {
  await create('net', '--subnet 10.11.0.0/16 --gateway 10.11.0.1 --ip-range 10.11.0.0/24');
  // kuryr keeps a subnet pool `kuryrPool-CIDR` for each; ours is the subnet alone.
  const [subnet] = await subnetsOf(stack, await networkBehind(stack, host, 'net'));
  assert.deepEqual([subnet!.cidr, subnet!.subnetpool_id], ['10.11.0.0/16', null]);
  assert.deepEqual(await stack.neutron.get('/subnetpools'), []);
  await docker(host, 'network rm net');
  await isGone(`/subnets/${subnet!.id}`);
});

test('IpamTest.test_container_ipam_request_address', async () => {
  await create('net', '--subnet 10.12.0.0/16 --gateway 10.12.0.1 --ip-range 10.12.0.0/24');
  const network = await networkBehind(stack, host, 'net');
  await idle('box');
  await connect('net', 'box');
  const card = await cardOf('box');
  const port = await portWith(stack, network, card.addresses[0]!.replace(/\/.*/, ''));
  // The tag `compute:kuryr` tells kuryr that the port is its own: of ours the description tells it, and whose host's.
  assert.deepEqual([port.description, port.device_owner], ['berth/h1', 'compute:kuryr']);
});

test('IpamTest.test_container_ipam_release_address', async () => {
  await create('net', '--subnet 10.13.0.0/16 --gateway 10.13.0.1 --ip-range 10.13.0.0/24');
  const network = await networkBehind(stack, host, 'net');
  // A port of somebody else's, as that of a DHCP agent.
  const other = await stack.neutron.post<PortSeen>('/ports', { network_id: network.id, device_owner: 'network:test' });
  await idle('box');
  await connect('net', 'box');
  const [port] = await portsOn(stack, network);
  await disconnect('net', 'box');
  await isGone(`/ports/${port!.id}`);
  assert.equal((await portAt(other.id)).id, other.id);
  await stack.neutron.delete(`/ports/${other.id}`);
});

test('IpamTest.test_container_ipam_release_address_with_existing_network', async () => {
  const network = await usersNetwork('mine', '10.14.0.0/16');
  const untouched = await stateOf(stack, network);
  await create('net', '--subnet 10.14.0.0/16 --gateway 10.14.0.1 --ip-range 10.14.0.0/24 -o neutron.net.name=mine');
  await idle('box');
  await connect('net', 'box');
  const [port, ...more] = await portsOn(stack, network);
  assert.equal(more.length, 0);
  assert.match(port!.fixed_ips[0]!.ip_address, /^10\.14\.0\./);
  await disconnect('net', 'box');
  await noPorts(network);
  await docker(host, 'network rm net');
  await settled(host);
  await becomes(stack, network, untouched);
  await stack.neutron.delete(`/networks/${network.id}`);
});

test('IpamTest.test_container_ipam_request_address_with_existing_port', async () => {
  const network = await usersNetwork('mine', '10.15.0.0/16', 'fd00:15::/64');
  const subnets = await subnetsOf(stack, network);
  const own = await stack.as('operator').post<PortSeen>('/ports', {
    network_id: network.id,
    name: 'own',
    fixed_ips: subnets.map(({ id, ip_version }) => ({
      subnet_id: id,
      ip_address: ip_version === 4 ? '10.15.0.10' : 'fd00:15::10',
    })),
  });
  const untouched = await stateOf(stack, network);
  await create(
    'net',
    `--ipv6 --subnet 10.15.0.0/16 --gateway 10.15.0.1 --subnet fd00:15::/64 --gateway fd00:15::1 -o neutron.net.name=mine`,
  );
  await idle('box');
  await connect('net', 'box', '--ip 10.15.0.10 --ip6 fd00:15::10');
  const [port, ...more] = await portsOn(stack, network);
  assert.equal(more.length, 0);
  // In place of the tag `kuryr.port.existing`, what it was is in the agent's own records.
  assert.deepEqual([port!.id, port!.name, port!['binding:host_id']], [own.id, 'own', 'h1']);
  const card = await cardOf('box');
  assert.deepEqual(card.addresses, ['10.15.0.10/16', 'fd00:15::10/64']);
  assert.equal(card.mac, port!.mac_address);
  await disconnect('net', 'box');
  await settled(host);
  assert.equal((await portAt(own.id)).device_id, '');
  await docker(host, 'network rm net');
  await settled(host);
  await becomes(stack, network, untouched);
  await stack.neutron.delete(`/ports/${own.id}`);
  await stack.neutron.delete(`/networks/${network.id}`);
});

test('IpamTest.test_container_ipam_release_address_with_existing_port_same_ip', async () => {
  const made: { name: string; network: NetworkSeen; port: PortSeen; untouched: unknown }[] = [];
  for (const name of ['left', 'right']) {
    const network = await usersNetwork(name, '192.168.1.0/24');
    const fixed_ips = [{ ip_address: '192.168.1.10' }];
    const port = await stack.as('operator').post<PortSeen>('/ports', { network_id: network.id, fixed_ips });
    made.push({ name, network, port, untouched: await stateOf(stack, network) });
    await create(
      name,
      `--subnet 192.168.1.0/24 --gateway 192.168.1.1 -o neutron.net.name=${name} -o neutron.subnet.name=${name}
       --ipam-opt neutron.subnet.name=${name}`,
    );
    await idle(name);
    await connect(name, name, '--ip 192.168.1.10');
  }
  // That the ports become ACTIVE and DOWN is in neutron-transcripts.test.ts, where agents are; here it is who has them.
  const bound = async ({ port }: (typeof made)[number]) => (await portAt(port.id))['binding:host_id'];
  const [left, right] = made as [(typeof made)[number], (typeof made)[number]];
  assert.deepEqual([await bound(left), await bound(right)], ['h1', 'h1']);
  await disconnect('left', 'left');
  await settled(host);
  assert.deepEqual(await bound(left), '');
  assert.equal(await bound(right), 'h1');
  await disconnect('right', 'right');
  await settled(host);
  assert.equal(await bound(right), '');
  for (const { name, network, port, untouched } of made) {
    await docker(host, `network rm ${name}`);
    await settled(host);
    await becomes(stack, network, untouched);
    await stack.neutron.delete(`/ports/${port.id}`);
    await stack.neutron.delete(`/networks/${network.id}`);
  }
});

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Machine } from './machine.ts';
import type { Agents } from './openstack/agents.ts';
import { type OpenStack, startOpenStack } from './openstack/openstack.ts';
import { waitFor } from './process.ts';
import { namespacesOf, remains } from './remains.ts';

let stack: OpenStack;
let hosts: readonly Machine[];
let agents: readonly Agents[];
before(async () => {
  stack = await startOpenStack({ agents: 'real' });
  const addresses = ['10.9.65.21', '10.9.65.22'];
  hosts = await Promise.all(addresses.map((address, n) => stack.lan.machine(`h${n + 1}`, `${address}/24`)));
  agents = await Promise.all(
    hosts.map((host, n) => stack.startAgents(host, { localAddress: addresses[n]!, dhcp: n === 0, l3: n === 0 })),
  );
});
after(async () => {
  const { id, dir } = stack.bed;
  const namespaces = namespacesOf(dir);
  await stack[Symbol.asyncDispose]();
  assert.deepEqual(remains(id, namespaces), []);
});

test('ports on two hosts are wired by the agents, and guarded by their security groups', async (t) => {
  stack.watch(t);
  const { neutron } = stack;
  const network = await neutron.post('/networks', { name: 'guests' });
  await neutron.post('/subnets', { network_id: network.id, ip_version: 4, cidr: '10.33.0.0/24' });
  const group = await neutron.post('/security-groups', { name: 'closed' });
  const first = await stack.plugVm(hosts[0]!, network);
  const second = await stack.plugVm(hosts[1]!, network);
  await Promise.all([first.active(), second.active()]);
  const [address] = second.addresses;
  const becomes = (reachable: boolean) =>
    waitFor(
      `${address} to be ${reachable ? 'reachable' : 'unreachable'}`,
      async () => (await first.pings(address!)) === reachable,
      60_000,
      200,
    );
  await becomes(true);
  await neutron.put(`/ports/${second.id}`, { security_groups: [group.id] });
  await becomes(false);
  await neutron.post('/security-group-rules', {
    security_group_id: group.id,
    direction: 'ingress',
    protocol: 'icmp',
    ethertype: 'IPv4',
  });
  await becomes(true);
  await first.exec(['ip', 'address', 'add', '10.33.0.99/24', 'dev', 'eth0']);
  const spoofed = ['busybox', 'ping', '-c2', '-W1', '-I', '10.33.0.99', address!];
  assert.notEqual((await first.exec(spoofed, { check: false })).code, 0);
  assert.equal(await first.pings(address!), true);
  await first.remove();
  await second.remove();
  const ports = await neutron.get(`/ports?network_id=${network.id}&device_owner=compute:nova`);
  assert.deepEqual(ports, []);
});

test('a port gets its address from the DHCP agent, and a router between two networks routes', async (t) => {
  stack.watch(t);
  const { neutron } = stack;
  const make = async (name: string, cidr: string, more: Record<string, unknown> = {}) => {
    const network = await neutron.post('/networks', { name, ...more });
    const subnet = await neutron.post('/subnets', { network_id: network.id, ip_version: 4, cidr });
    return { network, subnet };
  };
  const one = await make('one', '10.34.0.0/24');
  const two = await make('two', '10.35.0.0/24');
  const router = await neutron.post('/routers', { name: 'r' });
  for (const { subnet } of [one, two]) {
    await neutron.call('PUT', `/routers/${router.id}/add_router_interface`, { subnet_id: subnet.id });
  }
  const first = await stack.plugVm(hosts[1]!, one.network);
  const second = await stack.plugVm(hosts[1]!, two.network);
  await Promise.all([first.active(), second.active()]);
  await waitFor('packets to be routed', () => first.pings(second.addresses[0]!), 90_000, 500);

  // The kernel may lack the target of iptables by which the agent has the checksums of dnsmasq's answers filled in.
  const [served] = await neutron.get(`/ports?network_id=${one.network.id}&device_owner=network:dhcp`);
  const card = `ns-${served!.id.slice(0, 11)}`;
  await agents[0]!.exec(['ip', 'netns', 'exec', `qdhcp-${one.network.id}`, 'ethtool', '-K', card, 'tx', 'off']);
  await first.exec(['ip', 'address', 'flush', 'dev', 'eth0']);
  const client = ['busybox', 'udhcpc', '-i', 'eth0', '-f', '-q', '-n', '-t', '3', '-T', '2', '-s', '/bin/true'];
  const lease = await waitFor(
    'a lease of the DHCP agent',
    async () => /lease of (\S+) obtained/.exec((await first.exec(client, { check: false })).stderr)?.[1],
    60_000,
    500,
  );
  assert.equal(lease, first.addresses[0]);
  const spaces = (await agents[0]!.exec(['ip', 'netns', 'list'])).stdout;
  assert.match(spaces, new RegExp(`qrouter-${router.id}`));
  assert.match(spaces, new RegExp(`qdhcp-${one.network.id}`));
});

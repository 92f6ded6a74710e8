/**
 * What every option of networks and containers does in a real Neutron. Nobody but Berth wires here: that Neutron's agents do as its
 * objects say is shown where they run (`neutron-outside`, `neutron-transcripts`).
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { endpointOptions, networkOptions } from '../../src/fabric/neutron/options.ts';
import { type Bed, openBed } from './bed/bed.ts';
import type { Host } from './bed/host.ts';
import { repository } from './bed/machine.ts';
import { type OpenStack, startOpenStack } from './bed/openstack/openstack.ts';
import type { Resource } from './bed/openstack/rest.ts';
import { waitFor } from './bed/process.ts';
import { defaultRoute, enter, onlyInterface, start } from './suites/containers.ts';
import { neutronHost, patiently, warmUp } from './suites/neutron.ts';
import { followInstallation } from './suites/neutron-guide.ts';

let bed: Bed;
let stack: OpenStack;
let h1: Host;
/** Ids of what is there already. */
let gold: string;
let groups: Readonly<Record<'first' | 'second', string>>;

interface Port extends Resource {
  readonly security_groups: readonly string[];
  readonly port_security_enabled: boolean;
  readonly allowed_address_pairs: readonly { readonly ip_address: string; readonly mac_address: string }[];
  readonly qos_policy_id: string | null;
  readonly dns_name: string;
  readonly dns_assignment: readonly { readonly fqdn: string }[];
  readonly device_id: string;
}
interface Subnet extends Resource {
  readonly cidr: string;
  readonly enable_dhcp: boolean;
  readonly subnetpool_id: string | null;
}

const options = (given: Readonly<Record<string, string>>, flag = '-o'): readonly string[] =>
  Object.entries(given).flatMap(([name, value]) => [flag, `${name}=${value}`]);

const words = (line: string): readonly string[] => line.split(' ');

const create = (name: string, ...flags: readonly string[]): Promise<string> =>
  patiently(() =>
    h1.docker('network', 'create', '--driver', 'berth-neutron', '--ipam-driver', 'berth-neutron', ...flags, name),
  );

/** Neutron's network behind Docker's. */
async function networkOf(id: string): Promise<Resource> {
  const described = await stack.neutron.get<Resource[]>(`/networks?description=berth/h1/${id.slice(0, 12)}`);
  const tagged = await stack.neutron.get<Resource[]>(`/networks?tags=berth:h1:${id.slice(0, 12)}`);
  return [...described, ...tagged][0]!;
}
const subnetsOf = ({ id }: Resource) => stack.neutron.get<Subnet[]>(`/subnets?network_id=${id}`);
const containers = async () =>
  (await stack.neutron.get<Port[]>('/ports')).filter(({ device_owner }) => device_owner === 'compute:kuryr');
const noneLeft = () => waitFor('no port to be left', async () => (await containers()).length === 0, 60_000, 250);

/** The only container there is, on a network with options of its own (`--driver-opt`), and its port. */
async function run(network: string, given: Readonly<Record<string, string>> = {}, ...flags: readonly string[]) {
  await h1.docker('rm', '-f', 'one');
  await noneLeft();
  // A list with commas is one field of several with commas between them.
  const fields = Object.entries(given).map(([name, value]) => `"driver-opt=${name}=${value}"`);
  await patiently(
    () => start(h1, 'one', ['--network', [`name=${network}`, ...fields].join(','), ...flags]),
    () => h1.docker('rm', '-f', 'one'),
  );
  const [port] = await containers();
  return port!;
}

const remove = async (network: string) => {
  await h1.docker('rm', '-f', 'one');
  await h1.docker('network', 'rm', network);
};

before(async () => {
  bed = await openBed('neutron-options');
  const lan = await bed.lan({ name: 'management', subnet: '10.8.65.0/24', gateway: '10.8.65.1' });
  stack = await startOpenStack({ on: { bed, lan, address: '10.8.65.11' }, hosts: ['h1'] });
  h1 = await neutronHost(bed, lan, 'h1', '10.8.65.79/24', stack);
  await warmUp(stack);
  const operator = stack.as('operator');
  gold = (await operator.post('/qos/policies', { name: 'gold' })).id;
  const [first, second] = [
    await operator.post('/security-groups', { name: 'first' }),
    await operator.post('/security-groups', { name: 'second' }),
  ];
  groups = { first: first.id, second: second.id };
});
afterEach(async () => {
  await h1.docker('rm', '-f', 'one');
  await noneLeft();
});
after(() => bed[Symbol.asyncDispose]());

describe('of a network', () => {
  test('that Berth makes: how it is, and how its containers are', async () => {
    const id = await create(
      'rich',
      ...words('--subnet 10.61.0.0/24 --ipv6 --subnet fd61::/64'),
      ...options({
        'neutron.net.shared': 'true',
        'neutron.dhcp': 'false',
        'neutron.port_security': 'false',
        'neutron.qos_policy': 'gold',
        'neutron.dns_domain': 'example.org.',
        mtu: '1300',
        interface_prefix: 'net',
      }),
    );
    const network = await networkOf(id);
    assert.deepEqual(
      [network.shared, network.port_security_enabled, network.qos_policy_id, network.dns_domain, network.mtu],
      [true, false, gold, 'example.org.', 1300],
    );
    assert.deepEqual(
      (await subnetsOf(network)).map(({ enable_dhcp }) => enable_dhcp),
      [false, false],
    );
    const port = await run('rich');
    assert.deepEqual([port.port_security_enabled, port.security_groups], [false, []]);
    const { name, mtu, addresses } = await onlyInterface(h1, 'one');
    assert.deepEqual([name, mtu, addresses.length], ['net0', 1300, 2]);
    await remove('rich');
  });

  test('that is there already: what its ports are to have', async () => {
    const mine = await stack.as('operator').post('/networks', { name: 'mine' });
    const made: Resource[] = [];
    for (const [ip_version, cidr, name] of [
      [4, '10.62.0.0/24', 'four'],
      [6, 'fd62::/64', 'six'],
    ] as const)
      made.push(await stack.as('operator').post('/subnets', { network_id: mine.id, ip_version, cidr, name }));
    const six = made[1]!;
    const uses = ['--subnet', '10.62.0.0/24', '--ipv6'];
    const wishes = { 'neutron.net.name': 'mine', 'neutron.qos_policy': gold, 'neutron.port_security': 'false' };
    await create('used', ...uses, '--subnet', 'fd62::/64', ...options({ ...wishes, 'neutron.subnet.v6.uuid': six.id }));
    const port = await run('used');
    assert.deepEqual([port.qos_policy_id, port.port_security_enabled], [gold, false]);
    assert.deepEqual(
      (port.fixed_ips as { subnet_id: string }[]).map(({ subnet_id }) => subnet_id).toSorted(),
      made.map(({ id }) => id).toSorted(),
    );
    await remove('used');
    const named = { 'neutron.net.name': 'mine', 'neutron.subnet.v6.name': 'six' };
    await create('named', ...uses, ...options(named), ...options(named, '--ipam-opt'));
    const again = await run('named');
    assert.ok((again.fixed_ips as { subnet_id: string }[]).some(({ subnet_id }) => subnet_id === six.id));
    assert.deepEqual([again.qos_policy_id, again.port_security_enabled], [null, true]);
    await remove('named');
    await waitFor('no tag to be left', async () => {
      const { tags, port_security_enabled } = await stack.neutron.get<Resource>(`/networks/${mine.id}`);
      return port_security_enabled === true && (tags as string[]).length === 0;
    });
    assert.equal((await subnetsOf(mine)).length, 2);
    await stack.neutron.delete(`/networks/${mine.id}`);
  });

  test('whose subnets are cut from subnet pools: any, or the one that --subnet says', async () => {
    const operator = stack.as('operator');
    const four = await operator.post('/subnetpools', {
      name: 'small',
      prefixes: ['10.63.0.0/16'],
      default_prefixlen: 26,
    });
    const six = await operator.post('/subnetpools', {
      name: 'wide',
      prefixes: ['fd63::/48'],
      default_prefixlen: 64,
    });
    const given = { 'neutron.pool.name': 'small', 'neutron.pool.v6.name': 'wide' };
    const ids = { 'neutron.pool.uuid': four.id, 'neutron.pool.v6.uuid': six.id };
    const cutOf = async (id: string) =>
      (await subnetsOf(await networkOf(id)))
        .map(({ cidr, subnetpool_id }) => [cidr, subnetpool_id] as const)
        .toSorted(([a], [b]) => a.localeCompare(b));
    const any = await cutOf(await create('any', '--ipv6', ...options(given, '--ipam-opt')));
    assert.deepEqual(
      any.map(([cidr, pool]) => [cidr.replace(/^.*\//, ''), pool]),
      [
        ['26', four.id],
        ['64', six.id],
      ],
    );
    await run('any');
    const subnets = ['10.63.9.0/24', 'fd63:0:0:9::/64'];
    const flags = subnets.flatMap((subnet) => ['--subnet', subnet]);
    assert.deepEqual(await cutOf(await create('chosen', '--ipv6', ...flags, ...options(ids))), [
      [subnets[0], four.id],
      [subnets[1], six.id],
    ]);
    await remove('any');
    await remove('chosen');
    const left = async () => (await stack.neutron.get<Subnet[]>('/subnets')).length;
    await waitFor('the subnets to go', async () => (await left()) === 0, 30_000, 250);
    for (const { id } of [four, six]) await operator.delete(`/subnetpools/${id}`);
  });
});

describe('of one container', () => {
  test('what its port is to have, other than those of its network', async () => {
    const wishes = { 'neutron.security_groups': `first,${groups.second}` };
    await create('plain', '--subnet', '10.64.0.0/24', ...options(wishes));
    const usual = await run('plain');
    assert.deepEqual(usual.security_groups.toSorted(), Object.values(groups).toSorted());
    assert.deepEqual([usual.qos_policy_id, usual.port_security_enabled, usual.dns_name], [null, true, '']);

    const port = await run('plain', {
      'neutron.security_groups': 'second',
      'neutron.allowed_address_pairs': '10.64.0.200,10.64.1.0/24 02:00:00:00:00:09',
      'neutron.qos_policy': 'gold',
      'neutron.dns_name': 'web',
      interface_name: 'data0',
      mtu: '1400',
      route: '10.200.0.0/16 via 10.64.0.7',
    });
    assert.deepEqual(port.security_groups, [groups.second]);
    assert.deepEqual(
      port.allowed_address_pairs.toSorted((a, b) => a.ip_address.localeCompare(b.ip_address)),
      [
        { ip_address: '10.64.0.200', mac_address: port.mac_address },
        { ip_address: '10.64.1.0/24', mac_address: '02:00:00:00:00:09' },
      ],
    );
    assert.deepEqual([port.qos_policy_id, port.dns_name], [gold, 'web']);
    assert.match(port.dns_assignment[0]!.fqdn, /^web\./);
    const { name, mtu } = await onlyInterface(h1, 'one');
    assert.deepEqual([name, mtu], ['data0', 1400]);
    assert.match((await enter(h1, 'one', 'ip', 'route')).stdout, /^10\.200\.0\.0\/16 via 10\.64\.0\.7 dev data0/m);
    assert.equal(await defaultRoute(h1, 'one'), '10.64.0.1 data0');

    assert.deepEqual((await run('plain', { 'neutron.security_groups': 'none' })).security_groups, []);
    const open = await run('plain', { 'neutron.port_security': 'false' });
    assert.deepEqual([open.port_security_enabled, open.security_groups], [false, []]);
    await remove('plain');
  });

  test('which port it is, that is there already, and is put back as it was', async () => {
    const id = await create('taken', '--subnet', '10.65.0.0/24');
    const network = await networkOf(id);
    const own = async (address: string) =>
      await stack.as('operator').post<Port>('/ports', {
        network_id: network.id,
        fixed_ips: [{ ip_address: address }],
        security_groups: [groups.first],
        dns_name: 'before',
        allowed_address_pairs: [{ ip_address: '10.65.0.99' }],
      });
    const [mine, other] = [await own('10.65.0.50'), await own('10.65.0.51')];
    const wishes = {
      'neutron.port.uuid': mine.id,
      'neutron.security_groups': 'second',
      'neutron.qos_policy': gold,
      'neutron.dns_name': 'during',
      'neutron.allowed_address_pairs': '10.65.0.98',
    };
    const port = await run('taken', wishes, '--ip', '10.65.0.50');
    assert.deepEqual(
      [port.id, port.security_groups, port.qos_policy_id, port.dns_name, port.allowed_address_pairs[0]!.ip_address],
      [mine.id, [groups.second], gold, 'during', '10.65.0.98'],
    );
    await h1.docker('rm', '-f', 'one');
    const restored = ({
      security_groups,
      qos_policy_id,
      dns_name,
      allowed_address_pairs,
      mac_address,
      device_id,
    }: Port) => ({
      security_groups,
      qos_policy_id,
      dns_name,
      allowed_address_pairs,
      mac_address,
      device_id,
    });
    const now = async (id: string) => restored(await stack.neutron.get<Port>(`/ports/${id}`));
    await waitFor('the port to be given back', async () => (await now(mine.id)).device_id === '', 30_000, 250);
    assert.deepEqual(await now(mine.id), restored(mine));

    // The address is that of another.
    await assert.rejects(run('taken', wishes, '--ip', '10.65.0.51'), /the port of this address is not/);
    await h1.docker('rm', '-f', 'one');
    await waitFor('the other to be given back', async () => (await now(other.id)).device_id === '', 30_000, 250);
    assert.deepEqual(await now(other.id), restored(other));
    for (const one of [mine, other]) await stack.neutron.delete(`/ports/${one.id}`);
    await remove('taken');
  });
});

test('as Zun asks: networks by their ids, ports that it has made ready or given a device', async () => {
  const operator = stack.as('operator');
  const network = await operator.post('/networks', { name: 'zuns' });
  const [four, six] = [
    await operator.post('/subnets', { network_id: network.id, ip_version: 4, cidr: '10.66.0.0/24' }),
    await operator.post('/subnets', { network_id: network.id, ip_version: 6, cidr: 'fd66::/64' }),
  ];
  // zun/network/kuryr_network.py, create_network: Python's own way to write what is false.
  const subnets = { 'neutron.subnet.uuid': four.id, 'neutron.subnet.v6.uuid': six.id };
  await create(
    network.id,
    ...words('--ipv6 --subnet 10.66.0.0/24 --gateway 10.66.0.1 --subnet fd66::/64 --gateway fd66::1'),
    ...options({ 'neutron.net.uuid': network.id, 'neutron.net.shared': 'False', ...subnets }),
    ...options({ 'neutron.net.shared': 'False', ...subnets }, '--ipam-opt'),
  );
  const make = async (more: object): Promise<Port & { readonly fixed_ips: readonly { ip_address: string }[] }> =>
    await stack.neutron.post('/ports', { network_id: network.id, device_id: 'of-zun', ...more });
  const addressesOf = ({ fixed_ips }: Awaited<ReturnType<typeof make>>) => {
    const all = fixed_ips.map(({ ip_address }) => ip_address);
    return ['--ip', all.find((one) => !one.includes(':'))!, '--ip6', all.find((one) => one.includes(':'))!];
  };
  const asItIs = async (id: string) => {
    const port = await stack.neutron.get<Port>(`/ports/${id}`);
    return [port.device_id, port.device_owner, port['binding:host_id'], port.mac_address];
  };

  // A container that it makes.
  const ready = await make({ device_owner: 'compute:kuryr', 'binding:host_id': 'h1' });
  const before = await asItIs(ready.id);
  const flags = ['--network', network.id, ...addressesOf(ready), '--mac-address', String(ready.mac_address)];
  await patiently(
    () => start(h1, 'one', flags),
    () => h1.docker('rm', '-f', 'one'),
  );
  const plugged = await onlyInterface(h1, 'one');
  assert.deepEqual([plugged.mac, plugged.addresses.length], [ready.mac_address, 2]);
  const mac = ['--network', network.id, '--mac-address', String(ready.mac_address)];
  for (const same of [flags, mac]) {
    await assert.rejects(start(h1, 'two', same), /is held by another container/);
    await h1.docker('rm', '-f', 'two');
    assert.equal((await asItIs(ready.id))[2], 'h1');
  }
  assert.deepEqual(
    (await containers()).map(({ id }) => id),
    [ready.id],
  );
  await h1.docker('stop', '-t', '0', 'one');
  await waitFor('the port to be as it was', async () => String(await asItIs(ready.id)) === String(before), 30_000, 250);
  await patiently(() => h1.docker('start', 'one'));
  assert.equal((await onlyInterface(h1, 'one')).mac, ready.mac_address);
  await h1.docker('rm', '-f', 'one');
  await waitFor('the port to be as it was', async () => String(await asItIs(ready.id)) === String(before), 30_000, 250);
  await stack.neutron.delete(`/ports/${ready.id}`);

  // One that runs, and is put on the network; Zun removes the port while Berth gives it back.
  const late = await make({});
  await start(h1, 'one', []);
  await patiently(() => h1.docker('network', 'connect', ...addressesOf(late), network.id, 'one'));
  assert.equal((await containers())[0]!.id, late.id);
  await h1.docker('network', 'disconnect', network.id, 'one');
  await stack.neutron.delete(`/ports/${late.id}`);
  await h1.docker('network', 'rm', network.id);
  await waitFor(
    'nothing to wait for Neutron',
    async () => !/to be removed still/.test((await h1.berth('status')).stdout),
    30_000,
    250,
  );
  await stack.neutron.delete(`/networks/${network.id}`);
});

test('the page about the installation works as it is written', async () => {
  await h1.stopBerth();
  const tryIt = await followInstallation(stack, h1);
  const shown = await patiently(tryIt, () => h1.exec(['sh', '-c', 'docker rm -f web; docker network rm blue']));
  assert.match(shown, /neutron +1 port|1 port and 1 network of the host h1/);
  await noneLeft();
  await waitFor(
    'the network to go',
    async () => (await stack.neutron.get<Subnet[]>('/subnets')).every(({ cidr }) => cidr !== '10.21.0.0/24'),
    60_000,
    250,
  );
});

/** Where those are shown that are not here. */
const elsewhere: Readonly<Record<string, string>> = {
  'neutron.net.uuid': 'neutron-kuryr-faults',
  'neutron.subnet.name': 'neutron-fullstack',
  'neutron.router': 'neutron-outside',
  'neutron.floating_network': 'neutron-outside',
  'neutron.floating_ip': 'neutron-outside',
  'neutron.publish': 'neutron-outside',
  'neutron.warm_ports': 'neutron-warm',
};

test('every option of Neutron is shown in a test', () => {
  const textOf = (name: string) => readFileSync(join(repository, `test/e2e/${name}.test.ts`), 'utf8');
  const here = textOf('neutron-port-options').split('const elsewhere')[0]!;
  const isNamed = (option: string, text: string) =>
    new RegExp(`\\b${option.replaceAll('.', '\\.')}(?=['=:])`).test(text);
  const lacking = [...networkOptions, ...endpointOptions]
    .filter(({ name }) => name.startsWith('neutron.'))
    .filter(({ name }) => !isNamed(name, elsewhere[name] === undefined ? here : textOf(elsewhere[name])));
  assert.deepEqual(lacking, []);
});

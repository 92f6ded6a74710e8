/** Everything that a network of Neutron may be to Docker: its families, subnets, gateways and ports, made or there already. */

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import type { Bed } from '../bed/bed.ts';
import type { EngineVersion } from '../bed/engines.ts';
import type { Host } from '../bed/host.ts';
import type { OpenStack } from '../bed/openstack/openstack.ts';
import type { Resource } from '../bed/openstack/rest.ts';
import { waitFor } from '../bed/process.ts';
import {
  addressOf,
  defaultRoute,
  docker,
  dockerFails,
  enter,
  inspectNetwork,
  interfaces,
  onlyInterface,
  reaches,
  start,
} from './containers.ts';
import { clear, nothingLeft } from './leftovers.ts';
import { startNeutronAgent } from './neutron.ts';
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
  type SubnetSeen,
  settled,
  stateOf,
  subnetsOf,
} from './neutron-objects.ts';

export interface NeutronStage {
  readonly bed: Bed;
  readonly stack: OpenStack;
  readonly host: Host;
}

/** @param prepare called once, before the tests of the engine. */
export function neutronNetworks(engine: EngineVersion, prepare: () => Promise<NeutronStage>): void {
  describe(`networks of Neutron with Docker ${engine}`, () => {
    let stack: OpenStack;
    let host: Host;
    let bed: Bed;
    /** What a test has made as a user would, which goes after it. */
    const own: { readonly network: NetworkSeen; readonly untouched: unknown }[] = [];

    before(async () => {
      ({ stack, host, bed } = await prepare());
    });
    beforeEach((t) => {
      if ('after' in t) bed.watch(t);
    });
    afterEach(async () => {
      await clear(host);
      await nothingMadeBy(stack, host);
      for (const { network, untouched } of own.splice(0)) {
        await becomes(stack, network, untouched);
        for (const { id } of await portsOn(stack, network)) await stack.neutron.delete(`/ports/${id}`);
        await stack.neutron.delete(`/networks/${network.id}`);
      }
      await nothingLeft(host);
      await waitFor('the links to go', async () => !/tap|brq|t_c/.test((await host.exec(['ip', 'link'])).stdout));
    });
    after(async () => {
      await host?.powerOff();
    });

    const create = (name: string, flags: string) =>
      patiently(() => docker(host, `network create --driver kuryr --ipam-driver kuryr ${flags} ${name}`));

    interface Users {
      readonly network: NetworkSeen;
      readonly subnets: readonly SubnetSeen[];
      readonly ports: readonly PortSeen[];
    }
    /** A network, subnets and ports of a user, which must be as they are after the test. */
    async function users(
      name: string,
      subnets: readonly Readonly<Record<string, unknown>>[],
      ports: readonly Readonly<Record<string, unknown>>[] = [],
    ): Promise<Users> {
      const user = stack.as('operator');
      const network = await user.post<NetworkSeen>('/networks', { name });
      const all: Users = { network, subnets: [], ports: [] };
      const made = { subnets: [] as SubnetSeen[], ports: [] as PortSeen[] };
      for (const one of subnets)
        made.subnets.push(
          await user.post<SubnetSeen>('/subnets', {
            network_id: network.id,
            ip_version: String(one.cidr).includes(':') ? 6 : 4,
            ...one,
          }),
        );
      for (const one of ports) made.ports.push(await user.post<PortSeen>('/ports', { network_id: network.id, ...one }));
      own.push({ network, untouched: await stateOf(stack, network) });
      return { ...all, ...made };
    }

    const addressesOf = ({ fixed_ips }: PortSeen) => fixed_ips.map(({ ip_address }) => ip_address).toSorted();

    test('two families: one port has both addresses, chosen or not', async () => {
      await create('both', '--ipv6 --subnet 10.20.0.0/24 --subnet fd00:20::/64');
      const network = await networkBehind(stack, host, 'both');
      await start(host, 'any', '--network both');
      await start(host, 'chosen', '--network both --ip 10.20.0.77 --ip6 fd00:20::77');
      await start(host, 'six', '--network both --ip6 fd00:20::66');
      const card = await onlyInterface(host, 'chosen');
      assert.deepEqual(card.addresses, ['10.20.0.77/24', 'fd00:20::77/64']);
      const six = (await onlyInterface(host, 'six')).addresses;
      assert.equal(six[1], 'fd00:20::66/64');
      const ports = await portsOn(stack, network);
      assert.equal(ports.length, 3);
      for (const name of ['any', 'chosen', 'six']) {
        const { mac, addresses } = await onlyInterface(host, name);
        const port = ports.find(({ mac_address }) => mac_address === mac);
        assert.deepEqual(addressesOf(port!), addresses.map((on) => on.replace(/\/.*/, '')).toSorted());
      }
      for (const to of (await onlyInterface(host, 'any')).addresses)
        await reaches([host, 'chosen'], to.replace(/\/.*/, ''));
      assert.equal(await defaultRoute(host, 'any'), '10.20.0.1 eth0');
      assert.equal(await defaultRoute(host, 'any', 6), 'fd00:20::1 eth0');
    });

    if (engine === '28.5')
      test('IPv6 only', async () => {
        await create('six', '--ipv4=false --ipv6 --subnet fd00:21::/64');
        const network = await networkBehind(stack, host, 'six');
        await start(host, 'one', '--network six');
        await start(host, 'two', '--network six --ip6 fd00:21::22');
        const { addresses } = await onlyInterface(host, 'one');
        assert.equal(addresses.length, 1);
        await reaches([host, 'two'], addresses[0]!.replace(/\/.*/, ''));
        assert.equal(await defaultRoute(host, 'one', 6), 'fd00:21::1 eth0');
        const ports = await portsOn(stack, network);
        assert.deepEqual(
          ports.map(({ fixed_ips }) => fixed_ips.length),
          [1, 1],
        );
      });

    test('several subnets: each container has the addresses and the gateway of its own', async () => {
      await create(
        'many',
        `--ipv6 --subnet 10.22.1.0/24 --subnet 10.22.2.0/24 --subnet fd00:22:1::/64 --subnet fd00:22:2::/64
         -o com.docker.network.driver.mtu=1380`,
      );
      const network = await networkBehind(stack, host, 'many');
      assert.equal(network.mtu, 1380);
      assert.equal((await subnetsOf(stack, network)).length, 4);
      for (const six of ['fd00:22:1::9', 'fd00:22:2::9']) {
        await start(host, 'six', `--network many --ip 10.22.1.66 --ip6 ${six}`);
        assert.deepEqual((await onlyInterface(host, 'six')).addresses, ['10.22.1.66/24', `${six}/64`]);
        assert.equal(await defaultRoute(host, 'six', 6), `${six.replace(/9$/, '1')} eth0`);
        assert.equal((await portWith(stack, network, six)).fixed_ips.length, 2);
        await docker(host, 'rm -f six');
      }
      await start(host, 'first', '--network many --ip 10.22.1.9');
      await start(host, 'second', '--network many --ip 10.22.2.9');
      await start(host, 'any', '--network many');
      assert.equal((await onlyInterface(host, 'first')).mtu, 1380);
      assert.equal(await defaultRoute(host, 'first'), '10.22.1.1 eth0');
      assert.equal(await defaultRoute(host, 'second'), '10.22.2.1 eth0');
      assert.equal((await portsOn(stack, network)).length, 3);
      assert.equal((await portWith(stack, network, '10.22.2.9')).fixed_ips.length, 2);
    });

    test('--ip-range and --aux-address keep addresses from containers, --gateway may be left out', async () => {
      await create(
        'n',
        '--subnet 10.23.0.0/24 --ip-range 10.23.0.64/29 --aux-address nas=10.23.0.65 --aux-address p=10.23.0.67',
      );
      const network = await networkBehind(stack, host, 'n');
      const [subnet] = await subnetsOf(stack, network);
      assert.equal(subnet!.gateway_ip, '10.23.0.1');
      assert.deepEqual(
        subnet!.allocation_pools.toSorted((a, b) => (a.start < b.start ? -1 : 1)),
        [
          { start: '10.23.0.64', end: '10.23.0.64' },
          { start: '10.23.0.66', end: '10.23.0.66' },
          { start: '10.23.0.68', end: '10.23.0.71' },
        ],
      );
      const names = ['aa', 'bb', 'cc', 'dd', 'ee', 'ff'];
      for (const name of names) await start(host, name, '--network n');
      const all = await Promise.all(names.map((name) => addressOf(host, name)));
      assert.deepEqual(
        all.toSorted(),
        ['64', '66', '68', '69', '70', '71'].map((last) => `10.23.0.${last}`),
      );
      assert.equal(await defaultRoute(host, 'aa'), '10.23.0.1 eth0');
      assert.match(
        await dockerFails(host, `run -d --name late --network n ${await host.image()}`),
        /no free address in Neutron/,
      );
      // Outside of the range, a user may choose.
      await start(host, 'chosen', '--network n --ip 10.23.0.200');
    });

    test('without --subnet, subnets are cut from the default pools', async () => {
      const pools: Resource[] = [];
      for (const [name, prefix, length] of [
        ['kuryr', '10.24.0.0/16', 24],
        ['kuryr6', 'fd00:24::/48', 64],
      ] as const)
        pools.push(
          await stack
            .as('operator')
            .post('/subnetpools', { name, prefixes: [prefix], default_prefixlen: length, shared: true }),
        );
      // Engines before 28 ask for no subnet of IPv6 when the user names none.
      const six = engine === '28.5';
      await create('first', six ? '--ipv6' : '');
      await create('second', '');
      const seen = await subnetsOf(stack, await networkBehind(stack, host, 'first'));
      assert.deepEqual(
        new Set(seen.map(({ subnetpool_id }) => subnetpool_id)),
        new Set(pools.slice(0, six ? 2 : 1).map(({ id }) => id)),
      );
      const [other] = await subnetsOf(stack, await networkBehind(stack, host, 'second'));
      assert.match(other!.cidr, /^10\.24\.\d+\.0\/24$/);
      assert.ok(!seen.some(({ cidr }) => cidr === other!.cidr));
      await start(host, 'box', '--network first');
      const { addresses } = await onlyInterface(host, 'box');
      assert.match(addresses[0]!, /^10\.24\.\d+\.\d+\/24$/);
      assert.equal(addresses[1]?.startsWith('fd00:24:') ?? false, six, addresses.join());
      await clear(host);
      await nothingMadeBy(stack, host);
      for (const { id } of pools) await stack.neutron.delete(`/subnetpools/${id}`);
    });

    test('a subnet that is there is used by its uuid or its name, with --subnet or without', async () => {
      const { network, subnets } = await users('mine', [
        { name: 'blue', cidr: '10.25.1.0/24', gateway_ip: '10.25.1.254' },
        { name: 'green', cidr: '10.25.2.0/24' },
      ]);
      const [blue, green] = subnets.map(({ id }) => id);
      const net = `-o neutron.net.uuid=${network.id} --ipam-opt neutron.net.uuid=${network.id}`;
      await create('by-uuid', `${net} -o neutron.subnet.uuid=${blue} --ipam-opt neutron.subnet.uuid=${blue}`);
      await create('by-name', `${net} --subnet 10.25.2.0/24 -o neutron.subnet.name=green`);
      // A subnet says of which network it is.
      await create('alone', `--ipam-opt neutron.subnet.uuid=${green}`);
      assert.equal((await subnetsOf(stack, network)).length, 2);
      await start(host, 'one', '--network by-uuid');
      await start(host, 'two', '--network by-name');
      await start(host, 'three', '--network alone');
      assert.match(await addressOf(host, 'one'), /^10\.25\.1\./);
      // Its gateway is Neutron's, where the user says none.
      assert.equal(await defaultRoute(host, 'one'), '10.25.1.254 eth0');
      assert.match(await addressOf(host, 'two'), /^10\.25\.2\./);
      assert.match(await addressOf(host, 'three'), /^10\.25\.2\./);
      assert.equal((await portsOn(stack, network)).length, 3);
      await reaches([host, 'two'], await addressOf(host, 'three'));
    });

    test('a port that is there is taken by its address or by its MAC, and put back', async () => {
      const { network, ports } = await users(
        'mine',
        [{ cidr: '10.26.0.0/24' }],
        [{ name: 'by-ip', fixed_ips: [{ ip_address: '10.26.0.50' }] }, { name: 'by-mac' }],
      );
      const [byIp, byMac] = ports;
      await create('n', '--subnet 10.26.0.0/24 -o neutron.net.name=mine');
      await start(host, 'one', '--network n --ip 10.26.0.50');
      await start(host, 'two', `--network n --mac-address ${byMac!.mac_address}`);
      assert.equal(await addressOf(host, 'two'), byMac!.fixed_ips[0]!.ip_address);
      assert.equal((await onlyInterface(host, 'two')).mac, byMac!.mac_address);
      const now = await portsOn(stack, network);
      assert.deepEqual(now.map(({ id }) => id).toSorted(), [byIp!.id, byMac!.id].toSorted());
      for (const port of now) assert.equal(port['binding:host_id'], host.name);
      await reaches([host, 'two'], '10.26.0.50');
      // Another container is not given what one has.
      const image = await host.image();
      assert.match(
        await dockerFails(host, `run -d --name late --network n --ip 10.26.0.50 ${image}`),
        /10\.26\.0\.50 is held/,
      );
      await reaches([host, 'two'], '10.26.0.50');
    });

    test('a port of somebody else is refused by its name, and left alone', async () => {
      const { network, ports } = await users(
        'mine',
        [{ cidr: '10.27.0.0/24' }],
        [{ name: 'database', device_owner: 'compute:nova', device_id: 'vm', fixed_ips: [{ ip_address: '10.27.0.5' }] }],
      );
      await create('n', '--subnet 10.27.0.0/24 -o neutron.net.name=mine');
      const image = await host.image();
      for (const flag of ['--ip 10.27.0.5', `--mac-address ${ports[0]!.mac_address}`]) {
        const said = await dockerFails(host, `run -d --name late --network n ${flag} ${image}`);
        assert.match(said, /'database'/);
        await docker(host, 'rm -f late');
      }
      assert.equal((await portsOn(stack, network))[0]!.device_id, 'vm');
    });

    test('two networks of Docker on one of Neutron: the end of one is nothing to the other', async () => {
      const { network } = await users('mine', [{ cidr: '10.28.0.0/24' }]);
      await create('same', '--subnet 10.28.0.0/24 --ip-range 10.28.0.0/26 -o neutron.net.name=mine');
      await create('again', '--subnet 10.28.0.0/24 --ip-range 10.28.0.128/26 -o neutron.net.name=mine');
      // Of these two, the first makes the subnet.
      await create('maker', '--subnet 10.28.1.0/24 -o neutron.net.name=mine');
      await create('taker', '--subnet 10.28.1.0/24 -o neutron.net.name=mine');
      assert.equal((await subnetsOf(stack, network)).length, 2);
      await start(host, 'one', '--network same');
      await start(host, 'two', '--network again');
      assert.match(await addressOf(host, 'one'), /^10\.28\.0\.([2-9]|[1-5]\d|6[0-3])$/);
      assert.match(await addressOf(host, 'two'), /^10\.28\.0\.1(2[89]|[3-8]\d|9[01])$/);
      await reaches([host, 'one'], await addressOf(host, 'two'));
      await docker(host, 'network rm maker');
      await docker(host, 'rm -f one');
      await docker(host, 'network rm same');
      await settled(host);
      assert.equal((await stack.neutron.get<NetworkSeen>(`/networks/${network.id}`)).tags.length, 2);
      await start(host, 'three', '--network taker');
      await start(host, 'four', '--network again');
      await reaches([host, 'four'], await addressOf(host, 'two'));
      assert.match(await addressOf(host, 'three'), /^10\.28\.1\./);
    });

    test('two networks of the same subnet, with the same address in both', async () => {
      for (const name of ['left', 'right']) await create(name, '--subnet 10.29.0.0/24 --gateway 10.29.0.1');
      const [left, right] = [await networkBehind(stack, host, 'left'), await networkBehind(stack, host, 'right')];
      for (const name of ['left', 'right']) await start(host, name, `--network ${name} --ip 10.29.0.9`);
      for (const [name, network] of [
        ['left', left],
        ['right', right],
      ] as const) {
        const port = await portWith(stack, network, '10.29.0.9');
        assert.equal(port.mac_address, (await onlyInterface(host, name)).mac);
      }
      await docker(host, 'rm -f left');
      await docker(host, 'network rm left');
      await settled(host);
      assert.equal((await stack.neutron.call('GET', `/networks/${left.id}`)).status, 404);
      await portWith(stack, right, '10.29.0.9');
      await start(host, 'more', '--network right');
      await reaches([host, 'more'], '10.29.0.9');
    });

    test("host routes are those of the port's own subnets", async () => {
      await users('mine', [
        { cidr: '10.30.1.0/24', host_routes: [{ destination: '198.51.100.0/24', nexthop: '10.30.1.7' }] },
        { cidr: '10.30.2.0/24', host_routes: [{ destination: '203.0.113.0/24', nexthop: '10.30.2.7' }] },
      ]);
      await create('n', '--subnet 10.30.1.0/24 --subnet 10.30.2.0/24 -o neutron.net.name=mine');
      const routes = async (name: string) => (await enter(host, name, 'ip', '-4', 'route')).stdout;
      await start(host, 'one', '--network n --ip 10.30.1.9');
      assert.match(await routes('one'), /198\.51\.100\.0\/24 via 10\.30\.1\.7/);
      assert.doesNotMatch(await routes('one'), /203\.0\.113/);
      await start(host, 'two', '--network n --ip 10.30.2.9');
      assert.match(await routes('two'), /203\.0\.113\.0\/24 via 10\.30\.2\.7/);
      assert.doesNotMatch(await routes('two'), /198\.51\.100/);
    });

    test('docker network connect and disconnect', async () => {
      await create('one', '--subnet 10.31.1.0/24');
      await create('two', '--subnet 10.31.2.0/24');
      const two = await networkBehind(stack, host, 'two');
      await start(host, 'box', '--network one');
      await start(host, 'peer', '--network two');
      for (const round of ['10.31.2.40', '10.31.2.41']) {
        await docker(host, `network connect --ip ${round} two box`);
        assert.equal((await interfaces(host, 'box')).length, 2);
        await reaches([host, 'box'], await addressOf(host, 'peer'));
        assert.equal((await portsOn(stack, two)).length, 2);
        await docker(host, 'network disconnect two box');
        assert.equal((await interfaces(host, 'box')).length, 1);
        await settled(host);
        assert.equal((await portsOn(stack, two)).length, 1);
      }
      assert.match(await addressOf(host, 'box'), /^10\.31\.1\./);
    });

    test('an agent that is killed and started again knows all of it', async () => {
      const { network, ports } = await users(
        'mine',
        [{ cidr: '10.33.0.0/24' }, { cidr: 'fd00:33::/64' }],
        [{ name: 'own', fixed_ips: [{ ip_address: '10.33.0.50' }] }],
      );
      await create('n', '--ipv6 --subnet 10.33.0.0/24 --subnet fd00:33::/64 -o neutron.net.name=mine');
      await create('made', '--subnet 10.34.0.0/24 --ip-range 10.34.0.64/29');
      await start(host, 'taken', '--network n --ip 10.33.0.50');
      await start(host, 'one', '--network made');
      const [before] = await portsOn(stack, network);
      await host.killBerth();
      await startNeutronAgent(host, patient);
      const [after, ...others] = await portsOn(stack, network);
      assert.deepEqual([after, others], [before, []]);
      assert.deepEqual([after!.id, after!.fixed_ips.length], [ports[0]!.id, 2]);
      await start(host, 'two', '--network made');
      assert.match(await addressOf(host, 'two'), /^10\.34\.0\.(6[4-9]|7[01])$/);
      await reaches([host, 'two'], await addressOf(host, 'one'));
      await start(host, 'beside', '--network n');
      for (const to of (await onlyInterface(host, 'taken')).addresses)
        await reaches([host, 'beside'], to.replace(/\/.*/, ''));
      await docker(host, 'rm -f one');
      await settled(host);
      assert.equal((await portsOn(stack, await networkBehind(stack, host, 'made'))).length, 1);
    });

    test('docker restart keeps a chosen address, and one port', async () => {
      await create('n', '--subnet 10.32.0.0/24');
      const network = await networkBehind(stack, host, 'n');
      await start(host, 'box', '--network n --ip 10.32.0.9');
      await start(host, 'peer', '--network n');
      for (let round = 0; round < 2; round++) {
        await docker(host, 'restart -t 0 box');
        assert.equal(await addressOf(host, 'box'), '10.32.0.9');
        const port = await portWith(stack, network, '10.32.0.9');
        assert.equal(port.mac_address, (await onlyInterface(host, 'box')).mac);
        await reaches([host, 'peer'], '10.32.0.9');
      }
      await docker(host, 'stop -t 0 box');
      await settled(host);
      assert.equal((await portsOn(stack, network)).length, 1);
      await docker(host, 'start box');
      assert.equal(await addressOf(host, 'box'), '10.32.0.9');
      assert.equal((await inspectNetwork(host, 'n')).IPAM.Config[0]!.Subnet, '10.32.0.0/24');
    });
  });
}

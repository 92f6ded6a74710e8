/** `docker network create` with every flag, and who gets which address. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../bed/process.ts';
import {
  addressOf,
  cannotReach,
  defaultRoute,
  docker,
  dockerFails,
  enter,
  inspectNetwork,
  onlyInterface,
  reaches,
  start,
} from './containers.ts';
import { type DockerStage, NEIGHBOUR } from './docker-stage.ts';

export function addressing(stage: DockerStage): void {
  for (const ipam of ['default', 'berth']) {
    test(`network create with every flag, addresses from the IPAM driver ${ipam}`, async () => {
      const { host } = stage();
      await docker(
        host,
        `network create --driver berth --ipam-driver ${ipam} --attachable --label team=blue
          --subnet 10.77.1.0/24 --ip-range 10.77.1.128/25 --gateway 10.77.1.254
          --aux-address nas=10.77.1.128 --aux-address printer=10.77.1.7
          --subnet 10.77.2.0/24 --ipv6 --subnet fd77:1::/64 --gateway fd77:1::1
          -o mtu=1400 -o masquerade=false -o interface_prefix=net every`,
      );
      const seen = await inspectNetwork(host, 'every');
      assert.equal(seen.Driver, 'berth');
      assert.equal(seen.IPAM.Driver, ipam);
      assert.deepEqual([seen.Attachable, seen.EnableIPv6, seen.Internal], [true, true, false]);
      assert.deepEqual(seen.Labels, { team: 'blue' });
      assert.equal(seen.Options.mtu, '1400');
      const configs = new Map(seen.IPAM.Config.map((config) => [config.Subnet, config]));
      assert.deepEqual([...configs.keys()].sort(), ['10.77.1.0/24', '10.77.2.0/24', 'fd77:1::/64']);
      const first = configs.get('10.77.1.0/24')!;
      assert.equal(first.Gateway, '10.77.1.254');
      assert.equal(first.IPRange, '10.77.1.128/25');
      assert.deepEqual(first.AuxiliaryAddresses, { nas: '10.77.1.128', printer: '10.77.1.7' });

      await start(host, 'first', '--network every');
      const card = await onlyInterface(host, 'first');
      assert.equal(card.name, 'net0');
      assert.equal(card.mtu, 1400);
      // Of several subnets the command line makes a random one the first (a map of Go); automatic addresses are from that.
      const inFirst = seen.IPAM.Config.find(({ Subnet }) => !Subnet.includes(':')) === first;
      const expected = inFirst ? '10.77.1.129' : '10.77.2.2';
      assert.deepEqual(card.addresses, [`${expected}/24`, 'fd77:1::2/64']);
      assert.equal(await defaultRoute(host, 'first'), `${inFirst ? '10.77.1.254' : '10.77.2.1'} net0`);
      assert.equal(await defaultRoute(host, 'first', 6), 'fd77:1::1 net0');

      await start(host, 'chosen', '--network every --ip 10.77.1.9 --ip6 fd77:1::99');
      assert.deepEqual((await onlyInterface(host, 'chosen')).addresses, ['10.77.1.9/24', 'fd77:1::99/64']);
      // In the second subnet: the gateway is that one's.
      await start(host, 'second', '--network every --ip 10.77.2.9');
      assert.equal(await addressOf(host, 'second'), '10.77.2.9');
      assert.equal(await defaultRoute(host, 'second'), '10.77.2.1 net0');

      await reaches([host, 'first'], '10.77.1.9');
      await reaches([host, 'first'], 'fd77:1::99');
      await reaches([host, 'first'], '10.77.1.254');
      await reaches([host, 'second'], expected);
      await reaches(host, expected);
      await reaches(host, 'fd77:1::2');

      // The engine's endpoints, as inspect tells them, are what is in the containers.
      const { Containers, Id } = await inspectNetwork(host, 'every');
      for (const { Name, MacAddress, IPv4Address, IPv6Address } of Object.values(Containers)) {
        const { mac, addresses } = await onlyInterface(host, Name);
        assert.equal(MacAddress, mac);
        assert.deepEqual([IPv4Address, IPv6Address], addresses);
      }
      assert.equal(Object.keys(Containers).length, 3);
      assert.match(await dockerFails(host, 'network rm every'), /has active endpoints/);
      const { stdout } = await host.berth('network', 'inspect', Id, '--json');
      assert.equal((JSON.parse(stdout) as { endpoints: number }[])[0]?.endpoints, 3);
    });
  }

  test('an address that is taken is refused, naming who holds it', async () => {
    const { host } = stage();
    await docker(host, `${create} --aux-address nas=10.77.1.5 --subnet 10.77.1.0/24 n`);
    await start(host, 'holder', '--network n --ip 10.77.1.9');
    await waitFor('the name of the holder to be known', async () =>
      (await host.berth('endpoint', 'ls', '--json')).stdout.includes('"holder"'),
    );
    const refused = async (address: string) => {
      const said = await dockerFails(host, `run -d --name late --network n --ip ${address} ${await host.image()}`);
      await docker(host, 'rm -f late');
      return said;
    };
    assert.match(await refused('10.77.1.9'), /10\.77\.1\.9 is held by the container holder/);
    assert.match(await refused('10.77.1.5'), /10\.77\.1\.5 is (held|reserved)/);
    assert.match(await refused('10.77.1.1'), /10\.77\.1\.1 is .*gateway/);
    // The refusals have taken nothing from the holder, and left nothing behind.
    await reaches([host, 'holder'], '10.77.1.1');
    assert.match(await refused('10.77.1.9'), /10\.77\.1\.9 is held by the container holder/);
    const { stdout } = await host.berth('lease', 'ls', '--json');
    assert.deepEqual((JSON.parse(stdout) as { address: string }[]).map(({ address }) => address).sort(), [
      '10.77.1.1',
      '10.77.1.5',
      '10.77.1.9',
    ]);
  });

  test('the lowest free address comes first', async () => {
    const { host } = stage();
    await docker(host, `${create} --subnet 10.77.1.0/28 n`);
    await start(host, 'one', '--network n');
    await start(host, 'fixed', '--network n --ip 10.77.1.4');
    await start(host, 'two', '--network n');
    await start(host, 'three', '--network n');
    assert.deepEqual(await Promise.all(['one', 'two', 'three'].map((name) => addressOf(host, name))), [
      '10.77.1.2',
      '10.77.1.3',
      '10.77.1.5',
    ]);
    await docker(host, 'rm -f two');
    await start(host, 'four', '--network n');
    assert.equal(await addressOf(host, 'four'), '10.77.1.3');
    await reaches([host, 'one'], '10.77.1.3');
  });

  test('a full subnet says so', async () => {
    const { host } = stage();
    await docker(host, `${create} --subnet 10.77.1.0/30 n`);
    await start(host, 'last', '--network n');
    assert.equal(await addressOf(host, 'last'), '10.77.1.2');
    const said = await dockerFails(host, `run -d --name late --network n ${await host.image()}`);
    assert.match(said, /10\.77\.1\.0\/30/);
    await docker(host, 'rm -f last');
    await docker(host, 'start late');
  });

  for (const ipam of ['default', 'berth']) {
    test(`a container that wants no IPv6 keeps its IPv4 network, IPAM driver ${ipam}`, async () => {
      const { host } = stage();
      const subnets = '--subnet 10.77.1.0/24 --ipv6 --subnet fd77:1::/64';
      await docker(host, `network create --driver berth --ipam-driver ${ipam} ${subnets} n`);
      await start(host, 'four', '--network n --sysctl net.ipv6.conf.all.disable_ipv6=1');
      assert.deepEqual((await onlyInterface(host, 'four')).addresses, ['10.77.1.2/24']);
      // Engines from 28 on give its IPv6 address back, and then to the next.
      await start(host, 'both', '--network n');
      await reaches([host, 'both'], '10.77.1.2');
      await reaches([host, 'both'], 'fd77:1::1');
      await docker(host, 'rm -f both');
      await reaches([host, 'four'], '10.77.1.1');
    });
  }

  test("automatic subnets stay clear of the host's routes, the engine's networks and each other", async () => {
    const { host } = stage();
    const subnets = async (name: string) => (await inspectNetwork(host, name)).IPAM.Config.map(({ Subnet }) => Subnet);
    await host.ip('route add 10.201.0.0/24 via 10.8.65.1', 'route add 10.201.2.0/23 via 10.8.65.1');
    try {
      await docker(host, 'network create --subnet 10.201.4.0/24 theirs');
      for (const name of ['a', 'b', 'c']) await docker(host, `${create} --ipv6 ${name}`);
      const [a, b, c] = await Promise.all(['a', 'b', 'c'].map(subnets));
      assert.deepEqual([a![0], b![0], c![0]], ['10.201.1.0/24', '10.201.5.0/24', '10.201.6.0/24']);
      const v6 = [a!, b!, c!].map((both) => both[1]);
      for (const subnet of v6) assert.match(subnet!, /^fd[0-9a-f:]+::\/64$/);
      assert.equal(new Set(v6).size, 3);
      // What is free again is used again.
      await docker(host, 'network rm a');
      await docker(host, `${create} d`);
      assert.deepEqual(await subnets('d'), ['10.201.1.0/24']);
      await start(host, 'box', '--network b');
      assert.equal((await onlyInterface(host, 'box')).addresses.length, 2);
      await reaches([host, 'box'], NEIGHBOUR);
    } finally {
      await host.ip('route del 10.201.0.0/24', 'route del 10.201.2.0/23');
    }
  });

  test('a subnet or option that cannot be is refused', async () => {
    const { host } = stage();
    const refused = (flags: string) => dockerFails(host, `${create} ${flags} bad`);
    assert.match(await refused('--subnet 10.8.65.0/25'), /10\.8\.65\.0\/25 overlaps 10\.8\.65\.0\/24.*eth0/);
    assert.match(await refused('-o mtuu=1400'), /'mtuu' is not known; did you mean 'mtu'\?/);
    assert.match(await refused('-o mtu=100'), /'mtu' is a whole number from 1280/);
    await docker(host, `${create} --subnet 10.77.0.0/16 wide`);
    assert.match(
      await dockerFails(host, `run -d --network name=wide,driver-opt=speed=9 ${await host.image()}`),
      /the option 'speed' is not known/,
    );
    assert.match(await refused('--subnet 10.77.3.0/24'), /10\.77\.3\.0\/24 overlaps 10\.77\.0\.0\/16/);
  });

  test("the engine's own drivers with addresses from Berth", async () => {
    const { host, neighbour } = stage();
    await docker(host, 'network create -d bridge --ipam-driver berth --subnet 10.78.1.0/24 br');
    await start(host, 'bridged', '--network br');
    assert.equal(await addressOf(host, 'bridged'), '10.78.1.2');
    await reaches([host, 'bridged'], NEIGHBOUR);
    await docker(
      host,
      `network create -d macvlan --ipam-driver berth -o parent=eth0
        --subnet 10.8.65.0/24 --gateway 10.8.65.1 --ip-range 10.8.65.128/26 mv`,
    );
    await start(host, 'physical', '--network mv');
    assert.equal(await addressOf(host, 'physical'), '10.8.65.128');
    await reaches([host, 'physical'], NEIGHBOUR);
    await reaches(neighbour, '10.8.65.128');
    await start(host, 'fixed', '--network mv --ip 10.8.65.190');
    assert.match(
      await dockerFails(host, `run -d --name late --network mv --ip 10.8.65.190 ${await host.image()}`),
      /10\.8\.65\.190 is held/,
    );
    await reaches([host, 'fixed'], '10.8.65.128');
  });

  test('without addresses, a network is a plain segment', async () => {
    const { host } = stage();
    await docker(host, 'network create -d berth --ipam-driver null bare');
    await start(host, 'one', '--network bare --cap-add NET_ADMIN');
    await start(host, 'two', '--network bare --cap-add NET_ADMIN');
    assert.deepEqual((await onlyInterface(host, 'one')).addresses, []);
    await enter(host, 'one', 'ip', 'address', 'add', '192.0.2.1/24', 'dev', 'eth0');
    await enter(host, 'two', 'ip', 'address', 'add', '192.0.2.2/24', 'dev', 'eth0');
    await reaches([host, 'one'], '192.0.2.2');
    await cannotReach([host, 'one'], NEIGHBOUR);
  });
}

const create = 'network create --driver berth --ipam-driver berth';

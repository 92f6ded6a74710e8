/**
 * Addresses of the LAN's own DHCP server, a real dnsmasq: what Docker is told, what the server sees, and that nothing is left
 * there in the end.
 */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import {
  addressOf,
  defaultRoute,
  docker,
  dockerFails,
  enter,
  inspect,
  onlyInterface,
  reaches,
  start,
} from './suites/containers.ts';
import { createNetwork, dhcpStage, GATEWAY, restartServer, served, usual } from './suites/dhcp-stage.ts';

for (const engine of ['20.10', '28.5'] as const) {
  describe(`addresses from a DHCP server, engine ${engine}`, () => {
    const stage = dhcpStage(engine);

    test('a container is a machine of the LAN, and Docker shows its address', async () => {
      const { host, other, server } = stage();
      await createNetwork(host);
      await start(host, 'web', '--network lan');
      const { IPAddress, MacAddress } = (await inspect(host, 'web')).NetworkSettings.Networks.lan!;
      assert.match(IPAddress, /^192\.168\.7\.1\d\d$/);
      assert.equal(await addressOf(host, 'web'), IPAddress);
      assert.equal((await onlyInterface(host, 'web')).mac, MacAddress);
      assert.equal(await defaultRoute(host, 'web'), `${GATEWAY} eth0`);
      await reaches(other, IPAddress);
      await reaches([host, 'web'], '203.0.113.10');
      assert.deepEqual(server.leases(), [
        { mac: MacAddress, address: IPAddress, name: 'web', clientId: `01:${MacAddress}` },
      ]);
      await docker(host, 'rm -f web');
      await served(server, []);
    });

    test('a restart keeps the lease, in one round', async () => {
      const { host, other, server } = stage();
      await createNetwork(host);
      await start(host, 'web', '--network lan');
      const address = await addressOf(host, 'web');
      const before = (await server.log()).length;
      await docker(host, 'restart -t 0 web');
      assert.equal(await addressOf(host, 'web'), address);
      await docker(host, 'stop -t 0 web');
      await served(server, [address]);
      await docker(host, 'start web');
      assert.equal(await addressOf(host, 'web'), address);
      await reaches(other, address);
      const since = (await server.log()).slice(before);
      assert.match(since, /DHCPREQUEST.*\n(.*\n)*.*DHCPREQUEST/);
      assert.doesNotMatch(since, /DHCPDISCOVER|DHCPRELEASE|DHCPOFFER/);
    });
  });
}

describe('what a DHCP server may say', () => {
  const stage = dhcpStage();

  test('routes, MTU and a name are heeded', async () => {
    const { host, server } = stage();
    const flags = ['--dhcp-option=121,0.0.0.0/0,192.168.7.10,10.9.0.0/16,192.168.7.20', '--domain=lan.example'];
    await restartServer(server, { ...usual, mtu: 1400, dns: '192.168.7.3', flags });
    await createNetwork(host);
    await start(host, 'web', '--network lan');
    assert.equal((await onlyInterface(host, 'web')).mtu, 1400);
    assert.equal(await defaultRoute(host, 'web'), '192.168.7.10 eth0', 'RFC 3442: before the router option');
    const { stdout } = await enter(host, 'web', 'ip', 'route', 'show', '10.9.0.0/16');
    assert.match(stdout, /via 192\.168\.7\.20 dev eth0/);
    const shown = await host.berth('lease', 'inspect', await addressOf(host, 'web'), '--json');
    const [{ dhcp }] = JSON.parse(shown.stdout) as [{ dhcp: Record<string, unknown> }];
    assert.deepEqual([dhcp.server, dhcp.dns, dhcp.domain], ['192.168.7.3', ['192.168.7.3'], 'lan.example']);
    await docker(host, 'rm -f web');
    await served(server, []);
    await restartServer(server, usual);
  });

  test('an MTU that the link cannot have is passed over', async () => {
    const { host, server } = stage();
    await restartServer(server, { ...usual, mtu: 9000 });
    await createNetwork(host);
    await start(host, 'big', '--network lan');
    assert.equal((await onlyInterface(host, 'big')).mtu, 1500);
    await restartServer(server, { ...usual, mtu: 576 });
    await start(host, 'small', '--network lan');
    assert.equal((await onlyInterface(host, 'small')).mtu, 1500);
    await restartServer(server, usual);
  });

  test('a reservation by MAC, and one by the name that the user gave', async () => {
    const { host, server } = stage();
    const mac = '02:11:22:33:44:55';
    await restartServer(server, {
      ...usual,
      flags: [`--dhcp-host=${mac},192.168.7.50`, '--dhcp-host=db-1,192.168.7.51'],
    });
    await createNetwork(host);
    await start(host, 'web', `--network lan --mac-address ${mac}`);
    assert.equal(await addressOf(host, 'web'), '192.168.7.50');
    await docker(host, `create --name db --network none ${await host.image()} sleep 1000000`);
    await docker(host, 'network disconnect none db');
    await docker(host, 'start db');
    const { MacAddress: first } = await plugged('db', 'identity=main', 'hostname=db-1');
    assert.equal(await addressOf(host, 'db'), '192.168.7.51');
    await docker(host, 'rm -f db');
    await docker(host, `run -d --name other --network none ${await host.image()} sleep 1000000`);
    await docker(host, 'network disconnect none other');
    const { MacAddress: second } = await plugged('other', 'identity=main', 'hostname=db-1');
    assert.equal(second, first, 'who has the name has the MAC');

    async function plugged(container: string, ...options: string[]) {
      const given = options.map((option) => `--driver-opt ${option}`).join(' ');
      await docker(host, `network connect ${given} lan ${container}`);
      return (await inspect(host, container)).NetworkSettings.Networks.lan!;
    }
    await docker(host, 'rm -f web other');
    await served(server, []);
    await restartServer(server, usual);
  });

  test('what the user asks for: a lease time, a name in a domain, a client id, an address', async () => {
    const { host, server } = stage();
    await restartServer(server, {
      ...usual,
      flags: [
        '--domain=lan.example',
        '--dhcp-host=id:box-7,192.168.7.60',
        '--dhcp-option=249,10.9.0.0/16,192.168.7.20',
      ],
    });
    await createNetwork(host, 'lan', '-o dhcp_domain=lan.example', '-o dhcp_lease_time=600');
    await start(host, 'c1', '--network lan --hostname nas');
    assert.deepEqual(
      server.leases().map(({ name }) => name),
      ['nas'],
    );
    await docker(host, 'rm -f c1');
    await served(server, []);
    const before = (await server.log()).length;
    await start(host, 'web', '--network lan');
    const said = (await server.log()).slice(before);
    assert.match(said, /client provides name: web\.lan\.example/);
    assert.match(said, /lease-time\s+10m/);
    assert.deepEqual(
      server.leases().map(({ name }) => name),
      ['web'],
    );
    const { stdout: routes } = await enter(host, 'web', 'ip', 'route', 'show', '10.9.0.0/16');
    assert.match(routes, /via 192\.168\.7\.20 dev eth0/);

    await docker(host, `run -d --name box --network none ${await host.image()} sleep 1000000`);
    await docker(host, 'network disconnect none box');
    const connect = 'network connect --driver-opt';
    await docker(host, `${connect} client_id=box-7 lan box`);
    assert.equal((await inspect(host, 'box')).NetworkSettings.Networks.lan!.IPAddress, '192.168.7.60');
    await docker(host, 'network disconnect lan box');
    await docker(host, `${connect} ip=192.168.7.155 lan box`);
    assert.equal(await addressOf(host, 'box'), '192.168.7.155');
    await docker(host, 'network disconnect lan box');
    const refused = await dockerFails(host, `${connect} ip=192.168.99.1 lan box`);
    assert.match(refused, /the DHCP server on br0 gives 192\.168\.7\.\d+, and not 192\.168\.99\.1/);
    await docker(host, 'rm -f web box');
    await served(server, []);
    await restartServer(server, usual);
  });

  test('no server: an error that says so, within the time that Docker has', async () => {
    const { host, server } = stage();
    await server.stop();
    await createNetwork(host);
    const refused = await dockerFails(host, `run -d --name web --network lan ${await host.image()} sleep 1000000`);
    assert.match(refused, /no DHCP server answered container web on br0 within 8 s/);
    await server.start();
    await docker(host, 'start web');
    assert.deepEqual(
      server.leases().map(({ name }) => name),
      ['web'],
    );
  });

  test('an exhausted pool refuses the next one, and takes it when there is room', async () => {
    const { host, server } = stage();
    await restartServer(server, { ...usual, range: ['192.168.7.100', '192.168.7.101'] });
    await createNetwork(host);
    await start(host, 'c1', '--network lan');
    await start(host, 'c2', '--network lan');
    await dockerFails(host, `run -d --name c3 --network lan ${await host.image()} sleep 1000000`);
    await docker(host, 'rm -f c1');
    await served(server, [await addressOf(host, 'c2')]);
    await docker(host, 'start c3');
    assert.notEqual(await addressOf(host, 'c3'), await addressOf(host, 'c2'));
    await docker(host, 'rm -f c2 c3');
    await served(server, []);
    await restartServer(server, usual);
  });

  test('options that do not go together are refused', async () => {
    const { host } = stage();
    const create = 'network create -d berth-lan';
    assert.match(await dockerFails(host, `${create} -o dhcp=true --subnet 192.168.7.0/24 lan`), /--ipam-driver null/);
    assert.match(
      await dockerFails(host, `${create} --ipam-driver null -o dhcp=perhaps lan`),
      /'dhcp' is true or false/,
    );
    assert.match(await dockerFails(host, `${create} --ipam-driver null -o dhcp_client_id=mac lan`), /goes with 'dhcp'/);
  });
});

for (const engine of ['20.10', '28.5'] as const) {
  describe(`many containers, engine ${engine}`, () => {
    const stage = dhcpStage(engine);

    for (const [title, told, rounds] of [
      ['one after the other, ten times', 'depends_on: [db]', 10],
      ['at the same moment, told apart by their ports', 'expose: ["80"]', 3],
    ] as const)
      test(`compose up and down, ${title}: the same addresses each time, and nothing is left`, async () => {
        const { host, other, server } = stage();
        const file = join(host.dir, 'compose.yaml');
        writeFileSync(
          file,
          `
services:
  web:
    image: ${await host.image()}
    command: [sleep, "1000000"]
    networks: { lan: {} }
    ${told}
  db:
    image: ${await host.image()}
    command: [sleep, "1000000"]
    networks: { lan: {} }
    expose: ["5432"]
networks:
  lan: { driver: berth-lan, driver_opts: { dhcp: "true" }, ipam: { driver: "null" } }
`,
        );
        const project = ['-f', file, '-p', 'demo'];
        const seen = new Set<string>();
        for (let round = 1; round <= rounds; round += 1) {
          await host.compose(...project, 'up', '-d');
          const services = ['demo-db-1', 'demo-web-1'];
          const addresses = await Promise.all(services.map((name) => addressOf(host, name)));
          const inspected = await Promise.all(services.map((name) => inspect(host, name)));
          const macs = inspected.map(({ NetworkSettings }) => Object.values(NetworkSettings.Networks)[0]!.MacAddress);
          // dnsmasq chooses an address by a hash of the MAC: where both have the same, the first that asks gets it, and the other the next.
          seen.add([...macs, ...addresses.toSorted()].join(' '));
          if (round === 1) for (const address of addresses) await reaches(other, address);
          await host.compose(...project, 'down', '--timeout', '0');
          await served(server, []);
        }
        assert.equal(seen.size, 1, [...seen].join(', '));
      });

    test('of several that were stopped, each has its own address again when it is started', async () => {
      const { host, server } = stage();
      await createNetwork(host);
      const names = ['web', 'db', 'cache'];
      for (const name of names) await start(host, name, '--network lan');
      const addresses = await Promise.all(names.map((name) => addressOf(host, name)));
      await docker(host, `stop -t 0 ${names.join(' ')}`);
      for (const name of ['cache', 'web', 'db']) {
        await docker(host, `start ${name}`);
        assert.equal(await addressOf(host, name), addresses[names.indexOf(name)], name);
      }
      await served(server, addresses);
      await docker(host, `rm -f ${names.join(' ')}`);
      await served(server, []);
    });

    test('fifty at once', async (context) => {
      const { host, server } = stage();
      await createNetwork(host);
      const names = Array.from({ length: 50 }, (_, index) => `c${index}`);
      const image = await host.image();
      const began = performance.now();
      await Promise.all(
        names.map((name) => docker(host, `run -d --name ${name} --network lan ${image} sleep 1000000`)),
      );
      context.diagnostic(`50 containers in ${Math.round(performance.now() - began)} ms`);
      const addresses = await Promise.all(names.map((name) => addressOf(host, name)));
      assert.equal(new Set(addresses).size, 50);
      await served(server, addresses);
      await docker(host, `rm -f ${names.join(' ')}`);
      await served(server, []);
    });
  });
}

/** DHCP in every mode of the LAN, by our IPAM, and across what stops and starts: engines that are killed, a host that reboots. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatAddress, parseAddress } from '../../src/model/address.ts';
import type { Host } from './bed/host.ts';
import { waitFor } from './bed/process.ts';
import {
  addressOf,
  defaultRoute,
  docker,
  dockerFails,
  inspect,
  interfaces,
  onlyInterface,
  reaches,
  start,
} from './suites/containers.ts';
import { createNetwork, dhcpStage, GATEWAY, mark, restartServer, served, told, usual } from './suites/dhcp-stage.ts';

/** To be renewed after 3 s. */
const short = { ...usual, lease: 120, renew: 3, rebind: 6 };

describe('by the mode of the network', () => {
  const stage = dhcpStage();

  for (const variant of ['private', 'vepa', 'passthru']) {
    test(`macvlan, ${variant}: leased before there is an interface, renewed from within`, async () => {
      const { host, lan, other, server } = stage();
      await lan.plug(host, { name: `eth-${variant}` });
      await restartServer(server, short);
      await createNetwork(host, 'lan', '-o mode=macvlan', `-o macvlan_mode=${variant}`, `-o parent=eth-${variant}`);
      const since = await mark(host);
      await start(host, 'web', '--network lan');
      const address = await addressOf(host, 'web');
      await reaches(other, address);
      await told(host, 'dhcp.renewed', since);
      await docker(host, 'restart -t 0 web');
      assert.equal(await addressOf(host, 'web'), address);
      await reaches(other, address);
      await docker(host, 'rm -f web');
      await served(server, []);
      await restartServer(server, usual);
    });
  }

  test('macvlan: leased on the parent, renewed from within, and reached by the host, too', async () => {
    const { host, lan, other, server } = stage();
    await lan.plug(host, { name: 'eth1', addresses: ['192.168.7.21/24'] });
    await restartServer(server, short);
    await createNetwork(host, 'lan', '-o mode=macvlan', '-o parent=eth1');
    const since = await mark(host);
    await start(host, 'web', '--network lan');
    const address = await addressOf(host, 'web');
    await reaches(other, address);
    await reaches(host, address);
    assert.equal(await defaultRoute(host, 'web'), `${GATEWAY} eth0`);
    assert.match(await told(host, 'dhcp.renewed', since), /"asked":"renew"/);
    await start(host, 'db', '--network lan');
    assert.notEqual(await addressOf(host, 'db'), address);
    await docker(host, 'rm -f web db');
    await served(server, []);
    await restartServer(server, usual);
  });
});

for (const engine of ['20.10', '28.5'] as const) {
  describe(`by our IPAM, engine ${engine}`, () => {
    const stage = dhcpStage(engine);
    const create = 'network create -d berth-lan --ipam-driver berth-lan --ipam-opt dhcp=true --ipam-opt bridge=br0';

    test('an address of the server, with and without a subnet', async () => {
      const { host, other, server } = stage();
      for (const subnet of ['', '--subnet 192.168.7.0/24 --gateway 192.168.7.2']) {
        await docker(host, `${create} ${subnet} lan`);
        await start(host, 'web', '--network lan');
        const address = await addressOf(host, 'web');
        assert.equal((await inspect(host, 'web')).NetworkSettings.Networks.lan!.IPAddress, address);
        assert.equal(await defaultRoute(host, 'web'), `${GATEWAY} eth0`);
        await reaches(other, address);
        await served(server, [address]);
        await docker(host, 'restart -t 0 web');
        assert.equal(await addressOf(host, 'web'), address);
        await start(host, 'db', '--network lan --ip 192.168.7.177', 'sleep 1000000').catch(async () => {
          // Engines take --ip only where the user gave the subnet.
          assert.equal(subnet, '');
          await docker(host, 'rm -f db');
        });
        if (subnet !== '') assert.equal(await addressOf(host, 'db'), '192.168.7.177');
        await docker(host, 'rm -f web db').catch(() => undefined);
        await served(server, []);
        await docker(host, 'network rm lan');
      }
    });

    test('an engine that is killed, and started again', async () => {
      const { host, other, server } = stage();
      await docker(host, `${create} lan`);
      await start(host, 'web', '--restart always --network lan');
      const address = await addressOf(host, 'web');
      await host.killEngine();
      await host.startEngine();
      await waitFor('the container', async () => (await inspect(host, 'web')).State.Running, 30_000);
      assert.equal(await addressOf(host, 'web'), address);
      await reaches(other, address);
      await docker(host, 'rm -f web');
      await served(server, []);
    });
  });
}

describe('across what stops', () => {
  const stage = dhcpStage();

  async function losesItsState(host: Host): Promise<void> {
    await host.stopBerth();
    await host.sh('rm -rf /var/lib/berth/*');
    await host.startBerth();
  }

  test('an engine that is killed, and started again', async () => {
    const { host, other, server } = stage();
    await createNetwork(host);
    await start(host, 'web', '--restart always --network lan');
    const address = await addressOf(host, 'web');
    await host.killEngine();
    await host.startEngine();
    await waitFor('the container', async () => (await inspect(host, 'web')).State.Running, 30_000);
    assert.equal(await addressOf(host, 'web'), address);
    await reaches(other, address);
    await docker(host, 'rm -f web');
    await served(server, []);
  });

  test('a host that loses its power: those that start by themselves are known by their ports', async () => {
    const { host, other, server } = stage();
    await createNetwork(host);
    await start(host, 'web', '--restart always --expose 80 --network lan');
    await start(host, 'db', '--restart always --expose 5432 --network lan');
    await start(host, 'stopped', '--network lan');
    const names = ['web', 'db', 'stopped'];
    const addresses = await Promise.all(names.map((name) => addressOf(host, name)));
    await host.powerOff();
    await host.powerOn();
    await host.startBerth();
    await host.startEngine();
    for (const [index, name] of ['web', 'db'].entries()) {
      await waitFor(`container ${name}`, async () => (await inspect(host, name)).State.Running, 30_000);
      assert.equal(await addressOf(host, name), addresses[index], name);
      await reaches(other, addresses[index]!);
    }
    await docker(host, 'start stopped');
    assert.equal(await addressOf(host, 'stopped'), addresses[2]);
    assert.deepEqual(
      server
        .leases()
        .map(({ name }) => name)
        .toSorted(),
      ['db', 'stopped', 'web'],
    );
    await docker(host, 'rm -f web db stopped');
    await served(server, []);
  });

  for (const clientId of ['mac', 'identity'])
    test(`an agent that has lost its state takes the leases over, and gives them back in the end: client id by ${clientId}`, async () => {
      const { host, other, server } = stage();
      // By which a host knows itself again; one that was installed has it.
      await host.sh('cat /proc/sys/kernel/random/uuid | tr -d - >/etc/machine-id');
      await losesItsState(host);
      await restartServer(server, short);
      await createNetwork(host, 'lan', `-o dhcp_client_id=${clientId}`);
      await start(host, 'web', '--network lan');
      const address = await addressOf(host, 'web');
      await losesItsState(host);
      assert.match(await told(host, 'dhcp.adopted', 0), new RegExp(address.replaceAll('.', '\\.')));
      await told(host, 'dhcp.renewed', 0);
      await reaches(other, address);
      await docker(host, 'rm -f web');
      await served(server, []);
      await restartServer(server, usual);
    });

  test('a container that is taken off the network gives its address back', async () => {
    const { host, server } = stage();
    await createNetwork(host);
    await start(host, 'web', '--network bridge');
    await docker(host, 'network connect lan web');
    assert.equal(server.leases().length, 1);
    await docker(host, 'network disconnect lan web');
    await served(server, []);
    assert.equal((await interfaces(host, 'web')).length, 1);
    assert.match(
      await dockerFails(host, 'network connect --driver-opt identity=a/b lan web'),
      /'identity' is up to 64/,
    );
  });
});

for (const engine of ['20.10', '28.5'] as const) {
  describe(`IPv6 by what a router advertises, engine ${engine}`, () => {
    const stage = dhcpStage(engine);

    test('an address of the prefix, which Docker shows, and the router as the way out', async () => {
      const { host, other, server } = stage();
      await server.machine.ip('address add 2001:db8:7::3/64 dev eth0 nodad');
      await other.ip('address add 2001:db8:7::10/64 dev eth0 nodad');
      await server.machine.sh('echo 1 >/proc/sys/net/ipv6/conf/all/forwarding');
      await restartServer(server, { ...usual, flags: ['--enable-ra', '--dhcp-range=2001:db8:7::,ra-only,64,10m'] });
      await createNetwork(host, 'lan', '-o ipv6=slaac');
      await start(host, 'web', '--network lan');
      const { GlobalIPv6Address, MacAddress } = (await inspect(host, 'web')).NetworkSettings.Networks.lan!;
      const [, b, c, d, e, f] = MacAddress.split(':');
      const made = parseAddress(`2001:db8:7:0:${b}:${c}ff:fe${d}:${e}${f}`)!;
      assert.equal(GlobalIPv6Address, formatAddress(made), `of ${MacAddress}`);
      const { addresses } = await onlyInterface(host, 'web');
      assert.ok(addresses.includes(`${GlobalIPv6Address}/64`), addresses.join());
      await reaches(other, GlobalIPv6Address);
      await waitFor('a default route', async () => /^fe80::.* eth0$/.test(await defaultRoute(host, 'web', 6)));
      await docker(host, 'restart -t 0 web');
      assert.equal((await inspect(host, 'web')).NetworkSettings.Networks.lan!.GlobalIPv6Address, GlobalIPv6Address);
      await docker(host, 'rm -f web');
      await served(server, []);

      // Without a router there is IPv4 all the same.
      await restartServer(server, usual);
      const since = await mark(host);
      // What a router has said serves others for some seconds.
      await waitFor('a start without IPv6', async () => {
        await docker(host, 'rm -f web').catch(() => undefined);
        await start(host, 'web', '--network lan');
        return (await inspect(host, 'web')).NetworkSettings.Networks.lan!.GlobalIPv6Address === '';
      });
      await told(host, 'dhcp.no-router', since);
      await reaches(other, await addressOf(host, 'web'));
      await docker(host, 'rm -f web');
      await served(server, []);
    });
  });
}

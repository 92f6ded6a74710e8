/** `berth attach --dhcp`: a running container with an address of the LAN's own DHCP server. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { repository } from './bed/machine.ts';
import { attach, berth, berthFails, FLAGS, hasAddresses } from './suites/attach-stage.ts';
import { defaultRoute, docker, enter, interfaces, reaches, start } from './suites/containers.ts';
import { createNetwork, dhcpStage, GATEWAY, mark, restartServer, served, told, usual } from './suites/dhcp-stage.ts';

describe('berth attach with DHCP', () => {
  const stage = dhcpStage('20.10', FLAGS);

  test('the lease is the container’s as long as it is attached, over restarts, and given back after', async () => {
    const { host, other, server } = stage();
    await start(host, 'web', '--network none');
    const { addresses, gateways, mac, interface: link } = await attach(host, 'web --bridge br0 --dhcp');
    assert.match(addresses.join(), /^192\.168\.7\.1[0-9]{2}\/24$/);
    assert.deepEqual([link, gateways], ['eth1', [GATEWAY]]);
    const [address = ''] = addresses.map((one) => one.replace(/\/.*/, ''));
    await served(server, [address]);
    assert.deepEqual(
      server.leases().map((lease) => [lease.mac, lease.name]),
      [[mac, 'web']],
    );
    const plugged = async () => {
      await hasAddresses(host, 'web', 'eth1', addresses);
      assert.equal(await defaultRoute(host, 'web'), `${GATEWAY} eth1`);
      await reaches(other, address);
    };
    await plugged();
    await docker(host, 'restart -t 0 web');
    await plugged();
    await enter(host, 'web', 'ip', 'link', 'delete', 'eth1');
    await plugged();
    await host.killBerth();
    await docker(host, 'restart -t 0 web');
    await host.startBerth(FLAGS);
    await plugged();
    await berth(host, 'detach web');
    assert.deepEqual(await interfaces(host, 'web'), []);
    await served(server, []);
    // By its name it is known again: the same MAC, and so the same address.
    assert.equal((await attach(host, 'web --bridge br0 --dhcp')).mac, mac);
    await plugged();
    await berth(host, 'detach web');
    await served(server, []);
  });

  test('a refused address is taken from it, is not put back by a repair, and comes back with its route', async () => {
    const { host, lan, other, server } = stage();
    await restartServer(server, { ...usual, lease: 120, renew: 3, rebind: 6 });
    await start(host, 'web', '--network none');
    const { addresses } = await attach(host, 'web --bridge br0 --dhcp');
    await hasAddresses(host, 'web', 'eth1', addresses);
    await server.stop();
    const rogue = await lan.machine('refuser', '192.168.7.66/24');
    const since = await mark(host);
    const refuser = await rogue.netSpawn([process.execPath, join(repository, 'test/e2e/bed/rogue-dhcp.ts'), 'refuse'], {
      name: 'rogue',
    });
    await told(host, 'dhcp.lost', since);
    await hasAddresses(host, 'web', 'eth1', []);
    await berth(host, 'audit --repair');
    await hasAddresses(host, 'web', 'eth1', []);
    await refuser.stop('SIGKILL');
    await server.start();
    await told(host, 'dhcp.regained', since);
    await hasAddresses(host, 'web', 'eth1', addresses);
    assert.equal(await defaultRoute(host, 'web'), `${GATEWAY} eth1`);
    await reaches(other, addresses[0]!.replace(/\/.*/, ''));
    await berth(host, 'detach web');
    await served(server, []);
    await restartServer(server, usual);
  });

  test('on a network that has its addresses from there, and where nobody answers', async () => {
    const { host, server } = stage();
    await createNetwork(host);
    await start(host, 'web', '--network none');
    const { addresses } = await attach(host, 'web --network lan');
    await hasAddresses(host, 'web', 'eth1', addresses);
    await served(
      server,
      addresses.map((one) => one.replace(/\/.*/, '')),
    );
    await host.ip('link add lonely type bridge', 'link set lonely up');
    assert.match(await berthFails(host, 'attach web --bridge lonely --dhcp'), /DHCP/);
    await host.ip('link delete lonely');
    await berth(host, 'detach web');
    assert.deepEqual(await berth(host, 'attachment ls'), []);
    assert.deepEqual(await interfaces(host, 'web'), []);
  });
});

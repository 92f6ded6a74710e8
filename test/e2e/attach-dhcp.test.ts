/** `berth attach --dhcp`: a running container with an address of the LAN's own DHCP server. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { attach, berth, berthFails, FLAGS, hasAddresses } from './suites/attach-stage.ts';
import { defaultRoute, docker, enter, interfaces, reaches, start } from './suites/containers.ts';
import { createNetwork, dhcpStage, GATEWAY, served } from './suites/dhcp-stage.ts';

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

/**
 * IPv6 addresses of the LAN's own DHCPv6 server, a real dnsmasq: what Docker is told, what the server sees, and that nothing is left there
 * in the end.
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { waitFor } from './bed/process.ts';
import { attach, berth, FLAGS, hasAddresses } from './suites/attach-stage.ts';
import { defaultRoute, docker, inspect, onlyInterface, reaches, start } from './suites/containers.ts';
import { createNetwork, served } from './suites/dhcp-stage.ts';
import { address6Of, dhcp6Stage, served6, stateful } from './suites/dhcp6-stage.ts';

for (const engine of ['20.10', '26.1', '28.5'] as const) {
  describe(`addresses from a DHCPv6 server, engine ${engine}`, () => {
    const stage = dhcp6Stage(engine);

    test('where the router says so, a container has one beside its IPv4 address, and Docker shows both', async () => {
      const { host, other, server } = stage();
      await createNetwork(host, 'lan', '-o ipv6=auto');
      await start(host, 'web', '--network lan');
      const { IPAddress, GlobalIPv6Address, MacAddress } = (await inspect(host, 'web')).NetworkSettings.Networks.lan!;
      assert.match(GlobalIPv6Address, /^2001:db8:7::1[0-9a-f]{3}$/);
      const { addresses } = await onlyInterface(host, 'web');
      assert.ok(addresses.includes(`${GlobalIPv6Address}/64`), addresses.join());
      await reaches(other, GlobalIPv6Address);
      await reaches(other, IPAddress);
      await waitFor('a default route', async () => /^fe80::.* eth0$/.test(await defaultRoute(host, 'web', 6)));
      await reaches([host, 'web'], '2001:db8:ffff::10');
      assert.deepEqual(
        server.leases6().map(({ address, name, duid }) => ({ address, name, duid })),
        [{ address: GlobalIPv6Address, name: 'web', duid: `00:03:00:01:${MacAddress}` }],
      );
      await docker(host, 'rm -f web');
      await served6(server, []);
      await served(server, []);
    });

    test('a restart keeps the address, and made anew the container has it again', async () => {
      const { host, other, server } = stage();
      await createNetwork(host, 'lan', '-o ipv6=dhcp');
      await start(host, 'web', '--network lan');
      const address = await address6Of(host, 'web');
      const before = (await server.log()).length;
      await docker(host, 'restart -t 0 web');
      assert.equal(await address6Of(host, 'web'), address);
      await docker(host, 'stop -t 0 web');
      await served6(server, [address]);
      await docker(host, 'start web');
      assert.equal(await address6Of(host, 'web'), address);
      await reaches(other, address);
      const since = (await server.log()).slice(before);
      assert.match(since, /DHCPREBIND.*\n(.*\n)*.*DHCPREBIND/);
      assert.doesNotMatch(since, /DHCPSOLICIT|DHCPRELEASE/);
      await docker(host, 'rm -f web');
      await served6(server, []);
      await start(host, 'web', '--network lan');
      assert.equal(await address6Of(host, 'web'), address);
      await docker(host, 'rm -f web');
      await served6(server, []);
    });

    test('a container with IPv6 alone', async () => {
      const { host, other, server } = stage();
      await createNetwork(host, 'lan', '-o ipv6=auto', '-o ipv4=none');
      await start(host, 'web', '--network lan');
      const { IPAddress, GlobalIPv6Address, MacAddress } = (await inspect(host, 'web')).NetworkSettings.Networks.lan!;
      assert.equal(IPAddress, '');
      const { addresses, mac } = await onlyInterface(host, 'web');
      assert.deepEqual([addresses, mac], [[`${GlobalIPv6Address}/64`], MacAddress]);
      await reaches(other, GlobalIPv6Address);
      await docker(host, 'restart -t 0 web');
      assert.equal(await address6Of(host, 'web'), GlobalIPv6Address);
      await docker(host, 'rm -f web');
      await served6(server, []);
      assert.deepEqual(server.leases(), []);
    });
  });
}

describe('berth attach to a network with DHCPv6', () => {
  const stage = dhcp6Stage('20.10', stateful(), FLAGS);

  test('an address of each kind, over a restart, and given back after', async () => {
    const { host, other, server } = stage();
    await createNetwork(host, 'lan', '-o ipv6=auto');
    await start(host, 'web', '--network none');
    const { addresses } = await attach(host, 'web --network lan');
    assert.equal(addresses.length, 2, addresses.join());
    const address = addresses.find((one) => one.includes(':'))!.replace(/\/.*/, '');
    const plugged = async () => {
      await hasAddresses(host, 'web', 'eth1', addresses);
      await reaches(other, address);
      await served6(server, [address]);
    };
    await plugged();
    await docker(host, 'restart -t 0 web');
    await plugged();
    await berth(host, 'detach web');
    await served6(server, []);
  });
});

/**
 * What DHCPv6 servers and routers say and do, and what becomes of a lease in time: a real dnsmasq, which grants at once to those who allow
 * it, and ISC's server, which offers first.
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startDhcpd6 } from './bed/dhcpd6.ts';
import { waitFor } from './bed/process.ts';
import { defaultRoute, docker, dockerFails, inspect, onlyInterface, reaches, start } from './suites/containers.ts';
import { createNetwork, mark, restartServer, told } from './suites/dhcp-stage.ts';
import { address6Of, dhcp6Stage, PREFIX, served6, stateful } from './suites/dhcp6-stage.ts';

const MAC = '02:11:22:33:44:55';
/** A router, and no addresses of DHCPv6. */
const prefixOnly = { ...stateful(), flags: ['--enable-ra', `--dhcp-range=${PREFIX},ra-only,64,10m`] };
const only6 = ['-o ipv6=auto', '-o ipv4=none'] as const;

describe('what a router and a DHCPv6 server may say', () => {
  const stage = dhcp6Stage();

  test('an address for a MAC, name servers and a domain', async () => {
    const { host, other, server } = stage();
    const flags = [
      `--dhcp-host=${MAC},[${PREFIX}50]`,
      `--dhcp-option=option6:dns-server,[${PREFIX}3]`,
      '--dhcp-option=option6:domain-search,lan.example',
    ];
    await restartServer(server, stateful(undefined, undefined, ...flags));
    await createNetwork(host, 'lan', ...only6);
    await start(host, 'web', `--network lan --mac-address ${MAC}`);
    assert.equal(await address6Of(host, 'web'), `${PREFIX}50`);
    await reaches(other, `${PREFIX}50`);
    const shown = await host.berth('lease', 'inspect', `${PREFIX}50`, '--json');
    const [{ dhcp }] = JSON.parse(shown.stdout) as [{ dhcp: Record<string, unknown> }];
    assert.deepEqual([dhcp.dns, dhcp.state, dhcp.identity], [[`${PREFIX}3`], 'bound', `MAC ${MAC}`]);
    assert.match(String(dhcp.server), /^fe80::/);
    await docker(host, 'rm -f web');
    await served6(server, []);
  });

  test('a grant without another word, which dnsmasq gives to all who take it', async () => {
    const { host, other, server } = stage();
    await createNetwork(host, 'lan', ...only6);
    const before = (await server.log()).length;
    await start(host, 'web', '--network lan');
    const address = await address6Of(host, 'web');
    await reaches(other, address);
    assert.doesNotMatch((await server.log()).slice(before), /DHCPADVERTISE|DHCPREQUEST/);
    await served6(server, [address]);
    await docker(host, 'rm -f web');
    await served6(server, []);
  });

  test('a prefix and more (flag O): the address is of the MAC, and the name servers are known', async () => {
    const { host, other, server } = stage();
    const flags = [
      '--enable-ra',
      `--dhcp-range=${PREFIX},ra-stateless,64,10m`,
      `--dhcp-option=option6:dns-server,[${PREFIX}3]`,
    ];
    await restartServer(server, { ...stateful(), flags });
    await createNetwork(host, 'lan', ...only6);
    // What the router said before serves for some seconds, and a start that believes it asks a server that is gone for 8 s.
    await waitFor(
      'a start with an address of the prefix',
      async () => {
        await docker(host, 'rm -f web').catch(() => undefined);
        await start(host, 'web', '--network lan').catch(() => undefined);
        return /:..ff:fe/.test(await address6Of(host, 'web'));
      },
      30_000,
    );
    const address = await address6Of(host, 'web');
    await reaches(other, address);
    const shown = await host.berth('lease', 'inspect', address, '--json');
    const [{ dhcp }] = JSON.parse(shown.stdout) as [{ dhcp: Record<string, unknown> }];
    assert.deepEqual(dhcp.dns, [`${PREFIX}3`]);
    await served6(server, []);
    await docker(host, 'rm -f web');
    await waitFor('no lease', async () => (await host.berth('lease', 'ls', '--json')).stdout.trim() === '[]');
  });

  test('a range that is used up: the next start says so, and works when there is room', async () => {
    const { host, server } = stage();
    await restartServer(server, stateful(`${PREFIX}1000,${PREFIX}1001,64`));
    await createNetwork(host, 'lan', '-o ipv6=dhcp', '-o ipv4=none');
    await start(host, 'c1', '--network lan');
    await start(host, 'c2', '--network lan');
    const refused = await dockerFails(host, `run -d --name c3 --network lan ${await host.image()} sleep 1000000`);
    assert.match(refused, /the DHCPv6 server fe80::\S+ on br0 has no address for container c3/);
    await docker(host, 'rm -f c1');
    await served6(server, [await address6Of(host, 'c2')]);
    await docker(host, 'start c3');
    await served6(server, [await address6Of(host, 'c2'), await address6Of(host, 'c3')]);
    await docker(host, 'rm -f c2 c3');
    await served6(server, []);
    await restartServer(server, stateful());
  });

  test('no router, or no server: the start fails within the time that Docker has, and says what is missing', async () => {
    const { host, server } = stage();
    await server.stop();
    const run = `run -d --name web --network lan ${await host.image()} sleep 1000000`;
    await createNetwork(host, 'lan', '-o ipv6=dhcp', '-o ipv4=none');
    assert.match(await dockerFails(host, run), /no DHCPv6 server answered container web on br0 within 8 s/);
    await docker(host, 'rm -f web');
    await docker(host, 'network rm lan');
    await createNetwork(host, 'lan', ...only6);
    assert.match(await dockerFails(host, run), /no router on br0 advertises an IPv6 prefix or DHCPv6/);
    await server.start();
    await docker(host, 'start web');
    await served6(server, [await address6Of(host, 'web')]);
    await docker(host, 'rm -f web');
    await served6(server, []);
  });

  test('an address which another machine has: it is declined, and the next start gets another one', async () => {
    const { host, lan, server } = stage();
    const squatter = await lan.machine('squatter', '192.168.7.66/24', `${PREFIX}50/64`);
    await restartServer(server, stateful(undefined, undefined, `--dhcp-host=${MAC},[${PREFIX}50]`));
    await createNetwork(host, 'lan', ...only6);
    const image = await host.image();
    await docker(host, `create --name web --network lan --mac-address ${MAC} ${image} sleep 1000000`);
    assert.match(await dockerFails(host, 'start web'), /has the address 2001:db8:7::50: its MAC address is /);
    await docker(host, 'start web');
    assert.notEqual(await address6Of(host, 'web'), `${PREFIX}50`);
    assert.match(await server.log(), /DHCPDECLINE/);
    await docker(host, 'rm -f web');
    await served6(server, []);
    await squatter.ip('link set eth0 down');
    await restartServer(server, stateful());
  });

  test('options that do not go together are refused', async () => {
    const { host } = stage();
    const create = 'network create -d berth-lan --ipam-driver null';
    assert.match(await dockerFails(host, `${create} -o ipv6=auto lan`), /goes with 'dhcp'/);
    assert.match(
      await dockerFails(host, `${create} -o dhcp=true -o ipv6=some lan`),
      /'ipv6' is one of none, auto, dhcp/,
    );
    assert.match(await dockerFails(host, `${create} -o dhcp=true -o ipv4=none lan`), /need an IPv6 address/);
  });
});

describe('a lease of DHCPv6 in time', () => {
  const stage = dhcp6Stage();

  test('renewed at T1 with the server, by an agent that was killed meanwhile', { timeout: 180_000 }, async () => {
    const { host, other, server } = stage();
    // Two minutes are dnsmasq's least, of which T1 is the half.
    await restartServer(server, stateful(undefined, 120));
    await createNetwork(host, 'lan', ...only6);
    await start(host, 'web', '--network lan');
    const address = await address6Of(host, 'web');
    await host.killBerth();
    await host.startBerth();
    const before = (await server.log()).length;
    await waitFor(
      'a renewal',
      async () => /DHCPRENEW.*\n(.*\n)*.*DHCPREPLY/.test((await server.log()).slice(before)),
      90_000,
      200,
    );
    await told(host, 'dhcp.renewed', 0);
    await reaches(other, address);
    await served6(server, [address]);
    await docker(host, 'rm -f web');
    await served6(server, []);
    await restartServer(server, stateful());
  });

  test('a server that has forgotten all: a start has the same address again', async () => {
    const { host, other, server } = stage();
    await createNetwork(host, 'lan', ...only6);
    await start(host, 'web', '--network lan');
    const address = await address6Of(host, 'web');
    await server.stop();
    await server.start(undefined, { forget: true });
    await docker(host, 'restart -t 0 web');
    assert.equal(await address6Of(host, 'web'), address);
    await reaches(other, address);
    await served6(server, [address]);
    await docker(host, 'rm -f web');
    await served6(server, []);
  });

  test('a server that is gone while a container is started again: it goes on with the lease', async () => {
    const { host, other, server } = stage();
    await createNetwork(host, 'lan', '-o ipv6=dhcp', '-o ipv4=none');
    await start(host, 'web', '--network lan');
    const address = await address6Of(host, 'web');
    await server.stop();
    const since = await mark(host);
    await docker(host, 'restart -t 0 web');
    await told(host, 'dhcp.unconfirmed', since);
    assert.equal(await address6Of(host, 'web'), address);
    await reaches(other, address);
    await server.start();
    await docker(host, 'rm -f web');
    await served6(server, []);
  });
});

describe('another make of server', () => {
  const stage = dhcp6Stage();
  const network = ['-o ipv6=dhcp', '-o ipv4=none'] as const;
  const subnet = `${PREFIX}/64`;

  test('of two that offer, the one with the higher preference is asked, and it alone leases', async () => {
    const { host, lan, other, server } = stage();
    await restartServer(server, prefixOnly);
    const [first, second] = await Promise.all(
      (
        [
          ['first', 66, 10],
          ['second', 67, 200],
        ] as const
      ).map(async ([name, last, preference]) => {
        const machine = await lan.machine(name, `192.168.7.${last}/24`, `${PREFIX}${last}/64`);
        const range = [`${PREFIX}${last}00`, `${PREFIX}${last}ff`] as const;
        return startDhcpd6(machine, { subnet, range, preference });
      }),
    );
    await createNetwork(host, 'lan', ...network);
    for (const name of ['c1', 'c2', 'c3']) await start(host, name, '--network lan');
    const addresses = await Promise.all(['c1', 'c2', 'c3'].map((name) => address6Of(host, name)));
    for (const address of addresses) {
      assert.match(address, /^2001:db8:7::67/);
      await reaches(other, address);
    }
    assert.deepEqual(second!.leases().toSorted(), addresses.toSorted());
    assert.deepEqual(first!.leases(), []);
    assert.match(await second!.log(), /Sending Advertise(.*\n)*.*Request message/);
    await docker(host, 'rm -f c1 c2 c3');
    await waitFor('the leases to be given back', () => second!.leases().length === 0);
    await Promise.all([first!.stop(), second!.stop()]);
  });

  test('renewed, rebound, lost without a server, and given again', { timeout: 180_000 }, async () => {
    const { host, lan, other, server } = stage();
    await restartServer(server, prefixOnly);
    const machine = await lan.machine('third', '192.168.7.68/24', `${PREFIX}68/64`);
    const range = [`${PREFIX}6800`, `${PREFIX}68ff`] as const;
    const short = await startDhcpd6(machine, { subnet, range, lease: 30, renew: 3, rebind: 6 });
    await createNetwork(host, 'lan', ...network);
    const since = await mark(host);
    await start(host, 'web', '--network lan');
    const address = await address6Of(host, 'web');
    assert.match(await told(host, 'dhcp.renewed', since), /"asked":"renew"/);
    await short.stop();
    const silent = await mark(host);
    await told(host, 'dhcp.unanswered', silent);
    // T2 is over by now: the next question is to everybody.
    const back = await mark(host);
    await short.start();
    assert.match(await told(host, 'dhcp.renewed', back), /"asked":"rebind"/);
    await reaches(other, address);

    await short.stop();
    const gone = await mark(host);
    assert.match(await told(host, 'dhcp.lost', gone), /web has lost the address/);
    // The one of the router's prefix stays.
    const left = (await onlyInterface(host, 'web')).addresses;
    assert.ok(!left.includes(`${address}/64`), 'it may be another machine’s');
    await short.start();
    await told(host, 'dhcp.regained', gone);
    await reaches(other, address);
    await docker(host, 'rm -f web');
    await waitFor('the lease to be given back', () => short.leases().length === 0);
    await short.stop();
  });

  test('a range that is used up', async () => {
    const { host, lan, server } = stage();
    await restartServer(server, prefixOnly);
    const machine = await lan.machine('fourth', '192.168.7.69/24', `${PREFIX}69/64`);
    const small = await startDhcpd6(machine, { subnet, range: [`${PREFIX}6900`, `${PREFIX}6900`] });
    await createNetwork(host, 'lan', ...network);
    await start(host, 'c1', '--network lan');
    const refused = await dockerFails(host, `run -d --name c2 --network lan ${await host.image()} sleep 1000000`);
    assert.match(refused, /the DHCPv6 server fe80::\S+ on br0 has no address for container c2/);
    await docker(host, 'rm -f c1 c2');
    await waitFor('the lease to be given back', () => small.leases().length === 0);
    await small.stop();
  });
});

describe('DHCPv6 by the mode of the network, and many at once', () => {
  const stage = dhcp6Stage('28.5');

  test('macvlan', async () => {
    const { host, lan, other, server } = stage();
    await lan.plug(host, { name: 'eth1' });
    await createNetwork(host, 'lan', '-o mode=macvlan', '-o parent=eth1', ...only6);
    await start(host, 'web', '--network lan');
    const address = await address6Of(host, 'web');
    await reaches(other, address);
    await waitFor('a default route', async () => /^fe80::.* eth0$/.test(await defaultRoute(host, 'web', 6)));
    await docker(host, 'restart -t 0 web');
    assert.equal(await address6Of(host, 'web'), address);
    await docker(host, 'rm -f web');
    await served6(server, []);
  });

  test('thirty at once, each with an address of each kind', async (context) => {
    const { host, server } = stage();
    await createNetwork(host, 'lan', '-o ipv6=auto');
    const names = Array.from({ length: 30 }, (_, index) => `c${index}`);
    const image = await host.image();
    const began = performance.now();
    await Promise.all(names.map((name) => docker(host, `run -d --name ${name} --network lan ${image} sleep 1000000`)));
    context.diagnostic(`30 containers in ${Math.round(performance.now() - began)} ms`);
    const shown = await Promise.all(names.map((name) => inspect(host, name)));
    const addresses = shown.map(({ NetworkSettings }) => NetworkSettings.Networks.lan!.GlobalIPv6Address);
    assert.equal(new Set(addresses).size, 30);
    await served6(server, addresses);
    await docker(host, `rm -f ${names.join(' ')}`);
    await served6(server, []);
  });
});

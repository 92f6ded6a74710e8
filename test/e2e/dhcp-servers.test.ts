/** DHCP where it is less simple: a relay, servers that give an address twice, leases that run out, and a crowd on macvlan. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { StatusView } from '../../src/agent/api.ts';
import { startDhcp } from './bed/dhcp.ts';
import type { Host } from './bed/host.ts';
import { outside4 } from './bed/lan.ts';
import { type Machine, repository } from './bed/machine.ts';
import { waitFor } from './bed/process.ts';
import { addressOf, defaultRoute, docker, dockerFails, interfaces, reaches, start } from './suites/containers.ts';
import {
  createNetwork,
  dhcpStage,
  GATEWAY,
  mark,
  RANGE,
  restartServer,
  served,
  told,
  usual,
} from './suites/dhcp-stage.ts';

describe('where the server is, and what it remembers', () => {
  const stage = dhcpStage();

  test('a server beyond a relay: leased, renewed by a word to it through the router, and given back', async () => {
    const { host, lan, other, server } = stage();
    await server.stop();
    const far = await startDhcp(lan.outside, {
      range: [RANGE[0], `${RANGE[1]},255.255.255.0`],
      lease: 120,
      renew: 3,
      rebind: 60,
      gateway: GATEWAY,
    });
    await lan.router.net(['ethtool', '-K', 'eth0', 'tx', 'off'], { check: false });
    const relay = await lan.router.netSpawn(
      ['dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--user=root', '--pid-file=', '--port=0'].concat(
        '--log-facility=-',
        `--dhcp-relay=${GATEWAY},${outside4}`,
      ),
      { name: 'relay' },
    );
    await relay.waitForOutput(/DHCP relay/);
    await createNetwork(host);
    const since = await mark(host);
    await start(host, 'web', '--network lan');
    const address = await addressOf(host, 'web');
    await served(far, [address]);
    await reaches(other, address);
    const before = (await relay.output()).length;
    const renewed = await told(host, 'dhcp.renewed', since);
    assert.match(renewed, /"asked":"renew"/);
    assert.match(renewed, new RegExp(`"server":"${outside4}"`));
    assert.equal((await relay.output()).slice(before), '', 'a renewal is no business of the relay');
    await docker(host, 'restart -t 0 web');
    assert.equal(await addressOf(host, 'web'), address);
    await docker(host, 'rm -f web');
    await served(far, []);
    await relay.stop();
    await far.stop();
    await server.start();
  });

  test('a server that gives an address twice: the second container declines it, and has another one', async () => {
    const { host, other, server } = stage();
    const two = { ...usual, range: ['192.168.7.100', '192.168.7.101'] as const };
    await restartServer(server, { ...two, range: ['192.168.7.100', '192.168.7.100'] });
    await createNetwork(host);
    await start(host, 'c1', '--network lan');
    assert.equal(await addressOf(host, 'c1'), '192.168.7.100');
    await server.stop();
    await server.start({ ...usual, range: ['192.168.7.100', '192.168.7.100'] }, { forget: true });
    const since = await mark(host);
    const refused = await dockerFails(host, `run -d --name c2 --network lan ${await host.image()} sleep 1000000`);
    assert.match(refused, /DHCP server on br0 /);
    assert.match(await told(host, 'dhcp.declined', since), /another container has it/);
    assert.equal(await addressOf(host, 'c1'), '192.168.7.100');
    await reaches(other, '192.168.7.100');
    await server.stop();
    await server.start(two, { forget: true });
    await docker(host, 'start c2');
    assert.equal(await addressOf(host, 'c2'), '192.168.7.101');
    await docker(host, 'rm -f c1 c2');
    await server.stop();
    await server.start(usual, { forget: true });
  });
});

describe('a lease that runs out', () => {
  const stage = dhcpStage();

  let machine: Machine | undefined;

  async function lend(seconds: number) {
    const { host, lan, server } = stage();
    await server.stop();
    machine ??= await lan.machine('lender', '192.168.7.66/24');
    const lender = await machine.netSpawn(
      [process.execPath, join(repository, 'test/e2e/bed/rogue-dhcp.ts'), 'lend', '192.168.7.77', `${seconds}`],
      { name: 'lender' },
    );
    await lender.waitForOutput(/listening/);
    await createNetwork(host);
    await start(host, 'web', '--network lan');
    assert.equal(await addressOf(host, 'web'), '192.168.7.77');
    return lender;
  }

  /** It has no address, that is told where people look, and it starts again with one of the server that is there now. */
  async function isLost(host: Host): Promise<void> {
    // An agent that has just started looks first where the container has its interface.
    await waitFor('the address to go', async () => (await interfaces(host, 'web'))[0]!.addresses.length === 0);
    const status = JSON.parse((await host.berth('status', '--json')).stdout) as StatusView;
    assert.match(
      status.problems.join(),
      /container web has lost its address 192\.168\.7\.77: its lease of 10 s ran out/,
    );
    const leases = JSON.parse((await host.berth('lease', 'ls', '--json')).stdout) as { dhcp: { state: string } }[];
    assert.deepEqual(
      leases.map(({ dhcp }) => dhcp.state),
      ['lost'],
    );
  }

  async function startsAgain(): Promise<void> {
    const { host, other, server } = stage();
    await server.start();
    await docker(host, 'restart -t 0 web');
    const address = await addressOf(host, 'web');
    assert.notEqual(address, '192.168.7.77');
    assert.equal(await defaultRoute(host, 'web'), `${GATEWAY} eth0`);
    await reaches(other, address);
    await docker(host, 'rm -f web');
    await served(server, []);
  }

  test('since nobody answers: the address is taken from the container', async () => {
    const { host } = stage();
    const since = await mark(host);
    const lender = await lend(10);
    await told(host, 'dhcp.renewed', since);
    await lender.stop('SIGKILL');
    await told(host, 'dhcp.lost', since);
    await isLost(host);
    await startsAgain();
  });

  test('while the agent was away: it is taken as soon as the agent is back', async () => {
    const { host } = stage();
    const lender = await lend(10);
    await host.killBerth();
    await lender.stop('SIGKILL');
    const over = Date.now() + 10_000;
    await waitFor('the lease to run out', () => Date.now() > over, 20_000, 500);
    assert.equal((await interfaces(host, 'web'))[0]!.addresses.length, 1);
    await host.startBerth();
    await told(host, 'dhcp.lost', 0);
    await isLost(host);
    await startsAgain();
  });
});

describe('a crowd on macvlan', () => {
  const stage = dhcpStage('28.5');

  test('fifty at once, each with an address and a MAC of its own', async (context) => {
    const { host, lan, other, server } = stage();
    await lan.plug(host, { name: 'eth1' });
    await createNetwork(host, 'lan', '-o mode=macvlan', '-o parent=eth1');
    const names = Array.from({ length: 50 }, (_, index) => `c${index}`);
    const image = await host.image();
    const began = performance.now();
    await Promise.all(names.map((name) => docker(host, `run -d --name ${name} --network lan ${image} sleep 1000000`)));
    context.diagnostic(`50 containers in ${Math.round(performance.now() - began)} ms`);
    const addresses = await Promise.all(names.map((name) => addressOf(host, name)));
    assert.equal(new Set(addresses).size, 50);
    await served(server, addresses);
    assert.equal(new Set(server.leases().map(({ mac }) => mac)).size, 50);
    for (const address of [addresses[0]!, addresses[49]!]) await reaches(other, address);
    await docker(host, `rm -f ${names.join(' ')}`);
    await served(server, []);
  });
});

/**
 * What becomes of a DHCP lease in time: renewed, taken over by another server, refused, lost and got again; and what servers
 * that are slow, gone, broken or hostile do to it. Against a real dnsmasq, with a server of ours beside it for the hostile part.
 */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { StatusView } from '../../src/agent/api.ts';
import type { DhcpOptions } from './bed/dhcp.ts';
import { repository } from './bed/machine.ts';
import { waitFor } from './bed/process.ts';
import { addressOf, defaultRoute, docker, dockerFails, interfaces, reaches, start } from './suites/containers.ts';
import { createNetwork, dhcpStage, GATEWAY, mark, restartServer, served, told, usual } from './suites/dhcp-stage.ts';

/** To be renewed after 3 s, and after 6 s by any server. */
const short: DhcpOptions = { ...usual, lease: 120, renew: 3, rebind: 6 };

describe('a lease in time', () => {
  const stage = dhcpStage();

  test('renewed at T1 by a word to the server, rebound at T2 by a word to all, and never given up in between', async () => {
    const { host, other, server } = stage();
    await restartServer(server, short);
    await createNetwork(host);
    const since = await mark(host);
    await start(host, 'web', '--network lan');
    const address = await addressOf(host, 'web');
    assert.match(await told(host, 'dhcp.renewed', since), /"asked":"renew"/);
    await server.stop();
    const silent = await mark(host);
    assert.match(await told(host, 'dhcp.unanswered', silent), /"asked":"renew"/);
    // T2 is over by now: the next question is to everybody.
    const back = await mark(host);
    await server.start();
    assert.match(await told(host, 'dhcp.renewed', back), /"asked":"rebind"/);
    assert.equal(await addressOf(host, 'web'), address);
    await reaches(other, address);
    await docker(host, 'rm -f web');
    await served(server, []);
  });

  test('renewed by an agent that was killed and started again', async () => {
    const { host, server } = stage();
    await restartServer(server, short);
    await createNetwork(host);
    await start(host, 'web', '--network lan');
    const address = await addressOf(host, 'web');
    await host.killBerth();
    await host.startBerth();
    await told(host, 'dhcp.renewed', 0);
    assert.equal(await addressOf(host, 'web'), address);
    await docker(host, 'rm -f web');
    await served(server, []);
  });

  test('a server that has lost its leases, and one of another subnet', { timeout: 180_000 }, async () => {
    const { host, other, server } = stage();
    await restartServer(server, short);
    await createNetwork(host);
    await start(host, 'web', '--network lan');
    const address = await addressOf(host, 'web');

    // An authoritative server takes up what it does not know.
    await server.stop();
    const forgotten = await mark(host);
    await server.start(short, { forget: true });
    await told(host, 'dhcp.renewed', forgotten);
    await served(server, [address]);

    // The LAN is renumbered.
    await server.stop();
    const renumbered = await mark(host);
    await server.machine.ip('address flush dev eth0', 'address add 192.168.8.3/24 dev eth0');
    await server.start(
      { ...short, range: ['192.168.8.100', '192.168.8.199'], gateway: '192.168.8.2' },
      { forget: true },
    );
    assert.match(await told(host, 'dhcp.lost', renumbered), /web has lost the address/);
    assert.deepEqual((await interfaces(host, 'web'))[0]!.addresses, [], 'it may be another machine’s');
    const status = JSON.parse((await host.berth('status', '--json')).stdout) as StatusView;
    assert.ok(
      status.problems.some((problem) => problem.includes('container web has lost')),
      status.problems.join(),
    );
    await told(host, 'dhcp.moved', renumbered);
    await docker(host, 'restart -t 0 web');
    assert.match(await addressOf(host, 'web'), /^192\.168\.8\.1/);
    assert.equal(await defaultRoute(host, 'web'), '192.168.8.2 eth0');
    await docker(host, 'rm -f web');
    await served(server, []);

    await server.stop();
    await server.machine.ip('address flush dev eth0', 'address add 192.168.7.3/24 dev eth0');
    await server.start(short, { forget: true });
    await start(host, 'again', '--network lan');
    await reaches(other, await addressOf(host, 'again'));
    await docker(host, 'rm -f again');
    await served(server, []);
  });

  test('refused for a moment: the address is taken, and given again with its route', { timeout: 180_000 }, async () => {
    const { host, lan, other, server } = stage();
    await restartServer(server, short);
    await createNetwork(host);
    await start(host, 'web', '--network lan');
    const address = await addressOf(host, 'web');
    await server.stop();
    const rogue = await lan.machine('refuser', '192.168.7.66/24');
    const since = await mark(host);
    const refuser = await rogue.netSpawn(program('refuse'), { name: 'rogue' });
    await told(host, 'dhcp.lost', since);
    await refuser.stop('SIGKILL');
    await server.start();
    await told(host, 'dhcp.regained', since);
    assert.equal(await addressOf(host, 'web'), address);
    assert.equal(await defaultRoute(host, 'web'), `${GATEWAY} eth0`);
    await reaches(other, address);
    await docker(host, 'rm -f web');
    await served(server, []);
    await restartServer(server, usual);
  });
});

describe('servers that are slow, gone or hostile', () => {
  const stage = dhcpStage();

  test('one that answers late, and then to every question at once', async () => {
    const { host, server } = stage();
    await createNetwork(host);
    await server.freeze();
    const since = (await server.log()).length;
    const starting = start(host, 'web', '--network lan');
    // Three questions are waiting for it by then.
    await waitForFrames();
    server.thaw();
    await starting;
    const address = await addressOf(host, 'web');
    await served(server, [address]);
    assert.ok((await server.log()).slice(since).match(/DHCPDISCOVER/g)!.length >= 3);
    await docker(host, 'rm -f web');
    await served(server, []);

    async function waitForFrames(): Promise<void> {
      const received = async () => {
        const { stdout } = await server.machine.net(['ss', '-Hlunm', 'sport', '=', '67']);
        return Number(/skmem:\(r(\d+)/.exec(stdout)?.[1] ?? 0);
      };
      // One such datagram takes some 800 to 2300 bytes of the socket's buffer.
      const first = await waitFor('a question', async () => (await received()) || undefined);
      await waitFor('three questions', async () => (await received()) >= first * 3);
    }
  });

  test('one that says only garbage, beside a good one', async () => {
    const { host, lan, server } = stage();
    const rogue = await lan.machine('rogue', '192.168.7.66/24');
    const garbage = await rogue.netSpawn(program('garbage'), { name: 'rogue' });
    await garbage.waitForOutput(/listening/);
    await createNetwork(host);
    for (const name of ['c1', 'c2', 'c3']) await start(host, name, '--network lan');
    const addresses = await Promise.all(['c1', 'c2', 'c3'].map((name) => addressOf(host, name)));
    await served(server, addresses);
    await docker(host, 'rm -f c1 c2 c3');
    await served(server, []);
    await garbage.stop('SIGKILL');
  });

  test('two good ones: one is chosen, and only that one leases', async () => {
    const { host, lan, server } = stage();
    const { startDhcp } = await import('./bed/dhcp.ts');
    const second = await startDhcp(await lan.machine('second', '192.168.7.4/24'), {
      ...usual,
      range: ['192.168.7.200', '192.168.7.240'],
    });
    await createNetwork(host);
    await start(host, 'web', '--network lan');
    const address = await addressOf(host, 'web');
    await waitFor('one lease', () => {
      const both = [...server.leases(), ...second.leases()];
      return both.length === 1 && both[0]!.address === address;
    });
    await docker(host, 'rm -f web');
    await served(server, []);
    await served(second, []);
    await second.stop();
  });

  test('one that gives an address which another machine has: it is declined, and the next start gets another one', async () => {
    const { host, lan, server } = stage();
    await lan.machine('squatter', '192.168.7.100/24');
    await restartServer(server, { ...usual, flags: ['--dhcp-host=02:11:22:33:44:55,192.168.7.100'] });
    await createNetwork(host);
    await docker(
      host,
      `create --name web --network lan --mac-address 02:11:22:33:44:55 ${await host.image()} sleep 1000000`,
    );
    assert.match(await dockerFails(host, 'start web'), /192\.168\.7\.100/);
    await docker(host, 'start web');
    const address = await addressOf(host, 'web');
    assert.notEqual(address, '192.168.7.100');
    assert.match(await server.log(), /DHCPDECLINE.*192\.168\.7\.100/);
    await docker(host, 'rm -f web');
    await served(server, []);
    await restartServer(server, usual);
  });

  test('gone while a container is started again: it goes on with the lease that still runs', async () => {
    const { host, other, server } = stage();
    await createNetwork(host);
    await start(host, 'web', '--network lan');
    const address = await addressOf(host, 'web');
    await server.stop();
    const since = await mark(host);
    await docker(host, 'restart -t 0 web');
    assert.match(await told(host, 'dhcp.unconfirmed', since), /whose lease still runs/);
    assert.equal(await addressOf(host, 'web'), address);
    await reaches(other, address);
    await server.start();
    await docker(host, 'rm -f web');
    await served(server, []);
  });
});

function program(mode: 'garbage' | 'refuse'): string[] {
  return [process.execPath, join(repository, 'test/e2e/bed/rogue-dhcp.ts'), mode];
}

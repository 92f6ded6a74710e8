/**
 * The state folder is lost while containers run: the networks are taken up from the engine and the kernel, the containers
 * notice nothing, and no address that one of them has is given to another, however early somebody asks.
 */

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { call } from '../../src/docker/testing/client.ts';
import type { Host } from './bed/host.ts';
import { waitFor } from './bed/process.ts';
import { ask } from './suites/agent.ts';
import { addressOf, docker, inspect, reaches, start } from './suites/containers.ts';
import { setStage } from './suites/stage.ts';

const FLAGS = ['--gc-grace', '1', '--audit-interval', '1', '--linger', '0'];
const OUTSIDE = '10.8.65.1';

/** What the agent knows, without what is different in the records of another day. */
async function records(host: Host) {
  const [networks, endpoints, leases] = await Promise.all([
    ask(host, '/v1/networks'),
    ask(host, '/v1/endpoints'),
    ask(host, '/v1/leases'),
  ]);
  return {
    networks: networks
      .map((network) => ({ ...network, createdAt: '' }))
      .toSorted((a, b) => a.subnets[0]!.subnet.localeCompare(b.subnets[0]!.subnet)),
    endpoints: endpoints
      .map(
        ({ container, addresses, mac, link, phase }) => `${container} ${addresses.join(' ')} ${mac} ${link} ${phase}`,
      )
      .toSorted(),
    leases: leases.map(({ address, pool, kind, endpoint }) => `${pool} ${address} ${kind} ${endpoint}`).toSorted(),
  };
}

describe('the state is lost', () => {
  const stage = setStage('20.10', async (bed, engine) => {
    const host = await bed.host('h1', { engine });
    await host.startBerth(FLAGS);
    return { host };
  });

  afterEach(async () => {
    await stage().host.net(['ip', 'link', 'delete', 'br0'], { check: false });
  });

  async function loseState(host: Host): Promise<void> {
    assert.equal(await host.stopBerth(), 0);
    await host.sh('rm -r /var/lib/berth/*');
  }

  test('networks of every kind are taken up, and nobody gets an address that is in use', async () => {
    const { host } = stage();
    await host.ip('link add br0 type bridge', 'link set br0 up', 'address add 10.92.0.1/24 dev br0');
    const berth = 'network create -d berth --ipam-driver berth';
    await docker(host, `${berth} --subnet 10.88.0.0/24 plain`);
    await docker(
      host,
      `${berth} --ipv6 --subnet 10.89.0.0/24 --ip-range 10.89.0.64/26 --gateway 10.89.0.65 --aux-address nas=10.89.0.66
        --subnet fd89::/64 -o mtu=1400 ranged`,
    );
    await docker(host, 'network create -d berth --subnet 10.90.0.0/24 --ip-range 10.90.0.128/25 engine-ipam');
    await docker(host, 'network create --ipam-driver berth --subnet 10.91.0.0/24 engine-driver');
    await docker(host, 'network create -d local --ipam-driver berth --subnet 10.92.0.0/24 --gateway 10.92.0.1 lan');
    const pools = {
      plain: 'berth/10.88.0.0-24',
      ranged: 'berth/10.89.0.0-24/10.89.0.64-26',
      'engine-driver': 'berth/10.91.0.0-24',
      lan: 'berth/10.92.0.0-24',
    };
    const networks = [...Object.keys(pools), 'engine-ipam'];
    const containers = networks.flatMap((network) => [`${network}-1`, `${network}-2`]);
    for (const container of containers) await start(host, container, `--network ${container.replace(/-.$/, '')}`);
    const before = await Promise.all(containers.map((container) => addressOf(host, container)));
    const gateways = ['10.88.0.1', '10.89.0.65', '10.89.0.66', '10.91.0.1', '10.92.0.1'];
    const intact = await records(host);
    await loseState(host);

    // Whoever asks from the first moment on gets an address once the network is known, and none that is in use.
    const socket = host.path('/run/docker/plugins/berth.sock');
    let given: string[] = [];
    const deadline = performance.now() + 60_000;
    const greedy = Object.values(pools).map(async (PoolID) => {
      for (let count = 0; count < 4 && performance.now() < deadline; ) {
        const answer = await call(socket, 'IpamDriver.RequestAddress', { PoolID }).catch(() => undefined);
        if (typeof answer?.json?.Address === 'string') {
          given.push(answer.json.Address.replace(/\/.*/, ''));
          count += 1;
        } else await delay(2);
      }
    });
    await host.startBerth(FLAGS);
    await Promise.all(greedy);
    assert.equal(given.length, 16, 'each network was taken up');
    given = given.filter((address) => [...before, ...gateways].includes(address));
    assert.deepEqual(given, [], 'these were given out although they are in use');

    // What was asked for is freed again, for nobody has it.
    let after: Awaited<ReturnType<typeof records>> | undefined;
    await waitFor(
      'the records to settle',
      async () => {
        after = await records(host);
        return JSON.stringify(after) === JSON.stringify(intact);
      },
      30_000,
      100,
    ).catch(() => assert.deepEqual(after, intact));
    const audit = await host.berth('audit', '--json');
    assert.deepEqual(JSON.parse(audit.stdout), [], 'the kernel is as the new records say');

    assert.deepEqual(await Promise.all(containers.map((container) => addressOf(host, container))), before);
    for (const network of networks) {
      await start(host, `${network}-3`, `--network ${network}`);
      const index = containers.indexOf(`${network}-1`);
      await reaches([host, `${network}-3`], before[index]!);
      await reaches([host, `${network}-1`], await addressOf(host, `${network}-3`));
      if (network !== 'lan') await reaches([host, `${network}-3`], OUTSIDE);
    }
    // A network goes from the kernel with its last container: those of before the loss count.
    await Promise.all(networks.map((network) => docker(host, `rm -f ${network}-3`)));
    await waitFor('the newcomers to be gone', async () => (await ask(host, '/v1/endpoints')).length === 8);
    await delay(300);
    for (const network of networks) {
      await reaches([host, `${network}-1`], before[containers.indexOf(`${network}-2`)]!);
      if (network !== 'lan') await reaches([host, `${network}-1`], OUTSIDE);
    }
    await docker(host, 'restart -t 0 plain-1');
    await reaches([host, 'plain-1'], OUTSIDE);
  });

  test('the uplink that was made a bridge is given back all the same', async () => {
    const { host } = stage();
    await docker(
      host,
      'network create -d local --ipam-driver berth --subnet 10.8.65.0/24 --gateway 10.8.65.1 -o parent=eth0 lan',
    );
    await start(host, 'one', '--network lan --ip 10.8.65.140');
    await loseState(host);
    await host.startBerth(FLAGS);
    await waitFor('the network to be known', async () => (await ask(host, '/v1/networks')).length === 1);
    await reaches([host, 'one'], OUTSIDE);
    await docker(host, 'rm -f one');
    await docker(host, 'network rm lan');
    const { stdout } = await host.net(['ip', '-4', '-o', 'address', 'show', 'dev', 'eth0']);
    assert.match(stdout, /inet 10\.8\.65\.79\/24/);
    await reaches(host, OUTSIDE);
    assert.equal((await host.net(['ip', 'link', 'show', 'br-eth0'], { check: false })).code, 1);
  });

  test('a network that cannot be taken up says why, and keeps no other from it', async () => {
    const { host } = stage();
    await host.ip('link add br0 type bridge', 'link set br0 up');
    await docker(host, 'network create -d local --ipam-driver berth --subnet 10.87.0.0/24 lan');
    await docker(host, 'network create -d berth --ipam-driver berth --subnet 10.88.0.0/24 plain');
    await start(host, 'one', '--network plain');
    await loseState(host);
    await host.ip('link delete br0');
    const agent = await host.startBerth(FLAGS);
    await agent.waitForOutput(/network lan cannot be taken over from the engine: there is no bridge br0 on this host/);
    await waitFor('the other to be known', async () => (await ask(host, '/v1/networks')).length === 1);
    await delay(2500);
    assert.equal((await agent.output()).match(/network\.refused/g)?.length, 1, 'it is told once');
    await reaches([host, 'one'], OUTSIDE);
    assert.ok((await inspect(host, 'one')).State.Running);
    // It is taken up as soon as it can be.
    await host.ip('link add br0 type bridge', 'link set br0 up');
    await waitFor('both to be known', async () => (await ask(host, '/v1/networks')).length === 2);
  });
});

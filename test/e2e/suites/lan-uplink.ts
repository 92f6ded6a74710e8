/** `-o parent=`: a bridge made from the host's own network card, and the card given back as it was. */

import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import type { Host } from '../bed/host.ts';
import type { Machine } from '../bed/machine.ts';
import { type Process, waitFor } from '../bed/process.ts';
import { addressOf, defaultRoute, docker, dockerFails, reaches, start } from './containers.ts';
import type { LanStage } from './lan-stage.ts';
import { nothingLeft } from './leftovers.ts';

const ADDRESS = '192.168.160.20';
const ADDRESS6 = 'fd00:160::20';
const BRIDGE = 'br-eth1';

const create = 'network create -d berth-lan --ipam-driver berth-lan -o parent=eth1';
const subnet = '--subnet=192.168.160.0/24 --gateway=192.168.160.2';

export function uplink(stage: LanStage): void {
  before(async () => {
    await stage().host.ip(
      'route add 198.51.100.0/24 via 192.168.160.2 dev eth1 metric 7 src 192.168.160.20',
      'route add 2001:db8:1::/48 via fd00:160::2 dev eth1',
    );
  });

  test("addresses, routes and the host's connections move to the bridge, and come back", async () => {
    const { host, elsewhere } = stage();
    const original = await holdings(host, 'eth1');
    assert.deepEqual(original.addresses.toSorted(), [`${ADDRESS}/24`, `${ADDRESS6}/64`]);
    const streams = await startStreams(host, elsewhere);

    await docker(host, `${create} ${subnet} --ip-range=192.168.160.128/26 phys`);
    assert.deepEqual(await holdings(host, BRIDGE), original);
    assert.deepEqual(await holdings(host, 'eth1'), { mac: original.mac, addresses: [], routes: [] });
    await start(host, 'first', '--network=phys');
    assert.equal(await addressOf(host, 'first'), '192.168.160.128');
    assert.equal(await defaultRoute(host, 'first'), '192.168.160.2 eth0');
    await reaches(elsewhere, '192.168.160.128');
    await reaches([host, 'first'], ADDRESS);
    // A second network of the same card shares the bridge, and keeps it when the first goes.
    await docker(host, `${create} ${subnet} --ip-range=192.168.160.192/26 more`);
    await start(host, 'second', '--network=more');
    await docker(host, 'rm -f first');
    await docker(host, 'network rm phys');
    await reaches(elsewhere, '192.168.160.192');
    assert.deepEqual(await holdings(host, BRIDGE), original);
    await docker(host, 'rm -f second');
    await docker(host, 'network rm more');
    assert.equal(await exists(host, BRIDGE), false);
    assert.deepEqual(await holdings(host, 'eth1'), original);

    await streams.survived();
  });

  test('without a confirmation in time everything goes back; with one it stays', async () => {
    const { host, second, elsewhere } = stage();
    await second.plug(host, { name: 'eth3' });
    const original = await holdings(host, 'eth1');
    const trial = '-o confirm=manual -o confirm_timeout=5';
    const bare = `network create -d berth-lan --ipam-driver null ${trial}`;
    await docker(host, `${bare} -o parent=eth3 kept`);
    const { code, stderr } = await host.berth('network', 'confirm', 'kept');
    assert.equal(code, 0, stderr);
    await docker(host, `${create} ${subnet} ${trial} tried`);
    assert.deepEqual(await holdings(host, BRIDGE), original);
    await reaches(elsewhere, ADDRESS);
    // The agent that has put it on trial need not live to see the end of it.
    await host.killBerth();
    await host.startBerth();
    await waitFor('the card to be given back', async () => !(await exists(host, BRIDGE)), 30_000);
    assert.deepEqual(await holdings(host, 'eth1'), original);
    await reaches(elsewhere, ADDRESS);
    // The other one's time was over earlier.
    assert.equal(await exists(host, 'br-eth3'), true);

    // What has been given back is not missed.
    const audit = await host.berth('audit', '--json');
    assert.deepEqual(JSON.parse(audit.stdout), [], audit.stdout);

    const late = await host.berth('network', 'confirm', 'tried');
    assert.notEqual(late.code, 0);
    assert.match(late.stderr, /too late: eth1 has been given back/);
    const refused = await dockerFails(host, `run -d --network tried ${await host.image()}`);
    assert.match(refused, /br-eth1/);
  });

  test('when the gateway does not answer any more, the network is refused and everything goes back', async () => {
    const { host, elsewhere } = stage();
    const original = await holdings(host, 'eth1');
    // As a switch would that lets only the card itself talk: nothing passes once it is a port.
    await host.net(['nft', '-f', '-'], {
      input: 'add table bridge wall; add chain bridge wall input { type filter hook input priority 0; policy drop; }\n',
    });
    try {
      assert.match(
        await dockerFails(host, `${create} ${subnet} phys`),
        /with eth1 as a port of br-eth1 the gateway 192\.168\.160\.2.* did not answer any more/,
      );
    } finally {
      await host.net(['nft', 'delete', 'table', 'bridge', 'wall']);
    }
    assert.equal(await exists(host, BRIDGE), false);
    assert.deepEqual(await holdings(host, 'eth1'), original);
    await reaches(elsewhere, ADDRESS);
  });

  for (const command of ['create', 'rm'] as const) {
    test(`a crash of the agent within network ${command}`, { timeout: 120_000 }, async () => {
      const { host, elsewhere } = stage();
      const original = await holdings(host, 'eth1');
      const createIt = `${create} ${subnet} -o confirm=none phys`;
      const [before, line] = command === 'create' ? ['network ls', createIt] : [createIt, 'network rm phys'];
      await docker(host, before);
      const effects = await effectsOf(host, line);
      if (command === 'create') await docker(host, 'network rm phys');
      for (const point of ['before kernel.execute', 'after kernel.execute']) {
        const number = effects.findIndex((effect) => effect.endsWith(point)) + 1;
        assert.notEqual(number, 0, `docker ${line} gets to '${point}'`);
        await docker(host, before);
        await restart(host, { BERTH_CRASH_AT_EFFECT: `${number}` });
        const doomed = host.agent();
        const outcome = command === 'create' ? dockerFails(host, line) : docker(host, line);
        await Promise.all([
          outcome,
          waitFor(`the agent to end at '${point}'`, () => !doomed.running()).then(() => host.startBerth()),
        ]);
        await waitFor('the bridge to be gone', async () => !(await exists(host, BRIDGE)));
        assert.deepEqual(await holdings(host, 'eth1'), original);
        await reaches(elsewhere, ADDRESS);
        await reaches(elsewhere, ADDRESS6);
        await nothingLeft(host);
      }
    });
  }
}

/** What the agent does from its start to the end of a docker command, in the order in which it counts. */
async function effectsOf(host: Host, line: string): Promise<readonly string[]> {
  const file = join(host.dir, 'effects');
  await restart(host, { BERTH_CRASH_LOG: file });
  await docker(host, line);
  const effects = readFileSync(file, 'utf8').trim().split('\n');
  await restart(host, {});
  rmSync(file);
  return effects;
}

async function restart(host: Host, env: NodeJS.ProcessEnv): Promise<void> {
  await host.stopBerth();
  await host.startBerth([], env);
}

async function exists(host: Host, link: string): Promise<boolean> {
  return (await host.net(['ip', 'link', 'show', link], { check: false })).code === 0;
}

interface Holdings {
  readonly mac: string;
  readonly addresses: readonly string[];
  /** As `ip route` prints them, without the interface; those that the kernel makes with an address are left out. */
  readonly routes: readonly string[];
}

async function holdings(host: Host, link: string): Promise<Holdings> {
  const [shown, routes, routes6] = await Promise.all([
    host.net(['ip', '-j', 'address', 'show', link]),
    host.net(['ip', 'route', 'show', 'table', 'all', 'dev', link]),
    host.net(['ip', '-6', 'route', 'show', 'table', 'all', 'dev', link]),
  ]);
  const [{ address, addr_info: all }] = JSON.parse(shown.stdout) as [
    { address: string; addr_info: { local: string; prefixlen: number; scope: string; tentative?: boolean }[] },
  ];
  const held = all.filter(({ scope }) => scope === 'global');
  assert.deepEqual(
    held.filter(({ tentative }) => tentative),
    [],
    `an address of ${link} cannot be used yet`,
  );
  return {
    mac: address,
    addresses: held.map(({ local, prefixlen }) => `${local}/${prefixlen}`),
    routes: `${routes.stdout}${routes6.stdout}`
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !/proto kernel|^(local|broadcast|anycast|multicast) /.test(line)),
  };
}

/** Pings of both families and a connection from a machine to the host. */
async function startStreams(host: Host, from: Machine): Promise<{ survived(): Promise<void> }> {
  const received = await host.spawn(['sh', '-c', 'sleep 1000000 | busybox nc -l -p 7000'], { name: 'received' });
  const script = `i=0; while :; do echo $i; i=$((i + 1)); sleep 0.05; done | busybox nc ${ADDRESS} 7000`;
  await waitFor('the listener', async () => (await host.net(['ss', '-Hltn', 'sport', '=', '7000'])).stdout !== '');
  const sent = await from.netSpawn(['sh', '-c', script], { name: 'sent' });
  const pings = await Promise.all([
    from.netSpawn(['busybox', 'ping', '-i', '0.05', ADDRESS], { name: 'ping' }),
    from.netSpawn(['busybox', 'ping6', '-i', '0.05', ADDRESS6], { name: 'ping6' }),
  ]);
  await Promise.all([received.waitForOutput(/^5$/m), ...pings.map((ping) => ping.waitForOutput(/seq=5 /))]);
  return {
    survived: async () => {
      const last = Number((await received.output()).trim().split('\n').at(-1));
      await received.waitForOutput(new RegExp(`^${last + 20}$`, 'm'));
      await sent.stop('SIGKILL');
      await received.stop('SIGKILL');
      const lines = (await received.output())
        .trim()
        .split('\n')
        .slice(0, last + 20);
      assert.deepEqual(
        lines,
        lines.map((_, index) => `${index}`),
      );
      for (const ping of pings) await lostFew(ping);
    },
  };
}

/** A frame may be under way while the card is put into the bridge and out of it. */
async function lostFew(ping: Process): Promise<void> {
  await ping.stop('SIGINT');
  const [, transmitted, received] = (await ping.waitForOutput(/(\d+) packets transmitted, (\d+) packets received/)).map(
    Number,
  );
  assert.ok(transmitted! > 20);
  assert.ok(transmitted! - received! <= 2, `${transmitted! - received!} of ${transmitted} pings were lost`);
}

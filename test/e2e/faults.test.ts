/**
 * What surrounds the agent misbehaves: the clock is set, the engine does not answer, the kernel refuses, a signal comes in the
 * middle of everything. Each time Docker gets an answer in time, and nothing is lost, given out twice, or left behind.
 */

import assert from 'node:assert/strict';
import { globSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Host } from './bed/host.ts';
import { waitFor } from './bed/process.ts';
import { ask, pluginCall, settled } from './suites/agent.ts';
import { addressOf, docker, dockerFails, reaches, start } from './suites/containers.ts';
import { nothingLeft } from './suites/leftovers.ts';
import { setStage } from './suites/stage.ts';

const ENGINE = '20.10';
const FLAGS = ['--gc-grace', '1', '--audit-interval', '1', '--linger', '0'];
const create = 'network create -d berth --ipam-driver berth';

describe('the clock is set', () => {
  const CLOCK = '/run/clock';
  const GRACE = 5;
  const stage = setStage(ENGINE, async (bed, engine) => {
    const host = await bed.host('h1', { engine });
    const [library] = globSync('/usr/lib/*/faketime/libfaketimeMT.so.1');
    assert.ok(library, 'the Debian package libfaketime is installed');
    writeFileSync(host.path(CLOCK), '+0');
    await host.startBerth(['--gc-grace', `${GRACE}`, '--audit-interval', '1', '--linger', '0'], {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: CLOCK,
      FAKETIME_NO_CACHE: '1',
      // Nobody can set this one.
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      NO_FAKE_STAT: '1',
    });
    return { host };
  });

  for (const [name, offset, days] of [
    ['a year ahead', '+365d', 365],
    ['a year back', '-365d', -365],
  ] as const) {
    test(`${name}: nothing that is in use is freed, what is not is, and new containers work`, async () => {
      const { host } = stage();
      writeFileSync(host.path(CLOCK), '+0');
      await docker(host, `${create} --subnet 10.88.0.0/24 net`);
      await start(host, 'one', '--network net');
      const one = await addressOf(host, 'one');
      // An address that nobody will ever use: it has been seen as such, and then the clock is set.
      const asked = performance.now();
      const { json } = await pluginCall(host, 'IpamDriver.RequestAddress', { PoolID: 'berth/10.88.0.0-24' });
      assert.equal(json?.Address, '10.88.0.3/24');
      await delay(1500);
      writeFileSync(host.path(CLOCK), offset);
      const isLeased = async () => (await ask(host, '/v1/leases')).some(({ address }) => address === '10.88.0.3');
      for (let leased = true; leased; ) {
        await delay(50);
        leased = await isLeased();
        const early = performance.now() - asked < GRACE * 1000;
        assert.ok(leased || !early, 'it was freed before its grace was over');
        if (!early) break;
      }
      await waitFor('it to be freed when its grace is over', async () => !(await isLeased()), 30_000);
      await settled(host, ['one'], [one]);

      await start(host, 'two', '--network net');
      const two = (await ask(host, '/v1/endpoints')).find(({ createdAt }) => {
        const off = (Date.parse(createdAt) - Date.now()) / 86_400_000;
        return Math.abs(off - days) < 1;
      });
      assert.deepEqual(two?.addresses, ['10.88.0.3/24'], 'the agent goes by the clock that was set');
      await reaches([host, 'two'], one);
      await docker(host, 'rm -f two');
      await settled(host, ['one'], [one]);
      assert.deepEqual(JSON.parse((await host.berth('audit', '--json')).stdout), []);
      assert.equal((await host.berth('status')).code, 0);
    });
  }
});

describe('the agent is told to stop', () => {
  const stage = setStage(ENGINE, async (bed, engine) => {
    const host = await bed.host('h1', { engine });
    await host.startBerth(FLAGS);
    return { host };
  });
  const sockets = (host: Host): string[] => [
    ...readdirSync(host.path('/run/docker/plugins')),
    ...readdirSync(host.path('/run/berth')),
  ];

  test('what was asked before is answered, its names are gone, and the exit code is 0', async () => {
    const { host } = stage();
    await docker(host, `${create} --subnet 10.88.0.0/24 net`);
    const calls = Array.from({ length: 150 }, () =>
      pluginCall(host, 'IpamDriver.RequestAddress', { PoolID: 'berth/10.88.0.0-24' }),
    );
    await Promise.race(calls);
    const stopping = host.stopBerth();
    const answers = await Promise.all(calls);
    assert.equal(await stopping, 0);
    const given = answers.map(({ json }) => json?.Address);
    assert.equal(new Set(given).size, 150, 'each got an address of its own');
    assert.deepEqual(sockets(host), []);
    await host.startBerth(FLAGS);
    await settled(host, [], []);
  });

  test('containers that start meanwhile run when it is back', async () => {
    const { host } = stage();
    await docker(host, `${create} --subnet 10.88.0.0/24 net`);
    const names = Array.from({ length: 8 }, (_, index) => `c${index}`);
    const starts = names.map((name) => start(host, name, '--network net'));
    await delay(250);
    assert.equal(await host.stopBerth(), 0);
    await delay(300);
    await host.startBerth(FLAGS);
    await Promise.all(starts);
    const addresses = await Promise.all(names.map((name) => addressOf(host, name)));
    assert.equal(new Set(addresses).size, 8);
    await settled(host, names, addresses);
    for (const address of addresses) await reaches([host, 'c0'], address);
  });

  test('while it starts: no name is left that nobody answers', async () => {
    const { host } = stage();
    await host.stopBerth();
    for (let wait = 40; wait <= 600; wait += 40) {
      const agent = await host.startBerth(FLAGS, {}, { wait: false });
      await delay(wait);
      const code = await agent.stop('SIGTERM');
      // Node itself has to come up before it can take a signal.
      assert.ok([0, 143].includes(code), `after ${wait} ms: exit code ${code}`);
      assert.deepEqual(sockets(host), [], `after ${wait} ms`);
    }
    await host.startBerth(FLAGS);
  });
});

describe('the engine does not answer', () => {
  const stage = setStage(ENGINE, async (bed, engine) => ({ host: await bed.host('h1', { engine }) }));

  test('a socket that takes connections and says nothing: plugin calls do not wait for it, and status tells', async () => {
    const { host } = stage();
    const taken = new Set<Socket>();
    const silent = createServer((socket) => taken.add(socket));
    await new Promise<void>((resolve) => silent.listen(host.path('/run/silent.sock'), resolve));
    try {
      await host.startBerth([...FLAGS, '--docker', 'unix:///run/silent.sock']);
      const began = performance.now();
      await docker(host, `${create} --subnet 10.88.0.0/24 net`);
      await start(host, 'one', '--network net');
      await start(host, 'two', '--network net');
      await reaches([host, 'one'], await addressOf(host, 'two'));
      const seconds = (performance.now() - began) / 1000;
      assert.ok(seconds < 15, `it took ${seconds.toFixed(1)} s`);
      assert.ok(taken.size > 0, 'it was asked');
      const { problems, healthy } = await ask(host, '/health');
      assert.deepEqual([healthy, problems], [true, ['the engine at unix:///run/silent.sock does not answer']]);
      const listed = await host.berth('network', 'ls');
      assert.match(listed.stdout, /10\.88\.0\.0\/24/);
      // Nothing is garbage because nobody says that it is not.
      await delay(3000);
      await settledWithoutNames(host);
      const stopping = performance.now();
      assert.equal(await host.stopBerth(), 0);
      assert.ok(performance.now() - stopping < 4000, `it took ${performance.now() - stopping} ms to stop`);
    } finally {
      silent.close();
      for (const socket of taken) socket.destroy();
    }
    await host.startBerth(FLAGS);
    await settled(host, ['one', 'two'], ['10.88.0.2', '10.88.0.3']);
  });

  async function settledWithoutNames(host: Host): Promise<void> {
    const held = (await ask(host, '/v1/endpoints')).map(({ addresses }) => addresses.join());
    assert.deepEqual(held.toSorted(), ['10.88.0.2/24', '10.88.0.3/24']);
    assert.equal((await ask(host, '/v1/leases')).length, 3);
  }
});

describe('the kernel refuses', () => {
  const stage = setStage(ENGINE, async (bed, engine) => {
    const host = await bed.host('h1', { engine });
    await host.startBerth(FLAGS);
    return { host };
  });

  /** What the command says of its own accord. */
  const DOCKERS_OWN = /^$|^WARNING: |'docker run --help'|error waiting for container/;

  /** One line from Docker. */
  async function runFails(host: Host, network: string): Promise<string> {
    const said = await dockerFails(host, `run --name doomed --network ${network} ${await host.image()} true`);
    const lines = said.split('\n').filter((line) => line.startsWith('docker: ') || !DOCKERS_OWN.test(line));
    assert.equal(lines.length, 1, said);
    await docker(host, 'rm -f doomed');
    return lines[0]!;
  }

  test('the bridge of the LAN was deleted', async () => {
    const { host } = stage();
    await host.ip('link add br0 type bridge', 'link set br0 up');
    await docker(host, 'network create -d berth-lan --ipam-driver berth --subnet 10.88.0.0/24 net');
    await host.ip('link delete br0');
    assert.match(await runFails(host, 'net'), /there is no bridge br0 on this host; name one with -o bridge=/);
    assert.deepEqual(await ask(host, '/v1/endpoints'), []);
    await settled(host, [], []);
    // It needs no more than the bridge to work again.
    await host.ip('link add br0 type bridge', 'link set br0 up');
    await start(host, 'one', '--network net');
    await docker(host, 'rm -f one');
    await host.ip('link delete br0');
  });

  test('a setting cannot be written', async () => {
    const { host } = stage();
    await docker(host, `${create} --subnet 10.88.0.0/24 net`);
    await host.sh(
      'sysctl -qw net.ipv4.ip_forward=0; mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys',
    );
    try {
      assert.match(
        await runFails(host, 'net'),
        /cannot set sysctl net\/ipv4\/ip_forward to 1: it may only be read here/,
      );
      await settled(host, [], []);
    } finally {
      await host.sh('umount /proc/sys');
    }
    await start(host, 'one', '--network net');
    await reaches([host, 'one'], '10.8.65.1');
    await docker(host, 'rm -f one');
    await docker(host, 'network rm net');
    await nothingLeft(host);
  });
});

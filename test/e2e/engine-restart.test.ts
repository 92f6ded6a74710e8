/**
 * Promises 1 and 2 when the engine restarts: it starts as fast as without Berth's help, its containers come back on their
 * networks, no address is given out twice and none stays behind; with Berth up, down and frozen.
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Host } from './bed/host.ts';
import { waitFor } from './bed/process.ts';
import { addressOf, inspect, reaches, start } from './suites/containers.ts';
import { setStage } from './suites/stage.ts';
import { watchdog } from './suites/watchdog.ts';

const ENGINE = '20.10';
const FLAGS = ['--gc-grace', '1', '--audit-interval', '2', '--linger', '0'];

const stageOf = () =>
  setStage(ENGINE, async (bed, engine) => {
    const host = await bed.host('h1', { engine });
    await host.startBerth(FLAGS);
    return { host };
  });

/** A network and a container on it that the engine starts again by itself. */
async function setUp(host: Host, ipam: string): Promise<string> {
  await host.docker('network', 'create', '-d', 'berth', '--ipam-driver', ipam, '--subnet', '10.99.0.0/24', 'net');
  await start(host, 'stays', '--init --restart always --network net --ip 10.99.0.10');
  await start(host, 'other', '--init --restart always --network net');
  await reaches([host, 'stays'], await addressOf(host, 'other'));
  return addressOf(host, 'other');
}

async function backAgain(host: Host): Promise<void> {
  for (const name of ['stays', 'other']) {
    await waitFor(
      () => `container ${name} to run again`,
      async () => (await inspect(host, name)).State.Running,
      30_000,
    );
  }
  assert.equal(await addressOf(host, 'stays'), '10.99.0.10');
  await reaches([host, 'stays'], await addressOf(host, 'other'));
  await reaches([host, 'stays'], '10.8.65.1');
}

/** One record for each container that runs, and one lease for each of its addresses. */
async function recordsAgree(host: Host, ipam: string): Promise<void> {
  let seen = '';
  await waitFor(
    () => `the records to be those of the two containers that run: ${seen}`,
    async () => {
      const endpoints = JSON.parse((await host.berthApi('/v1/endpoints')).body) as {
        container?: string;
        addresses: string[];
      }[];
      const leases = JSON.parse((await host.berthApi('/v1/leases')).body) as { kind: string; address: string }[];
      const held = leases.filter(({ kind }) => kind !== 'gateway').map(({ address }) => address);
      seen = JSON.stringify({
        endpoints: endpoints.map(({ container, addresses }) => [container, ...addresses]),
        held,
      });
      return endpoints.length === 2 && (ipam === 'default' || (held.length === 2 && new Set(held).size === 2));
    },
    30_000,
  );
}

for (const ipam of ['berth', 'default'] as const) {
  describe(`the engine restarts, network with the ${ipam} IPAM`, () => {
    const stage = stageOf();

    test('in order, with Berth up', async () => {
      const { host } = stage();
      await setUp(host, ipam);
      await host.stopEngine();
      await host.startEngine();
      await backAgain(host);
      await recordsAgree(host, ipam);
    });

    test('after kill -9, with Berth up', async () => {
      const { host } = stage();
      await setUp(host, ipam);
      await host.killEngine();
      await host.startEngine();
      await backAgain(host);
      await recordsAgree(host, ipam);
    });

    test('after kill -9 of both, Berth first', async () => {
      const { host } = stage();
      await setUp(host, ipam);
      await Promise.all([host.killEngine(), host.killBerth()]);
      await host.startBerth(FLAGS);
      await host.startEngine();
      await backAgain(host);
      await recordsAgree(host, ipam);
    });

    test('after a power failure', async () => {
      const { host } = stage();
      await setUp(host, ipam);
      await host.powerOff();
      await host.powerOn();
      await host.startBerth(FLAGS);
      await host.startEngine();
      await backAgain(host);
      await recordsAgree(host, ipam);
    });

    test('with Berth down: the engine gives up on it by itself, and all is well once it is there', async () => {
      const { host } = stage();
      await setUp(host, ipam);
      await host.stopEngine();
      await host.stopBerth();
      const started = performance.now();
      await host.startEngine();
      const seconds = (performance.now() - started) / 1000;
      // The socket is gone, so nobody waits for an answer; the engine's own 15 s of looking for a plugin per call remain.
      assert.ok(seconds < 110, `dockerd took ${seconds.toFixed(1)} s`);
      await host.startBerth(FLAGS);
      await host.docker('start', 'stays', 'other');
      await backAgain(host);
      await recordsAgree(host, ipam);
    });
  });
}

describe('live-restore', () => {
  const stage = setStage(ENGINE, async (bed, engine) => {
    const host = await bed.host('h1', { engine, flags: ['--live-restore'] });
    await host.startBerth(FLAGS);
    return { host };
  });

  test('containers keep their network over a kill of the engine, and are removed in order afterwards', async () => {
    const { host } = stage();
    const other = await setUp(host, 'berth');
    await host.killEngine();
    await reaches([host, 'stays'], other).catch(() => undefined);
    await host.startEngine(['--live-restore']);
    await reaches([host, 'stays'], other);
    assert.equal(await addressOf(host, 'other'), other, 'the container was not touched');
    await recordsAgree(host, 'berth');
    await assert.rejects(
      host.docker('run', '--rm', '--network', 'net', '--ip', other, await host.image(), 'true'),
      /10\.99\.0\.\d+ is held by the container other/,
    );
  });
});

describe('Berth stands still', () => {
  const stage = stageOf();

  test('the service manager ends it, and dockerd starts all the same', async () => {
    const { host } = stage();
    await setUp(host, 'berth');
    await host.stopEngine();
    await host.stopBerth();
    const manager = await watchdog(host, FLAGS, 5000);
    try {
      await host.agent().freeze();
      const started = performance.now();
      await host.startEngine();
      const seconds = (performance.now() - started) / 1000;
      assert.equal(manager.kills(), 1, 'it was ended once');
      assert.ok(seconds < 60, `dockerd took ${seconds.toFixed(1)} s`);
      await host.docker('start', 'stays', 'other');
      await backAgain(host);
    } finally {
      manager.stop();
    }
  });
});

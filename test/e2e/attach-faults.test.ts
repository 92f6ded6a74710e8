/**
 * Attachments when things fail: the agent killed just before and just after every effect that it has on its store or on the
 * kernel while it attaches and detaches; the engine restarted in order, killed, with live restore; a power failure.
 */

import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { AttachmentView } from '../../src/agent/api.ts';
import type { Host } from './bed/host.ts';
import { waitFor } from './bed/process.ts';
import { attach, attachStage, berth, FLAGS, hasAddresses } from './suites/attach-stage.ts';
import { docker, inspect, interfaces, reaches, start } from './suites/containers.ts';
import { GATEWAY } from './suites/lan-stage.ts';
import { clear, nothingLeft } from './suites/leftovers.ts';

const LOG = '/run/effects';
const ADDRESS = '192.168.159.200';
const PLUG = `web --bridge br0 --address ${ADDRESS}/24 --gateway ${GATEWAY}`;

describe('attachments and faults', () => {
  const stage = attachStage('20.10');

  /** A command that may be cut off in the middle. */
  const attempt = (host: Host, line: string) => host.berth(...line.split(' '));

  async function killedAt(effect: number, host: Host): Promise<void> {
    await start(host, 'web', '--network none');
    const doomed = await host.startBerth(FLAGS, { BERTH_CRASH_AT_EFFECT: String(effect) }, { wait: false });
    const restarted = doomed.exited().then(() => host.startBerth(FLAGS));
    // The socket is there a moment after the start.
    await waitFor('the agent to answer', async () => {
      if (!doomed.running()) return true;
      return (await attempt(host, 'status')).code !== 3;
    });
    await attempt(host, `attach ${PLUG}`);
    await attempt(host, 'detach web');
    if (doomed.running()) await doomed.stop('SIGKILL');
    await restarted;
    // Whatever had come of it: the same commands work, and have their effect.
    await attach(host, PLUG);
    await hasAddresses(host, 'web', 'eth1', [`${ADDRESS}/24`]);
    await reaches(stage().other, ADDRESS);
    await berth(host, 'detach web');
    assert.deepEqual(await interfaces(host, 'web'), []);
    await clear(host);
    await nothingLeft(host);
  }

  test('a kill at every effect', { timeout: 600_000 }, async (context) => {
    const { host } = stage();
    await host.stopBerth();
    await start(host, 'web', '--network none');
    await host.startBerth(FLAGS, { BERTH_CRASH_LOG: LOG });
    await attach(host, PLUG);
    await berth(host, 'detach web');
    const effects = readFileSync(host.path(LOG), 'utf8').trim().split('\n');
    rmSync(host.path(LOG));
    assert.ok(effects.length > 20, effects.join('\n'));
    context.diagnostic(`${effects.length} effects`);
    await clear(host);
    for (const [index, effect] of effects.entries()) {
      await host.stopBerth();
      await context.test(effect, () => killedAt(index + 1, host));
    }
  });

  /** A container that the engine starts again by itself, attached. */
  async function setUp(host: Host): Promise<void> {
    await start(host, 'web', '--network none --restart always');
    await attach(host, PLUG);
    await reaches(stage().other, ADDRESS);
  }

  async function backAgain(host: Host): Promise<void> {
    await waitFor('the container to run again', async () => (await inspect(host, 'web')).State.Running, 30_000);
    await hasAddresses(host, 'web', 'eth1', [`${ADDRESS}/24`]);
    await reaches(stage().other, ADDRESS);
    const all = await berth<readonly AttachmentView[]>(host, 'attachment ls');
    assert.deepEqual(
      all.map((one) => [one.container, one.state]),
      [['web', 'plugged']],
    );
  }

  test('the engine restarts', async () => {
    const { host } = stage();
    await setUp(host);
    await host.stopEngine();
    await host.startEngine();
    await backAgain(host);
  });

  test('the engine is killed', async () => {
    const { host } = stage();
    await setUp(host);
    await host.killEngine();
    await host.startEngine();
    await backAgain(host);
  });

  test('the engine restarts with live restore: not a packet is lost', async () => {
    const { host, other } = stage();
    await host.stopEngine();
    await host.startEngine(['--live-restore']);
    await setUp(host);
    const before = (await interfaces(host, 'web'))[0];
    await host.killEngine();
    await reaches(other, ADDRESS);
    await host.startEngine(['--live-restore']);
    await backAgain(host);
    assert.deepEqual((await interfaces(host, 'web'))[0], before);
    await docker(host, 'rm -f web');
    await host.stopEngine();
    await host.startEngine();
  });

  test('a power failure', async () => {
    const { host } = stage();
    await setUp(host);
    await host.powerOff();
    await host.powerOn();
    await host.startBerth(FLAGS);
    await host.startEngine();
    await backAgain(host);
  });
});

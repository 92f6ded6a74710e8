/**
 * Promise 2 and 5, and the journal: the agent is killed just before and just after each of its effects on the store and the
 * kernel, one after the other, in the middle of Docker's commands; then it is started again. Whatever the point, the same
 * commands then work, no two containers ever have one address, and nothing is left in the end.
 */

import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type Bed, openBed } from './bed/bed.ts';
import type { Host } from './bed/host.ts';
import { nothingLeft } from './suites/leftovers.ts';

/** Short, so that what is left over is freed while the test looks on. */
const FLAGS = ['--gc-grace', '1', '--audit-interval', '1', '--linger', '0'];
const LOG = '/run/effects';

let bed: Bed;
let host: Host;
let image: string;

before(async () => {
  bed = await openBed('crash');
  host = await bed.host('h1');
  image = await host.image();
});
after(() => bed[Symbol.asyncDispose]());

/** Everything that makes the agent act. A step that fails is not the end: the next come all the same, as from a user. */
const commands = [
  ['network', 'create', '-d', 'berth', '--ipam-driver', 'berth', '--subnet', '10.77.0.0/24', 'net'],
  ['run', '-d', '--init', '--name', 'c1', '--network', 'net', 'IMAGE', 'sleep', '1000'],
  ['run', '-d', '--init', '--name', 'c2', '--network', 'net', 'IMAGE', 'sleep', '1000'],
  ['rm', '-f', 'c1'],
  ['rm', '-f', 'c2'],
  ['network', 'rm', 'net'],
] as const;

async function play(): Promise<readonly number[]> {
  const codes: number[] = [];
  for (const command of commands) {
    const { code } = await host.exec(['docker', ...command.map((word) => (word === 'IMAGE' ? image : word))], {
      check: false,
      timeout: 90_000,
    });
    codes.push(code);
  }
  return codes;
}

/** As `play`, with two containers whose addresses are looked at. */
async function playThrough(): Promise<void> {
  const addresses = new Set<string>();
  for (const command of commands) {
    await host.docker(...command.map((word) => (word === 'IMAGE' ? image : word)));
    if (command[0] !== 'run') continue;
    const address = await host.docker('inspect', '-f', '{{.NetworkSettings.Networks.net.IPAddress}}', command[4]);
    assert.ok(!addresses.has(address), `${address} was given out twice`);
    addresses.add(address);
  }
}

/** What a user does after a crash that Docker noticed: away with what is half made. */
async function tidy(): Promise<void> {
  await host.exec(['docker', 'rm', '-f', 'c1', 'c2'], { check: false, timeout: 90_000 });
  await host.exec(['docker', 'network', 'disconnect', '-f', 'net', 'c1'], { check: false });
  await host.exec(['docker', 'network', 'disconnect', '-f', 'net', 'c2'], { check: false });
  await host.exec(['docker', 'network', 'rm', 'net'], { check: false, timeout: 90_000 });
}

describe('a kill at every effect', () => {
  let effects: readonly string[] = [];

  test('there are effects to be killed at', async () => {
    await host.startBerth(FLAGS, { BERTH_CRASH_LOG: LOG });
    rmSync(host.path(LOG), { force: true });
    await playThrough();
    await nothingLeft(host);
    effects = readFileSync(host.path(LOG), 'utf8').trim().split('\n');
    assert.ok(effects.length > 20, effects.join('\n'));
    await host.stopBerth();
  });

  test('each of them', async (context) => {
    for (let at = 1; at <= effects.length; at++) {
      const point = effects[at - 1]!;
      await context.test(`${at}: ${point}`, async () => {
        const doomed = await host.startBerth(
          FLAGS,
          { BERTH_CRASH_AT_EFFECT: String(at), BERTH_CRASH_LOG: LOG },
          { wait: false },
        );
        // As systemd does, with Restart=on-failure; Docker's repeated calls find it.
        const restarted = doomed.exited().then(() => host.startBerth(FLAGS));
        await play();
        if (doomed.running()) await doomed.stop('SIGKILL');
        await restarted;
        await tidy();
        await playThrough();
        await nothingLeft(host);
        await host.stopBerth();
      });
    }
  });
});

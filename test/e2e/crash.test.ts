/**
 * Promises 2 and 5, and the journal: the agent is killed just before and just after each of its effects on the store and the
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
/** Each kill costs seconds in which Docker waits: several hosts wait at the same time. */
const HOSTS = ['h1', 'h2', 'h3'] as const;

let bed: Bed;
let hosts: readonly Host[];
let image: string;

before(async () => {
  bed = await openBed('crash');
  hosts = await Promise.all(HOSTS.map((name) => bed.host(name)));
  [image] = (await Promise.all(hosts.map((host) => host.image()))) as [string];
});
after(() => bed[Symbol.asyncDispose]());

interface Kind {
  readonly name: string;
  /** Of `docker network create`. */
  readonly create: readonly string[];
  /** The effects to be killed at. What the store does is the same for all kinds. */
  readonly at: RegExp;
}

const kinds: readonly Kind[] = [
  { name: 'a virtual network', create: ['-d', 'berth', '--ipam-driver', 'berth'], at: /./ },
  {
    name: 'a macvlan on the LAN, with the host on it',
    create: ['-d', 'berth-lan', '--ipam-driver', 'berth-lan', '-o', 'mode=macvlan', '-o', 'parent=eth0'],
    at: /kernel/,
  },
];

/** Everything that makes the agent act. The hosts are on one underlay: each has a subnet of its own. */
const commands = (host: Host, { create }: Kind) =>
  [
    ['network', 'create', ...create, '--subnet', `10.77.${hosts.indexOf(host)}.0/24`, 'net'],
    ['run', '-d', '--init', '--name', 'c1', '--network', 'net', image, 'sleep', '1000'],
    ['run', '-d', '--init', '--name', 'c2', '--network', 'net', image, 'sleep', '1000'],
    ['rm', '-f', 'c1'],
    ['rm', '-f', 'c2'],
    ['network', 'rm', 'net'],
  ] as const;

/** A step that fails is not the end: the next come all the same, as from a user. */
async function play(host: Host, kind: Kind): Promise<void> {
  for (const command of commands(host, kind))
    await host.exec(['docker', ...command], { check: false, timeout: 90_000 });
}

/** Every step works, and the two containers have addresses of their own. */
async function playThrough(host: Host, kind: Kind): Promise<void> {
  const addresses = new Set<string>();
  for (const command of commands(host, kind)) {
    await host.docker(...command);
    if (command[0] !== 'run') continue;
    const address = await host.docker('inspect', '-f', '{{.NetworkSettings.Networks.net.IPAddress}}', command[4]);
    assert.ok(!addresses.has(address), `${address} was given out twice`);
    addresses.add(address);
  }
}

/** What a user does after a crash that Docker noticed: away with what is half made. */
async function tidy(host: Host): Promise<void> {
  await host.exec(['docker', 'rm', '-f', 'c1', 'c2'], { check: false, timeout: 90_000 });
  const { body } = await host.api('/networks/net');
  const { Containers = {} } = JSON.parse(body) as { Containers?: Record<string, { Name: string }> };
  for (const { Name } of Object.values(Containers))
    await host.exec(['docker', 'network', 'disconnect', '-f', 'net', Name], { check: false });
  await host.exec(['docker', 'network', 'rm', 'net'], { check: false, timeout: 90_000 });
}

async function killedAt(effect: number, host: Host, kind: Kind): Promise<void> {
  const doomed = await host.startBerth(FLAGS, { BERTH_CRASH_AT_EFFECT: String(effect) }, { wait: false });
  // As systemd does, with Restart=on-failure; Docker's repeated calls find it.
  const restarted = doomed.exited().then(() => host.startBerth(FLAGS));
  try {
    await play(host, kind);
    // Which effects there are differs a little from run to run; the last ones may not be reached.
    if (doomed.running()) await doomed.stop('SIGKILL');
    await restarted;
    await tidy(host);
    await playThrough(host, kind);
    await nothingLeft(host);
  } finally {
    await restarted.then(() => host.stopBerth()).catch(() => undefined);
  }
}

for (const kind of kinds) {
  describe(`a kill at every effect: ${kind.name}`, () => {
    let effects: readonly string[] = [];

    test('there are effects to be killed at', async () => {
      const [host] = hosts as [Host];
      await host.startBerth(FLAGS, { BERTH_CRASH_LOG: LOG });
      rmSync(host.path(LOG), { force: true });
      await playThrough(host, kind);
      await nothingLeft(host);
      effects = readFileSync(host.path(LOG), 'utf8').trim().split('\n');
      assert.ok(effects.length > 20, effects.join('\n'));
      await host.stopBerth();
    });

    test('each of them', { concurrency: HOSTS.length }, async (context) => {
      const numbers = effects.flatMap((effect, index) => (kind.at.test(effect) ? [index + 1] : []));
      context.diagnostic(`${numbers.length} of ${effects.length} effects`);
      await Promise.all(
        hosts.map(async (host, first) => {
          for (let next = first; next < numbers.length; next += hosts.length) {
            const effect = numbers[next]!;
            await context.test(`${effects[effect - 1]} on ${host.name}`, () => killedAt(effect, host, kind));
          }
        }),
      );
    });
  });
}

/**
 * Promises 2 and 5 for addresses that a DHCP server gives: the agent is killed just before and just after each of its effects
 * on the store and the kernel, while a container is made and removed; then it is started again. The same commands then work,
 * and the server has no lease of ours in the end. The container has an address of each kind, IPv4 and DHCPv6.
 */

import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type Bed, openBed } from './bed/bed.ts';
import { type DhcpServer, startDhcp } from './bed/dhcp.ts';
import type { Host } from './bed/host.ts';
import { served } from './suites/dhcp-stage.ts';
import { served6, stateful } from './suites/dhcp6-stage.ts';
import { nothingLeft } from './suites/leftovers.ts';

const FLAGS = ['--gc-grace', '1', '--audit-interval', '1', '--linger', '0'];
const LOG = '/run/effects';

/** Each kill costs seconds in which Docker waits: several hosts wait at the same time, each on a LAN of its own. */
const STAGES = ['one', 'two', 'three'] as const;

interface Stage {
  readonly host: Host;
  readonly server: DhcpServer;
}

let bed: Bed;
let stages: readonly Stage[];
let image: string;

before(async () => {
  bed = await openBed('dhcp-crash');
  stages = await Promise.all(
    STAGES.map(async (name): Promise<Stage> => {
      const lan = await bed.lan({ name, subnet: '192.168.7.0/24', gateway: '192.168.7.2' });
      const [machine, host] = await Promise.all([
        lan.machine('dhcp', '192.168.7.3/24', '2001:db8:7::3/64'),
        bed.host(`host-${name}`, { underlay: false }),
      ]);
      await lan.plug(host, { bridge: 'br0', addresses: ['192.168.7.20/24'], gateway: true });
      return { host, server: await startDhcp(machine, stateful()) };
    }),
  );
  [image] = (await Promise.all(stages.map(({ host }) => host.image()))) as [string];
});
after(() => bed[Symbol.asyncDispose]());

const commands = () =>
  [
    ['network', 'create', '-d', 'berth-lan', '--ipam-driver', 'null', '-o', 'dhcp=true', '-o', 'ipv6=dhcp', 'net'],
    ['run', '-d', '--name', 'c1', '--network', 'net', image, 'sleep', '1000'],
    ['restart', '-t', '0', 'c1'],
    ['rm', '-f', 'c1'],
    ['network', 'rm', 'net'],
  ] as const;

async function playThrough({ host, server }: Stage): Promise<void> {
  for (const command of commands()) {
    await host.docker(...command);
    if (command[0] !== 'run' && command[0] !== 'restart') continue;
    const on = '{{with .NetworkSettings.Networks.net}}{{.IPAddress}} {{.GlobalIPv6Address}}{{end}}';
    const shown = await host.docker('inspect', '-f', on, 'c1');
    const leased = [...server.leases(), ...server.leases6()];
    assert.equal(leased.map(({ address }) => address).join(' '), shown);
  }
}

async function nothingAnywhere({ host, server }: Stage): Promise<void> {
  await nothingLeft(host);
  await served(server, []);
  await served6(server, []);
}

async function killedAt(effect: number, stage: Stage): Promise<void> {
  const { host } = stage;
  const doomed = await host.startBerth(FLAGS, { BERTH_CRASH_AT_EFFECT: String(effect) }, { wait: false });
  const restarted = doomed.exited().then(() => host.startBerth(FLAGS));
  try {
    for (const command of commands()) await host.exec(['docker', ...command], { check: false, timeout: 90_000 });
    if (doomed.running()) await doomed.stop('SIGKILL');
    await restarted;
    await host.exec(['docker', 'rm', '-f', 'c1'], { check: false, timeout: 90_000 });
    await host.exec(['docker', 'network', 'rm', 'net'], { check: false, timeout: 90_000 });
    await nothingAnywhere(stage);
    await playThrough(stage);
    await nothingAnywhere(stage);
  } finally {
    await restarted.then(() => host.stopBerth()).catch(() => undefined);
  }
}

describe('a kill at every effect, with DHCP', () => {
  let effects: readonly string[] = [];

  test('there are effects to be killed at', async () => {
    const [stage] = stages as [Stage];
    const { host } = stage;
    await host.startBerth(FLAGS, { BERTH_CRASH_LOG: LOG });
    rmSync(host.path(LOG), { force: true });
    await playThrough(stage);
    await nothingAnywhere(stage);
    effects = readFileSync(host.path(LOG), 'utf8').trim().split('\n');
    assert.ok(effects.length > 20, effects.join('\n'));
    await host.stopBerth();
  });

  test('each of them', { concurrency: STAGES.length, timeout: 1_200_000 }, async (context) => {
    context.diagnostic(`${effects.length} effects`);
    await Promise.all(
      stages.map(async (stage, first) => {
        for (let effect = first + 1; effect <= effects.length; effect += stages.length) {
          await context.test(`${effects[effect - 1]} on ${stage.host.name}`, () => killedAt(effect, stage));
        }
      }),
    );
  });
});

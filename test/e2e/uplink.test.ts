/**
 * A NIC becomes a bridge and a NIC again while somebody works on the host through it: what the host has on it goes over and
 * comes back to the last attribute, and a session from another machine is never cut, whatever happens in between.
 */

import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Host } from './bed/host.ts';
import { unixRequest } from './bed/http.ts';
import type { Cable } from './bed/lan.ts';
import { waitFor } from './bed/process.ts';
import { addressOf, docker, reaches, start } from './suites/containers.ts';
import { nothingLeft } from './suites/leftovers.ts';
import { everything, hanging, nothing, seenFromOutside, withoutLifetime } from './suites/uplink-holdings.ts';
import {
  ADDRESS,
  ADDRESS6,
  BRIDGE,
  belongings,
  create,
  exists,
  GATEWAY,
  NIC,
  removal,
  setUplinkStage,
} from './suites/uplink-stage.ts';

describe('a card becomes a bridge', () => {
  const stage = setUplinkStage();

  test('everything that hangs on it goes over and comes back, and no session notices', async () => {
    const { host, lan, other, sessions } = stage();
    const original = await everything(host, NIC);
    const seen = await seenFromOutside(lan, other, [ADDRESS, ADDRESS6]);

    await docker(host, `${create} phys`);
    assert.deepEqual(await everything(host, BRIDGE), original);
    assert.deepEqual(await hanging(host, NIC), nothing);
    await sessions.goOn();
    assert.deepEqual(await seenFromOutside(lan, other, [ADDRESS, ADDRESS6]), seen);
    await start(host, 'c1', '--network=phys');
    await reaches(other, await addressOf(host, 'c1'));
    await reaches([host, 'c1'], ADDRESS);
    await sessions.goOn();

    await docker(host, 'rm -f c1');
    await docker(host, 'network rm phys');
    assert.deepEqual(await everything(host, NIC), original);
    await sessions.goOn();
    assert.deepEqual(await seenFromOutside(lan, other, [ADDRESS, ADDRESS6]), seen);
  });

  test('without a confirmation it goes back, with one it stays, and sessions go on through both', async () => {
    const { host, sessions } = stage();
    const original = await everything(host, NIC);
    const events = await host.spawn([join(import.meta.dirname, '../../bin/berth'), 'events'], { name: 'events' });
    await docker(host, `${create} -o confirm=manual -o confirm_timeout=5 tried`);
    assert.deepEqual(await everything(host, BRIDGE), original);
    await sessions.goOn();
    await waitFor('the card to be given back', async () => !(await exists(host, BRIDGE)), 30_000);
    await events.waitForOutput(/uplink\.returned .*eth1 was given back: nobody confirmed it in time/);
    assert.deepEqual(await everything(host, NIC), original);
    await sessions.goOn();
    await docker(host, 'network rm tried');

    await docker(host, `${create} -o confirm=manual -o confirm_timeout=5 tried`);
    const { code, stderr } = await host.berth('network', 'confirm', 'tried');
    assert.equal(code, 0, stderr);
    await events.waitForOutput(/uplink\.confirmed .*eth1 stays a port of br-eth1/);
    await events.stop();
    await sessions.goOn();
    await docker(host, 'network rm tried');
    assert.deepEqual(await everything(host, NIC), original);
    await sessions.goOn();
  });

  test('without a confirmation it goes back also when the engine has died meanwhile', async () => {
    const { host, sessions } = stage();
    const original = await everything(host, NIC);
    await docker(host, `${create} -o confirm=manual -o confirm_timeout=5 tried`);
    await host.killEngine();
    await waitFor('the card to be given back', async () => !(await exists(host, BRIDGE)), 30_000);
    assert.deepEqual(await everything(host, NIC), original);
    await sessions.goOn();
    await host.startEngine();
  });

  test('a cable that is pulled while it is on trial ends the trial', async () => {
    const { host, cable, sessions } = stage();
    // With its carrier a card loses its proxy entries, whoever it belongs to (neigh_carrier_down).
    const proxy = belongings.find((command) => command.includes('proxy'))!;
    await host.ip(removal(proxy));
    const original = await everything(host, NIC);
    await docker(host, `${create} -o confirm=manual -o confirm_timeout=600 tried`);
    await pulled(cable, async () => {
      await waitFor('the card to be given back', async () => !(await exists(host, BRIDGE)), 30_000);
    });
    await waitFor('the carrier', async () => (await host.net(['ip', 'link', 'show', NIC])).stdout.includes('LOWER_UP'));
    assert.deepEqual(await everything(host, NIC), original);
    await sessions.goOn();
    const late = await host.berth('network', 'confirm', 'tried');
    assert.match(late.stderr, /too late: eth1 has been given back/);
    await host.ip(proxy);
  });

  test('what a DHCP client gives the card afterwards belongs to the bridge, with its new lifetime', async () => {
    const { host, sessions } = stage();
    await docker(host, `${create} phys`);
    const before = await everything(host, BRIDGE);
    // As dhclient's script and systemd-networkd do when a lease was renewed.
    await host.ip(`addr replace 198.51.100.5/25 dev ${NIC} valid_lft 90900 preferred_lft 80900 metric 55`);
    await waitFor('the card to have nothing', async () => (await hanging(host, NIC)).addresses.length === 0);
    const renewed = await everything(host, BRIDGE);
    const lease = renewed.addresses.find(({ local }) => local === '198.51.100.5')!;
    assert.equal(lease.valid_life_time, 91);
    assert.deepEqual(
      { ...renewed, addresses: renewed.addresses.map(withoutLifetime) },
      { ...before, addresses: before.addresses.map(withoutLifetime) },
    );
    await sessions.goOn();
    await docker(host, 'network rm phys');
    await host.ip(`addr replace 198.51.100.5/25 dev ${NIC} valid_lft 7900 preferred_lft 3900 metric 55`);
  });

  test('a bridge that somebody removes is made again with all that it had, and the sessions go on', async () => {
    const { host, sessions } = stage();
    await docker(host, `${create} phys`);
    const before = await everything(host, BRIDGE);
    await host.ip(`link del ${BRIDGE}`);
    await waitFor('the bridge to be there', () => exists(host, BRIDGE));
    await waitFor('all of it to be there', async () => (await hanging(host, BRIDGE)).addresses.length > 5);
    assert.deepEqual(await everything(host, BRIDGE), before);
    await sessions.goOn();
    await docker(host, 'network rm phys');
  });

  test('a card that was down is down again', async () => {
    const { host, lan } = stage();
    await lan.plug(host, { name: 'eth9' });
    await host.ip('link set eth9 down');
    const original = await everything(host, 'eth9');
    await docker(host, 'network create -d berth-lan --ipam-driver null -o parent=eth9 -o confirm=none bare');
    assert.match((await host.net(['ip', 'link', 'show', 'eth9'])).stdout, /<[^>]*,UP,.* master br-eth9/);
    await docker(host, 'network rm bare');
    assert.doesNotMatch((await host.net(['ip', 'link', 'show', 'eth9'])).stdout, /[<,]UP[,>]/);
    assert.deepEqual(await everything(host, 'eth9'), original);
    await host.ip('link del eth9');
  });

  describe('killed', () => {
    // Fewer things, fewer steps; one of each stays.
    const spare = belongings.filter((_, number) => [0, 1, 4, 5, 9].includes(number));
    before(() => stage().host.ip(...spare.map(removal)));
    after(() => stage().host.ip(...spare));

    for (const method of ['CreateNetwork', 'DeleteNetwork'] as const) {
      test(`at every step of ${method}, no session is cut`, { timeout: 500_000 }, async () => {
        const { host, sessions } = stage();
        const original = await everything(host, NIC);
        const points = await pointsOf(host, method);
        assert.ok(points.filter((point) => point.includes('within')).length > 10, points.join('\n'));
        for (const number of points.map((point) => point.split(' ')[0]!)) {
          if (method === 'DeleteNetwork') await call(host, 'CreateNetwork');
          await restart(host, { BERTH_CRASH_AT_EFFECT: number });
          const doomed = host.agent();
          await assert.rejects(call(host, method), `${number}: the agent dies before it answers`);
          await doomed.exited();
          await sessions.goOn().catch((error: Error) => {
            throw new Error(`${error.message}, killed at ${number} of\n${points.join('\n')}`);
          });
          await host.startBerth();
          await waitFor('the card to be given back', async () => !(await exists(host, BRIDGE)));
          assert.deepEqual(await everything(host, NIC), original, `killed at ${number} of\n${points.join('\n')}`);
          await nothingLeft(host);
        }
        await sessions.goOn();
      });
    }
  });
});

/** Calls the plugin as the engine does, who would call again and again for seconds when it dies. */
async function call(host: Host, method: 'CreateNetwork' | 'DeleteNetwork'): Promise<void> {
  const { body } = await unixRequest(host.path('/run/docker/plugins/berth-lan.sock'), `/NetworkDriver.${method}`, {
    method: 'POST',
    body: {
      NetworkID: 'e'.repeat(64),
      Options: { 'com.docker.network.generic': { parent: NIC, confirm: 'none' } },
      IPv4Data: [{ AddressSpace: 'berth', Pool: '192.168.160.0/24', Gateway: `${GATEWAY}/24` }],
    },
  });
  assert.deepEqual(JSON.parse(body), {});
}

async function pulled(cable: Cable, work: () => Promise<void>): Promise<void> {
  await cable.pull();
  try {
    await work();
  } finally {
    await cable.push();
  }
}

async function restart(host: Host, env: NodeJS.ProcessEnv): Promise<void> {
  await host.stopBerth();
  await host.startBerth([], env);
}

/** What the agent does to a card within a call, from the note of it to the note after it, numbered as it counts from its start. */
async function pointsOf(host: Host, method: 'CreateNetwork' | 'DeleteNetwork'): Promise<string[]> {
  const file = join(host.dir, 'effects');
  const read = () => (existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []);
  if (method === 'DeleteNetwork') await call(host, 'CreateNetwork');
  await restart(host, { BERTH_CRASH_LOG: file });
  const before = read().length;
  await call(host, method);
  const points = read().slice(before);
  if (method === 'CreateNetwork') await call(host, 'DeleteNetwork');
  await restart(host, {});
  rmSync(file);
  const first = points.findIndex((point) => point.endsWith('before kernel.execute'));
  const last = points.findIndex((point) => point.endsWith('after kernel.execute'));
  return points.slice(Math.max(0, first - 2), last + 3);
}

/**
 * A host whose networks the old `local` plugin made: Berth answers to its name and takes them up from the engine, as
 * docs/migrate-local.md says. With the containers stopped, and with one that nobody stopped.
 */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { openBed } from './bed/bed.ts';
import type { EngineVersion } from './bed/engines.ts';
import type { Host } from './bed/host.ts';
import { repository } from './bed/machine.ts';
import { waitFor } from './bed/process.ts';
import { ask } from './suites/agent.ts';
import { addressOf, defaultRoute, docker, dockerFails, onlyInterface, reaches, start } from './suites/containers.ts';
import { GATEWAY, HOST, OTHER } from './suites/lan-stage.ts';

const SOCKET = '/run/docker/plugins/local.sock';

async function startOld(host: Host) {
  await host.sh('mkdir -p /run/docker/plugins');
  const program = join(repository, 'test/e2e/bed/old-local-plugin.ts');
  const old = await host.spawn([process.execPath, program, SOCKET], { name: 'old-plugin' });
  await old.waitForOutput(/ready/);
  return old;
}

async function hasLink(host: Host, name: RegExp): Promise<boolean> {
  return name.test((await host.net(['ip', '-br', 'link'])).stdout);
}

function suite(engine: EngineVersion): void {
  describe(`from docker-network-plugin-local, engine ${engine}`, () => {
    test('networks and containers of the old plugin come up under Berth', { timeout: 300_000 }, async (t) => {
      await using bed = await openBed(`migrate-${engine.replace('.', '-')}`);
      bed.watch(t);
      const lan = await bed.lan({ subnet: '192.168.159.0/24', gateway: GATEWAY });
      const other = await lan.machine('other', `${OTHER}/24`);
      const host = await bed.host('h1', { engine, underlay: false });
      await lan.plug(host, { bridge: 'br0', addresses: [`${HOST}/24`], gateway: true });

      const old = await startOld(host);
      await docker(host, `network create --driver=local --gateway=${GATEWAY} --subnet=192.168.159.0/24 lan`);
      await start(host, 'web', '--restart=always --ip=192.168.159.140 --net=lan');
      await start(host, 'other', '--net=lan');
      await start(host, 'running', '--ip=192.168.159.141 --net=lan');
      // Not from the LAN: the engine's filter drops what the bridge forwards, which the old plugin left to its user.
      for (const address of ['192.168.159.140', '192.168.159.141']) await reaches(host, address);

      // As long as the old one answers, Berth does not take its place.
      const early = await host.startBerth([], {}, { wait: false });
      assert.notEqual(await early.exited(), 0);
      assert.match(await early.output(), /another process .*local\.sock|local\.sock.* another process/);

      await docker(host, 'stop -t 0 web other');
      // Killed, it leaves its socket.
      await old.stop('SIGKILL');
      await host.startBerth(['--gc-grace', '1', '--audit-interval', '1']);
      await waitFor('the network to be taken up', async () => {
        const networks = await ask(host, '/v1/networks');
        return networks.some(({ name, plugin }) => name === 'lan' && plugin === 'local');
      });

      // Who runs goes on as it was.
      await reaches(other, '192.168.159.141');
      await reaches([host, 'running'], OTHER);
      assert.equal((await onlyInterface(host, 'running')).name, 'eth0');

      await docker(host, 'start web other');
      assert.equal(await addressOf(host, 'web'), '192.168.159.140');
      assert.equal(await defaultRoute(host, 'web'), `${GATEWAY} eth0`);
      await reaches(other, '192.168.159.140');
      await reaches(other, await addressOf(host, 'other'));
      // An address of somebody who runs is not given to another.
      await dockerFails(host, `run -d --net=lan --ip=192.168.159.141 ${await host.image()}`);

      // And is Berth's from its next start on.
      await docker(host, 'restart -t 0 running');
      await reaches(other, '192.168.159.141');
      assert.equal((await onlyInterface(host, 'running')).name, 'eth0');
      await host.stopEngine();
      await host.startEngine();
      await waitFor('web to be started again', async () => (await docker(host, 'ps')).includes('web'));
      await reaches(other, '192.168.159.140');

      await docker(host, 'rm -f web other running');
      await docker(host, 'network rm lan');
      await waitFor('nothing to be left', async () => !(await hasLink(host, / ?b[vp][0-9a-f]{13}/)));
      assert.equal((await ask(host, '/v1/networks')).length, 0);
      assert.equal((await host.berth('audit')).code, 0);
      // Of the container that nobody stopped, the old plugin's links are left: not ours to remove.
      assert.ok(await hasLink(host, /ethp[0-9a-f]{5}/));
    });
  });
}

for (const engine of ['20.10', '28.5'] as const) suite(engine);

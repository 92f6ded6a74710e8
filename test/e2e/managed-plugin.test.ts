/** Berth as a managed plugin: the engine itself keeps it, from a folder, without a registry. */

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { type Bed, openBed } from './bed/bed.ts';
import { engineVersions } from './bed/engines.ts';
import type { Host } from './bed/host.ts';
import { installPlugin, managedDriver, pluginProcess, pluginReady } from './bed/managed-plugin.ts';
import { waitFor } from './bed/process.ts';
import { clear, nothingLeft } from './suites/leftovers.ts';

for (const engine of engineVersions) {
  describe(`a managed plugin, engine ${engine}`, { timeout: 180_000 }, () => {
    let bed: Bed;
    let host: Host;
    const network = () =>
      host.docker(
        'network',
        'create',
        '-d',
        managedDriver,
        '--ipam-driver',
        managedDriver,
        '--subnet',
        '10.44.0.0/24',
        'shop',
      );
    const start = async (name: string, ...flags: readonly string[]) =>
      host.docker('run', '-d', '--name', name, '--network', 'shop', ...flags, await host.image(), 'sleep', '600');
    const reach = (from: string, to: string) => host.docker('exec', from, 'ping', '-c', '1', '-W', '2', to);

    before(async () => {
      bed = await openBed('managed');
      host = await bed.host('h1', { engine });
      await host.image();
      // On an engine that is in no swarm, 20.10 refuses networks of scope global.
      await installPlugin(host, ['BERTH_PLUGINS=berth=cluster:local', 'BERTH_LOG_LEVEL=debug']);
    });
    afterEach(async () => {
      await clear(host);
      await nothingLeft(host);
    });
    after(async () => {
      try {
        await host.docker('plugin', 'disable', 'berth');
        await host.docker('plugin', 'rm', 'berth');
        assert.equal((await host.sh('ls /run/docker/plugins')).stdout, '');
      } finally {
        await bed[Symbol.asyncDispose]();
      }
    });

    test('works in the network of the host, with its programs and under its name', async (t) => {
      bed.watch(t);
      await network();
      await start('web');
      await start('db');
      await reach('web', 'db');
      await reach('web', '10.44.0.1');
      // Rules in the host's own tables, and sysctls, which the engine gives to plugins read-only.
      assert.match((await host.sh('iptables -S DOCKER-USER')).stdout, /--comment berth -j ACCEPT/);
      assert.match((await host.sh('ip -br link')).stdout, /^bt[0-9a-f]{13}/m);
      const { stdout } = await host.berth('status');
      assert.match(stdout, /^healthy/);
      assert.equal((await host.sh(`nsenter -t ${await pluginProcess(host)} -u hostname`)).stdout.trim(), 'h1');
    });

    test('is started anew by the engine when it dies, and containers keep their network', async (t) => {
      bed.watch(t);
      await network();
      await start('web');
      await start('db');
      const before = await pluginProcess(host);
      await host.sh(`kill -9 ${before}`);
      await reach('web', 'db');
      await waitFor(
        () => 'the engine to start the plugin anew',
        async () => (await pluginProcess(host).catch(() => before)) !== before,
        30_000,
      );
      await pluginReady(host);
      await start('late');
      await reach('late', 'web');
    });

    test('is there before the containers that an engine starts with', async (t) => {
      bed.watch(t);
      await network();
      await start('web', '--restart', 'always', '--ip', '10.44.0.7');
      await host.stopEngine();
      await host.startEngine();
      await pluginReady(host);
      assert.equal(await host.docker('inspect', '-f', '{{.State.Running}}', 'web'), 'true');
      await start('db');
      await reach('db', '10.44.0.7');
    });
  });
}

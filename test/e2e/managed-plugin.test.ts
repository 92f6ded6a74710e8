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

    test('is no stranger to the doctor: also when it is disabled, and then it says how to go on', async (t) => {
      bed.watch(t);
      await network();
      const examine = async () => {
        const { stdout } = await host.berth('doctor', '--json');
        const found = JSON.parse(stdout) as { check: string; level: string; message: string; fix?: string }[];
        return found.filter(({ check }) => ['agent', 'plugin files', 'systemd'].includes(check));
      };
      const well = await examine();
      assert.deepEqual([...new Set(well.map(({ level }) => level))], ['ok'], JSON.stringify(well));
      assert.match(JSON.stringify(well), /the managed plugin berth:latest/);
      await host.docker('network', 'rm', 'shop');
      await host.docker('plugin', 'disable', '--force', 'berth');
      const idle = await examine();
      const finding = idle.find(({ check, level }) => check === 'plugin files' && level === 'fail');
      assert.match(finding?.message ?? JSON.stringify(idle), /Berth's managed plugin berth:latest is disabled/);
      assert.equal(finding?.fix, 'docker plugin enable berth:latest');
      await host.sh(finding.fix);
      await pluginReady(host);
      assert.deepEqual([...new Set((await examine()).map(({ level }) => level))], ['ok']);
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

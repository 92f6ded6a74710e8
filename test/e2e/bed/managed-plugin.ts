/** Berth as a managed plugin of a host's engine, from `dist/plugin` (`make plugin`). */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from './host.ts';
import { repository } from './machine.ts';
import { noteCgroup } from './ownership.ts';
import { waitFor } from './process.ts';

/** What networks name as their driver. */
export const managedDriver = 'berth:latest';

/** Makes the plugin `berth` on a host and enables it. @param settings as `docker plugin set` takes them. */
export async function installPlugin(host: Host, settings: readonly string[] = []): Promise<void> {
  const folder = join(repository, 'dist/plugin');
  assert.ok(existsSync(join(folder, 'config.json')), `${folder} has not been made; run: make plugin`);
  await host.docker('plugin', 'create', 'berth', folder);
  // The engine puts plugins beside the cgroup that it is given for containers.
  noteCgroup(host.dir, await host.docker('plugin', 'inspect', '--format', '{{.Id}}', 'berth'));
  if (settings.length > 0) await host.docker('plugin', 'set', 'berth', ...settings);
  await host.docker('plugin', 'enable', 'berth');
  await pluginReady(host);
}

/** Waits until the agent in the plugin answers, healthy or not. */
export async function pluginReady(host: Host): Promise<void> {
  await waitFor(
    () => `the plugin on ${host.name} to answer`,
    () =>
      host.berthApi('/health').then(
        () => true,
        () => false,
      ),
    30_000,
  );
}

/** Process id of the plugin's agent, as the host counts. */
export async function pluginProcess(host: Host): Promise<number> {
  const { stdout } = await host.berth('status', '--json');
  return (JSON.parse(stdout) as { pid: number }).pid;
}

/** The files by which Docker finds plugins (moby `pkg/plugins/discovery.go`). */

import { readdir, readFile } from 'node:fs/promises';
import { join, parse } from 'node:path';
import { answers } from '../../../docker/socket-file.ts';
import type { PluginSocket, PluginSpec } from '../facts.ts';

/** Sockets in the plugin directory, and whether somebody is there. */
export async function gatherSockets(directory: string): Promise<PluginSocket[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  return Promise.all(
    entries
      .filter((entry) => entry.isSocket() && entry.name.endsWith('.sock'))
      .map(async ({ name }) => {
        const path = join(directory, name);
        return { name: parse(name).name, path, listening: await answers({ path }) };
      }),
  );
}

/** Spec files of several directories. */
export async function gatherSpecs(directories: readonly string[]): Promise<PluginSpec[]> {
  const found = await Promise.all(
    directories.map(async (directory) => {
      const names = await readdir(directory).catch(() => []);
      const specs = names.filter((name) => /\.(spec|json)$/.test(name));
      return Promise.all(specs.map((name) => readSpec(join(directory, name))));
    }),
  );
  return found.flat();
}

async function readSpec(path: string): Promise<PluginSpec> {
  const text = (await readFile(path, 'utf8').catch(() => '')).trim();
  const url = path.endsWith('.json') ? (/"Addr"\s*:\s*"([^"]*)"/.exec(text)?.[1] ?? '') : text;
  return { name: parse(path).name, path, url };
}

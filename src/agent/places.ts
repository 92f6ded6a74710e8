/** Folders and sockets of the agent. */

import { mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { PluginServer } from '../docker/plugin-server.ts';
import { answers } from '../docker/socket-file.ts';
import { asBerthError, BerthError } from '../model/errors.ts';
import type { Config, PluginConfig } from './config.ts';

/** The one folder whose sockets the engine finds without a discovery file (moby `pkg/plugins/discovery_unix.go`). */
const ENGINE_SOCKETS = '/run/docker/plugins';

/** Whoever serves at one of these has containers that are none of ours. @throws BerthError SOCKET_IN_USE */
export async function refuseServed(paths: readonly string[]): Promise<void> {
  const served = await Promise.all(paths.map((path) => answers({ path })));
  const path = paths.find((_, index) => served[index]);
  if (path !== undefined) throw new BerthError('SOCKET_IN_USE', `another process listens on ${path}`);
}

/** Where a plugin listens, when that is a unix socket. */
export function socketOf(config: Config, plugin: PluginConfig): string | undefined {
  return config.tls === undefined ? join(config.pluginDir, `${plugin.name}.sock`) : undefined;
}

/** How a plugin's server is to listen. */
export function listenAt(config: Config, plugin: PluginConfig): Parameters<PluginServer['listen']>[0] {
  const path = socketOf(config, plugin);
  if (path !== undefined) {
    return config.pluginDir === ENGINE_SOCKETS
      ? { kind: 'unix', path }
      : { kind: 'unix', path, specDir: config.specDir };
  }
  const { address, ca, cert, key, clientCert, clientKey } = config.tls!;
  const client = { ca, certificate: clientCert, key: clientKey };
  return {
    kind: 'tls',
    host: address,
    port: 0,
    ca,
    certificate: cert,
    key,
    spec: { directory: config.specDir, client },
  };
}

/**
 * With those above it. Not by Node's own recursion, which tries for ever where the kernel answers ENOENT, as it does below /proc.
 *
 * @throws BerthError BAD_CONFIG
 */
export function makeFolder(path: string, mode: number): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isDirectory() === true) return;
  if (found !== undefined) throw new BerthError('BAD_CONFIG', `${path} is not a folder`);
  if (path !== dirname(path)) makeFolder(dirname(path), mode);
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    throw new BerthError('BAD_CONFIG', `the folder ${path} cannot be made: ${asBerthError(error).message}`, {
      cause: error,
    });
  }
}

/** The `config.json` of the managed plugin: what the engine gives it of the host, and what a user may set. */

import { configKeys } from '../../src/agent/config-keys.ts';

/** What is given by how the engine starts a plugin, and would break it. */
const FIXED = new Set(['run-dir', 'state-dir', 'plugin-dir', 'spec-dir']);

/**
 * Every key of the agent's configuration can be set (`docker plugin set NAME BERTH_STORE=…`) but those of places. Without a value an
 * entry is not in the plugin's environment at all (moby `plugin/v2/plugin.go`), so the configuration file keeps its say.
 *
 * @returns as moby's `api/types/plugin.go` has it.
 */
export function pluginConfig(): object {
  const keys = configKeys.filter(({ key }) => !FIXED.has(key) && !key.startsWith('tls-'));
  const defaults: Readonly<Record<string, string>> = { plugins: 'berth=cluster:global' };
  const variable = (key: string): string => `BERTH_${key.toUpperCase().replaceAll('-', '_')}`;
  return {
    description: 'Berth, container networking for Docker',
    documentation: '',
    entrypoint: ['/usr/bin/berth-plugin'],
    workdir: '/',
    interface: { types: ['docker.networkdriver/1.0', 'docker.ipamdriver/1.0'], socket: 'berth.sock' },
    // The engine looks for links in its own network namespace.
    network: { type: 'host' },
    // /proc/1/root then is the host's file system, and its namespaces of containers appear there as they are made: a bind
    // mount would show those only where the host shares its mounts.
    pidhost: true,
    ipchost: false,
    linux: {
      // Besides what every plugin has: links, routes and filters; the namespaces of containers, and the way to them through
      // /proc/1; what a bridge tells of neighbours; modules such as vxlan.
      capabilities: ['CAP_NET_ADMIN', 'CAP_SYS_ADMIN', 'CAP_SYS_PTRACE', 'CAP_NET_BROADCAST', 'CAP_SYS_MODULE'],
      allowAllDevices: false,
      devices: [],
    },
    mounts: [
      {
        name: 'state',
        description: 'The folder in which the folder berth has the state; it must exist.',
        // The source must be there before the plugin is, and no user should have to make it.
        source: '/var/lib',
        destination: '/var/lib',
        type: 'bind',
        options: ['bind', 'rw'],
        settable: ['source'],
      },
    ],
    env: [
      { name: 'BERTH_CONFIG', description: 'A configuration file in /etc/berth.', settable: ['value'] },
      ...keys.map(({ key, help }) => ({
        name: variable(key),
        description: help,
        settable: ['value'],
        ...(defaults[key] === undefined ? {} : { value: defaults[key] }),
      })),
    ],
    args: { name: 'args', description: 'Flags of berth agent.', settable: ['value'], value: [] },
    propagatedMount: '',
  };
}

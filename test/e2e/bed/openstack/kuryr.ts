/**
 * The Python original, kuryr-libnetwork, as a peer to measure against. It is no part of this repository: BERTH_KURYR names a
 * folder with checkouts of its two git repositories, `kuryr-libnetwork` and `kuryr`, which run on Debian's Python packages.
 */

import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../host.ts';
import { type Process, waitFor } from '../process.ts';
import { ini } from './ini.ts';
import type { OpenStack } from './openstack.ts';

/** Flags of a host's dockerd: kuryr takes sandboxes for genuine in this folder only. */
export const kuryrEngineFlags = ['--exec-root', '/var/run/docker'];

/** Folder of the checkouts, or why there is none. */
export function findKuryr(variable = process.env.BERTH_KURYR): { readonly home: string } | { readonly absent: string } {
  if (variable === undefined || variable === '') {
    return { absent: 'BERTH_KURYR names no folder with checkouts of openstack/kuryr-libnetwork and openstack/kuryr' };
  }
  const missing = ['kuryr-libnetwork/kuryr_libnetwork/server.py', 'kuryr/kuryr/lib/config.py']
    .map((file) => join(variable, file))
    .find((file) => !existsSync(file));
  return missing === undefined ? { home: variable } : { absent: `${missing} of BERTH_KURYR is missing` };
}

/** The keys of kuryr.conf by which the user `operator` logs in. */
export function credentials({ authUrl, identity: { users } }: OpenStack): Readonly<Record<string, string>> {
  const { operator } = users;
  return {
    auth_type: 'password',
    auth_url: authUrl,
    username: operator.name,
    password: operator.password,
    user_domain_name: operator.domain,
    project_name: operator.project,
    project_domain_name: operator.domain,
  };
}

/**
 * One request at a time, as its own scripts/run_kuryr.sh has uWSGI do: with a thread for each, a library of its (eventlet) locks up for good
 * when many containers go at once.
 */
const oneThread = `
import flask, functools, runpy, sys
flask.Flask.run = functools.partialmethod(flask.Flask.run, threaded=False)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
`;

/**
 * Starts its server on a host of engine 20.10, for the plugin name `kuryr`; it speaks to Neutron by way of the proxies, as the
 * user `operator`. Needs `kuryrEngineFlags`, and the OpenStack on a LAN of the host.
 *
 * @param options keys of `[DEFAULT]` that are to be other than kuryr's own defaults.
 */
export async function startKuryr(
  home: string,
  host: Host,
  stack: OpenStack,
  options: Readonly<Record<string, string | boolean>> = { process_external_connectivity: false },
): Promise<Process> {
  const config = join(host.dir, 'kuryr.conf');
  const text = ini({
    DEFAULT: {
      bindir: join(home, 'kuryr/usr/libexec/kuryr'),
      kuryr_uri: 'http://127.0.0.1:23750',
      capability_scope: 'local',
      ...options,
    },
    oslo_concurrency: { lock_path: join(host.dir, 'kuryr-lock') },
    neutron: {
      ...credentials(stack),
      // Ports become active only where an agent wires them.
      vif_plugging_is_fatal: false,
    },
  });
  writeFileSync(config, text);
  const server = join(home, 'kuryr-libnetwork/scripts/run_server.py');
  // The ports are bound to the host by its name.
  const named = ['nsenter', '-t', `${host.pid()}`, '-u', '--'];
  const kuryr = await host.netSpawn([...named, '/usr/bin/python3', '-c', oneThread, server, '--config-file', config], {
    name: 'kuryr',
    env: {
      PYTHONPATH: `${join(home, 'kuryr-libnetwork')}:${join(home, 'kuryr')}`,
      PYTHONDONTWRITEBYTECODE: '1',
      // What pbr would ask git for.
      PBR_VERSION: '99',
    },
  });
  const asked = ['busybox', 'wget', '-q', '-O-', '--post-data={}', 'http://127.0.0.1:23750/Plugin.Activate'];
  await waitFor(
    'kuryr to serve',
    async () => {
      if (!kuryr.running()) throw new Error(`kuryr ended:\n${await kuryr.output()}`);
      return (await host.net(asked, { check: false })).code === 0;
    },
    60_000,
    100,
  );
  writeFileSync(host.path('/etc/docker/plugins/kuryr.spec'), 'http://127.0.0.1:23750\n');
  return kuryr;
}

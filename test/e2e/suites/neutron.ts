/** Hosts whose containers are ports of a bed's OpenStack. */

import { writeFileSync } from 'node:fs';
import type { Bed } from '../bed/bed.ts';
import type { EngineVersion } from '../bed/engines.ts';
import type { Host } from '../bed/host.ts';
import type { Lan } from '../bed/lan.ts';
import { ini } from '../bed/openstack/ini.ts';
import { credentials } from '../bed/openstack/kuryr.ts';
import type { OpenStack } from '../bed/openstack/openstack.ts';

export const PLUGINS = ['berth-neutron', 'kuryr'] as const;

/** kuryr.conf as an installation of kuryr-libnetwork has it. */
export function kuryrConf(stack: OpenStack, more: Readonly<Record<string, string>> = {}): string {
  return ini({
    DEFAULT: { bindir: '/usr/libexec/kuryr' },
    neutron: { ...credentials(stack), region_name: 'RegionOne', ...more },
  });
}

/** A host with an agent that knows both plugin names. */
export async function neutronHost(
  bed: Bed,
  lan: Lan,
  name: string,
  address: string,
  stack: OpenStack,
  { engine = '28.5', flags = [] }: { engine?: EngineVersion; flags?: readonly string[] } = {},
): Promise<Host> {
  const host = await bed.host(name, { engine, underlay: false });
  await lan.plug(host, { addresses: [address] });
  writeFileSync(host.path('/etc/kuryr.conf'), kuryrConf(stack), { mode: 0o600 });
  await startNeutronAgent(host, flags);
  return host;
}

export function startNeutronAgent(host: Host, flags: readonly string[] = []): Promise<unknown> {
  const plugins = PLUGINS.map((plugin) => `${plugin}=neutron`).join(',');
  return host.startBerth(
    [
      '--plugins',
      plugins,
      '--kuryr-conf',
      '/etc/kuryr.conf',
      '--gc-grace',
      '1',
      '--audit-interval',
      '2',
      '--linger',
      '0',
      ...flags,
    ],
    {},
    { plugins: PLUGINS },
  );
}

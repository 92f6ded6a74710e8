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

/** The first calls of a Neutron take seconds: it loads what it needs when it needs it. */
export async function warmUp(stack: OpenStack): Promise<void> {
  const { id } = await stack.neutron.post('/networks', { name: 'warm' });
  await stack.neutron.post('/subnets', { network_id: id, ip_version: 4, cidr: '10.99.0.0/24' });
  await stack.neutron.post('/ports', { network_id: id, 'binding:host_id': 'h1' });
  for (const port of await stack.neutron.get(`/ports?network_id=${id}`))
    await stack.neutron.delete(`/ports/${port.id}`);
  await stack.neutron.delete(`/networks/${id}`);
}

/** Docker waits 10 s; a Neutron on a busy machine may take longer, and then nothing has been made. @param undo before it is tried again. */
export async function patiently<Of>(
  work: () => Promise<Of>,
  undo: () => Promise<unknown> = () => Promise.resolve(),
): Promise<Of> {
  for (let attempt = 1; ; attempt++)
    try {
      return await work();
    } catch (error) {
      if (attempt === 4 || !/no answer within|is away|not removed yet/.test(String(error))) throw error;
      await undo();
    }
}

/** A host with an agent that knows both plugin names. @param start whether it has an engine that runs. */
export async function neutronHost(
  bed: Bed,
  lan: Lan,
  name: string,
  address: string,
  stack: OpenStack,
  {
    engine = '28.5',
    flags = [],
    start = true,
    conf = {},
  }: {
    engine?: EngineVersion;
    flags?: readonly string[];
    start?: boolean;
    /** Of kuryr.conf, in [neutron]. */
    conf?: Readonly<Record<string, string>>;
  } = {},
): Promise<Host> {
  const host = await bed.host(name, { engine, underlay: false, start });
  await lan.plug(host, { addresses: [address] });
  writeFileSync(host.path('/etc/kuryr.conf'), kuryrConf(stack, conf), { mode: 0o600 });
  await startNeutronAgent(host, flags);
  return host;
}

export function startNeutronAgent(
  host: Host,
  flags: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
): Promise<unknown> {
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
    env,
    { plugins: PLUGINS },
  );
}

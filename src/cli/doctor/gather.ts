/** Gathers all facts, side by side; what cannot be found out is left out. */

import type { NetworkView, StatusView } from '../../agent/api.ts';
import { version } from '../../model/version.ts';
import { Failure } from '../failure.ts';
import type { Session } from '../session.ts';
import type { Facts } from './facts.ts';
import { gatherDnsServers } from './gather/dns-servers.ts';
import { gatherEngine } from './gather/engine.ts';
import { gatherFirewall } from './gather/firewall.ts';
import { gatherKernel } from './gather/kernel.ts';
import { gatherNetwork } from './gather/network.ts';
import { gatherOpenVswitch } from './gather/open-vswitch.ts';
import { gatherSockets, gatherSpecs } from './gather/plugins.ts';
import { gatherClock, gatherDisk, gatherSysctls, gatherUnit } from './gather/system.ts';
import { gatherUplinks } from './gather/uplinks.ts';

/** Docker reads spec files here, whatever Berth is told. */
const engineSpecDirs = ['/etc/docker/plugins', '/usr/lib/docker/plugins'];

export interface DoctorOptions {
  readonly docker: string;
  readonly stateDir: string;
  readonly pluginDir: string;
  readonly specDir: string;
  readonly ovsDatabase: string;
}

export async function gatherFacts(session: Session, given: DoctorOptions): Promise<Facts> {
  const specDirs = [...new Set([...engineSpecDirs, given.specDir])];
  const [
    agent,
    engine,
    kernel,
    sockets,
    specs,
    sysctls,
    firewall,
    network,
    unit,
    clockSynchronised,
    disk,
    openVswitch,
  ] = await Promise.all([
    gatherAgent(session),
    gatherEngine(given.docker),
    gatherKernel(),
    gatherSockets(given.pluginDir),
    gatherSpecs(specDirs),
    gatherSysctls(),
    gatherFirewall(),
    gatherNetwork(),
    gatherUnit(),
    gatherClock(),
    gatherDisk(given.stateDir),
    gatherOpenVswitch(given.ovsDatabase),
  ]);
  const dnsServers = await gatherDnsServers('networks' in agent ? agent.networks : []);
  return {
    now: session.now(),
    dnsServers,
    isRoot: process.getuid?.() === 0,
    version,
    options: { ...given, runDir: session.options.runDir, specDirs },
    agent,
    engine,
    kernel,
    sockets,
    specs,
    sysctls,
    ...firewall,
    ...network,
    ...(unit === undefined ? {} : { unit }),
    ...(clockSynchronised === undefined ? {} : { clockSynchronised }),
    ...(disk === undefined ? {} : { disk }),
    openVswitch,
    uplinks: await gatherUplinks('networks' in agent ? agent.networks : []),
  };
}

async function gatherAgent({ client }: Session): Promise<Facts['agent']> {
  try {
    const status = await client.get<StatusView>('/v1/status');
    return { status, networks: await client.get<readonly NetworkView[]>('/v1/networks') };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return { error: error.message };
  }
}

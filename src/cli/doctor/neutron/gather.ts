/** Asks the agent, the engine, Keystone and Neutron, side by side. What does not answer is told of, and keeps nothing else from it. */

import { networkInterfaces } from 'node:os';
import type { NetworkView, StatusView } from '../../../agent/api.ts';
import type { NeutronStatusView } from '../../../agent/neutron/status-view.ts';
import { asBerthError } from '../../../model/errors.ts';
import type { Exchange } from '../../../openstack/api.ts';
import { type Bounds, within } from '../../../openstack/bounds.ts';
import { describeFinding, inspectKuryrConf, type KuryrConfReading } from '../../../openstack/conf/kuryr-conf.ts';
import { namedSources } from '../../../openstack/conf/sources.ts';
import { openSession } from '../../../openstack/keystone/session.ts';
import { createNeutron, type Neutron } from '../../../openstack/neutron/neutron.ts';
import { Failure } from '../../failure.ts';
import type { Session } from '../../session.ts';
import { uplink } from '../facts.ts';
import { gatherEngine } from '../gather/engine.ts';
import { gatherNetwork } from '../gather/network.ts';
import { run } from '../gather/run.ts';
import type { NeutronFacts, NeutronLink, NeutronPortFacts, RightFacts, Told } from './facts.ts';
import { type DockerNetwork, gatherNetworks } from './gather-networks.ts';
import { findRights, type Place } from './rights.ts';

export interface NeutronDoctorOptions {
  readonly docker: string;
  /** Files and folders, separated by commas. */
  readonly kuryrConf?: string;
  readonly host?: string;
}

/** Milliseconds for all questions to OpenStack together. */
const PATIENCE = 60_000;

export async function gatherNeutron(
  session: Session,
  given: NeutronDoctorOptions,
  env: NodeJS.ProcessEnv,
): Promise<NeutronFacts> {
  const [agent, hostname, fullName, { links, routes }] = await Promise.all([
    askAgent(session),
    run('hostname'),
    run('hostname', '--fqdn'),
    gatherNetwork(),
  ]);
  const status = 'status' in agent ? agent.status : undefined;
  const host = given.host ?? status?.host ?? hostname?.trim() ?? '';
  const out = uplink({ links, routes });
  const known = {
    now: session.now(),
    host,
    fullName: fullName?.trim() || host,
    agent: 'error' in agent ? { error: agent.error } : { ...(status && { status }) },
    links: withAddresses(links),
    ...(out === undefined ? {} : { uplink: out.name }),
  };
  const reading = readConf(given, status, env);
  if ('error' in reading) return { ...known, conf: reading };
  const conf = {
    files: reading.files,
    problems: reading.found.problems.map(describeFinding),
    remarks: reading.found.remarks.map(describeFinding),
  };
  if (reading.found.conf === undefined) return { ...known, conf };
  const nested = ['nested', 'vlan'].includes(reading.found.conf.portDriver);

  const skews: Partial<Record<Exchange['service'], number>> = {};
  const observe = ({ service, date, seconds }: Exchange): void => {
    // Somewhere between the question and the answer.
    if (date !== undefined) skews[service] ??= date - (Date.now() - seconds * 500);
  };
  const cloud = openSession({ ...reading.found.conf.session, observe });
  const neutron = createNeutron(cloud);
  try {
    const bounds = within(PATIENCE);
    const identity = await told(() => cloud.identity(bounds));
    const endpoint = await told(() => cloud.endpoint(bounds));
    const reached =
      'error' in identity || 'error' in endpoint
        ? {}
        : await askNeutron(neutron, host, identity.value?.projectId, bounds, dockerNetworks(agent, given.docker));
    const clockAhead = skews.Keystone ?? skews.Neutron;
    return {
      ...known,
      conf,
      nested,
      identity,
      endpoint,
      ...reached,
      ...(clockAhead === undefined ? {} : { clockAhead }),
    };
  } finally {
    neutron.close();
  }
}

type AgentAnswer =
  | { readonly status?: NeutronStatusView; readonly networks: readonly NetworkView[] }
  | { readonly error: string };

async function askAgent({ client }: Session): Promise<AgentAnswer> {
  try {
    const { neutron } = await client.get<StatusView>('/v1/status');
    const networks = await client.get<readonly NetworkView[]>('/v1/networks');
    return { networks, ...(neutron === undefined ? {} : { status: neutron }) };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return { error: error.message };
  }
}

/** Without an agent that knows them, all of the engine's: Neutron knows which of them are its own. */
async function dockerNetworks(agent: AgentAnswer, docker: string): Promise<readonly DockerNetwork[]> {
  if ('networks' in agent)
    return agent.networks
      .filter(({ fabric }) => fabric === 'neutron')
      .map((view) => ({ ...view, name: view.name ?? view.id.slice(0, 12) }));
  return (await gatherEngine(docker)).networks.map(({ id, name }) => ({ id, name }));
}

function readConf(
  { kuryrConf }: NeutronDoctorOptions,
  status: NeutronStatusView | undefined,
  env: NodeJS.ProcessEnv,
): { readonly files: readonly string[]; readonly found: KuryrConfReading } | { readonly error: string } {
  try {
    // The agent tells the files of folders, too.
    const sources =
      kuryrConf === undefined && status !== undefined
        ? { files: status.files, dirs: [] }
        : namedSources(kuryrConf?.split(','));
    const found = inspectKuryrConf({ env, ...sources });
    return { files: found.conf?.files ?? sources.files ?? [], found };
  } catch (error) {
    return { error: asBerthError(error).message };
  }
}

async function askNeutron(
  neutron: Neutron,
  host: string,
  project: string | undefined,
  bounds: Bounds,
  docker: Promise<readonly DockerNetwork[]>,
): Promise<Partial<NeutronFacts>> {
  const extensions = await told(async () => [...(await neutron.extensions(bounds))]);
  // One that does not answer this answers nothing else.
  if ('error' in extensions) return { extensions };
  const [agents, quota, networks, ports] = await Promise.all([
    told(() => neutron.agents.list({}, bounds)),
    project === undefined || !extensions.value.includes('quota_details')
      ? undefined
      : told(() => neutron.quotaUsage(project, bounds)),
    told(async () => gatherNetworks(neutron, host, await docker, bounds)),
    told(() => portsOf(neutron, host, bounds)),
  ]);
  const rights = await rightsOn(neutron, host, project, networks, bounds);
  return { extensions, agents, networks, ports, rights, ...(quota === undefined ? {} : { quota }) };
}

/** On one network of our project, whoever made it, and on one of another: the policy tells between these. */
async function rightsOn(
  neutron: Neutron,
  host: string,
  project: string | undefined,
  networks: NonNullable<NeutronFacts['networks']>,
  bounds: Bounds,
): Promise<readonly RightFacts[]> {
  const places = new Map<boolean, Place>();
  for (const { name, network } of 'value' in networks ? networks.value : [])
    if (network !== undefined) places.set(network.project_id === project, { name, network: network.id });
  if (places.size === 0 && project !== undefined) {
    const own = await neutron.networks
      .list({ project_id: project }, { ...bounds, fields: ['id', 'name'] })
      .catch(() => []);
    for (const { id, name } of own.slice(0, 1)) places.set(true, { name, network: id });
  }
  return await findRights(neutron, host, [...places.values()], bounds);
}

async function portsOf(neutron: Neutron, host: string, bounds: Bounds): Promise<readonly NeutronPortFacts[]> {
  const found = await neutron.ports.list(
    { description: `berth/${host}` },
    { ...bounds, fields: ['id', 'binding:vif_type', 'binding:vif_details'] },
  );
  return found.map(({ id, 'binding:vif_type': vif, 'binding:vif_details': details }) => ({
    id,
    hasDetails: details !== undefined,
    ...(vif === undefined ? {} : { vif }),
  }));
}

async function told<Value>(ask: () => Promise<Value>): Promise<Told<Value>> {
  try {
    return { value: await ask() };
  } catch (thrown) {
    const error = asBerthError(thrown);
    return { error: error.message, next: error.next };
  }
}

function withAddresses(links: Awaited<ReturnType<typeof gatherNetwork>>['links']): readonly NeutronLink[] {
  const addresses = networkInterfaces();
  return links.map((link) => ({ ...link, addresses: (addresses[link.name] ?? []).map(({ address }) => address) }));
}

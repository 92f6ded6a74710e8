/** `berth status` and `berth version`. */

import type { StatusView } from '../agent/api.ts';
import { version } from '../model/version.ts';
import { exitCode, Failure } from './failure.ts';
import type { Work } from './session.ts';
import { age, hostState } from './table.ts';

export const status: Work = async (session) => {
  const view = await session.client.get<StatusView>('/v1/status');
  session.show(view, (it) => statusText(it, session.now()));
  return view.healthy ? exitCode.ok : exitCode.failed;
};

/** The state of the agent for people: a line each, problems first. */
export function statusText(view: StatusView, now: number): string {
  const { counts, engine, audit } = view;
  const lines: [string, string][] = [
    ['agent', `version ${view.version}, pid ${view.pid}, up ${age(view.startedAt, now)}`],
    [
      'engine',
      engine.reachable ? `Docker ${engine.version ?? '?'} at ${engine.address}` : `not reachable at ${engine.address}`,
    ],
    ['store', `${view.store.kind}, revision ${view.store.revision}, state in ${view.stateDir}`],
    ...view.plugins.map((plugin, i): [string, string] => [
      i === 0 ? 'plugins' : '',
      `${plugin.name} (fabric ${plugin.fabric}, scope ${plugin.scope}) at ${plugin.address}`,
    ]),
    [
      'serving',
      [
        counted(counts.networks, 'network'),
        counted(counts.endpoints, 'endpoint'),
        counted(counts.pools, 'pool'),
        counted(counts.leases, 'lease'),
      ].join(', '),
    ],
    [
      'audit',
      `${audit.objects} kernel objects, ${audit.drifts} drifts so far, ${audit.repaired} repaired, last full pass ${
        audit.lastFullPass === undefined ? 'still to come' : `${age(audit.lastFullPass, now)} ago`
      }`,
    ],
    ...view.conflicts.map((conflict, i): [string, string] => [
      i === 0 ? 'conflict' : '',
      `${conflict.address} of ${conflict.container ?? conflict.endpoint.slice(0, 12)} is also used by ${conflict.mac}, found ${age(conflict.since, now)} ago`,
    ]),
    ...clusterLines(view, now),
    ...neutronLines(view, now),
    ['journal', view.journal.pending === 0 ? 'empty' : `${view.journal.pending} operations under way`],
  ];
  const title = view.healthy
    ? 'healthy\n'
    : `not healthy\n${view.problems.map((problem) => `  ! ${problem}\n`).join('')}`;
  return title + lines.map(([name, text]) => `${`${name}`.padEnd(9)}${text}\n`).join('');
}

function clusterLines({ cluster }: StatusView, now: number): [string, string][] {
  if (cluster === undefined) return [];
  const { host, vtep, store, hosts, networks } = cluster;
  const heard = hosts.filter(({ state }) => state === 'heard').length;
  return [
    ['cluster', `${counted(hosts.length, 'host')}, ${heard} heard, kept in ${store}`],
    ['here', `${host}, ${vtep === undefined ? 'without an address for VXLAN' : `VXLAN at ${vtep}`}`],
    ...hosts
      .filter(({ here }) => !here)
      .map((other, i): [string, string] => [
        i === 0 ? 'hosts' : '',
        `${other.name}${other.vtep === undefined ? '' : ` at ${other.vtep}`}, ${hostState(other, now)}`,
      ]),
    ...networks.map((network, i): [string, string] => [
      i === 0 ? 'networks' : '',
      `${network.name}${network.tag === undefined ? '' : ` (${network.encapsulation} ${network.tag}, ${network.subnets?.join(', ')})`}: ${network.here} of ${counted(network.all, 'container')} here`,
    ]),
  ];
}

function neutronLines({ neutron }: StatusView, now: number): [string, string][] {
  if (neutron === undefined) return [];
  const { host, services, ports, networks, waiting } = neutron;
  const states = services.map(({ name, state, since, asked, problem }) => {
    const last = `last asked ${age(asked, now)} ago`;
    if (state === 'answers') return `${name} answers, ${last}`;
    const what = state === 'away' ? 'does not answer' : 'refuses who we are';
    return `${name} ${what} for ${age(since, now)}, ${last}: ${problem}`;
  });
  const still =
    waiting.count === 0
      ? []
      : [`${waiting.count} to be removed still${waiting.problem === undefined ? '' : `: ${waiting.problem}`}`];
  const lines = [
    `${counted(ports, 'port')} and ${counted(networks, 'network')} of the host ${host}`,
    ...(states.length === 0 ? ['not asked yet'] : states),
    ...still,
  ];
  return lines.map((line, i) => [i === 0 ? 'neutron' : '', line]);
}

export const printVersion: Work = async (session) => {
  let agent: string | undefined;
  try {
    agent = (await session.client.get<StatusView>('/v1/status')).version;
  } catch (error) {
    // Without an agent there is still this command's own version.
    if (!(error instanceof Failure)) throw error;
  }
  session.show({ version, ...(agent === undefined ? {} : { agent }) }, (it) => {
    return `berth ${it.version}\nagent ${it.agent ?? 'does not answer'}\n`;
  });
  return undefined;
};

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

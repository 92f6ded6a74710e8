/** `berth __complete -- WORDS…`: what may stand for the last word. Asked by the shells on every press of the tab key. */

import { readdirSync } from 'node:fs';
import type { Command } from 'commander';
import type {
  AttachmentView,
  EndpointView,
  HostView,
  LeaseView,
  NamedView,
  NetworkView,
  PoolView,
  ReservationView,
  UplinkView,
} from '../../agent/api.ts';
import { agentClient } from '../client.ts';
import { clusterCommandOf } from '../commands/cluster.ts';
import { type ExitCode, exitCode } from '../failure.ts';
import type { Values } from '../netctl/flags.ts';
import type { Suggestion } from '../netctl/spec.ts';
import { type Candidate, suggest } from '../netctl/suggestions.ts';
import { type Session, socketOf } from '../session.ts';
import { shortId } from '../table.ts';

/** A shell waits for us with every key, so an agent that is slow is asked no longer than this. */
const patience = 500;

export async function complete(program: Command, session: Session, words: readonly string[]): Promise<ExitCode> {
  const unfinished = words.at(-1) ?? '';
  const found = await candidates(program, session, words);
  for (const { value, description } of found) {
    if (value.startsWith(unfinished)) session.stdout.write(`${value}\t${description}\n`);
  }
  return exitCode.ok;
}

async function candidates(program: Command, session: Session, words: readonly string[]): Promise<readonly Candidate[]> {
  const unfinished = words.at(-1) ?? '';
  let command = program;
  let runDir = session.options.runDir;
  const given = new Map<string, string>();
  const positionals: string[] = [];
  for (let i = 0; i < words.length - 1; i++) {
    const word = words[i]!;
    if (word.startsWith('-')) {
      const option = optionsOf(command).find(({ long, short }) => long === word || short === word);
      if (option?.required !== true) continue;
      // The next word is the value of this option: complete it, or pass over it.
      if (i === words.length - 2) {
        return option.long === '--pool'
          ? ask(runDir, 'pool')
          : askMaster(flagSuggestion(command, option.long), given, positionals);
      }
      i++;
      given.set(option.long!, words[i]!);
      if (option.long === '--run-dir') runDir = words[i]!;
      continue;
    }
    const next = command.commands.find((candidate) => candidate.name() === word || candidate.aliases().includes(word));
    if (next === undefined) positionals.push(word);
    else command = next;
  }

  if (unfinished.startsWith('-')) {
    return optionsOf(command).map(({ long, short, description }) => ({ value: long ?? short!, description }));
  }
  const visible = command.commands
    .filter((candidate) => positionals.length === 0 && !candidate.name().startsWith('__'))
    .map((candidate) => ({ value: candidate.name(), description: candidate.description() }));
  const argument =
    command.registeredArguments[positionals.length] ?? command.registeredArguments.findLast((it) => it.variadic);
  if (argument === undefined) return visible;
  if (argument.argChoices !== undefined) return argument.argChoices.map((value) => ({ value, description: '' }));
  const cluster = clusterCommandOf(command);
  const asked = cluster !== undefined && (!cluster.onDemand || given.has('--tenant') || words.includes('--cluster'));
  const known = asked
    ? askMaster(cluster.spec.args[positionals.length]?.suggest, given, positionals)
    : ask(runDir, argument.name());
  return [...visible, ...(await known)];
}

/** What may be the value of an option of the cluster's commands. */
function flagSuggestion(command: Command, long: string | undefined): Suggestion | undefined {
  return clusterCommandOf(command)?.spec.flags.find(({ names }) => `--${names[0]}` === long)?.suggest;
}

/** What a master knows; nothing when none answers. */
async function askMaster(
  what: Suggestion | undefined,
  given: ReadonlyMap<string, string>,
  args: readonly string[],
): Promise<readonly Candidate[]> {
  const master = given.get('--master') ?? process.env.BERTH_MASTER ?? 'http://127.0.0.1:9999';
  const said = {
    netmaster: master,
    token: given.get('--token') ?? process.env.BERTH_TOKEN,
    cacert: given.get('--cacert'),
  };
  const globals = new Map(Object.entries(said).filter(([, value]) => value !== undefined)) as Values;
  const asker = { globals, environment: { HOME: process.env.HOME }, tenant: given.get('--tenant') ?? '', args };
  return suggest(what, asker).catch(() => []);
}

function optionsOf(command: Command): Command['options'] {
  const inherited = command.parent === null ? [] : optionsOf(command.parent);
  return [...command.options, ...inherited].filter((option) => !option.hidden);
}

/** What the agent knows by that name of an argument; nothing when it does not answer. */
async function ask(runDir: string, argument: string): Promise<Candidate[]> {
  const client = agentClient(socketOf(runDir), patience);
  try {
    switch (argument) {
      case 'network': {
        const views = await client.get<readonly NetworkView[]>('/v1/networks');
        return views.map((view) => ({ value: view.name ?? shortId(view.id), description: view.plugin }));
      }
      case 'endpoint': {
        const views = await client.get<readonly EndpointView[]>('/v1/endpoints');
        return views.map((view) => ({
          value: shortId(view.id),
          description: view.container ?? view.addresses.join(' '),
        }));
      }
      case 'attachment': {
        const views = await client.get<readonly AttachmentView[]>('/v1/attachments');
        return views.map((view) => ({
          value: view.container,
          description: `${view.interface} ${view.addresses.join(' ')}`,
        }));
      }
      case 'container': {
        // Who detaches names one of these; what other containers there are only the engine knows.
        const views = await client.get<readonly AttachmentView[]>('/v1/attachments');
        return [...new Set(views.map(({ container }) => container))].map((value) => ({ value, description: '' }));
      }
      case 'pool': {
        const views = await client.get<readonly PoolView[]>('/v1/pools');
        return views.map((view) => ({ value: view.id, description: `${view.leases} leases` }));
      }
      case 'address': {
        const views = await client.get<readonly LeaseView[]>('/v1/leases');
        return views.map((view) => ({ value: view.address, description: view.container ?? view.kind }));
      }
      case 'name': {
        const views = await client.get<readonly NamedView[]>('/v1/names');
        return views.map((view) => ({ value: view.name, description: view.container ?? view.where }));
      }
      case 'reserved': {
        const views = await client.get<readonly ReservationView[]>('/v1/reservations');
        return views.map((view) => ({ value: view.address, description: view.container ?? view.mac ?? '' }));
      }
      case 'uplink': {
        const views = await client.get<readonly UplinkView[]>('/v1/uplinks');
        return views.map((view) => ({ value: view.nic, description: `${view.bridge} ${view.state}` }));
      }
      case 'from':
      case 'to': {
        const endpoints = await client.get<readonly EndpointView[]>('/v1/endpoints');
        const containers = endpoints.flatMap(({ container, networkName }) =>
          container === undefined ? [] : [{ value: container, description: networkName ?? '' }],
        );
        return [...containers, ...(await ask(runDir, 'host'))];
      }
      case 'host': {
        const views = await client.get<readonly HostView[]>('/v1/hosts');
        return views.map((view) => ({ value: view.name, description: `${view.vtep ?? ''} ${view.state}` }));
      }
      case 'nic':
        return readdirSync('/sys/class/net').map((value) => ({ value, description: '' }));
      default:
        return [];
    }
  } catch {
    return [];
  }
}

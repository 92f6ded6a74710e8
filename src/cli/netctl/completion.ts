/** `netctl __complete -- WORDS…`: what may stand for the last word. Asked by the shells on every press of the tab key. */

import { allCommands, allGlobalFlags, find } from './command-line.ts';
import { connectionFrom, isPrivateWay } from './connection.ts';
import { credentialsFile, readToken } from './credentials.ts';
import { findFlag, flagsFrom, flagWord, takeFlag, type Values } from './flags.ts';
import { httpMaster } from './http-master.ts';
import type { Fields, Master } from './master.ts';
import { type CommandSpec, type Flag, type Flags, flagsOf, isNoun, type NounSpec, type Suggestion } from './spec.ts';
import { text } from './text.ts';

/** A shell waits for us with every key, so a master that is slow is asked no longer than this. */
const patience = 500;

interface Candidate {
  readonly value: string;
  readonly description: string;
}

/** Where in a command line the unfinished word stands. */
interface Place {
  readonly noun: NounSpec | undefined;
  readonly command: CommandSpec | undefined;
  readonly args: readonly string[];
  /** The flag whose value it is. */
  readonly flagOf: Flag | undefined;
  readonly values: Values;
  readonly globals: Values;
}

/** @returns lines `VALUE<tab>DESCRIPTION`. */
export async function completeNetctl(words: readonly string[], environment: NodeJS.ProcessEnv): Promise<string> {
  const unfinished = words.at(-1) ?? '';
  let found: readonly Candidate[];
  try {
    found = await candidates(placeOf(words.slice(0, -1)), unfinished, environment);
  } catch {
    // Nobody could read a complaint in the middle of typing.
    found = [];
  }
  return found
    .filter(({ value }) => value.startsWith(unfinished))
    .map(({ value, description }) => `${value}\t${description}\n`)
    .join('');
}

function placeOf(words: readonly string[]): Place {
  const [values, globals]: [Values, Values] = [new Map(), new Map()];
  let noun: NounSpec | undefined;
  let command: CommandSpec | undefined;
  let flagOf: Flag | undefined;
  const args: string[] = [];
  for (let i = 0; i < words.length; ) {
    const flag = flagWord(words[i]!);
    if (flag === undefined) {
      const next =
        command === undefined ? find(noun === undefined ? allCommands : noun.commands, words[i]!) : undefined;
      if (next === undefined) args.push(words[i]!);
      else if (isNoun(next)) noun = next;
      else command = next;
      i++;
      continue;
    }
    const own = command === undefined ? undefined : findFlag(flagsOf(command), flag.name);
    const known = own ?? findFlag(allGlobalFlags, flag.name);
    if (known === undefined) i++;
    else if (known.kind !== 'boolean' && flag.value === undefined && i === words.length - 1) {
      flagOf = known;
      i++;
    } else i += takeFlag(words, i, known, own === undefined ? globals : values, new Map());
  }
  return { noun, command, args, flagOf, values, globals };
}

async function candidates(
  place: Place,
  unfinished: string,
  environment: NodeJS.ProcessEnv,
): Promise<readonly Candidate[]> {
  const { noun, command, args, flagOf } = place;
  if (flagOf !== undefined) return suggested(flagOf.suggest, place, environment);
  if (unfinished.startsWith('-')) {
    return [...(command === undefined ? [] : flagsOf(command)), ...allGlobalFlags].map(({ names, usage }) => ({
      value: `--${names[0]}`,
      description: usage.trim(),
    }));
  }
  if (command !== undefined) return suggested(command.args[args.length]?.suggest, place, environment);
  return (noun?.commands ?? allCommands).map(({ name, usage }) => ({ value: name, description: usage }));
}

async function suggested(
  suggestion: Suggestion | undefined,
  place: Place,
  environment: NodeJS.ProcessEnv,
): Promise<readonly Candidate[]> {
  if (suggestion === undefined) return [];
  if (typeof suggestion !== 'string') return suggestion.map((value) => ({ value, description: '' }));
  const connection = { ...connectionFrom(place.globals, environment), timeout: patience };
  const file = credentialsFile(environment);
  const safe = connection.addresses.every(isPrivateWay) || connection.tls.insecure;
  const master = httpMaster(connection, {
    token: async () => (safe ? (connection.token ?? (await readToken(file))) : undefined),
  });
  try {
    const flags = flagsFrom(place.command === undefined ? [] : flagsOf(place.command), place.values);
    return await objects(suggestion, master, flags, place.args);
  } finally {
    master.close();
  }
}

async function objects(
  kind: Exclude<Suggestion, readonly string[]>,
  master: Master,
  flags: Flags,
  args: readonly string[],
): Promise<readonly Candidate[]> {
  const tenant = flags.text('tenant') || 'default';
  const list = async (type: string, name: string, describe: (object: Fields) => string): Promise<Candidate[]> =>
    (await master.list(type, tenant))
      .filter((object) => object.tenantName === undefined || object.tenantName === tenant || type === 'tenants')
      .map((object) => ({ value: text(object, name), description: describe(object) }));
  switch (kind) {
    case 'tenant':
      return list('tenants', 'tenantName', () => 'tenant');
    case 'network':
      return list('networks', 'networkName', (network) => text(network, 'subnet'));
    case 'group':
      return list('endpointGroups', 'groupName', (group) => `group on ${text(group, 'networkName')}`);
    case 'policy':
      return list('policys', 'policyName', () => 'policy');
    case 'rule':
      return (await master.list('rules', tenant))
        .filter((rule) => rule.tenantName === tenant && rule.policyName === args[0])
        .map((rule) => ({
          value: text(rule, 'ruleId'),
          description: [text(rule, 'direction'), text(rule, 'action'), text(rule, 'protocol'), text(rule, 'port')]
            .filter((word) => word !== '')
            .join(' '),
        }));
    case 'netprofile':
      return list('netprofiles', 'profileName', (profile) => text(profile, 'bandwidth'));
    case 'service':
      return list('serviceLBs', 'serviceName', (service) => `service on ${text(service, 'networkName')}`);
    case 'app-profile':
      return list('appProfiles', 'appProfileName', () => 'application profile');
    case 'external-contracts':
      return list('extContractsGroups', 'contractsGroupName', (group) => text(group, 'contractsType'));
    case 'bgp':
      return list('Bgps', 'hostname', (bgp) => text(bgp, 'neighbor'));
  }
}

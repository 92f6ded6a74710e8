/** `berth tenant|group|policy|…`: netctl's commands among ours, with our options and exit codes. */

import { Argument, type Command, Option } from 'commander';
import { exitCode } from '../failure.ts';
import { guide } from '../help.ts';
import { commands } from '../netctl/nouns.ts';
import { type CommandSpec, type Flag, isNoun, type NounSpec } from '../netctl/spec.ts';
import type { Binder, Work } from '../session.ts';

/** The commands that masters are asked for, and whether only with `--cluster`. */
interface ClusterCommand {
  readonly spec: CommandSpec;
  readonly onDemand: boolean;
}

const clusterSpecs = new WeakMap<Command, ClusterCommand>();

/** What a command asks of masters; undefined where it asks nothing of them. */
export function clusterCommandOf(command: Command): ClusterCommand | undefined {
  return clusterSpecs.get(command);
}

/** Where the masters are; for every command, like the agent's directory. */
export function masterOptions(program: Command): Command {
  return program
    .addOption(
      new Option('--master <urls>', 'masters of the cluster, separated by commas')
        .env('BERTH_MASTER')
        .default('http://127.0.0.1:9999'),
    )
    .addOption(new Option('--token <token>', 'token to show to a master').env('BERTH_TOKEN'))
    .addOption(new Option('--cacert <file>', 'authority of the masters’ certificates (PEM)').env('BERTH_CACERT'))
    .option('--insecure', 'do not check the certificates of masters');
}

/** What the nouns are, one of them and all; Contiv's own words are of little help. In the order of our help. */
const nouns: Readonly<Record<string, readonly [one: string, all: string, about: string]>> = {
  tenant: ['a tenant', 'tenants', 'tenants: name spaces of networks, groups and policies'],
  network: ['a network', 'networks', 'networks'],
  group: ['a group', 'groups', 'groups: containers of a network that share policies or a range of addresses'],
  policy: ['a policy', 'policies', 'policies, and the rules in them'],
  netprofile: ['a profile', 'profiles', 'network profiles: limits of bandwidth, and marks'],
  service: ['a service', 'services', 'services: one address for all containers with certain labels'],
  bgp: ['the BGP neighbour of a host', 'BGP neighbours', 'what hosts say to their routers'],
  global: ['the settings', 'settings', 'settings of the whole cluster'],
  'app-profile': [
    'an application profile',
    'application profiles',
    'application profiles: groups that make one application',
  ],
  'external-contracts': ['a group of contracts', 'groups of contracts', 'contracts that an ACI fabric has'],
  'aci-gw': ['the gateway', 'gateways', 'the gateway to an ACI fabric'],
};

const verbs: Readonly<Record<string, (one: string, all: string) => string>> = {
  create: (one) => `create ${one}`,
  update: (one) => `change ${one}`,
  set: (one) => `change ${one}`,
  rm: (one) => `remove ${one}`,
  ls: (_, all) => `list ${all}`,
  info: (one) => `print ${one}`,
  inspect: (one) => `print everything about ${one}, as JSON`,
};

/** The nouns that are only the cluster's. */
export function clusterCommands(program: Command, on: Binder): void {
  for (const [name, [, , about]] of Object.entries(nouns)) {
    if (name === 'network') continue;
    const noun = nounOf(name)!;
    const group = program.command(name).description(about);
    for (const command of noun.commands) addCommand(group, noun, command, on);
  }
}

const ofThisHost =
  'Networks of this host alone are made and removed with: docker network create -d berth-lan, docker network rm';

/** What `berth network` has of the cluster beside what it has of this host. */
export function clusterNetworkCommands(group: Command, on: Binder): void {
  const network = nounOf('network')!;
  for (const command of network.commands) {
    if (command.name === 'create' || command.name === 'rm') addCommand(group, network, command, on, ofThisHost);
  }
}

/**
 * `--cluster` on a command of this host, which then does what netctl's command of that name does; other commands stay what they
 * are.
 */
export function withCluster(command: Command, noun: string, on: Binder, load: () => Promise<Work>): Command {
  const spec = nounOf(noun)?.commands.find(({ name }) => name === command.name());
  if (spec === undefined) return on(command, load);
  clusterSpecs.set(command, { spec, onDemand: true });
  command.option('--cluster', 'those of the whole cluster, asked of a master');
  const more = spec.flags.filter(({ names }) => ['tenant', 'all'].includes(names[0]!));
  for (const flag of more) command.addOption(optionOf({ ...flag, usage: `with --cluster: ${lowered(flag.usage)}` }));
  return on(command, async () => {
    const here = await load();
    const { runSpec } = await import('../cluster.ts');
    return async (session, args, options) => {
      const asked = options.cluster === true || more.some(({ names }) => options[names[0]!] !== undefined);
      if (!asked) return here(session, args, options);
      for (const arg of spec.args.length === 0 ? [undefined] : args.flat())
        await runSpec(spec, session, [arg], options);
      return exitCode.ok;
    };
  });
}

function nounOf(name: string): NounSpec | undefined {
  return commands.find((spec): spec is NounSpec => isNoun(spec) && spec.name === name);
}

function addCommand(group: Command, noun: NounSpec, spec: CommandSpec, on: Binder, otherwise?: string): void {
  const command = on(group.command(spec.name), async () => {
    const { runSpec } = await import('../cluster.ts');
    return (session, args, options) => runSpec(spec, session, args.flat(), options, otherwise);
  });
  clusterSpecs.set(command, { spec, onDemand: false });
  const [one, all] = nouns[noun.name]!;
  command.description(verbs[spec.name]?.(one, all) ?? lowered(spec.usage));
  for (const alias of spec.aliases ?? []) command.alias(alias);
  for (const { name } of spec.args) command.addArgument(new Argument(`<${name}>`));
  for (const flag of spec.flags) {
    if (flag.names[0] !== 'json') command.addOption(optionOf(flag));
  }
  const examples = spec.examples ?? [
    [noun.name, spec.name, ...spec.args.map(({ name }) => name.toUpperCase())].join(' '),
  ];
  guide(command, { examples: examples.map((example) => [`berth ${example}`] as const) });
}

function optionOf({ names, kind, usage, standard }: Flag): Option {
  const [long] = names;
  const short = names.find((name) => name.length === 1);
  const value = kind === 'boolean' ? '' : ` <${kind === 'number' ? 'number' : long!.split('-').at(-1)}>`;
  const meaning = lowered(usage.trim()) + (standard === undefined ? '' : ` (otherwise ${standard})`);
  const option = new Option(`${short === undefined ? '' : `-${short}, `}--${long}${value}`, meaning);
  if (kind === 'list') {
    option.argParser((word: string, before: readonly string[] | undefined) => [...(before ?? []), word]);
  }
  return option;
}

/** Our descriptions begin small; names that are all capitals stay what they are. */
function lowered(text: string): string {
  const [first = '', second = ''] = text;
  return second === second.toUpperCase() ? text : first.toLowerCase() + text.slice(1);
}

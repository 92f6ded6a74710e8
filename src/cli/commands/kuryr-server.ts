/** `kuryr-server`: the agent, started with the flags of kuryr-libnetwork's, serving Docker as the driver `kuryr`. */

import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { RawConfig } from '../../agent/config.ts';
import { configKeys } from '../../agent/config-keys.ts';
import { version } from '../../model/version.ts';
import { type KuryrConf, readKuryrConf } from '../../openstack/conf/kuryr-conf.ts';
import { namedSources } from '../../openstack/conf/sources.ts';
import { type ExitCode, exitCode } from '../failure.ts';
import { guide } from '../help.ts';
import type { Surroundings } from '../session.ts';
import { badFlag } from './old-flags.ts';

interface Flag {
  readonly names: readonly string[];
  readonly help: string;
  /** It has no value; `--no…` is its opposite. */
  readonly switch?: true;
}

/** Those of oslo.config and oslo.log (oslo_log/_options.py), which are all that kuryr_libnetwork/server.py has. */
const flags = {
  files: { names: ['config-file'], help: 'a kuryr.conf; several may be given, and later ones count' },
  dirs: { names: ['config-dir'], help: 'a folder, of which all *.conf are read by name, after the files' },
  debug: { names: ['debug', 'd'], help: 'log more', switch: true },
  logConfig: { names: ['log-config-append', 'log-config', 'log_config'], help: 'without effect' },
  dateFormat: { names: ['log-date-format'], help: 'without effect' },
  logFile: { names: ['log-file', 'logfile'], help: 'without effect: the log goes to stderr' },
  logDir: { names: ['log-dir', 'logdir'], help: 'without effect: the log goes to stderr' },
  watch: { names: ['watch-log-file'], help: 'without effect', switch: true },
  syslog: { names: ['use-syslog'], help: 'without effect: the log goes to stderr', switch: true },
  journal: { names: ['use-journal'], help: 'without effect: the log goes to stderr', switch: true },
  facility: { names: ['syslog-log-facility'], help: 'without effect' },
  json: { names: ['use-json'], help: 'without effect: the log is JSON always', switch: true },
} as const satisfies Record<string, Flag>;

type Name = keyof typeof flags;
const withoutEffect = [
  'logConfig',
  'dateFormat',
  'logFile',
  'logDir',
  'watch',
  'syslog',
  'journal',
  'facility',
  'json',
];

export interface KuryrServerSettings {
  /** By key of the agent's configuration. */
  readonly config: RawConfig;
  /** What was given and has no effect, a sentence each. */
  readonly remarks: readonly string[];
}

/**
 * The settings of an agent from the flags of kuryr-server, as oslo.config reads them: `--flag value` or `--flag=value`, and an
 * abbreviation where it is clear. Flags of the agent's own may stand among them. The scope of the plugin is kuryr.conf's.
 *
 * @throws BerthError BAD_CONFIG, KURYR_CONF_INVALID
 */
export function readKuryrServerFlags(words: readonly string[], env: NodeJS.ProcessEnv): KuryrServerSettings {
  const given = new Map<string, string[]>();
  const rest = [...words];
  while (rest.length > 0) {
    const word = rest.shift()!;
    const [, text, attached] = /^(?:--|-(?=[a-z](?:$|=)))([a-z][a-z0-9_-]*)(?:=(.*))?$/s.exec(word) ?? [];
    const [flag, isSwitch, value] = text === undefined ? [] : meaning(text);
    if (flag === undefined) throw badFlag(`there is no flag '${word.slice(0, 60)}'`);
    const said = isSwitch === true ? value! : (attached ?? rest.shift());
    if (said === undefined || (isSwitch === true && attached !== undefined))
      throw badFlag(isSwitch === true ? `--${text} has no value` : `--${text} needs a value`);
    given.set(flag, [...(given.get(flag) ?? []), said]);
  }

  const of = (name: Name) => given.get(name) ?? [];
  const paths = [...of('files'), ...of('dirs')].map((path) => resolve(path));
  const comma = paths.find((path) => path.includes(','));
  if (comma !== undefined) throw badFlag(`the path '${comma}' has a comma`);
  const config: Record<string, string> = {};
  for (const key of ownKeys) {
    const own = given.get(`own ${key}`)?.at(-1);
    if (own !== undefined) config[key] = own;
  }
  if (paths.length > 0) config['kuryr-conf'] = paths.join(',');
  const conf = read(config, env);
  if (config.plugins === undefined && env.BERTH_PLUGINS === undefined) config.plugins = `kuryr=neutron:${conf.scope}`;
  const debug = of('debug').at(-1) ?? String(conf.debug);
  if (debug === 'true' && config['log-level'] === undefined && env.BERTH_LOG_LEVEL === undefined)
    config['log-level'] = 'debug';
  const remarks = withoutEffect
    .filter((name) => given.has(name))
    .map((name) => `--${flags[name as Name].names[0]} has no effect: Berth writes its log to stderr, as JSON`);
  return { config, remarks };
}

const ownKeys = [...configKeys.map(({ key }) => key).filter((key) => key !== 'kuryr-conf'), 'config'];

/** Only what it says of the plugin; the agent reads it again, and tells what is odd about it. */
function read(config: RawConfig, env: NodeJS.ProcessEnv): KuryrConf {
  const paths = config['kuryr-conf'] ?? env.BERTH_KURYR_CONF;
  return readKuryrConf({ env, ...namedSources(paths?.split(',').map((path) => path.trim())) }).conf;
}

/** @returns the flag, whether it is a switch, and what it then says. */
function meaning(text: string): [flag?: string, isSwitch?: boolean, value?: string] {
  if (ownKeys.includes(text)) return [`own ${text}`, false];
  const known = (Object.entries(flags) as [Name, Flag][]).flatMap(([name, flag]) =>
    flag.names.flatMap((one): [string, Name, boolean, string?][] =>
      flag.switch === true
        ? [
            [one, name, true, 'true'],
            [`no${one}`, name, true, 'false'],
          ]
        : [[one, name, false]],
    ),
  );
  const exact = known.find(([one]) => one === text);
  const begun = exact === undefined && text.length > 2 ? known.filter(([one]) => one.startsWith(text)) : [];
  const [, flag, isSwitch, value] = exact ?? (new Set(begun.map(([, name]) => name)).size === 1 ? begun[0]! : []);
  return flag === undefined ? [] : [flag, isSwitch!, value!];
}

type RunAgent = (config: RawConfig, remarks: readonly string[]) => Promise<void>;

/**
 * Runs an agent as `kuryr-server` does, until it is told to stop.
 *
 * @param run for tests.
 */
export async function runKuryrServer(
  words: readonly string[],
  { stdout }: Surroundings,
  run: RunAgent = async (...settings) => await (await import('../../agent/main.ts')).runAgent(...settings),
): Promise<ExitCode> {
  if (words.some((word) => ['--help', '-h'].includes(word))) stdout.write(help());
  else if (words.includes('--version')) stdout.write(`${version}\n`);
  else {
    const { config, remarks } = readKuryrServerFlags(words, process.env);
    await run(config, remarks);
  }
  return exitCode.ok;
}

function help(): string {
  const lines = Object.values<Flag>(flags).map(({ names, help, switch: isSwitch }) => {
    const shown = names.map((name) => `${name.length === 1 ? '-' : '--'}${name}`).join(', ');
    return `  ${shown.padEnd(44)} ${help}${isSwitch ? ` (--no${names[0]}: not)` : ''}\n`;
  });
  return `Usage: kuryr-server [flags]

The agent of this host, started with the flags of kuryr-libnetwork's: it serves Docker as the driver 'kuryr', whose networks are
those of OpenStack's Neutron, and reads kuryr.conf as it is.

${lines.join('')}
Flags of the agent's own may stand among these, such as --state-dir and --plugins; berth agent --help lists them. BERTH_… variables
count where no flag says otherwise.

Examples:
  kuryr-server --config-file /etc/kuryr/kuryr.conf
  kuryr-server --config-file /etc/kuryr/kuryr.conf --config-dir /etc/kuryr/kuryr.conf.d --debug
`;
}

/** For the list of commands and its page; the words after it are read here, not by the command line. */
export function kuryrServerCommand(program: Command): Command {
  const command = program
    .command('kuryr-server')
    .description('run the agent in the foreground, with the flags of kuryr-libnetwork’s kuryr-server')
    .helpOption(false)
    .argument('[flags...]', 'see: berth kuryr-server --help')
    .action(() => command.error("error: 'kuryr-server' must be the first word: berth kuryr-server [flags]"));
  return guide(command, {
    remark:
      'The same as `kuryr-server`. It serves Docker as the driver `kuryr` in the scope that kuryr.conf says; what has no effect any more is said in the log.',
    examples: [
      ['berth kuryr-server --help', 'all flags'],
      ['kuryr-server --config-file /etc/kuryr/kuryr.conf --config-dir /etc/kuryr/kuryr.conf.d'],
    ],
  });
}

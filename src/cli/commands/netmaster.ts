/** `netmaster`: a master, started with the flags of Contiv's. */

import type { MasterOptions } from '../../master/config.ts';
import { BerthError } from '../../model/errors.ts';
import { parseStoreLocation } from '../../store/location.ts';
import { type ExitCode, exitCode } from '../failure.ts';
import type { Surroundings } from '../session.ts';

interface OldFlag {
  /** All its names; the first is the one that is shown. */
  readonly names: readonly string[];
  readonly env: string;
  readonly help: string;
  readonly switch?: true;
  readonly standard?: string;
}

/** netmaster's of Contiv 1.2, with those that it shared with netplugin (utils/configs.go, netmaster/main.go). */
const flags = {
  mode: { names: ['mode', 'plugin-mode', 'cluster-mode'], env: 'MODE', help: 'orchestrator: docker' },
  netmode: { names: ['netmode', 'network-mode'], env: 'NET_MODE', help: 'vlan or vxlan; each network says its own' },
  fwdmode: { names: ['fwdmode', 'forward-mode'], env: 'FORWARD_MODE', help: 'bridge or routing' },
  etcd: {
    names: ['etcd-endpoints', 'etcd'],
    env: 'ETCD_ENDPOINTS',
    help: 'etcd servers, separated by commas',
    standard: 'http://127.0.0.1:2379',
  },
  consul: { names: ['consul-endpoints', 'consul'], env: 'CONSUL_ENDPOINTS', help: 'refused: Berth uses etcd' },
  logLevel: { names: ['log-level'], env: 'LOG_LEVEL', help: 'how much is logged', standard: 'INFO' },
  jsonLog: { names: ['use-json-log', 'json-log'], env: 'USE_JSON_LOG', help: 'logs are JSON always', switch: true },
  syslog: { names: ['use-syslog', 'syslog'], env: 'USE_SYSLOG', help: 'refused: logs go to stderr', switch: true },
  syslogUrl: { names: ['syslog-url'], env: 'SYSLOG_URL', help: 'without effect' },
  infra: { names: ['infra', 'infra-type'], env: 'INFRA', help: 'default, aci or aci-opflex', standard: 'default' },
  pluginName: { names: ['name', 'plugin-name'], env: 'PLUGIN_NAME', help: 'without effect on a master' },
  listen: {
    names: ['listen-url', 'external-address'],
    env: 'EXTERNAL_ADDRESS',
    help: 'where to listen',
    standard: '0.0.0.0:9999',
  },
  control: { names: ['control-url', 'internal-address'], env: 'INTERNAL_ADDRESS', help: 'where to listen as well' },
  store: { names: ['store'], env: 'STORE', help: 'sqlite:PATH, in the place of etcd' },
} as const satisfies Record<string, OldFlag>;

type Flag = keyof typeof flags;

const PREFIX = 'CONTIV_NETMASTER_';

/** Contiv's levels as those of our log. */
const LEVELS: Readonly<Record<string, string>> = { WARNING: 'warn', PANIC: 'fatal' };

/**
 * The settings of a master from old flags, as `--flag value` or `--flag=value` with one hyphen or two, and from the
 * environment.
 *
 * @throws BerthError BAD_CONFIG
 */
export function readNetmasterFlags(
  words: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): MasterOptions {
  const given = readWords(words);
  const value = (flag: Flag): string => {
    const { env, standard = '' } = flags[flag] as OldFlag;
    return given.get(flag) ?? environment[`${PREFIX}${env}`] ?? standard;
  };
  const oneOf = (flag: Flag, choices: readonly string[]): string => {
    const found = value(flag);
    if (choices.includes(found)) return found;
    const name = flags[flag].names[0];
    if (found === '') throw bad(`--${name} is needed: ${choices.join(' or ')}`);
    throw bad(`--${name} must be ${choices.join(' or ')}, not '${found}'`);
  };
  const mode = oneOf('mode', ['docker', 'swarm-mode', 'kubernetes']);
  if (mode === 'kubernetes') throw bad('--mode kubernetes: Berth is for Docker hosts');
  oneOf('netmode', ['vlan', 'vxlan']);
  const forwardMode = oneOf('fwdmode', ['bridge', 'routing']);
  if (value('consul') !== '') throw bad('--consul-endpoints: Berth keeps a cluster in etcd');
  if (isOn(value('syslog'))) throw bad('--use-syslog: logs go to stderr, from where systemd takes them');
  const level = value('logLevel').toUpperCase();
  const [listen, control] = [value('listen'), value('control')];
  return {
    store: parseStoreLocation(value('store') || etcdLocation(value('etcd')), '--store', '/var/lib/berth/cluster.db'),
    listen: control === '' || port(control) === port(listen) ? [listen] : [listen, control],
    logLevel: LEVELS[level] ?? level.toLowerCase(),
    forwardMode,
    clusterMode: mode,
    fabricMode: oneOf('infra', ['default', 'aci', 'aci-opflex']),
  };
}

/** `http://a:2379,http://b:2379` as we write it. @throws BerthError BAD_CONFIG */
function etcdLocation(endpoints: string): string {
  const urls = endpoints.split(',').map((endpoint) => /^(?:(https?):\/\/)?([^/]+)\/?$/.exec(endpoint.trim()));
  const schemes = new Set(urls.map((url) => url?.[1] ?? 'http'));
  if (urls.includes(null) || schemes.size > 1)
    throw bad(`--etcd-endpoints '${endpoints}' is no list of URLs of one kind`);
  return `${schemes.has('https') ? 'etcds' : 'etcd'}://${urls.map((url) => url![2]).join(',')}`;
}

function port(address: string): string | undefined {
  return address.split(':').at(-1);
}

function isOn(text: string): boolean {
  return !['', 'false', '0', 'f', 'F', 'FALSE', 'False'].includes(text);
}

function readWords(words: readonly string[]): Map<Flag, string> {
  const given = new Map<Flag, string>();
  const rest = [...words];
  while (rest.length > 0) {
    const word = rest.shift()!;
    const [, name, attached] = /^--?([a-z][a-z-]*)(?:=(.*))?$/s.exec(word) ?? [];
    const flag = (Object.keys(flags) as Flag[]).find((known) =>
      (flags[known].names as readonly string[]).includes(name ?? ''),
    );
    if (flag === undefined) throw bad(`there is no flag '${word.slice(0, 60)}'`);
    const isSwitch = (flags[flag] as OldFlag).switch === true;
    const value = attached ?? (isSwitch ? 'true' : rest.shift());
    if (value === undefined) throw bad(`--${name} needs a value`);
    given.set(flag, value);
  }
  return given;
}

function bad(sentence: string): BerthError {
  return new BerthError('BAD_CONFIG', sentence);
}

/**
 * Runs a master as `netmaster` does, until it is told to stop.
 *
 * @param run for tests.
 */
export async function runNetmaster(
  words: readonly string[],
  { stdout, stderr }: Surroundings,
  run: (options: MasterOptions) => Promise<void> = async (options) =>
    await (await import('../../master/main.ts')).runMaster(options),
): Promise<ExitCode> {
  if (words.some((word) => ['--help', '-help', '-h', 'help'].includes(word))) {
    stdout.write(netmasterHelp());
    return exitCode.ok;
  }
  let options: MasterOptions;
  try {
    options = readNetmasterFlags(words, process.env);
  } catch (error) {
    if (!(error instanceof BerthError)) throw error;
    stderr.write(`netmaster: ${error.message}\n  next: See what there is with: netmaster --help\n`);
    return exitCode.badOldFlags;
  }
  await run(options);
  return exitCode.ok;
}

function netmasterHelp(): string {
  const lines = (Object.values(flags) as readonly OldFlag[]).map(({ names, env, help, standard }) => {
    const shown = names.map((name) => `--${name}`).join(', ');
    return `  ${shown.padEnd(44)} ${help}${standard === undefined ? '' : ` (default: ${standard})`} [${PREFIX}${env}]`;
  });
  return `Usage: netmaster [flags]\n\nA master of the cluster, started with Contiv's flags. The same with more of them: berth master --help\n\n${lines.join('\n')}\n`;
}

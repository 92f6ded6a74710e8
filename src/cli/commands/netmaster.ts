/** `netmaster`: a master, started with the flags of Contiv's. */

import type { MasterOptions } from '../../master/config.ts';
import { BerthError } from '../../model/errors.ts';
import { parseStoreLocation } from '../../store/location.ts';
import { type ExitCode, exitCode } from '../failure.ts';
import type { Surroundings } from '../session.ts';
import {
  asksForHelp,
  badFlag,
  etcdLocation,
  isOn,
  logLevel,
  type OldFlag,
  oldFlagLines,
  readOldFlags,
} from './old-flags.ts';

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

const PREFIX = 'CONTIV_NETMASTER_';

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
  const { value, oneOf } = readOldFlags(flags, PREFIX, words, environment);
  const mode = oneOf('mode', ['docker', 'swarm-mode', 'kubernetes']);
  if (mode === 'kubernetes') throw badFlag('--mode kubernetes: Berth is for Docker hosts');
  oneOf('netmode', ['vlan', 'vxlan']);
  const forwardMode = oneOf('fwdmode', ['bridge', 'routing']);
  if (value('consul') !== '') throw badFlag('--consul-endpoints: Berth keeps a cluster in etcd');
  if (isOn(value('syslog'))) throw badFlag('--use-syslog: logs go to stderr, from where systemd takes them');
  const [listen, control] = [value('listen'), value('control')];
  return {
    store: parseStoreLocation(value('store') || etcdLocation(value('etcd')), '--store', '/var/lib/berth/cluster.db'),
    listen: control === '' || port(control) === port(listen) ? [listen] : [listen, control],
    logLevel: logLevel(value('logLevel')),
    forwardMode,
    clusterMode: mode,
    fabricMode: oneOf('infra', ['default', 'aci', 'aci-opflex']),
  };
}

function port(address: string): string | undefined {
  return address.split(':').at(-1);
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
  if (asksForHelp(words)) {
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
  return `Usage: netmaster [flags]

A master of the cluster, started with Contiv's flags. The same with more of them: berth master --help

${oldFlagLines(flags, PREFIX)}`;
}

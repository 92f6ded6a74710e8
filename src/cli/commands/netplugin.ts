/** `netplugin`: the agent, started with the flags of Contiv's. */

import type { Command } from 'commander';
import type { RawConfig } from '../../agent/config.ts';
import { configKeys } from '../../agent/config-keys.ts';
import { parseAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import { isLinkName } from '../../model/ids.ts';
import { type ExitCode, exitCode } from '../failure.ts';
import { guide } from '../help.ts';
import type { Surroundings } from '../session.ts';
import {
  asksForHelp,
  badFlag,
  etcdLocation,
  isOn,
  logLevel,
  type OldFlag,
  type OldFlags,
  oldFlagLines,
  readOldFlags,
} from './old-flags.ts';

/** netplugin's of Contiv 1.2 (netplugin/netd.go, utils/configs.go), and the one way of 1.0 to name the store. */
const flags = {
  mode: {
    names: ['mode', 'plugin-mode', 'cluster-mode'],
    env: 'MODE',
    help: 'orchestrator: docker or swarm-mode',
    standard: 'docker',
  },
  netmode: { names: ['netmode', 'network-mode'], env: 'NET_MODE', help: 'without effect: each network says its own' },
  fwdmode: { names: ['fwdmode', 'forward-mode'], env: 'FORWARD_MODE', help: 'without effect: the cluster’s decides' },
  etcd: {
    names: ['etcd-endpoints', 'etcd'],
    env: 'ETCD_ENDPOINTS',
    help: 'etcd servers, separated by commas; all are used',
    standard: 'http://127.0.0.1:2379',
  },
  clusterStore: { names: ['cluster-store'], env: 'CLUSTER_STORE', help: 'the same, as etcd://HOST:PORT' },
  consul: { names: ['consul-endpoints', 'consul'], env: 'CONSUL_ENDPOINTS', help: 'refused: Berth uses etcd' },
  host: { names: ['host', 'host-label'], env: 'HOST', help: 'name of this host in the cluster (default: host name)' },
  vtep: {
    names: ['vtep-ip'],
    env: 'VTEP_IP',
    help: 'address that other hosts send VXLAN to (default: that of the default route)',
  },
  control: { names: ['ctrl-ip'], env: 'CONTROL_IP', help: 'without effect: agents do not listen' },
  uplinks: { names: ['vlan-uplinks', 'vlan-if'], env: 'VLAN_UPLINKS', help: 'NICs that carry VLAN networks' },
  vxlanPort: { names: ['vxlan-port'], env: 'VXLAN_PORT', help: 'UDP port of VXLAN', standard: '4789' },
  logLevel: { names: ['log-level'], env: 'LOG_LEVEL', help: 'how much is logged', standard: 'INFO' },
  jsonLog: {
    names: ['use-json-log', 'json-log'],
    env: 'USE_JSON_LOG',
    help: 'without effect: logs are JSON always',
    switch: true,
  },
  syslog: { names: ['use-syslog', 'syslog'], env: 'USE_SYSLOG', help: 'refused: logs go to stderr', switch: true },
  syslogUrl: { names: ['syslog-url'], env: 'SYSLOG_URL', help: 'without effect' },
} as const satisfies Record<string, OldFlag>;

type Flag = keyof typeof flags;

const PREFIX = 'CONTIV_NETPLUGIN_';

/** Flags of the agent's own that netplugin takes beside Contiv's: those whose names are not Contiv's already. */
const ownKeys = configKeys
  .map(({ key }) => key)
  .filter((key) => !Object.values<OldFlag>(flags).some(({ names }) => names.includes(key)));
const own: Readonly<Record<string, OldFlag>> = Object.fromEntries(
  [...ownKeys, 'config'].map((key) => [`own ${key}`, { names: [key], env: '', help: '' }]),
);

export interface NetpluginSettings {
  /** By key of the agent's configuration. */
  readonly config: RawConfig;
  /** What was given and has no effect, a sentence each. */
  readonly remarks: readonly string[];
}

/**
 * The settings of an agent from old flags, as `--flag value` or `--flag=value` with one hyphen or two, and from the environment. What
 * neither says is left to the agent's own environment and configuration file, except that it serves the driver name
 * `netplugin` and keeps the cluster in etcd.
 *
 * @throws BerthError BAD_CONFIG
 */
export function readNetpluginFlags(words: readonly string[], environment: NodeJS.ProcessEnv): NetpluginSettings {
  const read = readOldFlags<string>({ ...flags, ...own }, PREFIX, words, environment);
  const old = read as OldFlags<Flag>;
  const mode = old.oneOf('mode', ['docker', 'swarm-mode', 'kubernetes']);
  if (mode === 'kubernetes') throw badFlag('--mode kubernetes: Berth is for Docker hosts');
  if (old.value('consul') !== '') throw badFlag('--consul-endpoints: Berth keeps a cluster in etcd');
  if (isOn(old.value('syslog'))) throw badFlag('--use-syslog: logs go to stderr, from where systemd takes them');
  const config: Record<string, string> = {};
  for (const key of [...ownKeys, 'config']) {
    const given = read.given(`own ${key}`);
    if (given !== undefined) config[key] = given;
  }
  if (config.plugins === undefined && environment.BERTH_PLUGINS === undefined)
    config.plugins = 'netplugin=cluster:auto';
  const store = storeOf(old);
  if (store !== undefined) config.store = store;
  else if (
    config.store === undefined &&
    config.config === undefined &&
    !environment.BERTH_STORE &&
    !environment.BERTH_CONFIG
  ) {
    config.store = etcdLocation(flags.etcd.standard);
  }
  const level = old.given('logLevel');
  if (level !== undefined) config['log-level'] = logLevel(level);
  const port = old.given('vxlanPort');
  if (port !== undefined) config['vxlan-port'] = udpPort(port);
  const host = old.given('host');
  if (host !== undefined && host !== '') config.host = host;
  const vtep = old.given('vtep');
  if (vtep !== undefined && vtep !== '') {
    if (parseAddress(vtep) === undefined) throw badFlag(`--vtep-ip must be an IP address, not '${vtep}'`);
    config.vtep = vtep;
  }
  const uplinks = old.given('uplinks');
  if (uplinks !== undefined && uplinks !== '') config.uplinks = linkNames(uplinks);
  return { config, remarks: remarks(old) };
}

/** In our form; undefined when no flag says where it is. */
function storeOf({ given }: OldFlags<Flag>): string | undefined {
  const [etcd, clusterStore] = [given('etcd'), given('clusterStore')];
  if (clusterStore?.startsWith('consul:')) throw badFlag('--cluster-store: Berth keeps a cluster in etcd');
  if (etcd === undefined) return clusterStore;
  if (clusterStore !== undefined) throw badFlag('--etcd-endpoints and --cluster-store say the same: give one of them');
  return etcdLocation(etcd);
}

function udpPort(text: string): string {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65535) throw badFlag(`--vxlan-port must be a port from 1 to 65535, not '${text}'`);
  return String(port);
}

function linkNames(text: string): string {
  const names = text.split(',').map((name) => name.trim());
  const wrong = names.find((name) => !isLinkName(name));
  if (wrong !== undefined) throw badFlag(`--vlan-uplinks must be NICs separated by commas, and '${wrong}' is none`);
  return names.join(',');
}

/** What has no effect any more, in words. */
function remarks({ given }: OldFlags<Flag>): string[] {
  const meanings: Partial<Record<Flag, string>> = {
    netmode: 'each network says by itself whether it is a VXLAN or a VLAN',
    fwdmode: 'the cluster’s setting counts on every host; see: netctl global info',
    control: 'an agent listens to nothing: all hosts meet in etcd',
    jsonLog: 'logs are JSON always',
    syslogUrl: 'logs go to stderr',
  };
  return (Object.entries(meanings) as [Flag, string][]).flatMap(([flag, meaning]) => {
    const text = given(flag);
    if (text === undefined) return [];
    return [`--${flags[flag].names[0]} ${text} has no effect: ${meaning}`];
  });
}

type RunAgent = (config: RawConfig, remarks: readonly string[]) => Promise<void>;

/**
 * Runs an agent as `netplugin` does, until it is told to stop.
 *
 * @param run for tests.
 */
export async function runNetplugin(
  words: readonly string[],
  { stdout, stderr }: Surroundings,
  run: RunAgent = async (...settings) => await (await import('../../agent/main.ts')).runAgent(...settings),
): Promise<ExitCode> {
  if (asksForHelp(words)) {
    stdout.write(netpluginHelp());
    return exitCode.ok;
  }
  const refused = (error: unknown): ExitCode => {
    if (!(error instanceof BerthError) || error.code !== 'BAD_CONFIG') throw error;
    stderr.write(`netplugin: ${error.message}\n  next: See what there is with: netplugin --help\n`);
    return exitCode.badOldFlags;
  };
  try {
    const { config, remarks } = readNetpluginFlags(words, process.env);
    await run(config, remarks);
    return exitCode.ok;
  } catch (error) {
    return refused(error);
  }
}

function netpluginHelp(): string {
  return `Usage: netplugin [flags]

The agent of this host, started with Contiv's flags: it serves Docker as the driver 'netplugin', and joins the cluster that is
kept in etcd. Networks are made with netctl, on any host, once a netmaster runs somewhere.

${oldFlagLines(flags, PREFIX)}
Flags of the agent's own may stand among these, such as --state-dir, --docker, --etcd-ca and --plugins; berth agent --help lists
them. BERTH_… variables count where no flag says otherwise.

Examples:
  netplugin --etcd-endpoints http://10.0.0.1:2379 --mode docker --netmode vxlan --fwdmode bridge
  netplugin --etcd-endpoints http://10.0.0.1:2379,http://10.0.0.2:2379 --vtep-ip 10.1.0.7
  netplugin --etcd-endpoints http://10.0.0.1:2379 --vlan-uplinks eth1
`;
}

/** For the list of commands and its page; the words after it are read here, not by the command line. */
export function netpluginCommand(program: Command): Command {
  const command = program
    .command('netplugin')
    .description('run the agent in the foreground, with the flags of Contiv’s netplugin')
    .helpOption(false)
    .argument('[flags...]', 'see: berth netplugin --help')
    .action(() => command.error("error: 'netplugin' must be the first word: berth netplugin [flags]"));
  return guide(command, {
    remark:
      'The same as `netplugin`. It serves Docker as the driver `netplugin`; what has no effect any more is said in the log.',
    examples: [
      ['berth netplugin --help', 'all flags and their variables'],
      ['netplugin --etcd-endpoints http://10.0.0.1:2379 --mode docker --netmode vxlan --fwdmode bridge'],
    ],
  });
}

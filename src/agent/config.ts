/**
 * The agent's configuration: from flags, `BERTH_…` in the environment and the configuration file, in that order. Each key is
 * one row of the table in `config-keys.ts`.
 */

import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { type Address, parseAddress } from '../model/address.ts';
import { BerthError } from '../model/errors.ts';
import { isLinkName } from '../model/ids.ts';
import { nearest } from '../model/nearest.ts';
import type { FabricKind } from '../model/network.ts';
import { type Prefix, parsePrefix } from '../model/prefix.ts';
import { type DatabaseAddress, parseDatabaseAddress } from '../ovs/address.ts';
import { parseStoreLocation, type StoreLocation } from '../store/location.ts';
import { configKeys, logLevels } from './config-keys.ts';

export interface PluginConfig {
  readonly name: string;
  readonly fabric: FabricKind;
  readonly scope: 'local' | 'global';
}

/** As it is configured; `auto`: as the engine shares networks. */
export type GivenPlugin = Omit<PluginConfig, 'scope'> & { readonly scope: PluginConfig['scope'] | 'auto' };

/** A block that automatic subnets are cut from. */
export interface PoolBase {
  readonly base: Prefix;
  /** Length of each subnet. */
  readonly length: number;
}

export interface TlsConfig {
  /** Address that the plugins listen on; each takes a free port. */
  readonly address: string;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** What the engine shows to us, written into its discovery file. */
  readonly clientCert: string;
  readonly clientKey: string;
}

/** As it is configured, before the engine has been seen. */
export type GivenConfig = Omit<Config, 'plugins'> & { readonly plugins: readonly GivenPlugin[] };

export interface ApiConfig {
  /** Address and port, as `berth master --listen` takes them. */
  readonly listen: string;
  readonly tlsCert: string | undefined;
  readonly tlsKey: string | undefined;
  readonly tokenFile: string | undefined;
}

export interface Config {
  readonly stateDir: string;
  readonly runDir: string;
  readonly pluginDir: string;
  readonly specDir: string;
  readonly docker: string;
  readonly store: StoreLocation;
  /** This host's own name in the cluster. */
  readonly host: string;
  /** Where other hosts send packets of cluster networks to: an address, or the interface that has it. Absent: by the default route. */
  readonly vtep: Address | { readonly link: string } | undefined;
  readonly vxlanPort: number;
  /** NICs that carry the VLANs of cluster networks. */
  readonly uplinks: readonly string[];
  /** Where the agent itself serves the cluster's API. */
  readonly api: ApiConfig | undefined;
  readonly logLevel: string;
  readonly plugins: readonly PluginConfig[];
  readonly bridge: string;
  readonly ovsDatabase: DatabaseAddress;
  /** Where Neutron is, and who we are there. Absent: the usual places of kuryr.conf. */
  readonly kuryrConf: readonly string[] | undefined;
  /** Who chooses the MAC addresses of containers on networks of Neutron. */
  readonly neutronMacs: 'engine' | 'neutron';
  readonly defaultPools: readonly PoolBase[];
  readonly tls: TlsConfig | undefined;
  readonly metricsAddress: { readonly host: string; readonly port: number } | undefined;
  /** Milliseconds. */
  readonly auditInterval: number;
  readonly gcGrace: number;
  readonly linger: number;
}

export type RawConfig = Readonly<Record<string, string>>;

/**
 * @param flags by key, those that were given.
 * @throws BerthError BAD_CONFIG naming the source, the key and the value.
 */
export function loadConfig(
  flags: RawConfig & { readonly config?: string },
  environment: NodeJS.ProcessEnv,
): GivenConfig {
  const { config: file = environment.BERTH_CONFIG, ...given } = flags;
  const fromFile = file === undefined ? {} : readConfigFile(file);
  const value = (key: string): { text: string; source: string } => {
    const variable = `BERTH_${key.toUpperCase().replaceAll('-', '_')}`;
    if (given[key] !== undefined) return { text: given[key], source: `--${key}` };
    if (environment[variable] !== undefined) return { text: environment[variable], source: variable };
    if (fromFile[key] !== undefined) return { text: fromFile[key], source: `${key} in ${file}` };
    return { text: configKeys.find((row) => row.key === key)!.default, source: `the default of ${key}` };
  };
  /** Of keys whose default is told in words: it is found out where it is used. */
  const chosen = (key: string): Given | undefined => {
    const found = value(key);
    return found.source === `the default of ${key}` ? undefined : found;
  };
  const optional = (key: string): string | undefined => {
    const { text } = value(key);
    return text === 'none' ? undefined : text;
  };
  return {
    stateDir: folder(value('state-dir')),
    runDir: folder(value('run-dir')),
    pluginDir: folder(value('plugin-dir')),
    specDir: folder(value('spec-dir')),
    docker: dockerAddress(value('docker')),
    store: storeLocation(value('store'), folder(value('state-dir')), optional),
    host: hostName(chosen('host')),
    vtep: tunnelEnd(chosen('vtep')),
    vxlanPort: port(value('vxlan-port')),
    uplinks: uplinks(value('uplinks')),
    api: apiConfig(value('api'), optional),
    logLevel: oneOf(value('log-level'), logLevels),
    plugins: pluginList(value('plugins')),
    bridge: interfaceName(value('bridge')),
    ovsDatabase: ovsDatabase(value('ovs-database')),
    kuryrConf: confFiles(chosen('kuryr-conf')),
    neutronMacs: oneOf(value('neutron-macs'), ['engine', 'neutron']) as Config['neutronMacs'],
    defaultPools: poolBases(value('default-pools')),
    tls: tlsConfig(optional),
    metricsAddress: hostPort(value('metrics-address')),
    auditInterval: seconds(value('audit-interval'), 1, 3600),
    gcGrace: seconds(value('gc-grace'), 1, 86400),
    linger: seconds(value('linger'), 0, 3600),
  };
}

interface Given {
  readonly text: string;
  readonly source: string;
}

function bad(given: Given, wanted: string): BerthError {
  return new BerthError('BAD_CONFIG', `${given.source} is ${wanted}, not '${given.text}'`);
}

function readConfigFile(file: string): RawConfig {
  let raw: unknown;
  try {
    raw = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new BerthError('BAD_CONFIG', `the configuration file ${file} cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    throw new BerthError('BAD_CONFIG', `the configuration file ${file} is not a JSON object`);
  }
  const known = configKeys.map(({ key }) => key);
  return Object.fromEntries(
    Object.entries(raw).map(([key, value]) => {
      if (!known.includes(key)) {
        const [meant] = nearest(key, known, 1);
        throw new BerthError(
          'BAD_CONFIG',
          `${file} has an unknown key '${key}'${meant === undefined ? '' : `; did you mean '${meant}'?`}`,
        );
      }
      if (typeof value !== 'string' && typeof value !== 'number') {
        throw new BerthError('BAD_CONFIG', `${key} in ${file} is a text or a number`);
      }
      return [key, String(value)];
    }),
  );
}

/** @returns undefined where none is named. */
function confFiles(given: Given | undefined): readonly string[] | undefined {
  return given?.text.split(',').map((text) => folder({ ...given, text: text.trim() }));
}

function folder(given: Given): string {
  if (!given.text.startsWith('/')) throw bad(given, 'an absolute path');
  return given.text.replace(/(?<=.)\/+$/, '');
}

function dockerAddress(given: Given): string {
  if (!/^(unix:\/\/\/.+|tcp:\/\/.+:[0-9]+)$/.test(given.text)) throw bad(given, 'unix:///path or tcp://host:port');
  return given.text;
}

function interfaceName(given: Given): string {
  if (!isLinkName(given.text)) throw bad(given, 'the name of an interface');
  return given.text;
}

/** A name that may stand in a key of the store and in a host name (RFC 1123 §2.1). A machine may have none, which the kernel calls `(none)`. */
function hostName(given: Given | undefined): string {
  const valid = /^[0-9A-Za-z]([0-9A-Za-z_.-]{0,251}[0-9A-Za-z])?$/;
  if (given === undefined) return valid.test(hostname()) ? hostname() : 'localhost';
  if (!valid.test(given.text)) throw bad(given, 'a name of letters, digits, dots, hyphens and underscores');
  return given.text;
}

function tunnelEnd(given: Given | undefined): Config['vtep'] {
  if (given === undefined) return undefined;
  const address = parseAddress(given.text);
  if (address !== undefined) return address;
  if (!isLinkName(given.text)) throw bad(given, 'an IP address, or the name of an interface');
  return { link: given.text };
}

function port(given: Given): number {
  const number = Number(given.text);
  if (!/^[0-9]+$/.test(given.text) || number < 1 || number > 65535) throw bad(given, 'a port from 1 to 65535');
  return number;
}

function uplinks(given: Given): readonly string[] {
  if (given.text === 'none') return [];
  const names = given.text.split(',').map((name) => name.trim());
  if (names.some((name) => !isLinkName(name))) throw bad(given, 'names of interfaces, separated by commas');
  return [...new Set(names)];
}

function ovsDatabase(given: Given): DatabaseAddress {
  const address = parseDatabaseAddress(given.text);
  if (address === undefined) throw bad(given, 'unix:/path or tcp:address:port, with an IP address');
  return address;
}

function storeLocation(
  { text, source }: Given,
  stateDir: string,
  optional: (key: string) => string | undefined,
): StoreLocation {
  const access = {
    ca: optional('etcd-ca'),
    cert: optional('etcd-cert'),
    key: optional('etcd-key'),
    user: optional('etcd-user'),
    passwordFile: optional('etcd-password-file'),
  };
  const given = Object.entries(access).filter(([, value]) => value !== undefined);
  return parseStoreLocation(text, source, `${stateDir}/berth.db`, Object.fromEntries(given));
}

function oneOf(given: Given, choices: readonly string[]): string {
  if (!choices.includes(given.text)) throw bad(given, `one of ${choices.join(', ')}`);
  return given.text;
}

/** @returns milliseconds. */
function seconds(given: Given, least: number, most: number): number {
  const number = Number(given.text);
  if (given.text.trim() === '' || !(number >= least && number <= most))
    throw bad(given, `a number of seconds from ${least} to ${most}`);
  return number * 1000;
}

function pluginList(given: Given): GivenPlugin[] {
  const plugins = given.text.split(',').map((item): GivenPlugin => {
    const match = /^([0-9A-Za-z][0-9A-Za-z_.-]{0,62})=(cluster|lan|neutron)(?::(local|global|auto))?$/.exec(
      item.trim(),
    );
    if (match === null)
      throw bad(given, 'name=fabric[:scope], separated by commas, with fabric cluster, lan or neutron');
    return {
      name: match[1]!,
      fabric: match[2] as FabricKind,
      scope: (match[3] as GivenPlugin['scope'] | undefined) ?? 'local',
    };
  });
  if (new Set(plugins.map(({ name }) => name)).size < plugins.length)
    throw bad(given, 'a list in which each name stands once');
  return plugins;
}

function poolBases(given: Given): PoolBase[] {
  return given.text.split(',').map((item) => {
    const at = item.lastIndexOf(':');
    const base = parsePrefix(item.slice(0, at).trim());
    const length = Number(item.slice(at + 1));
    const most = base?.address.family === 4 ? 30 : 126;
    if (base === undefined || !Number.isInteger(length) || length < base.length || length > most) {
      throw bad(given, 'base:length, separated by commas, such as 10.201.0.0/16:24');
    }
    return { base, length };
  });
}

function tlsConfig(optional: (key: string) => string | undefined): TlsConfig | undefined {
  const address = optional('tls-address');
  const files = ['tls-ca', 'tls-cert', 'tls-key', 'tls-client-cert', 'tls-client-key'].map(
    (key) => [key, optional(key)] as const,
  );
  const missing = files.filter(([, file]) => file === undefined).map(([key]) => key);
  if (address === undefined) {
    if (missing.length < files.length)
      throw new BerthError('BAD_CONFIG', 'tls-address is missing, while other tls keys are given');
    return undefined;
  }
  if (missing.length > 0)
    throw new BerthError('BAD_CONFIG', `tls-address needs ${missing.join(', ')} as well: TLS is always mutual`);
  const [ca, cert, key, clientCert, clientKey] = files.map(([, file]) => file!);
  return { address, ca: ca!, cert: cert!, key: key!, clientCert: clientCert!, clientKey: clientKey! };
}

function apiConfig(given: Given, optional: (key: string) => string | undefined): ApiConfig | undefined {
  const [tlsCert, tlsKey, tokenFile] = ['api-tls-cert', 'api-tls-key', 'api-token-file'].map(optional);
  if (hostPort(given) !== undefined) return { listen: given.text, tlsCert, tlsKey, tokenFile };
  if ([tlsCert, tlsKey, tokenFile].some((setting) => setting !== undefined)) {
    throw new BerthError('BAD_CONFIG', 'api is missing, while other api settings are given');
  }
  return undefined;
}

function hostPort(given: Given): Config['metricsAddress'] {
  if (given.text === 'none') return undefined;
  const match = /^(\[[0-9a-fA-F:]+\]|[^:]+):([0-9]{1,5})$/.exec(given.text);
  const port = Number(match?.[2]);
  if (match === null || port > 65535) throw bad(given, 'address:port');
  return { host: match[1]!.replaceAll(/[[\]]/g, ''), port };
}

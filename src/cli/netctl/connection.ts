/** How to reach a master: addresses, token, TLS, patience; from flags and the environment, checked once. */

import { readFileSync } from 'node:fs';
import { MasterFailure, misuse } from './failure.ts';
import { findFlag, flagsFrom, parseBoolean, type Values } from './flags.ts';
import type { Flag } from './spec.ts';

/** Contiv's. */
export const globalFlags: readonly Flag[] = [
  {
    names: ['netmaster'],
    kind: 'text',
    standard: 'http://netmaster:9999',
    usage: 'The hostname of the netmaster',
    env: 'NETMASTER',
  },
  {
    names: ['insecure'],
    kind: 'boolean',
    usage: 'if true, strict certificate checking will be disabled',
    env: 'INSECURE',
  },
];

/** Ours. `--netmaster` may also be a list, separated by commas. */
export const addedGlobalFlags: readonly Flag[] = [
  { names: ['token'], kind: 'text', usage: 'Token to show to the master', env: 'NETCTL_TOKEN' },
  {
    names: ['cacert'],
    kind: 'text',
    usage: "File with the authority of the master's certificate (PEM)",
    env: 'NETCTL_CACERT',
  },
  { names: ['cert'], kind: 'text', usage: 'File with a certificate of our own (PEM)', env: 'NETCTL_CERT' },
  { names: ['key'], kind: 'text', usage: 'File with the key of that certificate (PEM)', env: 'NETCTL_KEY' },
  {
    names: ['timeout'],
    kind: 'text',
    standard: '30',
    usage: 'Seconds to wait for an answer',
    env: 'NETCTL_TIMEOUT',
  },
];

export interface Connection {
  /** Without a slash at the end; tried in this order. */
  readonly addresses: readonly string[];
  readonly token: string | undefined;
  /** Milliseconds that a command may take from its first request to its last answer. */
  readonly timeout: number;
  readonly tls: {
    readonly insecure: boolean;
    readonly ca?: Buffer;
    readonly cert?: Buffer;
    readonly key?: Buffer;
  };
}

/** @throws MasterFailure for an address, a number or a file that is none, and for a token that others could read. */
export function connectionFrom(values: Values, environment: NodeJS.ProcessEnv): Connection {
  const known = [...globalFlags, ...addedGlobalFlags];
  const withEnvironment: Values = new Map(values);
  for (const { names, env, kind } of known) {
    const said = env === undefined ? undefined : environment[env];
    if (values.has(names[0]!) || said === undefined || said === '') continue;
    // As in Contiv, a word in INSECURE that is neither true nor false leaves the check of certificates on.
    withEnvironment.set(names[0]!, kind === 'boolean' ? parseBoolean(said) === true : said);
  }
  const flags = flagsFrom(known, withEnvironment);
  const file = (name: string): Buffer | undefined => {
    const path = flags.text(name);
    return path === '' ? undefined : readPem(path, origin(name, values));
  };
  const [ca, cert, key] = [file('cacert'), file('cert'), file('key')];
  if ((cert === undefined) !== (key === undefined)) {
    throw misuse(`--${cert === undefined ? 'key' : 'cert'} needs --${cert === undefined ? 'cert' : 'key'} too`);
  }
  const addresses = readAddresses(flags.text('netmaster'), origin('netmaster', values));
  const token = readToken(flags.text('token'));
  const open = addresses.find((address) => !isPrivateWay(address));
  if (token !== undefined && open !== undefined && !flags.boolean('insecure')) throw tokenInTheOpen(open);
  return {
    addresses,
    token,
    timeout: readTimeout(flags.text('timeout')),
    tls: {
      insecure: flags.boolean('insecure'),
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    },
  };
}

/** Where a value came from, for complaints. */
function origin(name: string, values: Values): string {
  const flag = findFlag([...globalFlags, ...addedGlobalFlags], name)!;
  return values.has(name) || flag.env === undefined ? `--${name}` : flag.env;
}

function readAddresses(text: string, from: string): string[] {
  const addresses = text
    .split(',')
    .map((address) => address.trim())
    .filter((address) => address !== '');
  for (const address of addresses) {
    let url: URL | undefined;
    try {
      url = new URL(address);
    } catch {
      url = undefined;
    }
    if (url === undefined || !['http:', 'https:'].includes(url.protocol) || url.hostname === '') {
      throw misuse('invalid URL: must begin with http:// or https://', {
        next: `Write ${from} as http://HOST:9999; it is “${address.slice(0, 100)}”.`,
      });
    }
  }
  if (addresses.length === 0) {
    throw misuse('invalid URL: must begin with http:// or https://', { next: `Write ${from} as http://HOST:9999.` });
  }
  return addresses.map((address) => address.replace(/\/+$/, ''));
}

function readToken(text: string): string | undefined {
  if (text === '') return undefined;
  if (!/^[\x21-\x7e]+$/.test(text)) throw misuse('the token has characters in it that no token has');
  return text;
}

function tokenInTheOpen(address: string): MasterFailure {
  return new MasterFailure('usage', 'setting auth token requires a https auth_proxy URL', {
    cause: `whoever listens on the way to ${address} could use the token`,
    next: 'Name the master with https://, or accept that with --insecure.',
  });
}

function readTimeout(text: string): number {
  const seconds = /^[0-9]+(\.[0-9]+)?s?$/.test(text) ? Number.parseFloat(text) : Number.NaN;
  if (!(seconds > 0 && seconds <= 86_400)) {
    throw misuse(`invalid value "${text}" for flag -timeout: parse error`, {
      next: 'Give a number of seconds from 0.1 to 86400.',
    });
  }
  return seconds * 1000;
}

function readPem(path: string, from: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new MasterFailure('io', `cannot read ${path}: ${(error as NodeJS.ErrnoException).code ?? String(error)}`, {
      next: `${from} must name a file in PEM form that you may read.`,
    });
  }
}

/** Whether a secret may go to this address: encrypted, or not over a network at all. */
export function isPrivateWay(address: string): boolean {
  const { protocol, hostname } = new URL(address);
  return protocol === 'https:' || /^(localhost|127\.[0-9.]+|\[::1\])$/.test(hostname);
}

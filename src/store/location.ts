/** Where a store is, as it is written in flags and in the configuration. */

import { BerthError } from '../model/errors.ts';

export type StoreLocation = SqliteLocation | EtcdLocation;

export interface SqliteLocation {
  readonly kind: 'sqlite';
  /** The state file. */
  readonly path: string;
}

export interface EtcdLocation extends EtcdAccess {
  readonly kind: 'etcd';
  /** http://host:port or https://host:port, one for each member. */
  readonly urls: readonly string[];
  /** Begins every key; ends with a slash. */
  readonly prefix: string;
}

/** Paths of PEM files, a name, and the path of a file whose first line is the password. */
export interface EtcdAccess {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly user?: string;
  readonly passwordFile?: string;
}

/** What `parseStoreLocation` takes, for help texts. */
export const storeForms = 'sqlite, sqlite:PATH or etcd://HOST[:PORT][,HOST…][/PREFIX]';

/**
 * `sqlite` for the file given, `sqlite:PATH`, or `etcd://host:2379,host2:2379/prefix`. With `etcds://`, or when a file of a certificate is
 * given, the members are talked to in TLS.
 *
 * @throws BerthError BAD_CONFIG naming the source.
 */
export function parseStoreLocation(text: string, source: string, file: string, access: EtcdAccess = {}): StoreLocation {
  const given = Object.entries(access).filter(([, value]) => value !== undefined);
  if (text === 'sqlite' || text.startsWith('sqlite:')) {
    if (given.length > 0)
      throw new BerthError('BAD_CONFIG', `settings for etcd are given, while ${source} is '${text}'`);
    const path = text === 'sqlite' ? file : text.slice('sqlite:'.length);
    if (!path.startsWith('/'))
      throw new BerthError('BAD_CONFIG', `${source} is sqlite: and an absolute path, not '${text}'`);
    return { kind: 'sqlite', path };
  }
  const [, scheme, hosts, path = ''] = /^(etcds?):\/\/([^/?#@\s]+)((?:\/[0-9A-Za-z._-]+)*)\/?$/.exec(text) ?? [];
  const members = hosts?.split(',').map(member);
  if (members === undefined || members.includes(undefined)) {
    throw new BerthError('BAD_CONFIG', `${source} is ${storeForms}, not '${text}'`);
  }
  const { ca, cert, key, user, passwordFile } = access;
  if ((cert === undefined) !== (key === undefined)) {
    throw new BerthError('BAD_CONFIG', 'etcd-cert and etcd-key are given together or not at all');
  }
  if ((user === undefined) !== (passwordFile === undefined)) {
    throw new BerthError('BAD_CONFIG', 'etcd-user and etcd-password-file are given together or not at all');
  }
  const tls = scheme === 'etcds' || ca !== undefined || cert !== undefined;
  return {
    kind: 'etcd',
    urls: members.map((host) => `${tls ? 'https' : 'http'}://${host}`),
    prefix: `${path}/`,
    ...Object.fromEntries(given),
  };
}

/** host, host:port, [IPv6] or [IPv6]:port, with etcd's port where none is given. */
function member(text: string): string | undefined {
  const [, host, digits = '2379'] = /^(\[[0-9a-fA-F:.]+\]|[0-9A-Za-z._-]+)(?::([0-9]{1,5}))?$/.exec(text) ?? [];
  const port = Number(digits);
  return host === undefined || port < 1 || port > 65535 ? undefined : `${host}:${port}`;
}

/** The form that `parseStoreLocation` reads, for people: no password, no paths of keys. */
export function formatStoreLocation(location: StoreLocation): string {
  if (location.kind === 'sqlite') return `sqlite:${location.path}`;
  const [first] = location.urls;
  const scheme = first?.startsWith('https:') === true ? 'etcds' : 'etcd';
  return `${scheme}://${location.urls.map((url) => new URL(url).host).join(',')}${location.prefix}`;
}

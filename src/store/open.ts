/** Opens the store that a location names; what only the other kind needs is not loaded. */

import { readFile } from 'node:fs/promises';
import { BerthError } from '../model/errors.ts';
import type { EtcdLocation, StoreLocation } from './location.ts';
import type { Store } from './store.ts';

export interface OpenOptions {
  /** That etcd is away is no reason not to begin: it is not even asked. */
  readonly mayBeAway?: boolean;
}

/**
 * @throws BerthError BAD_CONFIG when a file of a certificate or password cannot be read; STATE_LOCKED, STORE_CORRUPT, STORE_NEWER,
 *   STORE_FULL (sqlite); STORE_DENIED (etcd); STORE_UNAVAILABLE.
 */
export async function openStore(location: StoreLocation, { mayBeAway = false }: OpenOptions = {}): Promise<Store> {
  if (location.kind === 'sqlite') {
    const { openSqliteStore } = await import('./sqlite/store.ts');
    return await openSqliteStore(location.path);
  }
  const store = await openEtcd(location, mayBeAway);
  if (mayBeAway) return store;
  try {
    // Shows at once whether we may read at all.
    await store.get('berth/');
    return store;
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function openEtcd(
  { urls, prefix, ca, cert, key, user, passwordFile }: EtcdLocation,
  unasked: boolean,
): Promise<Store> {
  const [{ openEtcdStore }, tls, password] = await Promise.all([
    import('./etcd/store.ts'),
    files({ ca, cert, key }),
    passwordFile === undefined ? undefined : readSetting('etcd-password-file', passwordFile),
  ]);
  return await openEtcdStore({
    endpoints: urls.map((url) => ({ url, tls })),
    prefix,
    unasked,
    ...(user === undefined || password === undefined
      ? {}
      : { user: { name: user, password: password.toString('utf8').split(/\r?\n/, 1)[0]! } }),
  });
}

async function files(paths: Readonly<Record<string, string | undefined>>): Promise<Readonly<Record<string, Buffer>>> {
  const read = Object.entries(paths).map(async ([name, path]) =>
    path === undefined ? [] : [[name, await readSetting(`etcd-${name}`, path)] as const],
  );
  return Object.fromEntries((await Promise.all(read)).flat());
}

/** @throws BerthError BAD_CONFIG */
async function readSetting(setting: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new BerthError('BAD_CONFIG', `the file of ${setting} cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

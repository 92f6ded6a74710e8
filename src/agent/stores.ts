/**
 * Where the agent keeps what it knows. What is this host's own (its networks, endpoints, the journal) stays in a file on it; what hosts
 * share (addresses, the cluster's objects, who is where) is in etcd, where there is one. So containers keep their network, and the
 * agent its memory, whatever becomes of etcd.
 */

import { asBerthError } from '../model/errors.ts';
import { keys } from '../model/keys.ts';
import { openStore } from '../store/open.ts';
import type { Store } from '../store/store.ts';
import { withLastKnown } from './cluster/last-known.ts';
import type { Config } from './config.ts';
import type { Events } from './events.ts';
import { type StoreHealth, watchStore } from './store-health.ts';

export interface Stores {
  readonly local: Store;
  /** The same as `local` where this host is alone. */
  readonly shared: Store;
  readonly isShared: boolean;
  /** Of both. */
  readonly health: Pick<StoreHealth, 'problem' | 'revision'>;
  /** The shared store did not answer when it was last asked. */
  away(): boolean;
  close(): Promise<void>;
}

/** For what an agent does while it starts, which it does also while the store that hosts share is away. */
export function awayIsNoFailure(error: unknown): undefined {
  if (asBerthError(error).code !== 'STORE_UNAVAILABLE') throw error;
}

/**
 * @param around what each is wrapped in.
 * @throws BerthError as `openStore`
 */
export async function openStores(
  { store: location, stateDir, host }: Pick<Config, 'store' | 'stateDir' | 'host'>,
  events: Events,
  around: (store: Store) => Store,
): Promise<Stores> {
  await using opening = new AsyncDisposableStack();
  const open = async (at: Config['store']): Promise<StoreHealth> => {
    const store = around(await openStore(at, { mayBeAway: true }));
    opening.defer(() => store.close());
    const health = watchStore(store, host, events);
    opening.defer(() => health.close());
    return health;
  };
  const isShared = location.kind === 'etcd';
  const local = await open(isShared ? { kind: 'sqlite', path: `${stateDir}/berth.db` } : location);
  const shared = isShared ? await open(location) : local;
  const away = (): boolean => isShared && shared.problem() !== undefined;
  const known = isShared ? withLastKnown(shared.store, local.store, away) : undefined;
  if (known !== undefined) {
    opening.defer(known.written);
    await known.store.get(keys.all).catch(awayIsNoFailure);
  }
  const opened = opening.move();
  return {
    local: local.store,
    shared: known?.store ?? local.store,
    isShared,
    health: {
      problem: () => shared.problem() ?? local.problem(),
      revision: shared.revision,
    },
    away,
    close: () => opened.disposeAsync(),
  };
}

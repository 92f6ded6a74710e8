/** What a start finds of a store that was moved here: whether it came as a whole, and whether it was a cluster's. */

import { BerthError } from '../../model/errors.ts';
import { keys } from '../../model/keys.ts';
import type { Store } from '../../store/store.ts';

/** @throws BerthError STATE_LOCKED when the state has not come here as a whole yet. */
export async function refuseHalfMigrated(store: Store): Promise<void> {
  const migration = await store.get(keys.migration);
  if (migration === undefined) return;
  throw new BerthError(
    'STATE_LOCKED',
    `the state is being moved into this store from ${migration.value}, or that was given up half way; run berth store migrate again`,
  );
}

/** Whether there are networks of a cluster: then a host that is alone now is one of its own, and goes on with them. */
export async function hasNetworks(store: Store): Promise<boolean> {
  return (await store.list(keys.object('network', ''), { limit: 1 })).entries.length > 0;
}

/** A store into which another is being moved is not whole. */

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

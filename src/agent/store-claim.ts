/**
 * Whose store it is, where the file system cannot tell: a state file is locked by who has it open, etcd takes everybody. The records of
 * endpoints name no host, so an agent would take those of another one for its own that the engine has forgotten, and free them.
 */

import { BerthError } from '../model/errors.ts';
import { keys } from '../model/keys.ts';
import type { LeaseId, Store } from '../store/store.ts';

/** Seconds. */
const TTL = 15;
const RENEWAL = 5000;

/** @throws BerthError STATE_LOCKED when the state has not come here as a whole yet. */
export async function refuseHalfMigrated(store: Store): Promise<void> {
  const migration = await store.get(keys.migration);
  if (migration === undefined) return;
  throw new BerthError(
    'STATE_LOCKED',
    `the state is being moved into this store from ${migration.value}, or that was given up half way; run berth store migrate again`,
  );
}

/**
 * Writes down for good that the store is this host's, and for as long as the agent runs that it runs.
 *
 * @returns what ends the latter.
 * @throws BerthError STATE_LOCKED when the store is another host's; those of the store.
 */
export async function claimStore(store: Store, host: string): Promise<() => Promise<void>> {
  const claim = await store.transact({
    if: [{ key: keys.owner, is: 'absent' }],
    then: [{ do: 'put', key: keys.owner, value: host }],
  });
  if (!claim.committed && claim.found?.value !== host) {
    throw new BerthError(
      'STATE_LOCKED',
      `the store belongs to the agent of the host '${claim.found?.value}'; give this one a prefix of its own`,
    );
  }
  let lease: LeaseId | undefined = await present(store, host);
  let renewing: Promise<void> = Promise.resolve();
  const renew = async () => {
    try {
      if (lease !== undefined && (await store.keepAlive(lease))) return;
      lease = await present(store, host);
    } catch {
      // The store is away, and its leases live on as long; the next renewal comes.
    }
  };
  const timer = setInterval(() => {
    renewing = renewing.then(renew);
  }, RENEWAL).unref();
  return async () => {
    clearInterval(timer);
    await renewing;
    if (lease !== undefined) await store.revokeLease(lease).catch(() => {});
  };
}

async function present(store: Store, host: string): Promise<LeaseId> {
  const lease = await store.grantLease(TTL);
  await store.transact({
    then: [{ do: 'put', key: keys.agent(host), value: JSON.stringify({ pid: process.pid }), lease }],
  });
  return lease;
}

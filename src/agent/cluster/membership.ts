/** This host as a member of the cluster: what it is, for good; and that its agent runs, for as long as it does. */

import { asBerthError, BerthError } from '../../model/errors.ts';
import { keys, SCHEMA_VERSION } from '../../model/keys.ts';
import type { LeaseId, Store } from '../../store/store.ts';
import type { Events } from '../events.ts';
import { decodeHost, encodeHost, type HostRecord } from './records.ts';

export interface Membership {
  /** What the host is may have changed: tells the others. Never rejects. */
  update(): Promise<void>;
  /** The agent stops; the host and its containers stay. */
  leave(): Promise<void>;
}

export interface MembershipParts {
  readonly store: Store;
  /** It did not answer when it was last asked: then nobody waits for it now. */
  away(): boolean;
  readonly host: string;
  readonly events: Pick<Events, 'emit'>;
  describe(): HostRecord;
}

/** Seconds. Longer than a member of etcd needs to be replaced by another. */
const TTL = 15;
const RENEWAL = 5000;

/**
 * Writes the host down, and renews from then on that its agent runs. A store that is away is tried again with each renewal.
 *
 * @throws BerthError STATE_LOCKED when another machine of the same name is in the cluster now.
 */
export async function joinCluster({ store, away, host, events, describe }: MembershipParts): Promise<Membership> {
  let lease: LeaseId | undefined;
  let told: string | undefined;
  let ended = false;
  let last: Promise<void> = Promise.resolve();

  /** @throws BerthError STATE_LOCKED and those of the store. */
  const tell = async (): Promise<void> => {
    const record = describe();
    const value = encodeHost(record);
    if (value === told) return;
    const found = await store.get(keys.host(host));
    if (found !== undefined) await checkNamesake(found, record);
    await store.transact({ then: [{ do: 'put', key: keys.host(host), value }] });
    told = value;
  };

  /** A machine that was replaced by another of the same name is welcome, unless both are there. */
  const checkNamesake = async (found: { key: string; value: string }, own: HostRecord): Promise<void> => {
    const other = decodeHost(found);
    if (other.identity === own.identity || (await store.get(keys.agent(host))) === undefined) return;
    throw new BerthError(
      'STATE_LOCKED',
      `another machine in the cluster goes by the name '${host}', and its agent runs; give this one a name of its own with --host`,
    );
  };

  const present = async (): Promise<void> => {
    if (lease !== undefined && (await store.keepAlive(lease))) return;
    lease = await store.grantLease(TTL);
    const value = JSON.stringify({ version: SCHEMA_VERSION, since: Date.now() });
    await store.transact({ then: [{ do: 'put', key: keys.agent(host), value, lease }] });
  };

  const once = async (): Promise<void> => {
    if (ended) return;
    try {
      await tell();
      await present();
    } catch (error) {
      const { code, message } = asBerthError(error);
      // The store is away, and tells so itself; its leases live on as long. The next renewal comes.
      if (code !== 'STORE_UNAVAILABLE')
        events.emit('cluster.failed', `cannot tell the cluster of this host: ${message}`);
    }
  };
  const update = (): Promise<void> => {
    last = last.then(once);
    return last;
  };

  try {
    if (!away()) {
      await tell();
      await present();
    }
  } catch (error) {
    if (asBerthError(error).code !== 'STORE_UNAVAILABLE') throw error;
  }
  const timer = setInterval(() => void update(), RENEWAL).unref();
  return {
    update,
    async leave() {
      ended = true;
      clearInterval(timer);
      await last;
      if (lease !== undefined) await store.revokeLease(lease).catch(() => undefined);
    },
  };
}

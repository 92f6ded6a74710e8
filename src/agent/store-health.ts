/** How the store is, as its last answers show: nobody should have to read a log to learn that the disk is full. */

import { asBerthError } from '../model/errors.ts';
import { keys } from '../model/keys.ts';
import type { LeaseId, Store, Transaction, TransactionResult } from '../store/store.ts';
import type { Events } from './events.ts';

export interface StoreHealth {
  /** The same store, watched. */
  readonly store: Store;
  /** What is wrong with it, in a sentence. */
  problem(): string | undefined;
  /** The newest revision that it has told. */
  revision(): number;
  close(): void;
}

/** Milliseconds between attempts to write to a store that failed. */
const PROBE_INTERVAL = 1000;
/** Seconds for which a probe stands that nobody removes. */
const TTL = 5;

/**
 * A failure of the store itself is a problem until something has been written to it again; should nobody else want to write,
 * we do, to a key of our own, because reading succeeds on a full disk.
 */
export function watchStore(store: Store, host: string, events: Events): StoreHealth {
  const key = keys.probes + host;
  let problem: string | undefined;
  let revision = 0;
  let timer: NodeJS.Timeout | undefined;
  let probing: Promise<void> | undefined;
  let lease: LeaseId | undefined;

  function failed(sentence: string): void {
    if (problem === undefined) {
      events.emit('store.failed', `${sentence}; running containers are not affected`);
      timer = setInterval(() => {
        // One at a time: one that was late would leave its key behind when another has removed it.
        probing ??= probe().finally(() => {
          probing = undefined;
        });
      }, PROBE_INTERVAL).unref();
    }
    problem = sentence;
  }

  function written(): void {
    if (problem === undefined) return;
    problem = undefined;
    clearInterval(timer);
    events.emit('store.recovered', 'the store can be written again');
    void removeProbe();
  }

  async function removeProbe(): Promise<void> {
    await probing;
    if (lease !== undefined) await store.revokeLease(lease).catch(() => undefined);
    lease = undefined;
  }

  async function noticed<Result>(work: Promise<Result>): Promise<Result> {
    try {
      return await work;
    } catch (error) {
      const { code, message } = asBerthError(error);
      if (code.startsWith('STORE_')) failed(message);
      throw error;
    }
  }

  async function watched<Result extends { readonly revision: number }>(work: Promise<Result>): Promise<Result> {
    const result = await noticed(work);
    revision = Math.max(revision, result.revision);
    return result;
  }

  async function transact(transaction: Transaction): Promise<TransactionResult> {
    const before = revision;
    const result = await watched(store.transact(transaction));
    // What changes nothing is not written.
    if (result.committed && result.revision > before) written();
    return result;
  }

  /**
   * On a lease: of a probe that was not answered it is not known whether it was done, or will be when a member of etcd goes on that was
   * frozen. In the one case the key goes with the lease, in the other it comes too late for it.
   */
  async function probe(): Promise<void> {
    try {
      if (lease === undefined || !(await store.keepAlive(lease))) lease = await noticed(store.grantLease(TTL));
      await transact({ then: [{ do: 'put', key, value: '1', lease }] });
    } catch {
      // Noted already; the next probe comes.
    }
  }

  return {
    store: Object.create(store, {
      transact: { value: transact },
      list: { value: (...given: Parameters<Store['list']>) => watched(store.list(...given)) },
      // What is asked for at regular intervals notices first that a store is away.
      keepAlive: { value: (lease: LeaseId) => noticed(store.keepAlive(lease)) },
      get: { value: (key: string) => noticed(store.get(key)) },
    }) as Store,
    problem: () => problem,
    revision: () => revision,
    close: () => clearInterval(timer),
  };
}

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

  /** Of a probe that was told to have failed it is not known whether it was done: neither of ours nor of an earlier process. */
  async function removeProbe(): Promise<void> {
    await probing;
    await store.transact({ then: [{ do: 'delete', key }] }).catch(() => undefined);
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

  async function probe(): Promise<void> {
    try {
      await transact({ then: [{ do: 'put', key, value: '1' }] });
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

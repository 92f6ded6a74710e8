/**
 * What Berth needs of a store, and no more: the part of etcd's v3 model (https://etcd.io/docs/v3.5/learning/api/) that an
 * embedded database can give as well. `conformance.ts` is the executable form of this page.
 */

import { BerthError } from '../model/errors.ts';

/** One key with its value. Revisions count transactions of the whole store and only grow. */
export interface Entry {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  /** The expiring lease that the key hangs on. */
  readonly lease?: LeaseId;
}

export type LeaseId = string;

/** A condition of a transaction; it holds or the transaction does nothing. */
export type Condition =
  | { readonly key: string; readonly is: 'absent' }
  | { readonly key: string; readonly is: 'present' }
  /** The key was last changed at exactly this revision. */
  | { readonly key: string; readonly is: 'at'; readonly revision: number };

export type Operation =
  | { readonly do: 'put'; readonly key: string; readonly value: string; readonly lease?: LeaseId }
  | { readonly do: 'delete'; readonly key: string };

export interface Transaction {
  readonly if?: readonly Condition[];
  readonly then: readonly Operation[];
  /**
   * Need not wait for the disk: outlives the process, but a power failure may undo it, with everything later that was relaxed as
   * well. For what means nothing once the machine has restarted. A store that hosts share takes no notice.
   */
  readonly relaxed?: boolean;
}

export type TransactionResult =
  | { readonly committed: true; readonly revision: number }
  /** Nothing was done; `failed` is the first condition that did not hold, `found` what stands at its key. */
  | {
      readonly committed: false;
      readonly revision: number;
      readonly failed: Condition;
      readonly found: Entry | undefined;
    };

export interface Listing {
  readonly entries: readonly Entry[];
  /** The revision that the listing shows; watch from the next one to miss nothing. */
  readonly revision: number;
  /** True when `limit` cut the listing; continue with `after` the last key. */
  readonly more: boolean;
}

export type Change =
  | { readonly type: 'put'; readonly entry: Entry }
  | { readonly type: 'delete'; readonly key: string; readonly modRevision: number };

export type WatchMessage =
  /** All changes of one transaction under the prefix, in order. */
  | { readonly type: 'changes'; readonly revision: number; readonly changes: readonly Change[] }
  /** Revisions before this one are gone: list again, then watch from the listing's revision. The watch has ended. */
  | { readonly type: 'compacted'; readonly revision: number };

/** The store was not reached, and whatever was asked of it has not been done. */
export class StoreNotReached extends BerthError {
  constructor(sentence: string, options?: { cause?: unknown }) {
    super('STORE_UNAVAILABLE', sentence, options);
  }
}

export interface Store {
  get(key: string): Promise<Entry | undefined>;

  /** All keys under a prefix in byte order, or a page of them. */
  list(prefix: string, page?: { readonly after?: string; readonly limit?: number }): Promise<Listing>;

  /**
   * All or nothing, durable when it resolves (unless `relaxed`), and with it every earlier transaction. Keys must not repeat among the operations. What changes nothing (no operation,
   * or only deletions of absent keys) makes no revision. A put without a lease takes the key off the one it hung on.
   *
   * @throws RangeError for a key that repeats or is empty, and for text that is not Unicode.
   * @throws BerthError NOT_FOUND when a put names a lease that has ended: nothing was changed.
   * @throws BerthError STORE_FULL, STORE_UNAVAILABLE, STORE_CORRUPT, STORE_DENIED, TRANSACTION_TOO_LARGE (etcd takes 128
   *   conditions or operations and 1.5 MiB): nothing was changed, or (UNAVAILABLE only) it is unknown whether it was; repeat with the
   *   same conditions. A transaction with no condition on a key that it changes may have had its effect more than once.
   */
  transact(transaction: Transaction): Promise<TransactionResult>;

  /**
   * Changes under a prefix, from a revision on (inclusive), until the signal aborts. Never skips one silently: it outlives an
   * unavailable store, and throws STORE_UNAVAILABLE when the store is closed, STORE_DENIED when we may not read it any more.
   */
  watch(prefix: string, fromRevision: number, signal: AbortSignal): AsyncIterable<WatchMessage>;

  /**
   * A lease that ends after `ttl` seconds without `keepAlive`, measured by a clock that nobody can set; the keys put with it
   * are then deleted. It may last longer, by the time that the store was down.
   */
  grantLease(ttl: number): Promise<LeaseId>;
  /** @returns false when the lease has already ended. */
  keepAlive(lease: LeaseId): Promise<boolean>;
  /** Ends a lease now, with its keys. Ending an unknown one succeeds. */
  revokeLease(lease: LeaseId): Promise<void>;

  /** Forgets the history before a revision, at most up to the newest: watches from before it get `compacted`. */
  compact(revision: number): Promise<void>;

  close(): Promise<void>;
}

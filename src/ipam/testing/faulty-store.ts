/** A store that fails when told to, before or after it did what it was asked: as a disk, a network or a crash would. */

import { BerthError } from '../../model/errors.ts';
import type { Store } from '../../store/store.ts';

export type Fault =
  /** STORE_UNAVAILABLE, and nothing was done. */
  | 'lost'
  /** STORE_UNAVAILABLE, although it was done. */
  | 'unheard'
  /** STORE_FULL: certainly nothing was done. */
  | 'full'
  /** The process dies before, or after, it was done: no answer ever comes. */
  | 'dead before'
  | 'dead after';

export interface FaultyStore extends Store {
  /** The fault of the `nth` transaction from now on, counted from 0. */
  failAt(nth: number, fault: Fault): void;
  /** Makes the next reads fail, too. */
  failReads(count: number): void;
  /** No fault any more. */
  heal(): void;
  /** Resolves when the process has died. */
  readonly death: Promise<void>;
}

export function makeFaulty(store: Store): FaultyStore {
  let fault: { left: number; readonly kind: Fault } | undefined;
  let reads = 0;
  const { promise: death, resolve: die } = Promise.withResolvers<void>();
  let dead = false;
  const never = new Promise<never>(() => {});
  const unavailable = () => new BerthError('STORE_UNAVAILABLE', 'the store did not answer');

  const read = async <T>(work: () => Promise<T>): Promise<T> => {
    if (dead) return await never;
    if (reads > 0) {
      reads--;
      throw unavailable();
    }
    return await work();
  };

  return {
    ...store,
    death,
    failAt(nth, kind) {
      fault = { left: nth, kind };
    },
    failReads(count) {
      reads = count;
    },
    heal() {
      fault = undefined;
      reads = 0;
    },
    get: (key) => read(() => store.get(key)),
    list: (prefix, page) => read(() => store.list(prefix, page)),
    async transact(transaction) {
      if (dead) return await never;
      const now = fault !== undefined && fault.left-- === 0 ? fault.kind : undefined;
      if (now === undefined) return await store.transact(transaction);
      fault = undefined;
      if (now === 'full') throw new BerthError('STORE_FULL', 'the disk is full');
      if (now === 'unheard' || now === 'dead after') await store.transact(transaction);
      if (now === 'lost' || now === 'unheard') throw unavailable();
      dead = true;
      die();
      return await never;
    },
  };
}

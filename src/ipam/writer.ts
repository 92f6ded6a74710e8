/** Transactions on the store, with what is to be done when it cannot be known whether one took place. */

import { BerthError } from '../model/errors.ts';
import { type Entry, type Store, StoreNotReached, type Transaction, type TransactionResult } from '../store/store.ts';

export interface Writer {
  /**
   * One transaction. Memory is changed by the caller, once it knows the result.
   *
   * @param unwanted what is to be deleted should it turn out later that the transaction did take place, although the caller
   *   had to be told that it failed: keys with the values that it wrote.
   * @throws BerthError of the store. After an uncertain one, `settle` finds out.
   */
  write(transaction: Transaction, unwanted?: ReadonlyMap<string, string>): Promise<TransactionResult>;
  /**
   * Finds out about every transaction whose end is not known, undoes what is not wanted of it, and brings memory up to date.
   * To be called, under the locks of the keys concerned, before anything is decided from memory. Costs nothing when all is known.
   *
   * @throws BerthError STORE_UNAVAILABLE when it still cannot be known.
   */
  settle(): Promise<void>;
}

/** Tries to undo one key while others keep changing it. */
const ATTEMPTS = 5;

/**
 * @param learn takes over what the store said of a key at a revision.
 * @param wrote is told of each transaction that took place: the keys that it changed, and its revision.
 */
export function createWriter(
  store: Store,
  learn: (key: string, entry: Entry | undefined, revision: number) => void,
  wrote: (changed: readonly string[], revision: number) => void,
): Writer {
  /** Keys whose state is unknown, with the value there that is unwanted, if any. */
  const uncertain = new Map<string, string | undefined>();
  let settling: Promise<void> | undefined;

  const note = ({ then }: Transaction, revision: number) => {
    wrote(
      then.map(({ key }) => key),
      revision,
    );
  };

  const settleKey = async (key: string, unwanted: string | undefined): Promise<void> => {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      // A listing tells its revision; the key itself comes first in it.
      const { entries, revision } = await store.list(key, { limit: 1 });
      const entry = entries.find((found) => found.key === key);
      if (entry === undefined || entry.value !== unwanted) {
        learn(key, entry, revision);
        return;
      }
      const result = await store.transact({
        if: [{ key, is: 'at', revision: entry.modRevision }],
        then: [{ do: 'delete', key }],
      });
      if (result.committed) {
        wrote([key], result.revision);
        learn(key, undefined, result.revision);
        return;
      }
    }
    throw new BerthError('STORE_UNAVAILABLE', `the key ${key} keeps changing in the store`);
  };

  const settleAll = async () => {
    for (const [key, unwanted] of uncertain) {
      await settleKey(key, unwanted);
      uncertain.delete(key);
    }
  };

  return {
    async write(transaction, unwanted) {
      try {
        const result = await store.transact(transaction);
        if (result.committed) note(transaction, result.revision);
        return result;
      } catch (error) {
        if (!isCertain(error)) {
          for (const { key } of transaction.then) uncertain.set(key, unwanted?.get(key));
        }
        throw error;
      }
    },
    async settle() {
      while (uncertain.size > 0) {
        settling ??= settleAll().finally(() => {
          settling = undefined;
        });
        await settling;
      }
    },
  };
}

/** Whether an error of `transact` means that nothing was changed. */
function isCertain(error: unknown): boolean {
  if (error instanceof RangeError || error instanceof StoreNotReached) return true;
  return error instanceof BerthError && error.code !== 'STORE_UNAVAILABLE' && error.code !== 'INTERNAL';
}

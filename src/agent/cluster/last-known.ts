/**
 * The shared store, with what this host has itself written there kept beside it: an agent that is started while etcd is away knows its
 * pools and its leases all the same. Only reading works then; and nothing that is written later rests on it, for every change has
 * conditions that the store checks.
 */

import { asBerthError } from '../../model/errors.ts';
import { keys } from '../../model/keys.ts';
import { parseRecord } from '../../store/record.ts';
import { type Entry, type Listing, type Operation, type Store, StoreNotReached } from '../../store/store.ts';

/** What an agent reads as a whole when it starts. */
const KEPT: readonly string[] = [keys.pools, keys.leases, keys.reservations];
const isKept = (key: string): boolean => KEPT.some((prefix) => key.startsWith(prefix));

/** Operations in one transaction of the local store. */
const BATCH = 500;

interface Kept {
  readonly value: string;
  readonly modRevision: number;
}

export interface LastKnown {
  readonly store: Store;
  /** Resolves when all that is known has been kept. */
  written(): Promise<void>;
}

/**
 * @param local where it is kept. A failure there concerns nobody else.
 * @param away whether the shared store is known not to answer: then it is not asked what is known.
 */
export function withLastKnown(shared: Store, local: Store, away: () => boolean): LastKnown {
  let last: Promise<unknown> = Promise.resolve();
  const keep = (operations: readonly Operation[]): void => {
    for (let at = 0; at < operations.length; at += BATCH) {
      const batch = operations.slice(at, at + BATCH);
      last = last.then(() => local.transact({ then: batch, relaxed: true })).catch(() => undefined);
    }
  };
  const put = (key: string, kept: Kept): Operation => ({
    do: 'put',
    key: keys.lastKnown(key),
    value: JSON.stringify(kept satisfies Kept),
  });
  const drop = (key: string): Operation => ({ do: 'delete', key: keys.lastKnown(key) });

  const remembered = async (prefix: string): Promise<Entry[]> => {
    await last;
    const { entries } = await local.list(keys.lastKnown(prefix));
    return entries.map(({ key, value }): Entry => {
      const kept = parseRecord(key, value) as Kept;
      const own = key.slice(keys.lastKnown('').length);
      return { key: own, value: kept.value, createRevision: kept.modRevision, modRevision: kept.modRevision };
    });
  };

  /** What is kept is brought up to date with a listing: all pools, for they are few, and of the rest what was ours. */
  const compare = async (prefix: string, { entries }: Listing): Promise<void> => {
    const now = new Map(entries.map((entry) => [entry.key, entry]));
    const before = new Map((await remembered(prefix)).map((entry) => [entry.key, entry]));
    keep([
      ...[...before.keys()].filter((key) => !now.has(key)).map(drop),
      ...entries
        .filter(({ key, modRevision }) => {
          const known = before.get(key);
          return known === undefined ? prefix !== keys.leases : known.modRevision !== modRevision;
        })
        .map(({ key, ...entry }) => put(key, { value: entry.value, modRevision: entry.modRevision })),
    ]);
  };

  /**
   * A lease that may have been given back may be another host's by now. So it is forgotten before it is: an agent that is killed in
   * between, and started while the store is away, must not take it for its own.
   *
   * @returns to be called when it has not been given back.
   */
  const forgetReleased = async (operations: readonly Operation[]): Promise<() => void> => {
    const released = operations.filter((one) => one.do === 'delete' && one.key.startsWith(keys.leases));
    if (released.length === 0) return () => {};
    await last;
    const kept = await Promise.all(released.map(({ key }) => local.get(keys.lastKnown(key)).catch(() => undefined)));
    keep(released.map(({ key }) => drop(key)));
    await last;
    return () => keep(kept.flatMap((entry) => (entry ? [{ do: 'put', key: entry.key, value: entry.value }] : [])));
  };

  const store = Object.create(shared, {
    list: {
      async value(prefix: string, page?: Parameters<Store['list']>[1]): Promise<Listing> {
        if (!KEPT.includes(prefix) || page !== undefined) return await shared.list(prefix, page);
        // Of no revision: who follows from there is told of everything that has happened since.
        const known = async () => ({ entries: await remembered(prefix), revision: 0, more: false });
        if (away()) return await known();
        let listing: Listing;
        try {
          listing = await shared.list(prefix);
        } catch (error) {
          if (asBerthError(error).code !== 'STORE_UNAVAILABLE') throw error;
          return await known();
        }
        await compare(prefix, listing);
        return listing;
      },
    },
    transact: {
      async value(...[transaction]: Parameters<Store['transact']>) {
        const restore = await forgetReleased(transaction.then);
        const result = await shared.transact(transaction).catch((error: unknown) => {
          if (error instanceof StoreNotReached) restore();
          throw error;
        });
        if (!result.committed) restore();
        else {
          keep(
            transaction.then
              .filter(({ key }) => isKept(key))
              .map((operation) =>
                operation.do === 'put'
                  ? put(operation.key, { value: operation.value, modRevision: result.revision })
                  : drop(operation.key),
              ),
          );
        }
        return result;
      },
    },
    watch: {
      async *value(...given: Parameters<Store['watch']>) {
        for await (const message of shared.watch(...given)) {
          if (given[0] === keys.pools && message.type === 'changes') {
            keep(
              message.changes.map((change) =>
                change.type === 'put'
                  ? put(change.entry.key, { value: change.entry.value, modRevision: change.entry.modRevision })
                  : drop(change.key),
              ),
            );
          }
          yield message;
        }
      },
    },
  }) as Store;
  return {
    store,
    async written() {
      await last;
    },
  };
}

/**
 * What other hosts lease and release in the same store. It is news, not truth: every change of ours has conditions that the store
 * checks. But who does not follow believes addresses taken that are free, and runs into each of the others' leases.
 */

import { keys } from '../model/keys.ts';
import type { Entry, Store } from '../store/store.ts';

export interface Follower {
  /**
   * We have changed keys ourselves: what others did to them before is old news by the time that it comes.
   *
   * @param revision of the transaction.
   */
  wrote(changed: readonly string[], revision: number): void;
  /**
   * Follows until the signal aborts. A store that is away is waited for; what was missed is made up for.
   *
   * @throws BerthError STORE_UNAVAILABLE when the store is closed, STORE_CORRUPT or STORE_NEWER for what cannot be read.
   */
  follow(signal: AbortSignal): Promise<void>;
}

export interface FollowerParts {
  readonly store: Store;
  /** The revision that memory was read at. */
  readonly revision: number;
  /** Takes over what the store says of a key. */
  readonly absorb: (key: string, entry: Entry | undefined) => void;
  /** All keys that memory knows. */
  readonly known: () => Iterable<string>;
}

const PREFIXES = [keys.pools, keys.leases];

export function createFollower({ store, revision, absorb, known }: FollowerParts): Follower {
  /** Our own last changes, of which the watch has not told yet. */
  const own = new Map<string, number>();
  let following = false;

  const take = (key: string, at: number, entry: Entry | undefined) => {
    const ours = own.get(key);
    if (ours !== undefined && at >= ours) own.delete(key);
    // Memory has what we did.
    if (ours === undefined || at > ours) absorb(key, entry);
  };

  /** Reads everything again, after a gap. @returns the revision that it shows. */
  const reread = async (prefix: string): Promise<number> => {
    const listing = await store.list(prefix);
    const there = new Set(listing.entries.map(({ key }) => key));
    for (const entry of listing.entries) take(entry.key, listing.revision, entry);
    const gone = [...known()].filter((key) => key.startsWith(prefix) && !there.has(key));
    for (const key of gone) take(key, listing.revision, undefined);
    return listing.revision;
  };

  const followOne = async (prefix: string, signal: AbortSignal) => {
    let from = revision + 1;
    while (!signal.aborted) {
      for await (const message of store.watch(prefix, from, signal)) {
        if (message.type === 'compacted') break;
        for (const change of message.changes) {
          if (change.type === 'put') take(change.entry.key, change.entry.modRevision, change.entry);
          else take(change.key, change.modRevision, undefined);
        }
        from = message.revision + 1;
      }
      if (!signal.aborted) from = (await reread(prefix)) + 1;
    }
  };

  return {
    wrote(changed, at) {
      // Without a watch nobody would ever take them out again.
      if (following) for (const key of changed) own.set(key, at);
    },
    async follow(signal) {
      following = true;
      try {
        await Promise.all(PREFIXES.map((prefix) => followOne(prefix, signal)));
      } finally {
        following = false;
        own.clear();
      }
    },
  };
}

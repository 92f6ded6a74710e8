/**
 * What other hosts lease and release in the same store. It is news, not truth: every change of ours has conditions that the store
 * checks. But who does not follow believes addresses taken that are free, and runs into each of the others' leases.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { asBerthError } from '../model/errors.ts';
import { keys } from '../model/keys.ts';
import type { Entry, Store } from '../store/store.ts';

export interface Follower {
  /**
   * Reads everything, for the first time.
   *
   * @throws BerthError STORE_CORRUPT, STORE_NEWER, STORE_UNAVAILABLE
   */
  read(): Promise<void>;
  /** Whether memory has what a transaction at this revision made of a key, and perhaps what came after: the watch was faster. */
  told(key: string, revision: number): boolean;
  /** Whether what was read of a key at this revision is old news: memory has that, or something newer. */
  isOld(key: string, revision: number): boolean;
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
  /** Takes over what the store says of a key. */
  readonly absorb: (key: string, entry: Entry | undefined) => void;
  /** All keys that memory knows. */
  readonly known: () => Iterable<string>;
}

/** Milliseconds between attempts to read a store that is away. A watch that stands waits for it by itself. */
const RETRY = 1000;

const PREFIXES = [keys.pools, keys.leases, keys.reservations];

export function createFollower({ store, absorb, known }: FollowerParts): Follower {
  /** Our own last changes, of which the watch has not told yet. */
  const own = new Map<string, number>();
  /** By prefix: the revision up to which memory was told of everything. */
  const reached = new Map<string, number>();
  let following = false;

  const told = (key: string, revision: number): boolean =>
    following && reached.get(PREFIXES.find((prefix) => key.startsWith(prefix)) ?? '')! >= revision;

  const take = (key: string, at: number, entry: Entry | undefined) => {
    const ours = own.get(key);
    if (ours !== undefined && at >= ours) own.delete(key);
    // Memory has, or is about to have, what we did.
    if (ours === undefined || at >= ours) absorb(key, entry);
  };

  /** Reads everything, and again after a gap. */
  const read = async (prefix: string): Promise<void> => {
    const listing = await store.list(prefix);
    const there = new Set(listing.entries.map(({ key }) => key));
    for (const entry of listing.entries) take(entry.key, listing.revision, entry);
    const gone = [...known()].filter((key) => key.startsWith(prefix) && !there.has(key));
    for (const key of gone) take(key, listing.revision, undefined);
    reached.set(prefix, listing.revision);
  };

  const readPatiently = async (prefix: string, signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      try {
        return await read(prefix);
      } catch (error) {
        if (asBerthError(error).code !== 'STORE_UNAVAILABLE') throw error;
        await pause(RETRY, undefined, { signal, ref: false }).catch(() => undefined);
      }
    }
  };

  const followOne = async (prefix: string, signal: AbortSignal) => {
    // Memory was not read from the store itself.
    if (reached.get(prefix) === 0) await readPatiently(prefix, signal);
    while (!signal.aborted) {
      for await (const message of store.watch(prefix, reached.get(prefix)! + 1, signal)) {
        if (message.type === 'compacted') break;
        for (const change of message.changes) {
          if (change.type === 'put') take(change.entry.key, change.entry.modRevision, change.entry);
          else take(change.key, change.modRevision, undefined);
        }
        reached.set(prefix, message.revision);
      }
      if (!signal.aborted) await readPatiently(prefix, signal);
    }
  };

  return {
    told,
    isOld: (key, revision) => told(key, revision) || (own.get(key) ?? -1) > revision,
    async read() {
      for (const prefix of PREFIXES) await read(prefix);
    },
    wrote(changed, at) {
      if (!following) return;
      // Of those that the watch has told of already it will not tell again.
      for (const key of changed) if (!told(key, at)) own.set(key, at);
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

/**
 * All keys under a prefix in memory, and each change as it comes: for who has to decide without asking the store, and to go on with
 * what was known last while the store is away.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { asBerthError } from '../model/errors.ts';
import type { Entry, Store } from './store.ts';

export interface MirrorParts {
  readonly store: Store;
  readonly prefix: string;
  /** What stands at a key now; undefined: nothing any more. What it throws ends the mirror. */
  absorb(key: string, entry: Entry | undefined): void;
  /** Some changes have been absorbed, of one transaction or of a listing. Called once when the first listing is in, even if it is empty. */
  changed(): void;
  /** The store cannot be read now; it is tried again. */
  failed?(sentence: string): void;
}

/** Milliseconds between attempts to read a store that is away. A watch that stands waits for it by itself. */
const RETRY = 1000;

/**
 * Follows until the signal aborts.
 *
 * @throws BerthError STORE_CORRUPT, STORE_NEWER for what cannot be understood; STORE_UNAVAILABLE when the store is closed by us.
 */
export async function mirror(parts: MirrorParts, signal: AbortSignal): Promise<void> {
  const { store, prefix, absorb, changed } = parts;
  let known = new Set<string>();

  const read = async (): Promise<number> => {
    const listing = await store.list(prefix);
    const there = new Set(listing.entries.map(({ key }) => key));
    for (const key of known) if (!there.has(key)) absorb(key, undefined);
    // In the order in which they were written, as they are told of afterwards.
    for (const entry of listing.entries.toSorted((a, b) => a.modRevision - b.modRevision)) absorb(entry.key, entry);
    known = there;
    changed();
    return listing.revision;
  };

  const follow = async (from: number): Promise<void> => {
    for await (const message of store.watch(prefix, from, signal)) {
      // The next listing makes up for what was missed.
      if (message.type === 'compacted') return;
      for (const change of message.changes) {
        const key = change.type === 'put' ? change.entry.key : change.key;
        absorb(key, change.type === 'put' ? change.entry : undefined);
        if (change.type === 'put') known.add(key);
        else known.delete(key);
      }
      changed();
    }
  };

  while (!signal.aborted) {
    let revision: number;
    try {
      revision = await read();
    } catch (error) {
      const { code, message } = asBerthError(error);
      if (code !== 'STORE_UNAVAILABLE') throw error;
      parts.failed?.(message);
      await pause(RETRY, undefined, { signal, ref: false }).catch(() => undefined);
      continue;
    }
    await follow(revision + 1);
  }
}

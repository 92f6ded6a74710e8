/**
 * The cluster's objects in memory, following the store. Nothing here is authoritative: what is read is first made as new as the
 * store's head at the time of asking, and what is written holds only if the head is still the one that was read.
 */

import { BerthError } from '../model/errors.ts';
import { keys } from '../model/keys.ts';
import type { Objects } from '../model/objects/kind.ts';
import { createObjectSet } from '../model/objects/object-set.ts';
import type { Change, Store } from '../store/store.ts';
import { decodeObject, parseObjectKey } from './codec.ts';

/** The objects as they were at a revision of the head. Use it before the next `await`: it goes on following. */
export interface Snapshot {
  readonly objects: Objects;
  /** What the head's revision was; undefined: nothing was ever written. */
  readonly head: number | undefined;
}

export interface Replica {
  /**
   * The objects, no older than this call.
   *
   * @throws BerthError STORE_UNAVAILABLE, STORE_CORRUPT, STORE_NEWER
   */
  current(): Promise<Snapshot>;
  close(): void;
}

/** Milliseconds until changes that the head tells of must have been seen; else everything is read again. */
const CATCH_UP = 2000;

/** Reads nothing yet: the first call of `current` does. */
export function openReplica(store: Store): Replica {
  const objects = createObjectSet();
  const ending = new AbortController();
  /** What was last seen of the head, and of the store. */
  let head: number | undefined;
  let seen = -1;
  let following: AbortController | undefined;
  let reading: Promise<void> | undefined;
  const waiting = new Set<() => void>();

  /** What a change of a key does here. All that may fail does so before any of it is done: nobody sees half of a transaction. */
  const prepare = (change: Change): (() => void) => {
    const { key, modRevision } = change.type === 'put' ? change.entry : change;
    if (key === keys.objectsHead) return () => (head = change.type === 'put' ? modRevision : undefined);
    if (change.type === 'put') {
      const object = decodeObject(change.entry);
      return () => object !== undefined && objects.put(object);
    }
    const name = parseObjectKey(key);
    return () => name !== undefined && objects.delete(name.kind, name.key);
  };

  const read = async () => {
    following?.abort();
    following = new AbortController();
    // Nothing follows until this has succeeded.
    seen = -1;
    const listing = await store.list(keys.objects);
    const changes = listing.entries.map((entry) => prepare({ type: 'put', entry }));
    objects.clear();
    head = undefined;
    for (const apply of changes) apply();
    seen = listing.revision;
    for (const wake of waiting) wake();
    void follow(listing.revision + 1, following);
  };

  const follow = async (from: number, control: AbortController) => {
    try {
      const signal = AbortSignal.any([control.signal, ending.signal]);
      for await (const message of store.watch(keys.objects, from, signal)) {
        if (control.signal.aborted) return;
        if (message.type === 'compacted') break;
        for (const apply of message.changes.map(prepare)) apply();
        seen = message.revision;
        for (const wake of waiting) wake();
      }
    } catch {
      // Whatever it was, a value that cannot be read as well: whoever asks next reads everything again, and is told.
    }
    if (following === control) seen = -1;
    for (const wake of waiting) wake();
  };

  /** One reading at a time, which all who wait share. */
  const reread = (): Promise<void> => {
    reading ??= read().finally(() => (reading = undefined));
    return reading;
  };

  const reached = (revision: number): Promise<boolean> => {
    if (seen >= revision || seen < 0) return Promise.resolve(seen >= revision);
    return new Promise((resolve) => {
      const settle = () => {
        if (seen < revision && seen >= 0) return;
        done();
      };
      const done = () => {
        clearTimeout(timer);
        waiting.delete(settle);
        resolve(seen >= revision);
      };
      const timer = setTimeout(done, CATCH_UP);
      waiting.add(settle);
    });
  };

  return {
    async current() {
      if (ending.signal.aborted) throw new BerthError('SHUTTING_DOWN', 'the master is stopping');
      const entry = await store.get(keys.objectsHead);
      // Nothing newer than the head concerns objects, so what has seen the head has seen everything.
      if (seen < 0 || !(await reached(entry?.modRevision ?? 0))) await reread();
      return { objects, head };
    },
    close() {
      ending.abort();
      for (const wake of waiting) wake();
    },
  };
}

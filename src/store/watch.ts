/** A watch as a reader of the store's history: it pulls, so a slow consumer costs no memory and can miss nothing. */

import type { WatchMessage } from './store.ts';

export interface HistoryPage {
  readonly messages: readonly (WatchMessage & { type: 'changes' })[];
  /** Read on from here. */
  readonly next: number;
  /** The oldest revision that is still known; a reader from before it has lost changes. */
  readonly oldest: number;
}

export interface History {
  /** Changes under a prefix from a revision on, as many as make a page. */
  read(prefix: string, from: number): Promise<HistoryPage>;
  /** Resolves when the store has reached the revision, or the signal aborts. Rejects when the store is closed. */
  reached(revision: number, signal: AbortSignal): Promise<void>;
}

/** Follows the history from a revision on until the signal aborts, or it turns out that revisions are gone. */
export async function* watchHistory(
  history: History,
  prefix: string,
  fromRevision: number,
  signal: AbortSignal,
): AsyncGenerator<WatchMessage, void, void> {
  let from = Math.max(1, fromRevision);
  while (!signal.aborted) {
    await history.reached(from, signal);
    if (signal.aborted) return;
    const page = await history.read(prefix, from);
    if (from < page.oldest) {
      yield { type: 'compacted', revision: page.oldest };
      return;
    }
    for (const message of page.messages) {
      if (signal.aborted) return;
      yield message;
    }
    from = page.next;
  }
}

/** The newest revision of a store, and those who wait for one. */
export function createRevisionGauge(): {
  readonly head: number;
  advance(revision: number): void;
  reached(revision: number, signal: AbortSignal): Promise<void>;
  /** Rejects all that wait now or later. */
  fail(error: Error): void;
} {
  const waiting = new Set<{ revision: number; resolve: () => void; reject: (error: Error) => void }>();
  let head = 0;
  let failure: Error | undefined;
  return {
    get head() {
      return head;
    },
    advance(revision) {
      head = Math.max(head, revision);
      for (const waiter of waiting) if (waiter.revision <= head) waiter.resolve();
    },
    reached(revision, signal) {
      if (failure !== undefined) return Promise.reject(failure);
      if (signal.aborted || revision <= head) return Promise.resolve();
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const waiter = { revision, resolve, reject };
      const abort = () => resolve();
      waiting.add(waiter);
      signal.addEventListener('abort', abort, { once: true });
      return promise.finally(() => {
        waiting.delete(waiter);
        signal.removeEventListener('abort', abort);
      });
    },
    fail(error) {
      failure = error;
      for (const waiter of waiting) waiter.reject(error);
    },
  };
}

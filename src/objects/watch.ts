/** What there is of the cluster's objects, and each change as it comes: for agents, and for the API's stream. */

import { keys } from '../model/keys.ts';
import type { ClusterObject, KindName } from '../model/objects/kind.ts';
import type { Listing, Store } from '../store/store.ts';
import { decodeObject, parseObjectKey } from './codec.ts';

export type ObjectEvent =
  | { readonly type: 'put'; readonly object: ClusterObject }
  | { readonly type: 'delete'; readonly kind: KindName; readonly key: string; readonly revision: number }
  /** All that there was has been told. */
  | { readonly type: 'synchronized'; readonly revision: number }
  /** What was to follow is forgotten: the last event. Begin again, without `after`. */
  | { readonly type: 'compacted'; readonly revision: number };

export interface WatchRequest {
  /** Absent: all of them. */
  readonly kind?: KindName | undefined;
  /** The revision whose successors are wanted; absent: first all there is, then `synchronized`. */
  readonly after?: number | undefined;
}

/**
 * Events until the signal aborts.
 *
 * @throws BerthError STORE_UNAVAILABLE before the first event; STORE_CORRUPT, STORE_NEWER from the iterator.
 */
export async function watchObjects(
  store: Store,
  request: WatchRequest,
  signal: AbortSignal,
): Promise<AsyncGenerator<ObjectEvent>> {
  const prefix = request.kind === undefined ? keys.objects : keys.object(request.kind, '');
  const listing = request.after === undefined ? await store.list(prefix) : undefined;
  return events(store, prefix, listing, request.after ?? 0, signal);
}

async function* events(
  store: Store,
  prefix: string,
  listing: Listing | undefined,
  after: number,
  signal: AbortSignal,
): AsyncGenerator<ObjectEvent> {
  let from = after;
  if (listing !== undefined) {
    for (const entry of listing.entries) {
      const object = decodeObject(entry);
      if (object !== undefined) yield { type: 'put', object };
    }
    from = listing.revision;
    yield { type: 'synchronized', revision: from };
  }
  for await (const message of store.watch(prefix, from + 1, signal)) {
    if (message.type === 'compacted') {
      yield message;
      return;
    }
    for (const change of message.changes) {
      const name = change.type === 'put' ? undefined : parseObjectKey(change.key);
      const object = change.type === 'put' ? decodeObject(change.entry) : undefined;
      if (object !== undefined) yield { type: 'put', object };
      if (name !== undefined) yield { type: 'delete', ...name, revision: message.revision };
    }
  }
}

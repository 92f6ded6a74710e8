/** The stream of changes: everything first, then each change as it comes. */

import { keys } from '../model/keys.ts';
import type { KindName } from '../model/objects/kind.ts';
import { configView } from '../model/objects/view.ts';
import { decodeObject, parseObjectKey } from '../objects/codec.ts';
import type { Entry, Listing, Store } from '../store/store.ts';

export interface WatchRequest {
  readonly kind: KindName | undefined;
  readonly tenant: string | undefined;
  /** The revision whose successors are wanted; undefined: all there is first. */
  readonly after: number | undefined;
}

type Line = Readonly<Record<string, unknown>>;

/**
 * `{type: 'put', kind, key, revision, object}`, `{type: 'delete', kind, key, revision}`; `{type: 'synchronized', revision}` when
 * all that there was has been told; `{type: 'compacted', revision}` as the last line when what was to follow is forgotten: ask
 * again without `after`.
 *
 * @throws BerthError STORE_UNAVAILABLE, before the first line.
 */
export async function watchObjects(
  store: Store,
  request: WatchRequest,
  signal: AbortSignal,
): Promise<AsyncGenerator<Line>> {
  const prefix = request.kind === undefined ? keys.objects : keys.object(request.kind, '');
  const listing = request.after === undefined ? await store.list(prefix) : undefined;
  return lines(store, prefix, listing, request, signal);
}

async function* lines(
  store: Store,
  prefix: string,
  listing: Listing | undefined,
  { tenant, after = 0 }: WatchRequest,
  signal: AbortSignal,
): AsyncGenerator<Line> {
  const wanted = (key: string) => tenant === undefined || key === tenant || key.startsWith(`${tenant}:`);
  let from = after;
  if (listing !== undefined) {
    for (const entry of listing.entries) {
      const line = putLine(entry);
      if (line !== undefined && wanted(line.key)) yield line;
    }
    from = listing.revision;
    yield { type: 'synchronized', revision: from };
  }
  for await (const message of store.watch(prefix, from + 1, signal)) {
    if (message.type === 'compacted') {
      yield { type: 'compacted', revision: message.revision };
      return;
    }
    for (const change of message.changes) {
      if (change.type === 'put') {
        const line = putLine(change.entry);
        if (line !== undefined && wanted(line.key)) yield line;
        continue;
      }
      const name = parseObjectKey(change.key);
      if (name !== undefined && wanted(name.key)) yield { type: 'delete', ...name, revision: change.modRevision };
    }
  }
}

function putLine(entry: Entry) {
  const object = decodeObject(entry);
  if (object === undefined) return undefined;
  const { kind, key, revision } = object;
  return { type: 'put', kind, key, revision, object: { key, ...configView(object) } };
}

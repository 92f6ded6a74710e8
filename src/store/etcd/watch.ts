/** A watch that outlives connections and members, and misses nothing. */

import { setTimeout as delay } from 'node:timers/promises';
import { BerthError } from '../../model/errors.ts';
import { storeClosed } from '../check.ts';
import type { Change, WatchMessage } from '../store.ts';
import { backOff } from './back-off.ts';
import type { Client } from './client.ts';
import { type KeyRange, methods, readWatch, type Strip, type WatchEvent, watchRequest } from './messages.ts';
import { denied, GrpcError, lost, statusCodes } from './status.ts';

const FIRST_WAIT = 50;
const LONGEST_WAIT = 2000;

/**
 * Changes in a range of keys from a revision on, until the signal aborts or revisions are gone.
 *
 * etcd is asked for one revision more, which is thrown away again: where history begins at the very revision that is asked for, it
 * may lack a deletion, as a compaction removes the deletions at its own revision too (https://github.com/etcd-io/etcd/issues/19179).
 *
 * @throws BerthError STORE_UNAVAILABLE when the client is closed, STORE_DENIED when etcd refuses us.
 */
export async function* watchRange(
  client: Client,
  range: KeyRange,
  strip: Strip,
  fromRevision: number,
  signal: AbortSignal,
): AsyncGenerator<WatchMessage, void, void> {
  let next = Math.max(1, fromRevision);
  let failures = 0;
  let refusals = 0;
  while (!signal.aborted) {
    if (client.closing.aborted) throw storeClosed();
    try {
      for await (const bytes of client.stream(methods.watch, watchRequest(range, Math.max(1, next - 1)), signal)) {
        const result = readWatch(bytes, strip);
        if (result.compactRevision > 0) {
          yield { type: 'compacted', revision: result.compactRevision + 1 };
          return;
        }
        if (result.canceled) throw canceled(result.reason);
        failures = 0;
        refusals = 0;
        for (const message of transactions(result.events)) {
          if (message.revision < next) continue;
          if (signal.aborted) return;
          next = message.revision + 1;
          yield message;
        }
        // Nothing has happened up to here.
        if (!result.created && result.events.length === 0) next = Math.max(next, result.revision + 1);
      }
    } catch (error) {
      if (client.closing.aborted) throw storeClosed();
      const garbled = error instanceof BerthError && error.code === 'STORE_UNAVAILABLE';
      if (!(error instanceof GrpcError || garbled)) throw error;
      if (error instanceof GrpcError && error.status === statusCodes.permissionDenied) {
        // That is also what a watch is told whose token has ended.
        if (++refusals > 1) throw denied(`a watch: ${error.message.replace('etcdserver: ', '')}`, { cause: error });
        client.forgetToken();
      }
    }
    await delay(backOff(failures++, FIRST_WAIT, LONGEST_WAIT), undefined, {
      signal: AbortSignal.any([signal, client.closing]),
    }).catch(() => {});
  }
}

/** The events of each revision as one message; etcd never cuts a revision in two. */
function transactions(events: readonly WatchEvent[]): (WatchMessage & { type: 'changes' })[] {
  const messages: { type: 'changes'; revision: number; changes: Change[] }[] = [];
  for (const { deleted, entry } of events) {
    const revision = entry.modRevision;
    let message = messages.at(-1);
    if (message?.revision !== revision) {
      message = { type: 'changes', revision, changes: [] };
      messages.push(message);
    }
    message.changes.push(deleted ? { type: 'delete', key: entry.key, modRevision: revision } : { type: 'put', entry });
  }
  return messages;
}

/** etcd's reason is a gRPC error in words: `rpc error: code = Unauthenticated desc = etcdserver: invalid auth token`. */
function canceled(reason: string): GrpcError {
  const refused = /permission ?denied|unauthenticated/i.test(reason);
  const words = reason.replace(/^rpc error: code = \w+ desc = (etcdserver: )?/, '');
  return refused ? new GrpcError(statusCodes.permissionDenied, words) : lost(`the watch was ended: ${words}`);
}

/**
 * JSON-RPC as OVSDB speaks it (RFC 7047 §4), whatever carries the bytes and whoever waits: numbers requests, keeps answers
 * until they are asked for, answers the server's own `echo`, and passes on what it reports.
 */

import { createJsonStream, isObject, ProtocolError } from './json-stream.ts';

export type Answer = { readonly result: unknown } | { readonly error: unknown };

export interface Conversation {
  /** Sends a request. @returns its number. */
  ask(method: string, params: readonly unknown[]): number;
  /** Takes in what came. @throws ProtocolError */
  take(bytes: Uint8Array): void;
  /** The answer to a request, once. */
  answer(number: number): Answer | undefined;
}

export interface ConversationOptions {
  readonly send: (bytes: Uint8Array) => void;
  /** What a monitor reports: by `update` or `update2`, its name, and the changes of each table. */
  readonly report?: (method: string, monitor: unknown, changes: Readonly<Record<string, unknown>>) => void;
}

export function createConversation({ send, report }: ConversationOptions): Conversation {
  const stream = createJsonStream();
  const encoder = new TextEncoder();
  const waiting = new Set<number>();
  const answers = new Map<number, Answer>();
  let last = 0;

  function say(message: Readonly<Record<string, unknown>>): void {
    send(encoder.encode(JSON.stringify(message)));
  }

  function takeAnswer({ id, result, error }: Readonly<Record<string, unknown>>): void {
    // Of a request that nobody waits for any more, or of none at all.
    if (typeof id !== 'number' || !waiting.delete(id)) return;
    answers.set(id, error === null || error === undefined ? { result } : { error });
  }

  function takeRequest(method: string, { id, params }: Readonly<Record<string, unknown>>): void {
    if (!Array.isArray(params)) throw new ProtocolError(`the parameters of ${method} are not a list`);
    if (id !== null && id !== undefined) {
      // Whoever does not answer an echo in time is cut off (`inactivity_probe`, 5 s by default).
      say(method === 'echo' ? { id, result: params, error: null } : { id, result: null, error: 'unknown method' });
    } else if (method === 'update' || method === 'update2') {
      const [monitor, changes] = params as unknown[];
      if (!isObject(changes)) throw new ProtocolError('a report holds no tables');
      report?.(method, monitor, changes);
    }
  }

  return {
    ask(method, params) {
      last += 1;
      waiting.add(last);
      say({ method, params, id: last });
      return last;
    },
    take(bytes) {
      for (const message of stream.push(bytes)) {
        if (typeof message.method === 'string') takeRequest(message.method, message);
        else takeAnswer(message);
      }
    },
    answer(number) {
      const answer = answers.get(number);
      answers.delete(number);
      return answer;
    },
  };
}

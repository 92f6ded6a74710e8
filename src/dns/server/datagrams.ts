/** Questions and answers over UDP: answered here, or handed on to the next resolver and its answer handed back. */

import { randomInt } from 'node:crypto';
import type { RemoteInfo, Socket } from 'node:dgram';
import { failure, type Lookup, respond } from './respond.ts';

export interface DatagramParts {
  /** Where questions come in. */
  readonly asked: Socket;
  /** From which the next resolver is asked. */
  readonly onward: Socket;
  readonly next: { readonly address: string; readonly port: number };
  readonly lookup: Lookup;
  /** Milliseconds of a clock that nobody sets. */
  monotonic(): number;
}

export interface Datagrams {
  /** Questions that were handed on and are not answered yet. */
  pending(): number;
  /** Takes no more; what has been handed on is still answered for a moment. */
  close(): Promise<void>;
}

interface Pending {
  readonly from: { readonly address: string; readonly port: number };
  readonly id: number;
  /** The beginning of the question itself. */
  readonly question: Buffer;
  readonly since: number;
}

/** The engine's resolver tries three servers for 4 s each (moby `libnetwork/resolver.go`), and nobody waits longer. Milliseconds. */
const PATIENCE = 15_000;
/** The engine's own limit is 1024. The oldest gives way: who asked it is the likeliest to have given up. */
const MOST_PENDING = 512;
/** Longer ones are no questions. */
const LARGEST_QUERY = 4096;
const HEADER = 12;
/** Of a question: the longest name, type and class. */
const QUESTION = 260;
/** Milliseconds that answers which are on their way get when this ends. */
const FAREWELL = 500;

export function relayDatagrams({ asked, onward, next, lookup, monotonic }: DatagramParts): Datagrams {
  /** By the number under which the next resolver was asked; the oldest first. */
  const pending = new Map<number, Pending>();
  let turn = 0;
  let closing: (() => void) | undefined;
  const answer = (message: Uint8Array, { port, address }: Pending['from']): void =>
    asked.send(message, port, address, () => undefined);

  function hear(query: Buffer, from: RemoteInfo): void {
    if (closing !== undefined || query.length > LARGEST_QUERY) return;
    turn = (turn + 1) & 0xffff;
    const response = respond(query, lookup, 'udp', turn);
    if (response === 'ignore') return;
    if (response !== 'onward') answer(response, from);
    else if (isOurs(query)) answer(failure(query), from);
    else handOn(query, from);
  }

  /** Whether we ask ourselves: the next resolver asks us, with our own number. */
  function isOurs(query: Buffer): boolean {
    const question = pending.get(query.readUInt16BE(0))?.question;
    return question !== undefined && query.subarray(HEADER, HEADER + QUESTION).equals(question);
  }

  function handOn(query: Buffer, { address, port }: RemoteInfo): void {
    expire();
    if (pending.size >= MOST_PENDING) pending.delete(pending.keys().next().value!);
    let id = randomInt(0x10000);
    while (pending.has(id)) id = randomInt(0x10000);
    const question = Buffer.from(query.subarray(HEADER, HEADER + QUESTION));
    pending.set(id, { from: { address, port }, id: query.readUInt16BE(0), question, since: monotonic() });
    query.writeUInt16BE(id, 0);
    onward.send(query, next.port, next.address, () => undefined);
  }

  function expire(): void {
    const oldest = monotonic() - PATIENCE;
    for (const [id, { since }] of pending) {
      if (since > oldest) return;
      pending.delete(id);
    }
  }

  onward.on('message', (message, from) => {
    if (message.length < HEADER || from.port !== next.port || from.address !== next.address) return;
    const id = message.readUInt16BE(0);
    const waiting = pending.get(id);
    if (waiting === undefined || (message[2]! & 0x80) === 0) return;
    pending.delete(id);
    message.writeUInt16BE(waiting.id, 0);
    answer(message, waiting.from);
    if (pending.size === 0) closing?.();
  });
  asked.on('message', hear);
  // What cannot be received or sent, as when nobody listens any more, is lost, as it might be on the way.
  for (const socket of [asked, onward]) socket.on('error', () => undefined);

  return {
    pending: () => pending.size,
    async close() {
      if (closing !== undefined) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      closing = resolve;
      const timer = setTimeout(resolve, FAREWELL);
      if (pending.size === 0) resolve();
      await promise;
      clearTimeout(timer);
      pending.clear();
      asked.close();
      onward.close();
    },
  };
}

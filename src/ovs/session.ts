/** Requests over a stream on which the thread may block; each has a limit, whatever the other side does. */

import { type ConversationOptions, createConversation } from './conversation.ts';

/** A connection to a server, in a thread that may wait for it. */
export interface BlockingStream {
  /** All of it. @throws Disconnected, TimedOut */
  write(bytes: Uint8Array, milliseconds: number): void;
  /**
   * What has come, waiting up to so long for something; 0 does not wait. Good until the next call.
   *
   * @returns undefined when nothing came. @throws Disconnected
   */
  read(milliseconds: number): Uint8Array | undefined;
  /** Calls back from the thread's event loop when there is something to read, until it is closed. */
  whenReadable(callback: () => void): void;
  close(): void;
}

/** The other side is gone, or never was there. */
export class Disconnected extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'Disconnected';
  }
}

/** The other side is there and says nothing. */
export class TimedOut extends Error {
  constructor(milliseconds: number) {
    super(`it did not answer within ${milliseconds / 1000} s`);
    this.name = 'TimedOut';
  }
}

/** The server understood the request, and will not have it: the `error` of its answer. */
export class RequestRefused extends Error {
  constructor(method: string, error: unknown) {
    super(`the request ${method} was refused: ${typeof error === 'string' ? error : JSON.stringify(error)}`);
    this.name = 'RequestRefused';
  }
}

export interface Session {
  /** @throws Disconnected, TimedOut, RequestRefused, ProtocolError */
  call(method: string, params: readonly unknown[]): unknown;
  /** Takes in what has come without being asked for. @throws Disconnected, ProtocolError */
  drain(): void;
  close(): void;
}

/** Reads in one go; more is left for the next turn of the event loop, so that a chatty server does not keep the thread. */
const DRAIN = 64;

export function createSession(
  stream: BlockingStream,
  options: Pick<ConversationOptions, 'report'> & { readonly timeout: number; readonly now: () => number },
): Session {
  const { timeout, now } = options;
  let deadline = 0;
  const left = (): number => {
    const milliseconds = deadline - now();
    if (milliseconds <= 0) throw new TimedOut(timeout);
    return milliseconds;
  };
  const conversation = createConversation({ ...options, send: (bytes) => stream.write(bytes, left()) });

  return {
    call(method, params) {
      deadline = now() + timeout;
      const number = conversation.ask(method, params);
      for (;;) {
        const answer = conversation.answer(number);
        if (answer !== undefined) {
          if ('error' in answer) throw new RequestRefused(method, answer.error);
          return answer.result;
        }
        const bytes = stream.read(left());
        if (bytes !== undefined) conversation.take(bytes);
      }
    },
    drain() {
      deadline = now() + timeout;
      for (let count = 0; count < DRAIN; count++) {
        const bytes = stream.read(0);
        if (bytes === undefined) return;
        conversation.take(bytes);
      }
    },
    close: () => stream.close(),
  };
}

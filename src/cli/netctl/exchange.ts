/** One request and its whole answer, in time. */

import type { RequestOptions } from 'node:https';
import type { MasterFailure } from './failure.ts';
import { type Answer, unreachable } from './refusal.ts';

/** Not imported: as ES modules they evaluate all their lazy exports, which would take 20 ms of every command. */
const http = process.getBuiltinModule('node:http');

/** What a cluster of 100,000 endpoints answers fits; what does not end is not read for ever. */
const longestAnswer = 256 * 1024 * 1024;

/** There is no answer. */
export class Lost extends Error {
  readonly failure: MasterFailure;
  /** Whether the request may have arrived. */
  readonly connected: boolean;

  constructor(failure: MasterFailure, connected: boolean) {
    super(failure.message);
    this.failure = failure;
    this.connected = connected;
  }
}

export interface Patience {
  /** Milliseconds for the connection, and for everything. */
  readonly connect: number;
  readonly answer: number;
}

/** @throws Lost */
export function exchange(
  url: string,
  options: RequestOptions,
  body: string | undefined,
  patience: Patience,
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const method = options.method!;
  const secure = url.startsWith('https:');
  const send = secure ? process.getBuiltinModule('node:https').request : http.request;
  let connected = false;
  const fail = (error: Error & { code?: string }): void => {
    clearTimeout(timer);
    clearTimeout(connecting);
    reject(new Lost(unreachable(method, url, error, patience.answer), connected));
  };
  const outgoing = send(url, options, (response) => {
    const chunks: Buffer[] = [];
    let size = 0;
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size > longestAnswer) response.destroy(new Error(`the answer is longer than ${longestAnswer} bytes`));
    });
    response.on('error', fail);
    response.on('end', () => {
      clearTimeout(timer);
      resolve({ status: response.statusCode ?? 0, headers: response.headers, text: Buffer.concat(chunks).toString() });
    });
  });
  const late = (): void => {
    outgoing.destroy(Object.assign(new Error('no answer in time'), { code: 'TIMEOUT' }));
  };
  const timer = setTimeout(late, Math.max(0, patience.answer));
  const connecting = setTimeout(late, Math.max(0, Math.min(patience.answer, patience.connect)));
  const hasConnected = (): void => {
    connected = true;
    clearTimeout(connecting);
  };
  outgoing.on('socket', (socket) => {
    if (socket.connecting) socket.once(secure ? 'secureConnect' : 'connect', hasConnected);
    else hasConnected();
  });
  outgoing.on('error', fail);
  outgoing.end(body);
  return promise;
}

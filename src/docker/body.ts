/** Reads the body of a request whole, within bounds. */

import type { IncomingMessage } from 'node:http';
import { BerthError } from '../model/errors.ts';

/** No request of an engine comes near; the largest carry the ports of a container. */
export const MAX_BODY = 1024 * 1024;

/**
 * The whole body. One that is too large is read to its end all the same, without being kept: closing a socket that still
 * holds unread bytes makes the peer see a reset instead of the answer.
 *
 * @throws BerthError BODY_TOO_LARGE; BAD_REQUEST when the peer went away in the middle; what `signal` was aborted with.
 */
export function readBody(request: IncomingMessage, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    let ended = false;
    const fail = () => {
      // Every request is closed in the end; to make an error for nobody takes as long as to check a request.
      if (!ended) reject(new BerthError('BAD_REQUEST', 'the request ends in the middle of its body'));
    };
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_BODY) chunks.length = 0;
      else chunks.push(chunk);
    });
    request.once('end', () => {
      ended = true;
      if (size > MAX_BODY) reject(new BerthError('BODY_TOO_LARGE', `the body has ${size} bytes; at most ${MAX_BODY}`));
      else resolve(Buffer.concat(chunks, size));
    });
    request.on('error', fail);
    request.once('close', fail);
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}

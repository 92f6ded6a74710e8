/** Clients for tests of the plugin server: one that speaks HTTP properly, one that sends what it is given. */

import { type Agent, type IncomingHttpHeaders, request } from 'node:http';
import { connect } from 'node:net';

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Undefined when the text is not JSON. */
  readonly json: Readonly<Record<string, unknown>> | undefined;
}

export interface CallOptions {
  readonly verb?: string;
  readonly agent?: Agent;
}

/** Calls a method on a unix socket. A body that is neither text nor bytes is sent as JSON. */
export function call(socketPath: string, method: string, body?: unknown, options: CallOptions = {}): Promise<Reply> {
  const bytes = body === undefined || typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const sent = request({
      socketPath,
      path: `/${method}`,
      method: options.verb ?? 'POST',
      headers: bytes === undefined ? {} : { 'Content-Length': Buffer.byteLength(bytes) },
      agent: options.agent ?? false,
    });
    sent.on('error', reject);
    sent.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode!, headers: response.headers, text, json: jsonOf(text) });
      });
    });
    sent.end(bytes);
  });
}

function jsonOf(text: string): Reply['json'] {
  try {
    return JSON.parse(text) as Reply['json'];
  } catch {
    return undefined;
  }
}

/**
 * Sends bytes as they are, half-closes if `end`, and resolves with all that comes back until the server closes, or until
 * `until` is found in it.
 */
export function raw(
  socketPath: string,
  bytes: string | Buffer,
  how: { end?: boolean; until?: string } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path: socketPath, allowHalfOpen: true });
    let received = '';
    const finish = () => {
      socket.destroy();
      resolve(received);
    };
    socket.on('data', (chunk) => {
      received += chunk.toString();
      if (how.until !== undefined && received.includes(how.until)) finish();
    });
    socket.on('end', finish);
    socket.on('error', (error) => (received === '' ? reject(error) : finish()));
    socket.write(bytes);
    if (how.end === true) socket.end();
  });
}

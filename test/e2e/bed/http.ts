/** HTTP over a unix socket: for Docker's API and the agent's, from outside of the host. */

import { request } from 'node:http';

export interface Response {
  readonly status: number;
  readonly body: string;
}

export interface RequestOptions {
  readonly method?: string;
  /** Sent as JSON unless it is bytes. */
  readonly body?: unknown;
  /** Milliseconds; default 30,000. */
  readonly timeout?: number;
}

/** @throws when there is no listener, or no answer in time. */
export function unixRequest(socketPath: string, path: string, options: RequestOptions = {}): Promise<Response> {
  const { method = 'GET', body, timeout = 30_000 } = options;
  const bytes = body instanceof Uint8Array;
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        socketPath,
        path,
        method,
        agent: false,
        signal: AbortSignal.timeout(timeout),
        headers: body === undefined ? {} : { 'content-type': bytes ? 'application/x-tar' : 'application/json' },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', reject);
        response.once('end', () => resolve({ status: response.statusCode!, body: Buffer.concat(chunks).toString() }));
      },
    );
    sent.once('error', reject);
    if (body === undefined) sent.end();
    else sent.end(bytes ? body : JSON.stringify(body));
  });
}

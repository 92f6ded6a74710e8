/** The agent's own API on `<run-dir>/berth.sock`, and its metrics and health on TCP when asked for. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { listenAtSocket } from '../docker/socket-file.ts';
import { asBerthError, BerthError } from '../model/errors.ts';
import type { ErrorView, EventView } from './api.ts';

export interface ApiRequest {
  /** The path's parts after `/v1/`, decoded. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Answers one call with something for JSON. */
export type ApiHandler = (request: ApiRequest) => Promise<unknown>;

export interface ApiParts {
  /** `GET networks`, `POST audit`, …: the method and the first part of the path. */
  readonly handlers: Readonly<Record<string, ApiHandler>>;
  follow(listener: (event: EventView) => void): () => void;
  metrics(): Promise<string>;
  health(): { readonly healthy: boolean; readonly problems: readonly string[] };
}

const MOST_BODY = 64 * 1024;

export function apiSocket(runDir: string): string {
  return join(runDir, 'berth.sock');
}

/**
 * Listens on the unix socket (mode 0600) and, when given, on TCP (there only /metrics and /health).
 *
 * @throws BerthError SOCKET_IN_USE, BAD_CONFIG
 */
export async function serveApi(
  parts: ApiParts,
  runDir: string,
  tcp: { readonly host: string; readonly port: number } | undefined,
): Promise<{ close(): Promise<void> }> {
  const followers = new Set<ServerResponse>();
  const local = createServer((request, response) => void answer(parts, request, response, followers));
  const withdraw = await listenAtSocket(local, apiSocket(runDir));
  const servers: Server[] = [local];
  if (tcp !== undefined) {
    const open = createServer((request, response) => void answerPublic(parts, request, response));
    await listen(open, tcp).catch((error: Error) => {
      withdraw();
      local.close();
      throw new BerthError('BAD_CONFIG', `cannot listen on metrics-address ${tcp.host}:${tcp.port}: ${error.message}`, {
        cause: error,
      });
    });
    servers.push(open);
  }
  return {
    async close() {
      withdraw();
      for (const response of followers) response.end();
      await Promise.all(
        servers.map((server) => {
          const closed = new Promise<void>((resolve) => server.close(() => resolve()));
          server.closeIdleConnections();
          return closed;
        }),
      );
    },
  };
}

function listen(server: Server, where: string | { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function answer(
  parts: ApiParts,
  request: IncomingMessage,
  response: ServerResponse,
  followers: Set<ServerResponse>,
): Promise<void> {
  try {
    const url = new URL(request.url ?? '/', 'http://agent');
    if (url.pathname === '/metrics' || url.pathname === '/health') return await answerPublic(parts, request, response);
    const [version, ...path] = url.pathname.split('/').slice(1).map(decodePart);
    const handler = version === 'v1' ? parts.handlers[`${request.method} ${path[0]}`] : undefined;
    if (version === 'v1' && path[0] === 'events') return follow(parts, response, followers);
    if (handler === undefined)
      throw new BerthError('UNKNOWN_METHOD', `the agent has no ${request.method} ${url.pathname}`);
    send(response, 200, await handler({ path, query: url.searchParams, body: await readBody(request) }));
  } catch (error) {
    const failure = asBerthError(error);
    const view: ErrorView = { code: failure.code, message: failure.message, next: failure.next };
    send(response, failure.status, { error: view });
  }
}

async function answerPublic(parts: ApiParts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.url === '/metrics') {
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(await parts.metrics());
  } else if (request.url === '/health') {
    const health = parts.health();
    send(response, health.healthy ? 200 : 503, health);
  } else {
    send(response, 404, {
      error: { code: 'UNKNOWN_METHOD', message: 'there is only /metrics and /health here', next: '' },
    });
  }
}

function follow(parts: ApiParts, response: ServerResponse, followers: Set<ServerResponse>): void {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  response.flushHeaders();
  followers.add(response);
  const stop = parts.follow((event) => response.write(`${JSON.stringify(event)}\n`));
  response.on('close', () => {
    stop();
    followers.delete(response);
  });
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new BerthError('BAD_REQUEST', 'the path is not percent-encoded text');
  }
}

async function readBody(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MOST_BODY) throw new BerthError('BODY_TOO_LARGE', `the request has more than ${MOST_BODY} bytes`);
    chunks.push(chunk);
  }
  if (size === 0) return {};
  try {
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Record<string, unknown>;
  } catch {
    // Falls through to the same answer: it is not what we take.
  }
  throw new BerthError('BAD_REQUEST', 'the body is not a JSON object');
}

function send(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(value)}\n`);
}

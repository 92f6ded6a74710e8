/** Serves the API over HTTP or HTTPS. */

import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { BerthError } from '../model/errors.ts';
import type { Registry } from '../objects/registry.ts';
import type { Store } from '../store/store.ts';
import { type Access, authorize } from './access.ts';
import { answer, type Change } from './api.ts';
import { type Answer, readRequest, respond } from './http.ts';

export interface Listen {
  readonly host: string;
  readonly port: number;
}

export interface ServerParts {
  readonly store: Store;
  readonly registry: Registry;
  readonly clusterMode: string;
  readonly access: Access;
  /** PEM texts; undefined: without TLS. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
  audit(who: Who, change: Change): void;
  /** A fault of ours, of which the client is told nothing. */
  defect(error: BerthError): void;
  /** Every request that failed, and every write. */
  log(who: Who, request: { readonly method: string; readonly url: string; readonly status: number }): void;
}

export interface Who {
  /** Of the token; undefined when none is needed. */
  readonly name: string | undefined;
  readonly address: string;
}

export interface ApiServer {
  readonly address: Listen;
  /** Answers what has been asked, and ends the streams. */
  close(): Promise<void>;
}

/** Milliseconds for a request to arrive, and for its answer to be worked out. */
const ARRIVAL = 15_000;
const DEADLINE = 20_000;

/** @throws BerthError BAD_CONFIG when it cannot listen there. */
export async function serveApi(parts: ServerParts, listen: Listen): Promise<ApiServer> {
  const closing = new AbortController();
  const handle = (request: IncomingMessage, response: ServerResponse) =>
    void handleRequest(parts, closing.signal, request, response);
  const options = { requestTimeout: ARRIVAL, headersTimeout: ARRIVAL };
  const server =
    parts.tls === undefined
      ? createHttpServer(options, handle)
      : createHttpsServer({ ...options, ...parts.tls, minVersion: 'TLSv1.2' }, handle);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const where = `${listen.host}:${listen.port}`;
      reject(new BerthError('BAD_CONFIG', `cannot listen on ${where}: ${cause.message}`, { cause }));
    });
    server.listen(listen.port, listen.host, resolve);
  });
  return {
    address: { host: listen.host, port: (server.address() as AddressInfo).port },
    close: () =>
      new Promise<void>((resolve) => {
        closing.abort();
        server.close(() => resolve());
        server.closeIdleConnections();
      }),
  };
}

async function handleRequest(
  parts: ServerParts,
  closing: AbortSignal,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const address = request.socket.remoteAddress ?? '';
  let who: Who = { name: undefined, address };
  const status = await respond(
    request,
    response,
    async () => {
      const asked = readRequest(request, AbortSignal.any([gone.signal, closing]));
      const identity = await parts.access.identify(asked);
      who = { name: identity?.name, address };
      authorize(identity, asked.method);
      const audit = (change: Change) => parts.audit(who, change);
      return await bounded(answer({ ...parts, audit }, asked));
    },
    parts.defect,
  );
  if (status >= 400 || !['GET', 'HEAD'].includes(request.method ?? '')) {
    parts.log(who, { method: request.method ?? '', url: (request.url ?? '').slice(0, 500), status });
  }
}

/** @throws BerthError TIMEOUT: a change may have been made all the same. */
async function bounded(work: Promise<Answer>): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new BerthError('TIMEOUT', `no answer within ${DEADLINE} ms`)), DEADLINE);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

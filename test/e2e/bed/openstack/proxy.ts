/**
 * A reverse proxy in front of a service of OpenStack: it counts the calls, and lets those fail that a test has chosen. It runs
 * in the test's process, and is reached by any socket that is handed to it.
 */

import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer as createListener, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Call, CallLog, Fault, ServiceName } from './calls.ts';

export interface ProxyOptions {
  readonly service: ServiceName;
  readonly calls: CallLog;
  /** Path of the unix socket of the service; asked for each call, as a service may come back elsewhere. */
  readonly upstream: () => string;
  /** Speak TLS. `ca`: ask clients for a certificate of this authority, and refuse those without. */
  readonly tls?: { readonly key: string; readonly cert: string; readonly ca?: string };
}

export interface ServiceProxy {
  /** Serves the connections of a listener; calls count for this endpoint. */
  serve(listener: Server, endpoint: string): void;
  /** Listens on a free port of 127.0.0.1 as well, and returns the port. */
  listen(endpoint: string): Promise<number>;
  /** Ends all connections, also those in the middle of a call. */
  cutConnections(): void;
  close(): void;
}

interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[]>;
  readonly body: Buffer;
}

export function openProxy({ service, calls, upstream, tls }: ProxyOptions): ServiceProxy {
  const endpoints = new WeakMap<object, string>();
  const sockets = new Set<Socket>();
  const listeners: Server[] = [];

  const handle = (incoming: IncomingMessage, outgoing: ServerResponse) => {
    // With TLS the request's socket is the one above the connection's.
    const socket = incoming.socket as Socket & { _parent?: Socket };
    const endpoint = endpoints.get(socket) ?? endpoints.get(socket._parent ?? socket) ?? '';
    answer(incoming, outgoing, endpoint).catch(() => incoming.socket.destroy());
  };

  const answer = async (incoming: IncomingMessage, outgoing: ServerResponse, endpoint: string): Promise<void> => {
    const gone = new Promise<void>((resolve) => outgoing.once('close', () => resolve()));
    const body = await readAll(incoming);
    const { call, frozen } = calls.begin({
      service,
      endpoint,
      from: incoming.socket.remoteAddress ?? '',
      method: incoming.method!,
      path: incoming.url!,
      headers: incoming.headers,
      body: body.toString(),
    });
    try {
      if (calls.latency() > 0) await Promise.race([delay(calls.latency()), gone]);
      await befall(call, frozen, gone, () => ask(upstream(), incoming, body), outgoing);
    } finally {
      calls.end(call);
    }
  };

  const server = tls === undefined ? createServer(handle) : createTlsServer(tlsOptions(tls), handle);
  const accept = (socket: Socket, endpoint: string) => {
    endpoints.set(socket, endpoint);
    sockets.add(socket);
    socket.unref();
    socket.once('close', () => sockets.delete(socket));
    server.emit('connection', socket);
  };
  const serve = (listener: Server, endpoint: string) => {
    listener.on('connection', (socket) => accept(socket, endpoint));
    listener.unref();
    listeners.push(listener);
  };
  const cutConnections = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    serve,
    listen: async (endpoint) => {
      const listener = createListener();
      serve(listener, endpoint);
      await new Promise<void>((resolve, reject) => {
        listener.once('error', reject);
        listener.listen(0, '127.0.0.1', resolve);
      });
      return (listener.address() as { port: number }).port;
    },
    cutConnections,
    close: () => {
      for (const listener of listeners) listener.close();
      cutConnections();
    },
  };
}

/** Answers a call as its fault wants it. `gone` resolves when the client has left. */
async function befall(
  call: Call,
  frozen: Promise<void>,
  gone: Promise<void>,
  ask: () => Promise<Answer>,
  outgoing: ServerResponse,
): Promise<void> {
  const { fault } = call;
  const pass = async () => {
    const answer = await ask();
    call.passed = { status: answer.status, body: answer.body.toString() };
    return answer;
  };
  const send = ({ status, headers, body }: Answer) => {
    if (outgoing.destroyed) return;
    call.status = status;
    outgoing.writeHead(status, headers);
    outgoing.end(body);
  };
  switch (fault?.kind) {
    case undefined:
      return send(await pass());
    case 'delay':
      await Promise.race([delay(fault.ms), gone]);
      return send(await pass());
    case 'answer':
      if (fault.passOn) await pass();
      return send(made(fault));
    case 'freeze': {
      const late = fault.when === 'after' ? await pass() : undefined;
      await Promise.race([frozen, gone]);
      if (!outgoing.destroyed) send(late ?? (await pass()));
      return;
    }
    case 'late':
      await frozen;
      return send(await pass());
    case 'cut':
      if (fault.when === 'after') await pass();
      outgoing.socket?.resetAndDestroy();
      return;
    case 'half': {
      const whole = await pass();
      outgoing.writeHead(whole.status, whole.headers);
      // An answer without a body is cut within its head.
      if (whole.body.length > 0) outgoing.write(whole.body.subarray(0, whole.body.length / 2));
      else outgoing.socket?.write(`HTTP/1.1 ${whole.status} `);
      await new Promise((resolve) => setImmediate(resolve));
      outgoing.socket?.end();
      return;
    }
  }
}

/** An answer that looks like one of Neutron or Keystone; both write errors as JSON (neutron.api.v2.resource, keystone's). */
function made(fault: Extract<Fault, { kind: 'answer' }>): Answer {
  const error = {
    message: `made up by the test bed: ${fault.status}`,
    type: 'TestBed',
    detail: '',
    code: fault.status,
  };
  const body = Buffer.from(fault.body ?? JSON.stringify({ NeutronError: error, error }));
  return {
    status: fault.status,
    headers: { 'content-type': 'application/json', ...fault.headers, 'content-length': `${body.length}` },
    body,
  };
}

/** Asks the service. One that does not run is answered for as HAProxy does, by 503, and one that dies over it by 502. */
function ask(socketPath: string, incoming: IncomingMessage, body: Buffer): Promise<Answer> {
  return new Promise((resolve) => {
    const failed = ({ code }: NodeJS.ErrnoException) => {
      const isThere = code !== 'ECONNREFUSED' && code !== 'ENOENT';
      const [status, words] = isThere ? [502, '502 Bad Gateway'] : [503, '503 Service Unavailable'];
      resolve({
        status,
        headers: { 'content-type': 'text/html', connection: 'close' },
        body: Buffer.from(`<html><body><h1>${words}</h1></body></html>\n`),
      });
    };
    const headers: Record<string, string | string[]> = {};
    for (const [name, value] of Object.entries(incoming.headers)) {
      if (value !== undefined && !perConnection.has(name)) headers[name] = value;
    }
    if (body.length > 0) headers['content-length'] = `${body.length}`;
    const sent = request(
      { socketPath, path: incoming.url, method: incoming.method, agent: false, headers },
      (answer) => {
        readAll(answer).then((whole) => {
          const kept: Record<string, string | string[]> = {};
          for (const [name, value] of Object.entries(answer.headers)) {
            if (value !== undefined && !perConnection.has(name)) kept[name] = value;
          }
          const empty = answer.statusCode === 204 || answer.statusCode === 304;
          if (!empty && incoming.method !== 'HEAD') kept['content-length'] = `${whole.length}`;
          resolve({ status: answer.statusCode!, headers: kept, body: whole });
        }, failed);
      },
    );
    sent.once('error', failed);
    sent.end(body);
  });
}

/** Headers that concern one connection only (RFC 9110, section 7.6.1), and the length, which is computed anew. */
const perConnection = new Set(['connection', 'keep-alive', 'transfer-encoding', 'content-length', 'upgrade', 'te']);

async function readAll(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function tlsOptions({ key, cert, ca }: NonNullable<ProxyOptions['tls']>) {
  return ca === undefined ? { key, cert } : { key, cert, ca, requestCert: true, rejectUnauthorized: true };
}

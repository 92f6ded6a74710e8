/**
 * Serves the plugin protocol under one plugin name, on bare node:http. What engines demand of such a server stands in
 * docs/protocol.md; the parts that are easy to get wrong (retries with an empty body, kept connections, drain) are tested.
 */

import { createServer, type Server, type ServerOptions } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Logger } from 'pino';
import { BerthError } from '../model/errors.ts';
import { type Connections, watchConnections } from './connections.ts';
import { dispatcher, type FinishedCall, refuse, refuseConnect } from './dispatch.ts';
import type { IpamDriver, NetworkDriver } from './driver.ts';
import { type ListenAt, type Listening, listen, tlsOptions } from './listen.ts';
import { shown } from './text.ts';

export interface PluginServerOptions {
  /** The plugin name: the driver's name in `docker network create -d NAME`. */
  readonly name: string;
  readonly network: NetworkDriver;
  readonly ipam: IpamDriver;
  readonly logger: Logger;
  /** Every call is answered within this; 10,000 unless told. */
  readonly timeoutMs?: number;
  /** How long the headers of a request may take once it has begun; 10,000 unless told. */
  readonly headerTimeoutMs?: number;
  /** Told of every call after its answer, for metrics. Must not throw. */
  readonly onCall?: (call: FinishedCall) => void;
}

export interface PluginServer {
  readonly name: string;
  /** Where it listens, as URLs. */
  readonly addresses: readonly string[];
  /**
   * Starts to listen; several times for several addresses. Engines find the plugin when this resolves, not before.
   *
   * @throws BerthError BAD_CONFIG, SOCKET_IN_USE, SHUTTING_DOWN
   */
  listen(at: ListenAt): Promise<void>;
  /** Takes the plugin's name away, answers what has been asked (for at most `timeoutMs`), and stops. Never rejects. */
  close(): Promise<void>;
}

interface Served {
  readonly server: Server;
  readonly listening: Listening;
  readonly connections: Connections;
}

/** Makes a server that does not listen yet. @throws BerthError BAD_CONFIG when no plugin can have that name. */
export function createPluginServer(options: PluginServerOptions): PluginServer {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}$/.test(options.name))
    throw new BerthError('BAD_CONFIG', `${shown(options.name)} cannot be the name of a plugin`);
  const timeoutMs = options.timeoutMs ?? 10_000;
  const served: Served[] = [];
  let closing: Promise<void> | undefined;

  const serve = dispatcher({
    ...options,
    logger: options.logger.child({ plugin: options.name }),
    timeoutMs,
    closing: () => closing !== undefined,
  });

  return {
    name: options.name,
    get addresses() {
      return served.map(({ listening }) => listening.address);
    },
    listen: async (at) => {
      if (closing !== undefined) throw new BerthError('SHUTTING_DOWN', `plugin ${options.name} is shutting down`);
      const server = makeServer(at);
      server.on('request', serve).on('checkExpectation', serve).on('connect', refuseConnect);
      const connections = watchConnections(server, options.headerTimeoutMs ?? 10_000, refuse);
      try {
        served.push({ server, listening: await listen(server, at, options.name), connections });
      } catch (error) {
        connections.stop();
        throw error;
      }
    },
    close: () => {
      closing ??= Promise.all(served.map((one) => drain(one, timeoutMs))).then(() => undefined);
      return closing;
    },
  };
}

function makeServer(at: ListenAt): Server {
  const http: ServerOptions = {
    // All of Node's own timers are off; connections.ts tells why, and stands in their place.
    keepAliveTimeout: 0,
    headersTimeout: 0,
    requestTimeout: 0,
    // HTTP/1.1 wants a Host header; a client without one is no reason to fail.
    requireHostHeader: false,
  };
  if (at.kind === 'unix') return createServer(http);
  const tls = tlsOptions(at);
  try {
    return createTlsServer({ ...http, ...tls });
  } catch (error) {
    throw new BerthError(
      'BAD_CONFIG',
      `the certificates of ${at.certificate} do not work: ${(error as Error).message}`,
    );
  }
}

/**
 * Who has connected just before the name went is about to ask; to close on him would make the engine repeat the request without
 * its body. Docker connects when it has a request, or has had one that another connection took: that one stays silent.
 */
const HEAR_MS = 100;

/** The name goes first: whoever found it is served, and nobody finds a name behind which nobody serves. */
async function drain({ server, listening, connections }: Served, limitMs: number): Promise<void> {
  listening.withdraw();
  const deadline = after(limitMs);
  const hearing = after(HEAR_MS);
  await connections.accepted();
  await Promise.race([connections.heard(), hearing.promise]);
  // A process that stood still meanwhile has yet to read what has come in time.
  await connections.accepted();
  await Promise.race([connections.idle(), deadline.promise]);
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  connections.closeIdle();
  await Promise.race([closed, deadline.promise]);
  connections.destroyAll();
  connections.stop();
  deadline.cancel();
  hearing.cancel();
  await closed;
}

function after(milliseconds: number): { readonly promise: Promise<void>; readonly cancel: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, milliseconds);
  return { promise, cancel: () => clearTimeout(timer) };
}

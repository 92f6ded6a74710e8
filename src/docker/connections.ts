/**
 * Watches the connections of one server, in place of Node's own timeouts. Docker keeps connections open for hours, some of
 * which it has never used (Go dials while it waits for a busy one), and a connection that is closed just as it sends a
 * request makes it repeat that request with an empty body (moby#33412). So a silent connection is never closed, for however
 * long; only one that began a request and does not finish its headers.
 */

import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';

interface Connection {
  /** It has carried a request. */
  used: boolean;
  /** Requests that are being read or answered. */
  active: number;
  /** The request whose body is still being read. */
  reading?: IncomingMessage | undefined;
  /** Bytes that had come when the last request was over. */
  quietAt: number;
  /** When bytes of a next request were first seen, in milliseconds of `performance.now()`. */
  partialSince?: number | undefined;
  /** Cannot be read any further: close it when what it asked has been answered. */
  broken: boolean;
}

export interface Connections {
  /** Resolves when the connections that clients had made by now, as the kernel sees it, have been accepted. */
  accepted(): Promise<void>;
  /** Resolves when every connection has carried a request. */
  heard(): Promise<void>;
  /** Resolves when no request is being read or answered, nor has come that was not read yet: in the turn after one that looked. */
  idle(): Promise<void>;
  /** Closes connections that nothing is asked on; answers that are still being written get out. */
  closeIdle(): void;
  destroyAll(): void;
  stop(): void;
}

/**
 * @param headerTimeoutMs how long the headers of a request may take, to within half as much again.
 * @param refuse answers a request that is not HTTP, and closes.
 */
export function watchConnections(
  server: Server,
  headerTimeoutMs: number,
  refuse: (error: NodeJS.ErrnoException, socket: Socket) => void,
): Connections {
  const open = new Map<Socket, Connection>();
  /** Those of `open`, and with TLS the ones underneath, of which some have not finished their handshake. */
  const sockets = new Set<Socket>();
  const waiting = new Set<() => void>();
  let active = 0;
  let accepted = 0;

  const when = (condition: () => boolean): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const check = () => {
      if (!condition()) return;
      waiting.delete(check);
      resolve();
    };
    waiting.add(check);
    check();
    return promise;
  };
  const changed = () => {
    for (const check of waiting) check();
  };

  const opened = (socket: Socket) => {
    open.set(socket, { used: false, active: 0, quietAt: socket.bytesRead, broken: false });
    socket.once('close', () => {
      open.delete(socket);
      changed();
    });
  };
  server.on(server instanceof TlsServer ? 'secureConnection' : 'connection', opened);
  server.on('connection', (socket: Socket) => {
    accepted++;
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });

  // Before the listener that serves requests, so that the counts are right when it runs.
  server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
    const connection = open.get(request.socket);
    if (connection === undefined) return;
    active++;
    connection.active++;
    connection.used = true;
    changed();
    connection.partialSince = undefined;
    connection.reading = request;
    request.once('end', () => {
      if (connection.reading === request) connection.reading = undefined;
    });
    response.once('close', () => {
      active--;
      connection.active--;
      connection.quietAt = request.socket.bytesRead;
      if (connection.broken && connection.active === 0) request.socket.destroySoon();
      changed();
    });
  });

  server.on('clientError', (error: NodeJS.ErrnoException, stream) => {
    const socket = stream as Socket;
    const connection = open.get(socket);
    // Unknown is a client that failed the TLS handshake; nothing that it could read can be written to it.
    if (connection === undefined || error.code === 'ECONNRESET' || !socket.writable) socket.destroy();
    else if (connection.active === 0) refuse(error, socket);
    else {
      connection.broken = true;
      if (connection.reading?.complete === false) connection.reading.emit('error', error);
    }
  });

  const sweep = setInterval(() => {
    const now = performance.now();
    for (const [socket, connection] of open) {
      if (connection.active > 0 || socket.bytesRead === connection.quietAt) continue;
      connection.partialSince ??= now;
      if (now - connection.partialSince >= headerTimeoutMs) socket.destroy();
    }
  }, headerTimeoutMs / 2);
  sweep.unref();

  return {
    accepted: async () => {
      for (let before = -1; before !== accepted; ) {
        before = accepted;
        await turns();
      }
    },
    heard: () => when(() => [...open.values()].every((connection) => connection.used)),
    idle: async () => {
      do {
        await when(() => active === 0);
        await turns();
      } while (active > 0);
    },
    closeIdle: () => {
      for (const [socket, connection] of open) if (connection.active === 0) socket.destroySoon();
    },
    destroyAll: () => {
      for (const socket of sockets) socket.destroy();
    },
    stop: () => clearInterval(sweep),
  };
}

/** Two turns of the event loop: between them lies a whole poll for new connections, and for what has come on those that there are. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
}

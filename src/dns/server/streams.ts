/** Questions and answers over TCP (RFC 1035 §4.2.2, RFC 7766): the length goes before each message. */

import type { Server, Socket } from 'node:net';
import { type Lookup, respond } from './respond.ts';

export interface StreamParts {
  /** Listens already. */
  readonly server: Server;
  /** A connection to the next resolver. */
  onward(): Promise<Socket>;
  readonly lookup: Lookup;
}

export interface Streams {
  /** Takes no more connections, and ends those that are open. */
  close(): void;
}

/** Connections at a time. */
const MOST = 64;
/** Milliseconds in which something has to happen on a connection: the engine's resolver needs at most 12 s. */
const IDLE = 15_000;
/** Longer ones are no questions; who sends one byte by byte is not to cost much. */
const LARGEST_QUERY = 4096;
/** Answers that nobody takes, in bytes. */
const MOST_UNREAD = 256 * 1024;

export function relayStreams({ server, onward, lookup }: StreamParts): Streams {
  const open = new Set<Socket>();
  let turn = 0;
  server.maxConnections = MOST;

  function accept(client: Socket): void {
    let next: Promise<Socket | undefined> | undefined;
    const keep = (socket: Socket): void => {
      open.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => open.delete(socket));
      socket.setTimeout(IDLE, () => socket.destroy());
    };
    const write = (socket: Socket, message: Uint8Array): void => {
      if (socket.writableLength > MOST_UNREAD) socket.destroy();
      else socket.write(Buffer.concat([Buffer.of(message.length >> 8, message.length & 255), message]));
    };
    /** One for all that is handed on for a client, made when it is first needed. */
    const connect = async (): Promise<Socket | undefined> => {
      try {
        const socket = await onward();
        keep(socket);
        if (client.destroyed) socket.destroy();
        socket.on(
          'data',
          messages((message) => write(client, message)),
        );
        socket.on('close', () => client.end());
        client.on('close', () => socket.destroy());
        return socket;
      } catch {
        client.destroy();
        return undefined;
      }
    };

    function ask(message: Buffer): void {
      turn = (turn + 1) & 0xffff;
      const response = respond(message, lookup, 'tcp', turn);
      if (response === 'ignore') return;
      if (response !== 'onward') {
        write(client, response);
        return;
      }
      next ??= connect();
      void next.then((socket) => socket !== undefined && write(socket, message));
    }

    keep(client);
    client.on(
      'data',
      messages(ask, LARGEST_QUERY, () => client.destroy()),
    );
  }

  server.on('connection', accept);
  server.on('error', () => undefined);

  return {
    close() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

/**
 * Puts together what comes in parts. What is kept is at most one message and what came with its end.
 *
 * @param most the longest message that is taken.
 */
export function messages(
  take: (message: Buffer) => void,
  most = 0xffff,
  tooLong: () => void = () => undefined,
): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (rest.length >= at + 2) {
      const end = at + 2 + rest.readUInt16BE(at);
      if (end - at - 2 > most) {
        tooLong();
        rest = Buffer.alloc(0);
        return;
      }
      if (rest.length < end) break;
      take(rest.subarray(at + 2, end));
      at = end;
    }
    rest = rest.subarray(at);
  };
}

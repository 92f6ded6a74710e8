/**
 * One HTTP/2 connection to one member of etcd, and gRPC on it (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
 * It notices when the other end has fallen silent, for a process that is frozen keeps its connections.
 */

import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2';
import { GrpcError, lost, statusCodes } from './status.ts';

export interface TlsFiles {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

export interface Endpoint {
  /** http://host:port or https://host:port. */
  readonly url: string;
  readonly tls?: TlsFiles;
}

export type Metadata = Readonly<Record<string, string>>;

export interface Connection {
  readonly url: string;
  /**
   * Asks once and waits for the answer.
   *
   * @param deadline in milliseconds.
   * @throws GrpcError
   */
  unary(method: string, request: Buffer, metadata: Metadata, deadline: number): Promise<Buffer>;
  /** Sends one message and gives all that come back, until the signal aborts. Reads no further than its consumer. Throws GrpcError. */
  stream(method: string, request: Buffer, metadata: Metadata, signal: AbortSignal): AsyncGenerator<Buffer, void, void>;
  /** No new calls; those under way go on. */
  retire(): void;
  close(): void;
}

/** Milliseconds of silence after which a call that waits makes us ask whether anybody is there. */
const SILENCE_OF_CALL = 1000;
/** The same while there are only watches, which may have nothing to tell. */
const SILENCE_OF_WATCH = 8000;
/** Milliseconds that the answer to that may take. */
const PING_PATIENCE = 1500;
/** etcd closes the connection of who asks more often than each 5 s (--grpc-keepalive-min-time). */
const PING_INTERVAL = 5000;
const CHECK_INTERVAL = 250;

/** Longer messages are no answers to Berth's questions. */
const LONGEST_MESSAGE = 256 * 1024 * 1024;
const WINDOW = 4 * 1024 * 1024;

/**
 * Connects, and waits until the other end has spoken HTTP/2: that a connection was accepted says nothing about a process that is
 * frozen.
 *
 * @param ended called once, when the connection takes no more calls.
 * @throws GrpcError of which nothing has been sent.
 */
export async function openConnection(endpoint: Endpoint, patience: number, ended: () => void): Promise<Connection> {
  const session = connect(endpoint.url, {
    ...endpoint.tls,
    settings: { enablePush: false, initialWindowSize: WINDOW },
    maxSessionMemory: 512,
  });
  let reason = `${endpoint.url} closed the connection`;
  session.on('error', (error) => {
    reason = `${endpoint.url}: ${describe(error)}`;
  });
  // A member whose machine has gone says no word of farewell, and while nothing is asked no ping is allowed.
  session.once('connect', (_, socket) => socket.setKeepAlive(true, 10_000));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => {
    reason = `${endpoint.url} did not answer within ${patience} ms`;
    session.destroy();
  }, patience);
  session.once('remoteSettings', () => resolve());
  session.once('close', () => reject(lost(reason, true)));
  try {
    await promise;
  } finally {
    clearTimeout(timer);
  }
  session.setLocalWindowSize(WINDOW);
  return converse(session, endpoint.url, () => reason, ended);
}

function converse(session: ClientHttp2Session, url: string, why: () => string, ended: () => void): Connection {
  let heard = performance.now();
  let pinged = -PING_INTERVAL;
  let silent: string | undefined;
  let calls = 0;
  let streams = 0;
  let over = false;
  const hear = () => {
    heard = performance.now();
  };
  const end = () => {
    if (over) return;
    over = true;
    ended();
  };
  const giveUp = () => {
    silent = `${url} does not answer`;
    end();
    session.destroy();
  };

  /** Looks now and then whether the other end has said anything lately, and asks if it has not. */
  const check = () => {
    const now = performance.now();
    if (calls + streams === 0 || now - pinged < PING_INTERVAL) return;
    if (now - heard < (calls > 0 ? SILENCE_OF_CALL : SILENCE_OF_WATCH)) return;
    pinged = now;
    const timer = setTimeout(giveUp, PING_PATIENCE);
    // A ping that fails does so because the session ends, which is seen elsewhere.
    session.ping((error) => {
      clearTimeout(timer);
      if (error === null) hear();
    });
  };
  const checking = setInterval(check, CHECK_INTERVAL).unref();

  session.on('goaway', end);
  session.once('close', () => {
    clearInterval(checking);
    end();
  });

  const request = (method: string, metadata: Metadata): ClientHttp2Stream => {
    if (session.closed || session.destroyed) throw lost(silent ?? why(), true);
    try {
      return session.request({
        ':method': 'POST',
        ':path': method,
        'content-type': 'application/grpc',
        te: 'trailers',
        'user-agent': 'berth',
        ...metadata,
      });
    } catch (error) {
      // It is about to end, or has used up its numbers for streams.
      end();
      throw lost(`${url}: ${describe(error as Error)}`, true);
    }
  };
  /** Why a stream ended without gRPC's status. */
  const broken = (stream: ClientHttp2Stream, error?: Error): GrpcError => {
    const untouched = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM;
    const detail = error === undefined || session.destroyed ? why() : `${url}: ${describe(error)}`;
    return lost(silent ?? detail, untouched);
  };

  return {
    url,
    async unary(method, body, metadata, deadline) {
      const stream = request(method, metadata);
      const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
      const chunks: Buffer[] = [];
      const since = performance.now();
      let failure: Error | undefined;
      let status: GrpcError | undefined;
      const timer = setTimeout(() => {
        reject(new GrpcError(statusCodes.deadlineExceeded, `${url} did not answer within ${Math.round(deadline)} ms`));
        stream.close(constants.NGHTTP2_CANCEL);
        // Not a word for the whole time: whoever comes next should ask another.
        if (heard < since) giveUp();
      }, deadline);
      const headers = (received: IncomingHttpHeaders) => {
        hear();
        status = statusOf(received) ?? status;
      };
      calls++;
      stream.on('response', headers);
      stream.on('trailers', headers);
      stream.on('data', (chunk: Buffer) => {
        hear();
        chunks.push(chunk);
      });
      stream.on('error', (error) => {
        failure = error;
      });
      stream.on('close', () => {
        calls--;
        clearTimeout(timer);
        if (status === undefined) reject(broken(stream, failure));
        else if (status.status !== statusCodes.ok) reject(status);
        else {
          try {
            resolve(onlyMessage(chunks));
          } catch (error) {
            reject(error as Error);
          }
        }
      });
      stream.end(frame(body));
      return await promise;
    },
    async *stream(method, body, metadata, signal) {
      if (signal.aborted) return;
      const stream = request(method, metadata);
      const abort = () => stream.close(constants.NGHTTP2_CANCEL);
      let status: GrpcError | undefined;
      const headers = (received: IncomingHttpHeaders) => {
        hear();
        status = statusOf(received) ?? status;
      };
      streams++;
      stream.on('response', headers);
      stream.on('trailers', headers);
      signal.addEventListener('abort', abort, { once: true });
      stream.write(frame(body));
      try {
        const split = createSplitter();
        for await (const chunk of stream as AsyncIterable<Buffer>) {
          hear();
          for (const message of split(chunk)) {
            if (signal.aborted) return;
            yield message;
          }
        }
        if (signal.aborted) return;
        throw status === undefined || status.status === statusCodes.ok ? broken(stream) : status;
      } catch (error) {
        if (signal.aborted) return;
        throw error instanceof GrpcError ? error : (status ?? broken(stream, error as Error));
      } finally {
        streams--;
        signal.removeEventListener('abort', abort);
        stream.on('error', () => {});
        stream.close(constants.NGHTTP2_CANCEL);
      }
    },
    retire() {
      end();
      session.close();
    },
    close() {
      end();
      session.destroy();
    },
  };
}

/** A message with gRPC's prefix: not compressed, and its length. */
function frame(message: Buffer): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** Cuts what comes into messages. */
function createSplitter(): (chunk: Buffer) => Buffer[] {
  let pending: Buffer[] = [];
  let size = 0;
  return (chunk) => {
    pending.push(chunk);
    size += chunk.length;
    const messages: Buffer[] = [];
    while (size >= 5) {
      let head = pending[0]!;
      if (head.length < 5) {
        head = Buffer.concat(pending);
        pending = [head];
      }
      const length = head.readUInt32BE(1);
      if (head[0] !== 0)
        throw new GrpcError(statusCodes.unimplemented, 'a compressed message, which was not asked for');
      if (length > LONGEST_MESSAGE) throw new GrpcError(statusCodes.resourceExhausted, `a message of ${length} bytes`);
      if (size < 5 + length) break;
      const all = pending.length === 1 ? head : Buffer.concat(pending);
      messages.push(all.subarray(5, 5 + length));
      pending = [all.subarray(5 + length)];
      size -= 5 + length;
    }
    return messages;
  };
}

function onlyMessage(chunks: readonly Buffer[]): Buffer {
  const [message] = createSplitter()(Buffer.concat(chunks));
  if (message === undefined) throw new GrpcError(statusCodes.unknown, 'an answer without a message');
  return message;
}

/** gRPC's status from headers or trailers, or that of a server which does not speak gRPC; undefined where there is none yet. */
function statusOf(headers: IncomingHttpHeaders): GrpcError | undefined {
  const status = headers['grpc-status'];
  if (status !== undefined) {
    const text = headers['grpc-message'];
    return new GrpcError(Number(status), typeof text === 'string' ? decodePercent(text) : `status ${String(status)}`);
  }
  const http = headers[':status'];
  if (http === undefined || Number(http) === 200) return undefined;
  return new GrpcError(statusCodes.unimplemented, `HTTP status ${String(http)}: no gRPC is spoken there`);
}

function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function describe(error: Error): string {
  const code = 'code' in error ? String(error.code) : '';
  switch (code) {
    case 'ECONNREFUSED':
      return 'connection refused';
    case 'ECONNRESET':
      return 'connection reset';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'the name is not known';
    default:
      return error.message;
  }
}

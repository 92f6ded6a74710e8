/** One exchange of HTTP with an API server, over connections that are kept, with limits of time and size. */

import { Agent, type ClientRequest, type IncomingMessage, request as plainRequest } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { type Bounds, timeLeft } from './bounds.ts';
import { secureContext, type TlsSettings } from './tls.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

export interface HttpRequest {
  readonly method: Method;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  readonly bounds: Bounds;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

export interface HttpOptions {
  readonly tls?: TlsSettings | undefined;
  /** Milliseconds for one exchange; 30,000 unless told: Neutron binds a port within the request that makes it, which may take long. */
  readonly callLimit?: number | undefined;
  /** Connections to one server at the same time; 16 unless told. More requests wait their turn. */
  readonly connections?: number | undefined;
  /** Bytes of one answer; 64 MiB unless told: 10,000 ports are some 15 MB. */
  readonly answerLimit?: number | undefined;
}

export interface Http {
  /** @throws HttpFailure when there is no whole answer. An answer of any status is one. */
  exchange(request: HttpRequest): Promise<HttpAnswer>;
  /** Milliseconds that one exchange may take. */
  readonly callLimit: number;
  close(): void;
}

export type FailureKind = 'unreachable' | 'certificate' | 'silent' | 'out of time' | 'ended' | 'broken' | 'too large';

/** Why there is no answer. */
export class HttpFailure extends Error {
  readonly kind: FailureKind;
  /** Whether the server may have got the request, and acted on it. */
  readonly sent: boolean;

  constructor(kind: FailureKind, sentence: string, sent: boolean, cause?: unknown) {
    super(sentence, { cause });
    this.name = 'HttpFailure';
    this.kind = kind;
    this.sent = sent;
  }
}

/** Less than the 5 s after which Apache and Node close connections that are idle. */
const IDLE = 4000;
/** Milliseconds to be connected, TLS included: a host that is switched off refuses nothing. */
const CONNECT_LIMIT = 3000;
/** An answer that takes longer than this, and then does not come, says that the server is not well; less may be our own hurry. */
export const SILENCE = 3000;

/**
 * @throws BerthError BAD_CONFIG for certificates that cannot be read.
 */
export function createHttp(options: HttpOptions = {}): Http {
  const { callLimit = 30_000, connections = 16, answerLimit = 64 * 1024 * 1024 } = options;
  const kept = { keepAlive: true, maxSockets: connections, timeout: IDLE } as const;
  const plain = new Agent(kept);
  // Made once: to read what the host trusts takes longer than a handshake.
  const context = secureContext(options.tls ?? {});
  const secure = new TlsAgent({ ...kept, secureContext: context, rejectUnauthorized: options.tls?.insecure !== true });

  function exchange({ method, url, headers, body, bounds }: HttpRequest): Promise<HttpAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
    const began = performance.now();
    const limit = Math.min(callLimit, timeLeft(bounds));
    const isTls = url.protocol === 'https:';
    let connected = false;
    let settled = false;
    let connecting: NodeJS.Timeout | undefined;
    const timer = setTimeout(() => outOfTime(), Math.max(0, limit));
    const fail = (kind: FailureKind, sentence: string, cause?: unknown): void => {
      if (!settled) reject(new HttpFailure(kind, sentence, connected, cause));
      end();
      outgoing.destroy();
    };
    const onAbort = () => fail('ended', 'the operation was ended');
    const end = (): void => {
      settled = true;
      clearTimeout(timer);
      clearTimeout(connecting);
      bounds.signal?.removeEventListener('abort', onAbort);
    };
    const outOfTime = (): void => {
      const waited = `no answer within ${((performance.now() - began) / 1000).toFixed(1)} s`;
      fail(performance.now() - began >= Math.min(SILENCE, callLimit) ? 'silent' : 'out of time', waited);
    };

    const outgoing: ClientRequest = (isTls ? tlsRequest : plainRequest)(url, {
      method,
      agent: isTls ? secure : plain,
      headers: { ...headers, ...(body === undefined ? {} : { 'Content-Length': Buffer.byteLength(body) }) },
    });
    outgoing.once('socket', (socket) => {
      if (outgoing.reusedSocket || !socket.connecting) {
        connected = true;
        return;
      }
      connecting = setTimeout(
        () => fail('unreachable', `no connection within ${CONNECT_LIMIT / 1000} s`),
        Math.min(CONNECT_LIMIT, callLimit),
      );
      socket.once(isTls ? 'secureConnect' : 'connect', () => {
        connected = true;
        clearTimeout(connecting);
      });
    });
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      if (connected) fail('broken', `the connection broke: ${error.message}`, error);
      else if (isCertificateError(error)) fail('certificate', describe(error), error);
      else fail('unreachable', describe(error), error);
    });
    outgoing.once('response', (response) => {
      readAll(response, answerLimit).then(
        (text) => {
          end();
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
        },
        (error: unknown) =>
          error === tooLarge
            ? fail('too large', `the answer is larger than ${answerLimit} bytes`)
            : fail('broken', 'only a part of the answer came', error),
      );
    });
    bounds.signal?.addEventListener('abort', onAbort, { once: true });
    if (bounds.signal?.aborted) onAbort();
    else if (limit <= 0) outOfTime();
    else outgoing.end(body);
    return promise;
  }

  return {
    exchange,
    callLimit,
    close() {
      plain.destroy();
      secure.destroy();
    },
  };
}

const tooLarge = Symbol('too large');

async function readAll(response: IncomingMessage, limit: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit) throw tooLarge;
    chunks.push(chunk);
  }
  if (!response.complete) throw new Error('the connection was closed');
  return Buffer.concat(chunks, size).toString('utf8');
}

/** Node and OpenSSL name what is wrong with a certificate or a handshake in the code of the error. */
function isCertificateError({ code = '' }: NodeJS.ErrnoException): boolean {
  return /CERT|SELF_SIGNED|UNABLE_TO_|^ERR_TLS|^ERR_SSL|^ERR_OSSL|^EPROTO$/.test(code);
}

function describe(error: NodeJS.ErrnoException): string {
  // Where a name has several addresses, what went wrong with each is inside.
  const inner = error instanceof AggregateError ? (error.errors as Error[]).map(({ message }) => message) : [];
  return inner.length > 0 ? inner.join(', ') : error.message;
}

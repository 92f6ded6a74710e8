/** Requests to a Docker engine: over its socket or TCP, each with a deadline, every failure a BerthError. */

import { readFileSync } from 'node:fs';
import {
  Agent,
  type ClientRequest,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { BerthError, type ErrorCode } from '../model/errors.ts';
import { errorAnswer } from './engine-wire.ts';
import { printable, shown } from './text.ts';

/** Paths of PEM files, as in Docker's DOCKER_CERT_PATH. */
export interface EngineTls {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

export interface EngineHttpOptions {
  readonly tls?: EngineTls;
  /** Ends all calls. */
  readonly signal?: AbortSignal;
  /** How long the engine may take to change something, in milliseconds; 60,000 unless told. */
  readonly changeDeadlineMs?: number;
}

export interface EngineHttp {
  /** The JSON of an answer; undefined for 404. @throws BerthError ENGINE_UNREACHABLE */
  get(path: string): Promise<unknown>;
  /**
   * Has the engine change something, which may take it longer than to tell something.
   *
   * @returns the JSON of the answer; undefined for an empty one, and for 404 to DELETE: it is gone.
   * @throws BerthError ENGINE_UNREACHABLE; ENGINE_REFUSED, NETWORK_EXISTS for 409, NETWORK_IN_USE for 403, with what it says.
   */
  change(method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<unknown>;
  /** An answer that goes on; the deadline covers only its beginning. @throws BerthError ENGINE_UNREACHABLE */
  stream(path: string, signal: AbortSignal): Promise<IncomingMessage>;
}

/**
 * Milliseconds that the engine may need for a change: it calls the network's plugin several times meanwhile, waits 15 s for one that
 * does not listen (moby `pkg/plugins/client.go`), and makes networks one after the other.
 */
const CHANGE_DEADLINE = 60_000;

/** What the engine says with a status: moby `errdefs`, and for the endpoints of a network libnetwork's `ActiveEndpointsError`. */
const REFUSALS: Readonly<Record<number, ErrorCode>> = { 403: 'NETWORK_IN_USE', 409: 'NETWORK_EXISTS' };

/** An engine with 10,000 containers on one network answers with about 3 MB. */
const MAX_ANSWER = 64 * 1024 * 1024;

type Asking = Pick<RequestOptions, 'method' | 'signal'> & { readonly headers?: Record<string, string | number> };

/** @throws BerthError BAD_CONFIG when the address is neither `unix:///path` nor `tcp://host:port`. */
export function engineHttp(address: string, deadlineMs: number, options: EngineHttpOptions = {}): EngineHttp {
  const { tls, signal: ending } = options;
  const target = parseTarget(address);
  // Connections that are kept do not keep the process.
  const agent =
    tls === undefined
      ? new Agent({ keepAlive: true })
      : new TlsAgent({ keepAlive: true, ca: read(tls.ca), cert: read(tls.certificate), key: read(tls.key) });
  const fail = (what: string, cause?: unknown) =>
    new BerthError('ENGINE_UNREACHABLE', `Docker at ${printable(address, 120)} ${what}`, { cause });

  function open(path: string, options: Asking): ClientRequest {
    const start = tls === undefined ? httpRequest : tlsRequest;
    const headers = { Host: 'docker', Accept: 'application/json', ...options.headers };
    return start({ ...target, ...options, path, agent, headers });
  }

  /** Resolves at the first byte of the answer. */
  function begin(path: string, options: Asking, retry: boolean, body?: string): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const sent = open(path, options);
      sent.once('response', resolve);
      sent.once('error', (error: NodeJS.ErrnoException) => {
        // The engine closed a kept connection just as we used it; asking again is harmless.
        if (retry && sent.reusedSocket && error.code === 'ECONNRESET')
          begin(path, options, false).then(resolve, reject);
        else reject(error);
      });
      sent.end(body);
    });
  }

  async function reasonOf(response: IncomingMessage): Promise<string> {
    const text = (await readAll(response)).toString();
    const parsed = errorAnswer.safeParse(parse(text));
    return printable((parsed.success ? parsed.data.message : text).trim(), 200);
  }

  async function explain(path: string, response: IncomingMessage): Promise<BerthError> {
    return fail(`answers ${response.statusCode} to GET ${path}: ${await reasonOf(response)}`);
  }

  /** Runs `work` with a signal that aborts after the deadline or with `outer`, and names what went wrong. */
  async function bounded<T>(
    request: string,
    outer: AbortSignal[],
    work: (signal: AbortSignal) => Promise<T>,
    deadline = deadlineMs,
  ): Promise<T> {
    const expired = new AbortController();
    const timer = setTimeout(() => expired.abort(), deadline);
    try {
      return await work(AbortSignal.any([...outer, expired.signal, ...(ending === undefined ? [] : [ending])]));
    } catch (error) {
      if (error instanceof BerthError) throw error;
      if (expired.signal.aborted) throw fail(`does not answer ${request} within ${deadline / 1000} s`, error);
      throw fail(`cannot be reached: ${(error as Error).message}`, error);
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    get: (path) =>
      bounded(`GET ${path}`, [], async (signal) => {
        const response = await begin(path, { signal }, true);
        if (response.statusCode === 404) {
          response.resume();
          return undefined;
        }
        if (response.statusCode !== 200) throw await explain(path, response);
        const text = (await readAll(response)).toString();
        const value = parse(text);
        if (value === undefined) throw fail(`answers GET ${path} with what is not JSON: ${shown(text)}`);
        return value;
      }),
    change: (method, path, body) =>
      bounded(
        `${method} ${path}`,
        [],
        async (signal) => {
          const text = body === undefined ? undefined : JSON.stringify(body);
          const headers: Record<string, string | number> =
            text === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) };
          // Not sent twice: the first may have been done.
          const response = await begin(path, { method, headers, signal }, false, text);
          const status = response.statusCode ?? 0;
          if (method === 'DELETE' && status === 404) {
            response.resume();
            return undefined;
          }
          if (status < 200 || status > 299) {
            throw new BerthError(REFUSALS[status] ?? 'ENGINE_REFUSED', `Docker refuses: ${await reasonOf(response)}`);
          }
          return parse((await readAll(response)).toString());
        },
        options.changeDeadlineMs ?? CHANGE_DEADLINE,
      ),
    stream: async (path, signal) => {
      // The deadline must not end the stream later, so it gets a signal of its own.
      const abort = new AbortController();
      const forward = () => abort.abort();
      signal.addEventListener('abort', forward, { once: true });
      if (signal.aborted) forward();
      return bounded(`GET ${path}`, [signal], async (limit) => {
        limit.addEventListener('abort', forward, { once: true });
        const response = await begin(path, { signal: abort.signal }, true);
        if (response.statusCode !== 200) throw await explain(path, response);
        return response;
      });
    },
  };
}

function parseTarget(address: string): RequestOptions {
  if (address.startsWith('unix:///')) return { socketPath: address.slice('unix://'.length) };
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url?.protocol !== 'tcp:' || url.hostname === '')
    throw new BerthError(
      'BAD_CONFIG',
      `${shown(address)} is not the address of an engine, unix:///path or tcp://host:port`,
    );
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port === '' ? 2375 : Number(url.port) };
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new BerthError('BAD_CONFIG', `cannot read ${shown(path)}: ${(error as Error).message}`, { cause: error });
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function readAll(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_ANSWER) throw new Error(`the answer is larger than ${MAX_ANSWER} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

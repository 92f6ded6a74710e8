/** From an HTTP request to an HTTP answer: finds the method, bounds its time, and turns whatever happens into an answer. */

import { type IncomingMessage, type RequestListener, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import { asBerthError, BerthError, type ErrorCode } from '../model/errors.ts';
import { readBody } from './body.ts';
import { type Answer, encodeError } from './encode.ts';
import { type Drivers, routes } from './routes.ts';
import { printable, shown } from './text.ts';

export interface FinishedCall {
  readonly plugin: string;
  /** Such as `NetworkDriver.Join`. */
  readonly method: string;
  /** Absent on success. */
  readonly code?: ErrorCode;
  readonly milliseconds: number;
}

export interface DispatchOptions extends Drivers {
  /** The plugin's name. */
  readonly name: string;
  readonly logger: Logger;
  /** Every request is answered within this. */
  readonly timeoutMs: number;
  readonly onCall?: ((call: FinishedCall) => void) | undefined;
  /** Whether to close connections after their answer. */
  readonly closing: () => boolean;
}

interface Outcome {
  /** 200 for every answer of a method, errors included: of any other status Docker shows the raw text. */
  readonly status: number;
  readonly answer: Answer;
  readonly error?: BerthError;
}

/** The listener that serves requests of engines. It never throws, and answers each request exactly once. */
export function dispatcher(options: DispatchOptions): RequestListener {
  // Slightly early, so that an engine with the same limit gets the answer and not its own timeout.
  const limitMs = options.timeoutMs - Math.min(500, options.timeoutMs / 20);
  return (request, response) => {
    const startedAt = performance.now();
    void outcomeOf(request, limitMs, options).then((outcome) => {
      // What is left of a request that was not read to its end cannot be told from the next one.
      if (!request.complete || options.closing()) response.shouldKeepAlive = false;
      send(response, outcome);
      report(options, printable(pathOf(request).slice(1), 80), performance.now() - startedAt, outcome.error);
    });
  };
}

/** Answers what is not HTTP, or none of ours, and closes. */
export function refuse(error: NodeJS.ErrnoException, socket: Socket): void {
  const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : 400;
  endWith(socket, status, `the request is not HTTP as an engine sends it: ${printable(error.message, 120)}`);
}

/** Without a listener of its own, Node drops a CONNECT without a word. */
export function refuseConnect(_request: IncomingMessage, socket: Socket): void {
  endWith(socket, 405, wrongVerb('CONNECT'));
}

function endWith(socket: Socket, status: number, message: string): void {
  const body = JSON.stringify(encodeError(new BerthError('BAD_REQUEST', message)));
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: ${CONTENT_TYPE}\r\nConnection: close`;
  socket.end(`${head}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

const CONTENT_TYPE = 'application/vnd.docker.plugins.v1.2+json';

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '').split('?', 1)[0]!;
}

function wrongVerb(verb: string): string {
  return `${printable(verb, 20)} is not how a method of the plugin protocol is called; use POST`;
}

async function outcomeOf(request: IncomingMessage, limitMs: number, options: DispatchOptions): Promise<Outcome> {
  const abort = new AbortController();
  const expired = Promise.withResolvers<never>();
  expired.promise.catch(() => undefined);
  const timer = setTimeout(() => {
    const method = printable(pathOf(request).split('.').at(-1)!, 80);
    const error = new BerthError('TIMEOUT', `${method}: no result within ${limitMs / 1000} s`);
    expired.reject(error);
    abort.abort(error);
  }, limitMs);
  try {
    // Before anything is refused, because an answer to a request that is still being sent gets lost.
    const body = await readBody(request, abort.signal);
    return refusal(request) ?? { status: 200, answer: await Promise.race([call(), expired.promise]) };

    async function call(): Promise<Answer> {
      const route = routes.get(pathOf(request))!;
      try {
        return await route(body, options, { plugin: options.name, signal: abort.signal });
      } catch (error) {
        if (abort.signal.aborted)
          options.logger.info({ err: error }, 'a call ended with an error after its time was over');
        throw error;
      }
    }
  } catch (thrown) {
    const error = asBerthError(thrown);
    return { status: 200, answer: encodeError(error), error };
  } finally {
    clearTimeout(timer);
  }
}

/** What is wrong with a request before its body is looked at. */
function refusal(request: IncomingMessage): Outcome | undefined {
  const refused = (status: number, error: BerthError) => ({ status, answer: encodeError(error), error });
  if (!routes.has(pathOf(request)))
    return refused(
      404,
      new BerthError('UNKNOWN_METHOD', `${shown(request.url)} is not a method of the plugin protocol`),
    );
  if (request.method !== 'POST') return refused(405, new BerthError('BAD_REQUEST', wrongVerb(request.method ?? '')));
  const expect = request.headers.expect;
  if (expect !== undefined && expect.toLowerCase() !== '100-continue')
    return refused(417, new BerthError('BAD_REQUEST', `the header Expect: ${printable(expect, 80)} is not understood`));
  return undefined;
}

function send(response: ServerResponse, { status, answer }: Outcome): void {
  const body = JSON.stringify(answer);
  response.sendDate = false;
  response.writeHead(status, {
    'Content-Type': CONTENT_TYPE,
    'Content-Length': Buffer.byteLength(body),
    ...(status === 405 ? { Allow: 'POST' } : {}),
  });
  response.end(body);
}

function report(options: DispatchOptions, method: string, milliseconds: number, error: BerthError | undefined): void {
  const fields = { method, milliseconds: Math.round(milliseconds * 10) / 10 };
  if (error === undefined) options.logger.debug(fields, 'answered');
  else if (error.code === 'INTERNAL')
    options.logger.error({ ...fields, err: error.cause ?? error }, 'failed on a defect');
  else options.logger.warn({ ...fields, code: error.code }, printable(error.message, 1000));
  options.onCall?.({
    plugin: options.name,
    method: routes.has(`/${method}`) ? method : 'unknown',
    ...(error === undefined ? {} : { code: error.code }),
    milliseconds,
  });
}

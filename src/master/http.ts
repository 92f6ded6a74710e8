/** Requests and answers of the master's API. */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { asBerthError, BerthError } from '../model/errors.ts';

export interface ApiRequest {
  readonly method: string;
  /** The path's parts, decoded; a slash at the end makes none. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
  header(name: string): string | undefined;
  /** @throws BerthError BODY_TOO_LARGE, OBJECT_INVALID when it is not a JSON object. */
  body(): Promise<Readonly<Record<string, unknown>>>;
  /** Ends when the client has gone. */
  readonly signal: AbortSignal;
}

export type Answer =
  | { readonly json: unknown; readonly status?: number; readonly headers?: Readonly<Record<string, string>> }
  /** Lines as they come, each a value for JSON. */
  | { readonly lines: AsyncIterable<unknown> };

const MOST_BODY = 1024 * 1024;

/** @throws BerthError OBJECT_INVALID for a path that is not percent-encoded text. */
export function readRequest(request: IncomingMessage, signal: AbortSignal): ApiRequest {
  let url: URL;
  let path: string[];
  try {
    url = new URL(request.url ?? '/', 'http://master');
    path = url.pathname.split('/').map(decodeURIComponent);
  } catch {
    throw new BerthError('BAD_REQUEST', 'the path is not percent-encoded text');
  }
  if (path.at(-1) === '') path.pop();
  return {
    method: request.method ?? 'GET',
    path: path.slice(1),
    query: url.searchParams,
    header(name) {
      const value = request.headers[name];
      return Array.isArray(value) ? value.join(', ') : value;
    },
    body: () => readBody(request),
    signal,
  };
}

async function readBody(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const tooLarge = () => new BerthError('BODY_TOO_LARGE', `the request has more than ${MOST_BODY} bytes`);
  if (Number(request.headers['content-length'] ?? 0) > MOST_BODY) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MOST_BODY) throw tooLarge();
    chunks.push(chunk);
  }
  let body: unknown;
  try {
    body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)));
  } catch (error) {
    const why = size === 0 ? 'it is empty' : error instanceof SyntaxError ? plain(error.message) : 'it is not UTF-8';
    throw new BerthError('OBJECT_INVALID', `the body is not JSON: ${why}`);
  }
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Record<string, unknown>;
  throw new BerthError('OBJECT_INVALID', 'the body is not a JSON object');
}

/** The parser repeats what it was given, all of it and with line breaks. */
function plain(message: string): string {
  return message.length > 120 ? `${message.slice(0, 120)}…` : message;
}

/**
 * Sends an answer, or what went wrong. Never throws.
 *
 * @param defect is told of what is no refusal but a fault of ours.
 */
export async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  work: () => Promise<Answer>,
  defect: (error: BerthError) => void,
): Promise<number> {
  try {
    const answer = await work();
    if ('lines' in answer) return await sendLines(response, answer.lines);
    const { status = 200, headers = {} } = answer;
    response
      .writeHead(status, { 'content-type': 'application/json', ...headers })
      .end(request.method === 'HEAD' ? undefined : `${JSON.stringify(answer.json)}\n`);
    return status;
  } catch (error) {
    const failure = asBerthError(error);
    if (failure.code === 'INTERNAL') defect(failure);
    return sendError(request, response, failure);
  }
}

/**
 * The old sentence as plain text, which is what old clients show; what else there is to say is in headers. Who asks for
 * `application/problem+json` (RFC 9457) gets all of it as that.
 */
function sendError(request: IncomingMessage, response: ServerResponse, error: BerthError): number {
  // What is a defect of ours is for the log; its text may tell what is nobody's business.
  const sentence = error.code === 'INTERNAL' ? 'the master has failed; its log says how' : error.message;
  const { code, next, status } = error;
  if (response.headersSent) {
    response.destroy();
    return status;
  }
  const headers: Record<string, string> = { 'berth-error': code };
  if (code === 'TOKEN_MISSING' || code === 'TOKEN_REFUSED') headers['www-authenticate'] = 'Bearer';
  // The rest of the request is of no interest, and would be taken for the next one.
  if (!request.complete) headers.connection = 'close';
  if (request.headers.accept?.includes('application/problem+json') === true) {
    headers['content-type'] = 'application/problem+json';
    response.writeHead(status, headers).end(`${JSON.stringify({ status, title: code, detail: sentence, next })}\n`);
  } else {
    headers['content-type'] = 'text/plain; charset=utf-8';
    headers['x-content-type-options'] = 'nosniff';
    response.writeHead(status, headers).end(`${sentence}\n`);
  }
  return status;
}

/** A client that reads slowly is waited for, and nothing is kept for it meanwhile. */
async function sendLines(response: ServerResponse, lines: AsyncIterable<unknown>): Promise<number> {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  response.flushHeaders();
  for await (const line of lines) {
    if (response.destroyed) break;
    if (response.write(`${JSON.stringify(line)}\n`)) continue;
    await new Promise<void>((resolve) => {
      response.once('drain', resolve);
      response.once('close', resolve);
    });
  }
  response.end();
  return 200;
}

/** Talks to the agent: JSON over HTTP on its unix socket, as `agent/api.ts` describes it. */

import type { IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import type { ErrorView } from '../agent/api.ts';
import { exitCode, Failure } from './failure.ts';

/**
 * Not imported: as an ES module, `node:http` evaluates all its lazy exports, WebSocket and with it the whole of undici among
 * them, which would take 20 ms of every command.
 */
const { request: httpRequest } = process.getBuiltinModule('node:http');

export interface Client {
  /** @throws Failure when no agent answers, or it answers with an error. */
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body: unknown, options?: { readonly timeout?: number }): Promise<T>;
  delete<T>(path: string): Promise<T>;
  /** One value per line, until the agent closes. */
  follow<T>(path: string): AsyncGenerator<T>;
}

/** Reading takes the agent milliseconds; ten seconds is what it promises Docker for anything. */
const defaultTimeout = 10_000;

export function agentClient(socketPath: string, timeout = defaultTimeout): Client {
  const call = (method: string, path: string, body?: unknown, limit = timeout): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const payload = body === undefined ? undefined : JSON.stringify(body);
      const headers =
        payload === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) };
      // Without an agent of its own the connection ends with the answer, and so the process does too.
      const request = httpRequest({ socketPath, method, path, headers, agent: false });
      let slow: { destroy(error: Error): unknown } = request;
      const deadline = setTimeout(() => slow.destroy(new SlowAgent(limit)), limit);
      request.on('response', (response: IncomingMessage) => {
        slow = response;
        response.on('close', () => clearTimeout(deadline));
        if (path === eventsPath) clearTimeout(deadline);
        resolve(response);
      });
      request.on('error', (error) => {
        clearTimeout(deadline);
        reject(connectionFailure(socketPath, error));
      });
      request.end(payload);
    });

  const exchange = async <T>(method: string, path: string, body?: unknown, limit?: number): Promise<T> => {
    const response = await call(method, path, body, limit);
    const text = await readAll(response, socketPath);
    return understand<T>(response.statusCode ?? 0, text, socketPath);
  };

  return {
    get: (path) => exchange('GET', path),
    delete: (path) => exchange('DELETE', path),
    post: (path, body, options) => exchange('POST', path, body, options?.timeout),
    async *follow<T>(path: string) {
      const response = await call('GET', path);
      if (response.statusCode !== 200) {
        understand(response.statusCode ?? 0, await readAll(response, socketPath), socketPath);
      }
      try {
        for await (const line of createInterface({ input: response, crlfDelay: Number.POSITIVE_INFINITY })) {
          if (line !== '') yield understand<T>(200, line, socketPath);
        }
      } catch (error) {
        if (error instanceof Failure) throw error;
        throw connectionFailure(socketPath, error as Error);
      }
    },
  };
}

/** The one answer that has no end. */
const eventsPath = '/v1/events';

class SlowAgent extends Error {
  constructor(milliseconds: number) {
    super(`did not answer within ${milliseconds / 1000} s`);
  }
}

async function readAll(response: IncomingMessage, socketPath: string): Promise<string> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of response) chunks.push(chunk as Buffer);
  } catch (error) {
    throw connectionFailure(socketPath, error as Error);
  }
  return Buffer.concat(chunks).toString();
}

function isErrorView(value: unknown): value is { error: ErrorView } {
  const view = (value as { error?: Partial<ErrorView> } | null)?.error;
  return typeof view?.code === 'string' && typeof view.message === 'string' && typeof view.next === 'string';
}

function understand<T>(status: number, text: string, socketPath: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw notAnAgent(socketPath);
  }
  if (status >= 200 && status < 300) return value as T;
  if (!isErrorView(value)) throw notAnAgent(socketPath);
  const { code, message, next } = value.error;
  throw new Failure(message, { code, next, exitCode: status === 404 ? exitCode.notFound : exitCode.failed });
}

function notAnAgent(socketPath: string): Failure {
  return new Failure(`what answers on ${socketPath} is not a Berth agent that this command understands`, {
    exitCode: exitCode.unreachable,
    next: 'Use the berth command of the same version as the agent, or name its directory with --run-dir.',
  });
}

/** Why there is no connection, in words, and what helps. */
function connectionFailure(socketPath: string, error: Error & { code?: string }): Failure {
  const unreachable = (why: string, next: string): Failure =>
    new Failure(`no answer from the agent: ${why}`, {
      code: 'AGENT_UNREACHABLE',
      exitCode: exitCode.unreachable,
      next,
    });
  if (error instanceof SlowAgent) {
    return unreachable(`it ${error.message}`, 'Look what it does: journalctl -u berth');
  }
  switch (error.code) {
    case 'ENOENT':
      return unreachable(
        `there is no ${socketPath}`,
        'Start it with: systemctl start berth (or: berth agent), or name its directory with --run-dir.',
      );
    case 'ECONNREFUSED':
      return unreachable(`nothing listens on ${socketPath}`, 'Start it with: systemctl start berth (or: berth agent)');
    case 'EACCES':
    case 'EPERM':
      return unreachable(`you may not open ${socketPath}`, 'Run the command again as root, with sudo.');
    case 'ECONNRESET':
    case 'EPIPE':
      return unreachable('it ended in the middle of its answer', 'Look why: journalctl -u berth');
    default:
      if (error.code?.startsWith('HPE_')) return notAnAgent(socketPath);
      return unreachable(error.message, 'See what is wrong with: berth doctor');
  }
}

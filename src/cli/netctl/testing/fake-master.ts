/** For tests of our side: something that answers over HTTP what it is told to, and netctl in this process. */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { runNetctl } from '../run.ts';

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;

export interface FakeMaster extends AsyncDisposable {
  readonly url: string;
  /** `GET /api/v1/networks/`, with the body of a POST, in order. */
  readonly asked: readonly string[];
  readonly headers: readonly IncomingMessage['headers'][];
}

/** @param answers by `METHOD path`, or one for all: a value to send as JSON, or a function that answers. */
export async function fakeMaster(answers: Readonly<Record<string, unknown>> | Handler): Promise<FakeMaster> {
  const asked: string[] = [];
  const headers: IncomingMessage['headers'][] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      // As Contiv's, it does not look at queries.
      const what = `${request.method} ${request.url?.split('?')[0]}`;
      asked.push(body === '' ? what : `${what} ${body}`);
      headers.push(request.headers);
      const answer = typeof answers === 'function' ? answers : answers[what];
      if (typeof answer === 'function') (answer as Handler)(request, response, body);
      else if (answer !== undefined) response.end(JSON.stringify(answer));
      else response.writeHead(404, { 'content-type': 'text/plain' }).end('404 page not found\n');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    headers,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What the tests take for now. */
export const now = Date.parse('2026-11-20T20:35:02Z');

export async function netctl(
  words: readonly string[],
  options: {
    readonly environment?: NodeJS.ProcessEnv;
    readonly tty?: boolean;
    /** What the user answers, in order. */
    readonly answers?: readonly string[];
  } = {},
): Promise<Outcome> {
  let stdout = '';
  let stderr = '';
  const answers = [...(options.answers ?? [])];
  const ask = (question: string): Promise<string> => {
    stdout += question;
    return Promise.resolve(answers.shift()!);
  };
  const code = await runNetctl(words, {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text), isTTY: options.tty === true },
    now: () => now,
    environment: { HOME: '/nonexistent', ...options.environment },
    terminal: { ask, askSecretly: ask },
  });
  return { code, stdout, stderr };
}

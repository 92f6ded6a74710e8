/** For tests: an agent that says what it is told to say, on a real socket, and the command line in this process. */

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExitCode } from './failure.ts';
import { runBerth } from './run.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

export interface FakeAgent extends AsyncDisposable {
  readonly runDir: string;
  /** `GET /v1/networks`, in order. */
  readonly asked: readonly string[];
}

/**
 * @param answers by `METHOD path`: a value to send as JSON, or a function that answers. Others get NOT_FOUND.
 */
export async function fakeAgent(answers: Readonly<Record<string, unknown>>): Promise<FakeAgent> {
  const runDir = mkdtempSync(join(tmpdir(), 'berth-cli-'));
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const what = `${request.method} ${request.url}`;
    asked.push(what);
    const answer = answers[what];
    if (typeof answer === 'function') (answer as Handler)(request, response);
    else if (answer !== undefined) response.end(JSON.stringify(answer));
    else sendError(response, 404, 'NOT_FOUND', `there is no ${what}`);
  });
  await new Promise<void>((resolve) => server.listen(join(runDir, 'berth.sock'), resolve));
  return {
    runDir,
    asked,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(runDir, { recursive: true, force: true });
    },
  };
}

export function sendError(response: ServerResponse, status: number, code: string, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ error: { code, message, next: `Do what ${code} says.` } }));
}

export interface Outcome {
  readonly code: ExitCode;
  readonly stdout: string;
  readonly stderr: string;
}

/** What the tests take for now. */
export const now = Date.parse('2026-11-20T12:00:00Z');

export async function berth(words: readonly string[], options: { readonly tty?: boolean } = {}): Promise<Outcome> {
  let stdout = '';
  let stderr = '';
  const code = await runBerth(words, {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text), isTTY: options.tty === true },
    now: () => now,
  });
  return { code, stdout, stderr };
}

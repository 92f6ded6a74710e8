/** An engine that answers as a test wants it to, one for each test of a file. */

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'node:test';

export const VERSION = { ApiVersion: '1.51', MinAPIVersion: '1.24', Version: '28.5.2' };

export interface FakeEngine {
  /** Where it listens, as `connectEngine` takes it. */
  readonly address: string;
  /** Paths that were asked for. */
  readonly asked: readonly string[];
  /** Answers these paths (without version) with JSON, a status, or as the function does; others with 404. */
  answer(answers: Record<string, unknown>): Promise<void>;
  /** The server, to do with as a test likes. */
  server(): Server | undefined;
}

export function fakeEngineForEach(): FakeEngine {
  let directory = '';
  let server: Server | undefined;
  let asked: string[] = [];
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'engine-'));
    asked = [];
  });
  afterEach(async () => {
    server?.closeAllConnections();
    await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
    server = undefined;
    rmSync(directory, { recursive: true });
  });
  return {
    get address() {
      return `unix://${directory}/docker.sock`;
    },
    get asked() {
      return asked;
    },
    server: () => server,
    answer(answers) {
      const listener: RequestListener = (request, response) => {
        asked.push(request.url!);
        const path = request.url!.replace(/^\/v\d+\.\d+/, '').replace(/\?.*/, '');
        const answer = answers[path];
        if (typeof answer === 'function') return (answer as RequestListener)(request, response);
        if (typeof answer === 'number') response.writeHead(answer).end(JSON.stringify({ message: 'no such\nluck' }));
        else if (answer === undefined) response.writeHead(404).end(JSON.stringify({ message: 'not found' }));
        else response.end(JSON.stringify(answer));
      };
      server = createServer(listener);
      return new Promise((resolve) => server!.listen(`${directory}/docker.sock`, resolve));
    },
  };
}

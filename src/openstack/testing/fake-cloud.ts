/** An HTTP server of the tests' own, which answers as each test says: for errors that a real Keystone or Neutron does not make on demand. */

import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { after, beforeEach } from 'node:test';

export interface Asked {
  readonly line: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
}

export type Answer = (asked: Asked, response: ServerResponse, nth: number) => void;

export interface FakeCloud {
  readonly url: string;
  /** What was asked in this test so far. */
  readonly asked: readonly Asked[];
  readonly lines: readonly string[];
  /** Answers from now on: by `METHOD /path`, without the query. */
  answer(answers: Readonly<Record<string, Answer>>): void;
  /** Connections that were made in this test. */
  readonly connections: number;
}

export function json(body: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Answer {
  return (_, response) => {
    response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
    response.end(JSON.stringify(body));
  };
}

/** The first, then the second, …; the last for ever. */
export function inTurn(...answers: readonly Answer[]): Answer {
  return (asked, response, nth) => answers[Math.min(nth, answers.length - 1)]!(asked, response, nth);
}

/** Takes the request and hangs up. */
export const hangUp: Answer = (_, response) => {
  response.socket?.destroy();
};

/** Never answers. */
export const silence: Answer = () => {};

/** A server for each test of a file, on the loopback interface. Await it once, at the top of the file. */
export async function fakeCloud(): Promise<FakeCloud> {
  let answers: Readonly<Record<string, Answer>> = {};
  let asked: Asked[] = [];
  let connections = 0;
  const sockets = new Set<Socket>();
  const listener: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      const path = request.url!.split('?')[0];
      const nth = asked.filter(({ line }) => line.split('?')[0] === `${request.method} ${path}`).length;
      const one = {
        line: `${request.method} ${request.url}`,
        headers: request.headers,
        body: text === '' ? undefined : JSON.parse(text),
      };
      asked.push(one);
      const answer = answers[`${request.method} ${path}`];
      if (answer === undefined)
        json({ NeutronError: { type: 'NotMade', message: 'not made' } }, 400)(one, response, nth);
      else answer(one, response, nth);
    });
  };
  const server = createServer(listener);
  server.on('connection', (socket) => {
    connections++;
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  beforeEach(() => {
    answers = {};
    asked = [];
    connections = 0;
  });
  after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get asked() {
      return asked;
    },
    get lines() {
      return asked.map(({ line }) => line);
    },
    get connections() {
      return connections;
    },
    answer: (given) => {
      answers = given;
    },
  };
}

/** What a promise is rejected with. */
export async function failureOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}

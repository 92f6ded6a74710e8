/** TCP between network namespaces, each end a process of its own: with chosen source ports, and held open as long as wanted. */

import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export interface Speaker {
  /** The next line that it says; fails after some seconds, or when it ends. */
  next(): Promise<string>;
  say(line: string): void;
  close(): Promise<void>;
}

const SERVER = `
  const { createServer } = require('node:net');
  const { createInterface } = require('node:readline');
  const sockets = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    console.log('from ' + socket.remoteAddress.replace('::ffff:', '') + ' ' + socket.remotePort);
    socket.on('data', (data) => socket.write(socket.remotePort + ' ' + data));
  });
  server.listen(Number(process.argv[1]), '::', () => console.log('ready'));
  createInterface(process.stdin).on('line', (line) => { for (const socket of sockets) socket.write(line + '\\n'); });
`;

const CLIENT = `
  const { connect } = require('node:net');
  const { createInterface } = require('node:readline');
  const [host, port, localPort] = process.argv.slice(1);
  const socket = connect({ host, port: Number(port), localPort: Number(localPort), autoSelectFamily: false });
  socket.on('connect', () => console.log('connected'));
  socket.on('error', (error) => { console.log(error.code); process.exit(1); });
  createInterface(socket).on('line', (line) => console.log(line));
  createInterface(process.stdin).on('line', (line) => socket.write(line + '\\n'));
`;

/** Echoes each line with the client's port as it sees it before it, and says `from ADDRESS PORT` of each that connects. */
export async function serve(netns: string, port: number): Promise<Speaker> {
  const server = speak(netns, SERVER, [String(port)]);
  assert.equal(await server.next(), 'ready');
  return server;
}

/** The first thing that it says is `connected`, or the code of the error. */
export const call = (netns: string, host: string, port: number, localPort: number): Speaker =>
  speak(netns, CLIENT, [host, String(port), String(localPort)]);

const PATIENCE = 5000;

function speak(netns: string, script: string, words: readonly string[]): Speaker {
  const line = ['netns', 'exec', netns, process.execPath, '-e', script, ...words];
  const child: ChildProcessWithoutNullStreams = spawn('ip', line);
  const said: string[] = [];
  let waiting: (() => void) | undefined;
  let errors = '';
  child.stderr.on('data', (data) => {
    errors += String(data);
  });
  createInterface(child.stdout).on('line', (text) => {
    said.push(text);
    waiting?.();
  });
  return {
    async next() {
      if (said.length === 0) {
        await new Promise<void>((resolve) => {
          waiting = resolve;
          setTimeout(resolve, PATIENCE).unref();
        });
      }
      const text = said.shift();
      assert.ok(text !== undefined, `nothing was said in ${netns} ${errors}`);
      return text;
    },
    say: (text) => void child.stdin.write(`${text}\n`),
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
  };
}

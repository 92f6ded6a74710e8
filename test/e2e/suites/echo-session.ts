/**
 * A session as ssh would be: two programs with a connection between them on which numbered lines go there and come back all the
 * time.
 *
 *   node echo-session.ts serve PORT        sends back what it is sent, and goes on
 *   node echo-session.ts talk ADDRESS PORT writes each number that has come back in its turn; ends when one does not
 */

import { connect, createServer } from 'node:net';

/** Milliseconds between lines. */
const PACE = 5;

function serve(port: number): void {
  createServer((socket) => {
    socket.setNoDelay(true).pipe(socket);
    socket.on('error', () => socket.destroy());
  }).listen({ port, host: '::' }, () => console.log('listening'));
}

function talk(host: string, port: number): void {
  const socket = connect({ host, port }).setNoDelay(true);
  let sent = 0;
  let received = 0;
  let rest = '';
  let last = performance.now();
  let longest = 0;
  socket.once('connect', () => {
    setInterval(() => socket.write(`${sent++}\n`), PACE);
  });
  socket.setEncoding('utf8').on('data', (text: string) => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    for (const line of lines) {
      if (line !== `${received}`) end(`'${line}' came back instead of ${received}`);
      received += 1;
    }
    console.log(`${received - 1} longest ${Math.round(longest)} ms`);
  });
  socket.once('error', (error) => end(error.message));
  socket.once('close', () => end('the other end has closed'));
}

function end(why: string): never {
  console.log(`CUT: ${why}`);
  process.exit(1);
}

const [role, ...rest] = process.argv.slice(2);
if (role === 'serve') serve(Number(rest[0]));
else talk(rest[0]!, Number(rest[1]));

/**
 * Says when an address first answers: `node prober.ts ADDRESS` writes `ready`, and then `answered MILLISECONDS`, of a clock that all processes
 * of the machine share. Whoever is there refuses a connection to a port that nobody serves.
 */

import { connect } from 'node:net';

const EVERY = 3;
const PATIENCE = 200;
const LONGEST = 30_000;

const now = (): number => performance.timeOrigin + performance.now();
const began = now();
const host = process.argv[2]!;

const timer = setInterval(() => {
  if (now() - began > LONGEST) process.exit(1);
  const socket = connect({ host, port: 9, timeout: PATIENCE });
  socket.once('timeout', () => socket.destroy());
  socket.once('error', (error: NodeJS.ErrnoException) => {
    socket.destroy();
    if (error.code !== 'ECONNREFUSED') return;
    console.log(`answered ${now()}`);
    process.exit(0);
  });
}, EVERY);
timer.ref();
console.log('ready');

/** The thread of one program. */

import { spawn } from 'node:child_process';
import { parentPort, workerData } from 'node:worker_threads';
import type { ProgramEnd, ProgramRun } from './run.ts';

/** Characters of what it prints that are kept: the last, where the reason is. */
const KEPT = 4000;

const { file, args, limit } = workerData as ProgramRun;
let output = '';
let late = false;

// A group of its own, so that what a script has started ends with it.
const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, cwd: '/' });
const timer = setTimeout(() => {
  late = true;
  killGroup();
}, limit);
for (const stream of [child.stdout, child.stderr])
  stream.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(-KEPT);
  });
child.once('error', (error: NodeJS.ErrnoException) =>
  finish({ how: 'not started', code: error.code ?? error.message }),
);
child.once('exit', (code, signal) => {
  // What it leaves running keeps the pipes open; what it has printed itself is in them by now.
  setImmediate(() => {
    if (late) finish({ how: 'out of time', output });
    else if (code === null) finish({ how: 'signal', signal: signal ?? 'unknown', output });
    else finish({ how: 'exit', code, output });
  });
});

function finish(end: ProgramEnd): void {
  clearTimeout(timer);
  parentPort!.postMessage(end);
}

function killGroup(): void {
  try {
    process.kill(-child.pid!, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** `berth`, and `netctl` under its old name: the process around one command. */

import { exitCode } from './failure.ts';

// `berth network ls | head -1` closes our output early: that is no error, and there is nobody left to tell.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(exitCode.ok);
    throw error;
  });
}

const words = process.argv.slice(2);
const surroundings = { stdout: process.stdout, stderr: process.stderr, now: Date.now };

// Each is loaded only when it is the one that was asked for: that is most of the time that a short command takes.
if (words[0] === '__netctl') {
  const { netctl } = await import('./netctl/process.ts');
  process.exitCode = await netctl(words.slice(1), surroundings);
} else {
  const { runBerth } = await import('./run.ts');
  process.exitCode = await runBerth(words, surroundings);
}

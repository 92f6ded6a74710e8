/** `berth`: the process around one command. */

import { exitCode } from './failure.ts';
import { runBerth } from './run.ts';

// `berth network ls | head -1` closes our output early: that is no error, and there is nobody left to tell.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(exitCode.ok);
    throw error;
  });
}

process.exitCode = await runBerth(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  now: Date.now,
});

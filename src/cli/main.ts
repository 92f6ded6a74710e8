/** `berth`: reads the command line, runs one command, and ends with its exit code. */

import { CommanderError } from 'commander';
import { BerthError } from '../model/errors.ts';
import { type ExitCode, exitCode, Failure } from './failure.ts';
import { buildProgram } from './program.ts';

/** `berth network ls | head -1` closes our output early: that is no error, and there is nobody left to tell. */
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(exitCode.ok);
    throw error;
  });
}

function explain(error: unknown): ExitCode {
  if (error instanceof CommanderError) {
    // Help and version are errors of code 0; a command group without a command shows its help and is a usage error.
    return error.exitCode === 0 ? exitCode.ok : exitCode.usage;
  }
  if (error instanceof Failure || error instanceof BerthError) {
    const lines = error.message.split('\n').join('\n  ');
    process.stderr.write(`berth: ${lines}\n  next: ${error.next}\n`);
    return error instanceof Failure ? error.exitCode : exitCode.failed;
  }
  process.stderr.write(`berth: a defect: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.stderr.write('  next: Please report it, with what you typed.\n');
  return exitCode.failed;
}

const program = buildProgram(
  { stdout: process.stdout, stderr: process.stderr, now: Date.now },
  (code) => (process.exitCode = code),
);

try {
  if (process.argv.length <= 2) program.outputHelp();
  else await program.parseAsync(process.argv);
} catch (error) {
  process.exitCode = explain(error);
}

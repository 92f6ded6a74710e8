/** Runs one command line, and turns whatever happens into output and an exit code. */

import { CommanderError } from 'commander';
import { BerthError } from '../model/errors.ts';
import { type ExitCode, exitCode, Failure } from './failure.ts';
import { buildProgram } from './program.ts';
import type { Surroundings } from './session.ts';

/**
 * @param words what follows the program's name.
 * @returns the exit code; never throws.
 */
export async function runBerth(words: readonly string[], surroundings: Surroundings): Promise<ExitCode> {
  let code: ExitCode = exitCode.ok;
  if (words[0] === '__netmaster') {
    const { runNetmaster } = await import('./commands/netmaster.ts');
    return await runNetmaster(words.slice(1), surroundings).catch((error: unknown) => explain(error, surroundings));
  }
  if (words[0] === 'netplugin') {
    const { runNetplugin } = await import('./commands/netplugin.ts');
    return await runNetplugin(words.slice(1), surroundings).catch((error: unknown) => explain(error, surroundings));
  }
  if (words[0] === 'kuryr-server') {
    const { runKuryrServer } = await import('./commands/kuryr-server.ts');
    return await runKuryrServer(words.slice(1), surroundings).catch((error: unknown) => explain(error, surroundings));
  }
  const program = buildProgram(surroundings, (given) => (code = given));
  try {
    if (words.length === 0) program.outputHelp();
    else await program.parseAsync(words, { from: 'user' });
    return code;
  } catch (error) {
    return explain(error, surroundings);
  }
}

function explain(error: unknown, { stderr }: Surroundings): ExitCode {
  if (error instanceof CommanderError) {
    // It has said all itself. Help and version are errors of code 0; a group without a command is wrong usage.
    return error.exitCode === 0 ? exitCode.ok : exitCode.usage;
  }
  if (error instanceof Failure || error instanceof BerthError) {
    stderr.write(`berth: ${error.message.replaceAll('\n', '\n  ')}\n  next: ${error.next}\n`);
    if (error instanceof Failure) return error.exitCode;
    return error.code === 'BAD_CONFIG' || error.code === 'KURYR_CONF_INVALID' ? exitCode.usage : exitCode.failed;
  }
  stderr.write(`berth: a defect: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  stderr.write('  next: Please report it, with what you typed.\n');
  return exitCode.failed;
}

/** Runs one command line of netctl, and turns whatever happens into output and an exit code. */

import { withProgress } from '../progress.ts';
import { type CommandLine, Misuse, parseCommandLine } from './command-line.ts';
import { connectionFrom } from './connection.ts';
import { credentialsFile, keepToken, readToken } from './credentials.ts';
import { MasterFailure } from './failure.ts';
import { flagsFrom } from './flags.ts';
import { commandHelp } from './help.ts';
import { httpMaster } from './http-master.ts';
import { errorText, netctlExit } from './report.ts';
import { flagsOf, type Session, type Terminal } from './spec.ts';
import { alignTabs } from './tabwriter.ts';
import { clientVersion, versionLines } from './version.ts';

export interface Surroundings {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown; readonly isTTY?: boolean };
  readonly now: () => number;
  readonly environment: NodeJS.ProcessEnv;
  readonly terminal: Terminal;
}

/**
 * @param words what follows the program's name.
 * @returns the exit code; never throws.
 */
export async function runNetctl(words: readonly string[], surroundings: Surroundings): Promise<number> {
  const { stdout } = surroundings;
  try {
    if (words[0] === '__complete') {
      const { completeNetctl } = await import('./completion.ts');
      stdout.write(await completeNetctl(words.slice(words[1] === '--' ? 2 : 1), surroundings.environment));
      return 0;
    }
    const line = parseCommandLine(words);
    if (line.kind === 'help') stdout.write(line.text);
    else if (line.kind === 'version') stdout.write(`netctl version \n${versionLines(clientVersion)}\n`);
    else await runCommand(line, surroundings);
    return 0;
  } catch (error) {
    return explain(error, surroundings);
  }
}

async function runCommand(line: Extract<CommandLine, { kind: 'command' }>, surroundings: Surroundings): Promise<void> {
  const { path, command, args, values, globals } = line;
  const { stdout, stderr, environment } = surroundings;
  const connection = connectionFrom(globals, environment);
  const file = credentialsFile(environment);
  const kept = { read: undefined as Promise<string | undefined> | undefined };
  const token = (): Promise<string | undefined> => {
    if (connection.token !== undefined) return Promise.resolve(connection.token);
    kept.read ??= readToken(file);
    return kept.read;
  };
  const master = httpMaster(connection, {
    token,
    watch: (address, work) => withProgress(stderr, `waiting for ${address}`, work),
    notice: (text) =>
      stderr.write(`note: ${text}
`),
  });
  const flags = flagsFrom(flagsOf(command), values);
  const json = flags.boolean('json');
  const session: Session = {
    master,
    flags,
    json,
    print: (text) => stdout.write(text),
    say: (text) => {
      if (!json) stdout.write(text);
    },
    table: (table, objects) => stdout.write(alignTabs(table.lines(objects), { padding: 2 })),
    login: {
      credentials: {
        secure: connection.addresses.every((address) => address.startsWith('https:')),
        token: connection.token,
        file,
        keep: (token) => keepToken(file, token),
      },
      terminal: surroundings.terminal,
    },
  };
  try {
    await command.run(session, args);
  } catch (error) {
    if (error instanceof MasterFailure && error.showHelp) throw new Misuse(error, commandHelp(path, command));
    throw error;
  } finally {
    master.close();
  }
}

function explain(error: unknown, { stdout, stderr, now }: Surroundings): number {
  if (error instanceof MasterFailure) {
    if (error instanceof Misuse) stdout.write(error.output);
    stderr.write(errorText(error, now()));
    return netctlExit[error.kind];
  }
  stderr.write(`netctl: a defect: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  stderr.write('  next: Please report it, with what you typed.\n');
  return netctlExit.refused;
}

/** What a command has at hand while it runs: the agent, the output, and the options that every command knows. */

import type { Command } from 'commander';
import type { Client } from './client.ts';
import type { ExitCode } from './failure.ts';
import { withProgress } from './progress.ts';

export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

export interface GlobalOptions {
  readonly runDir: string;
  readonly json: boolean;
}

export interface Surroundings {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly now: () => number;
}

export interface Session extends Surroundings {
  readonly options: GlobalOptions;
  readonly client: Client;
  /** Prints a value of the API: as it is with `--json`, else as the text that is made of it. */
  show<T>(value: T, text: (value: T) => string): void;
  /** Awaits something that may take long, and says so on a terminal. */
  progress<T>(what: string, work: Promise<T>): Promise<T>;
}

/** What a command does. Without an exit code it has succeeded. */
export type Work = (
  session: Session,
  args: readonly (string | readonly string[] | undefined)[],
  options: Readonly<Record<string, unknown>>,
) => Promise<ExitCode | undefined>;

/** Ties a command of the command line to what it does, which is loaded only when it is asked for. */
export type Binder = (command: Command, load: () => Promise<Work>) => Command;

export async function openSession(surroundings: Surroundings, options: GlobalOptions): Promise<Session> {
  const { agentClient } = await import('./client.ts');
  const client = agentClient(socketOf(options.runDir));
  return {
    ...surroundings,
    options,
    client,
    show(value, text) {
      surroundings.stdout.write(options.json ? `${JSON.stringify(value, null, 2)}\n` : text(value));
    },
    progress: (what, work) => withProgress(surroundings.stderr, what, work),
  };
}

export function socketOf(runDir: string): string {
  return `${runDir.replace(/\/+$/, '')}/berth.sock`;
}

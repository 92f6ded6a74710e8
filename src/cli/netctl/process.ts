/** netctl in a process of its own: its environment, and the user at its terminal. */

import { runNetctl, type Surroundings } from './run.ts';
import type { Terminal } from './spec.ts';
import { terminal } from './terminal.ts';

/** @returns the exit code. */
export function netctl(
  words: readonly string[],
  surroundings: Pick<Surroundings, 'stdout' | 'stderr' | 'now'>,
): Promise<number> {
  // Standard input is opened only by the one command that reads it.
  let opened: Terminal | undefined;
  const user = (): Terminal => {
    opened ??= terminal(process.stdin, surroundings.stdout);
    return opened;
  };
  return runNetctl(words, {
    ...surroundings,
    environment: process.env,
    terminal: {
      ask: (question) => user().ask(question),
      askSecretly: (question) => user().askSecretly(question),
    },
  });
}

/** Tells somebody at a terminal that a command is still at work. */

import { exitCode } from './failure.ts';

interface Terminal {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

/** After a second, one line on a terminal that counts the seconds and goes when the work is done. */
export async function withProgress<T>(terminal: Terminal, what: string, work: Promise<T>): Promise<T> {
  if (terminal.isTTY !== true) return work;
  let seconds = 0;
  const timer = setInterval(() => terminal.write(`\r\x1b[K${what} … ${++seconds} s`), 1000);
  const interrupted = (): never => {
    terminal.write('\n');
    process.exit(exitCode.interrupted);
  };
  process.once('SIGINT', interrupted);
  try {
    return await work;
  } finally {
    clearInterval(timer);
    process.off('SIGINT', interrupted);
    if (seconds > 0) terminal.write('\r\x1b[K');
  }
}

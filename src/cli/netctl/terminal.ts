/** Asks the user, with and without showing what is typed. */

import { MasterFailure } from './failure.ts';
import type { Terminal } from './spec.ts';

interface Output {
  write(text: string): unknown;
}

/** @param input usually standard input; questions of programs are answered line by line. */
export function terminal(input: NodeJS.ReadStream, output: Output): Terminal {
  let buffered = '';
  let ended = false;

  const line = async (): Promise<string> => {
    for (;;) {
      const end = buffered.search(/\r?\n|\r/);
      if (end >= 0) {
        const found = buffered.slice(0, end);
        buffered = buffered.slice(end).replace(/^(\r?\n|\r)/, '');
        return found;
      }
      if (ended)
        throw new MasterFailure('io', 'EOF', {
          cause: 'the input ended before it was answered',
          next: 'Run it at a terminal, or give a token with --token.',
        });
      buffered += await more();
    }
  };
  const more = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const done = (): void => {
        input.off('data', data);
        input.off('end', finish);
        input.off('error', failed);
        input.pause();
      };
      const data = (chunk: Buffer): void => {
        done();
        resolve(chunk.toString());
      };
      const finish = (): void => {
        done();
        ended = true;
        resolve('');
      };
      const failed = (error: Error): void => {
        done();
        reject(new MasterFailure('io', error.message));
      };
      input.on('data', data).once('end', finish).once('error', failed).resume();
    });

  return {
    ask: async (question) => {
      output.write(question);
      return line();
    },
    askSecretly: async (question) => {
      output.write(question);
      if (!input.isTTY) return line();
      input.setRawMode(true);
      try {
        return await secretLine(more);
      } finally {
        input.setRawMode(false);
        output.write('\n');
      }
    },
  };
}

/** In raw mode the keys are ours to understand. */
async function secretLine(more: () => Promise<string>): Promise<string> {
  let typed = '';
  for (;;) {
    for (const key of await more()) {
      if (key === '\r' || key === '\n') return typed;
      if (key === '\x03' || key === '\x04') throw new MasterFailure('io', 'given up');
      typed = key === '\x7f' || key === '\b' ? typed.slice(0, -1) : typed + key;
    }
  }
}

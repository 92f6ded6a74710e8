/** One shell for many scripts: in a User-Mode Linux guest it takes long to start a program from a process as large as Node's. */

import { spawn } from 'node:child_process';

export interface Shell {
  /** Runs a script to its end, one after the other. Its output. @throws Error when it fails, with what it wrote. */
  sh(script: string): Promise<string>;
  close(): void;
}

export function openShell(): Shell {
  const child = spawn('sh', { stdio: ['pipe', 'pipe', 'inherit'], env: process.env });
  child.unref();
  let last: Promise<unknown> = Promise.resolve();
  let count = 0;
  let output = '';
  let heard = () => {};
  child.stdout.on('data', (data: Buffer) => {
    output += data.toString();
    heard();
  });
  child.once('exit', () => heard());

  const once = (script: string): Promise<string> => {
    count += 1;
    const end = new RegExp(`^end ${count} (\\d+)\n`, 'm');
    output = '';
    child.stdin.write(`( set -e\n${script}\n) 2>&1 </dev/null\nprintf '\\nend %s %s\\n' ${count} $?\n`);
    return new Promise((resolve, reject) => {
      heard = () => {
        const match = end.exec(output);
        if (match === null) {
          if (child.exitCode !== null) reject(new Error('the shell has ended'));
          return;
        }
        const said = output.slice(0, Math.max(0, match.index - 1));
        if (match[1] === '0') resolve(said);
        else reject(new Error(`${script}\nended with ${match[1]}:\n${said}`));
      };
      heard();
    });
  };
  return {
    sh(script) {
      const result = last.then(() => once(script));
      last = result.catch(() => {});
      return result;
    },
    close: () => child.stdin.end(),
  };
}

/** Masters as processes of their own, so that one can be killed. */

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));

export interface MasterProcess extends AsyncDisposable {
  readonly url: string;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** SIGTERM. @returns the exit code. */
  stop(): Promise<number | null>;
}

/** Starts `berth` with these words, which must start a master on one address, and waits until it serves. */
export async function startProcess(words: readonly string[]): Promise<MasterProcess> {
  const child: ChildProcess = spawn(process.execPath, [main, ...words], { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let said = '';
  createInterface({ input: child.stderr! }).on('line', (line) => {
    said += `${line}\n`;
    const entry = line.startsWith('{') ? (JSON.parse(line) as { event?: string; listen?: string[] }) : {};
    if (entry.event === 'master.ready') resolve(`http://${entry.listen![0]!}`);
  });
  void ended.then((code) => reject(new Error(`the master has ended with ${code}: ${said}`)));
  const kill = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  return {
    url: await promise,
    kill,
    async stop() {
      child.kill('SIGTERM');
      return await ended;
    },
    [Symbol.asyncDispose]: kill,
  };
}

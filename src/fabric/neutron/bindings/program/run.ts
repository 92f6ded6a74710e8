/** Runs a program of the administrator's in a thread of its own: starting one stops the thread that does it. */

import { Worker } from 'node:worker_threads';

export interface ProgramRun {
  readonly file: string;
  readonly args: readonly string[];
  /** Milliseconds; then it is killed, and whatever it has started in its process group. */
  readonly limit: number;
}

/** How it ended. */
export type ProgramEnd =
  | { readonly how: 'exit'; readonly code: number; readonly output: string }
  | { readonly how: 'signal'; readonly signal: string; readonly output: string }
  | { readonly how: 'out of time'; readonly output: string }
  /** It could not be started: the system's code, such as `ENOENT` or `EACCES`. */
  | { readonly how: 'not started'; readonly code: string };

/** Bounded by its limit, and moments. Never rejects. */
export function runProgram(run: ProgramRun): Promise<ProgramEnd> {
  const { promise, resolve } = Promise.withResolvers<ProgramEnd>();
  const worker = new Worker(new URL('./worker.ts', import.meta.url), {
    name: 'program',
    workerData: run,
    resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 32 },
  });
  worker.once('message', (end: ProgramEnd) => {
    resolve(end);
    void worker.terminate();
  });
  worker.once('error', (error) => resolve({ how: 'not started', code: error.message }));
  worker.once('exit', () => resolve({ how: 'not started', code: 'its thread ended' }));
  return promise;
}

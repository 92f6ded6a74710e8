/** What every benchmark is given, and gives. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EngineVersion } from '../test/e2e/bed/engines.ts';
import type { Host } from '../test/e2e/bed/host.ts';
import type { Table } from './result.ts';

export interface Context {
  readonly engine: EngineVersion;
  /** How many runs of each; undefined for the benchmark's own choice. */
  readonly runs: number | undefined;
  /** How many there are where a benchmark has many of them; absent for its own choice. */
  readonly containers?: number;
  readonly networks?: number;
  /** Progress, for whoever waits. */
  readonly say: (text: string) => void;
}

export interface Benchmark {
  readonly name: string;
  /** One line. */
  readonly about: string;
  run(context: Context): Promise<Table>;
}

/** Runs the part of a benchmark that needs Berth; when it fails, the error also says what the agent has logged last. */
export async function onHost<T>(host: Host, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    const log = join(host.dir, 'log/berth.log');
    const last = existsSync(log) ? readFileSync(log, 'utf8').trimEnd().split('\n').slice(-20).join('\n') : '';
    throw new Error(`${(error as Error).message}\nlast of the agent's log:\n${last}`, { cause: error });
  }
}

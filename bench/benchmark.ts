/** What every benchmark is given, and gives. */

import type { EngineVersion } from '../test/e2e/bed/engines.ts';
import type { Table } from './result.ts';

export interface Context {
  readonly engine: EngineVersion;
  /** How many runs of each; undefined for the benchmark's own choice. */
  readonly runs: number | undefined;
  /** Progress, for whoever waits. */
  readonly say: (text: string) => void;
}

export interface Benchmark {
  readonly name: string;
  /** One line. */
  readonly about: string;
  run(context: Context): Promise<Table>;
}

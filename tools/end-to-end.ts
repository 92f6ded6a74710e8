/**
 * Runs the end-to-end tests, as many files side by side as the machine has cores for, and says what each cost.
 *
 *   node tools/end-to-end.ts [FILE…]     default: all of them
 */

import { appendFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { costs, type Outcome, runSuites, summary } from './run-suites.ts';
import { endToEndFiles } from './suites.ts';
import { capacityOf, withCost } from './weights.ts';

/** No suite takes a third of this on two cores; one that hangs must not cost the others their day. */
const LIMIT_SECONDS = 25 * 60;

const files = process.argv.length > 2 ? process.argv.slice(2) : endToEndFiles;
const ending = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => ending.abort());

const began = performance.now();
const total = { passed: 0, failed: 0, skipped: 0 };
let count = 0;

function ended(outcome: Outcome): void {
  const { counts, output, suite } = outcome;
  for (const key of ['passed', 'failed', 'skipped'] as const) total[key] += counts[key];
  const state = counts.failed === 0 ? 'ok    ' : 'FAILED';
  process.stdout.write(`  ${state} ${costs(outcome)}  ${suite.file} (${++count} of ${files.length})\n${output}`);
}

const outcomes = await runSuites(files.map(withCost), {
  capacity: capacityOf(availableParallelism()),
  limit: LIMIT_SECONDS,
  reporter: './tools/test-reporter.ts',
  env: { BERTH_TEST_LIST: '1' },
  signal: ending.signal,
  ended,
});
process.stdout.write(summary(outcomes, (performance.now() - began) / 1000));
const target = process.env.BERTH_TEST_COUNTS;
if (target !== undefined) appendFileSync(target, `${JSON.stringify(total)}\n`);
process.exitCode = total.failed === 0 && outcomes.length === files.length ? 0 : 1;

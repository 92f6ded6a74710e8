/**
 * `make test`: everything, in phases that each say how long they took. Stops at nothing: a later phase often explains an
 * earlier failure. The last line is `N passed, N failed`, over all tests; any other phase that fails counts as one failure.
 */

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Phase, report, runPhase } from './phases.ts';
import { endToEndTests, etcdTests, kernelTests } from './suites.ts';

if (process.getuid?.() !== 0) {
  console.error('make test: needs root, because it makes network namespaces and starts Docker engines in them');
  console.error('  next: sudo make test     (or, without root, what needs none: make check)');
  process.exit(2);
}

const scratch = mkdtempSync(join(tmpdir(), 'berth-test-'));
const counts = join(scratch, 'counts');

const phases: readonly Phase[] = [
  { name: 'Debian packages', command: ['tools/prepare-tests.sh'] },
  { name: 'remains of killed tests', command: ['node', 'tools/sweep-beds.ts'] },
  { name: 'engine trees', command: ['node', 'tools/engines.ts'], loud: true },
  { name: 'build', command: ['node', 'build.ts'] },
  { name: 'managed plugin', command: ['node', 'tools/plugin.ts'] },
  { name: 'check and unit tests', command: ['node', 'tools/check.ts'] },
  etcdTests,
  kernelTests,
  endToEndTests,
  { name: 'remains of this run', command: ['node', 'tools/sweep-beds.ts'] },
];

const total = { passed: 0, failed: 0, skipped: 0 };

/** Adds up what the test runs of a phase have reported, and says how many of their tests failed. */
function takeCounts(): number {
  let failed = 0;
  for (const line of existsSync(counts) ? readFileSync(counts, 'utf8').trim().split('\n') : []) {
    const one = JSON.parse(line) as typeof total;
    total.passed += one.passed;
    total.skipped += one.skipped;
    failed += one.failed;
  }
  rmSync(counts, { force: true });
  return failed;
}

// The phase under way gets the signal too and cleans up after itself; no other is begun.
let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => (interrupted = true));

try {
  for (const phase of phases) {
    if (phase.loud) process.stdout.write(`       ...     ${phase.name}\n`);
    const result = await runPhase({ ...phase, env: { ...phase.env, BERTH_TEST_COUNTS: counts } });
    report(phase, result);
    const failed = takeCounts();
    total.failed += failed === 0 && !result.ok ? 1 : failed;
    if (interrupted) break;
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : '';
console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);
process.exitCode = total.failed === 0 ? 0 : 1;

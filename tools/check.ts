/** `make check`: everything that needs neither root nor a kernel, side by side. */

import { type Phase, report, runPhase } from './phases.ts';
import { unitTests } from './suites.ts';

const checks: readonly Phase[] = [
  { name: 'types', command: ['tsc', '--noEmit'] },
  { name: 'format and lint', command: ['biome', 'check', '--error-on-warnings', '.'] },
  { name: 'promises and switches', command: ['oxlint', '--type-aware', '--deny-warnings'] },
  { name: 'layers', command: ['node', 'tools/check-layers.ts'] },
  { name: 'file sizes', command: ['node', 'tools/check-sizes.ts'] },
  { name: 'reference pages', command: ['node', 'tools/check-docs.ts'] },
  { name: 'dead code', command: ['knip', '--no-progress'] },
];

let failed = 0;
const run = async (phase: Phase): Promise<void> => {
  const result = await runPhase(phase);
  report(phase, result);
  if (!result.ok) failed++;
};

await Promise.all(checks.map(run));
await run(unitTests);
process.exitCode = failed === 0 ? 0 : 1;

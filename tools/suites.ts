/**
 * The test suites, by what they need:
 *
 * - unit: nothing but Node.
 * - etcd: the Debian packages of etcd. `x.etcd.test.ts`.
 * - kernel: root and a Linux kernel. A file is one when it is called `x.kernel.test.ts`, or imports `kernel/isolate.ts`,
 *   which moves it into a network namespace of its own.
 * - end to end, `test/e2e/`: root, the Debian packages, and Docker engines that the tests start themselves.
 */

import { globSync, readFileSync } from 'node:fs';
import type { Phase } from './phases.ts';

const reporter = ['--test-reporter=./tools/test-reporter.ts'] as const;
/** Of one test, in milliseconds, where it gives itself none: a minute and more is for the end-to-end tests. */
const timeout = '--test-timeout=120000';

function files(...patterns: string[]): string[] {
  return globSync(patterns).toSorted();
}

function needsKernel(file: string): boolean {
  return file.endsWith('.kernel.test.ts') || /from '[^']*\/isolate\.ts'/.test(readFileSync(file, 'utf8'));
}

const besideCode = files('src/**/*.test.ts', 'tools/**/*.test.ts', 'bench/**/*.test.ts');
const etcdFiles = besideCode.filter((file) => file.endsWith('.etcd.test.ts'));
const kernelFiles = besideCode.filter(needsKernel);
const unitFiles = besideCode.filter((file) => !needsKernel(file) && !etcdFiles.includes(file));

export const unitTests: Phase = {
  name: `unit tests (${unitFiles.length} files)`,
  command: ['node', '--test', timeout, ...reporter, ...unitFiles],
};

/** They start servers of their own, and kill and freeze them. */
export const etcdTests: Phase = {
  name: `tests on etcd (${etcdFiles.length} files)`,
  command: ['node', '--test', timeout, '--test-concurrency=2', ...reporter, ...etcdFiles],
};

/** One file at a time: they measure, and some count what is on the machine. */
export const kernelTests: Phase = {
  name: `kernel tests (${kernelFiles.length} files)`,
  command: ['node', '--test', timeout, '--test-concurrency=1', ...reporter, ...kernelFiles],
};

export const endToEndFiles: readonly string[] = files('test/e2e/**/*.test.ts');

/** Several files side by side: each has hosts of its own, and many wait more than they work. Their weights are in weights.ts. */
export const endToEndTests: Phase = {
  name: `end-to-end tests (${endToEndFiles.length} files)`,
  command: ['node', 'tools/end-to-end.ts'],
  loud: true,
  limit: 80,
};

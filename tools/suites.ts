/**
 * The test suites, by what they need. A name decides where a test belongs:
 *
 *   x.test.ts           nothing but Node
 *   x.kernel.test.ts    root and a Linux kernel; makes its own network namespaces
 *   test/e2e/*.test.ts  root, the Debian packages, and Docker engines that it starts itself
 */

import { globSync } from 'node:fs';
import type { Phase } from './phases.ts';

const reporter = ['--test-reporter=./tools/test-reporter.ts'] as const;

function files(...patterns: string[]): string[] {
  return globSync(patterns).toSorted();
}

const kernelFiles = files('src/**/*.kernel.test.ts', 'test/*.kernel.test.ts');
const unitFiles = files('src/**/*.test.ts', 'tools/**/*.test.ts', 'test/*.test.ts').filter(
  (file) => !kernelFiles.includes(file),
);

export const unitTests: Phase = {
  name: `unit tests (${unitFiles.length} files)`,
  command: ['node', '--test', ...reporter, ...unitFiles],
};

/** One file at a time: they measure, and some count what is on the machine. */
export const kernelTests: Phase = {
  name: `kernel tests (${kernelFiles.length} files)`,
  command: ['node', '--test', '--test-concurrency=1', ...reporter, ...kernelFiles],
};

const e2eFiles = files('test/e2e/**/*.test.ts');

export const endToEndTests: Phase = {
  name: `end-to-end tests (${e2eFiles.length} files)`,
  command: ['node', '--test', '--test-concurrency=1', ...reporter, ...e2eFiles],
  env: { BERTH_TEST_LIST: '1' },
  loud: true,
};

/**
 * How our tests report: every failure in full, and a last line of counts. With `BERTH_TEST_LIST` each test gets a line as it
 * ends, for suites of minutes. With `BERTH_TEST_COUNTS` the counts are appended to that file as JSON, so that a run of
 * several suites can add them up.
 */

import { appendFileSync } from 'node:fs';
import { relative } from 'node:path';
import type { TestEvent } from 'node:test/reporters';
import { inspect } from 'node:util';

/** Node's own counts, which it hands over as diagnostics of nobody. */
const TOTALS = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/;

const list = process.env.BERTH_TEST_LIST !== undefined;

type Failure = Extract<TestEvent, { type: 'test:fail' }>['data'];

function describe(failure: Failure): string {
  const place = failure.file === undefined ? '' : `${relative(process.cwd(), failure.file)}:${failure.line ?? 1}`;
  const thrown: unknown = failure.details.error.cause ?? failure.details.error;
  const error = inspect(thrown, { colors: process.stdout.isTTY, depth: 6 }).replaceAll(/^/gm, '      ');
  return `    FAILED  ${failure.name}\n      ${place}\n${error}\n`;
}

export default async function* reporter(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  /** What a test has to say comes after its end: logs of the machines that it ran on, if it failed. */
  let failed = false;
  for await (const event of source) {
    if (event.type === 'test:pass') {
      failed = false;
      const { details, name, nesting, skip, todo } = event.data;
      if (details.type === 'suite') continue;
      // A test that was skipped, or is still to be done, has shown nothing, so it does not count as passed.
      if (skip !== undefined || todo !== undefined) counts.skipped++;
      else counts.passed++;
      if (list)
        yield `${'  '.repeat(nesting)}    ok ${(details.duration_ms / 1000).toFixed(1).padStart(6)} s  ${name}\n`;
    } else if (event.type === 'test:fail') {
      // A parent that fails because a child did is one failure, not two.
      const kind = (event.data.details.error as { failureType?: string }).failureType;
      if (kind === 'subtestsFailed') continue;
      counts.failed++;
      failed = true;
      yield describe(event.data);
    } else if (event.type === 'test:diagnostic') {
      if (failed && !TOTALS.test(event.data.message)) yield `${event.data.message.replaceAll(/^/gm, '      ')}\n`;
    } else if (event.type === 'test:stderr' || event.type === 'test:stdout') {
      yield event.data.message;
    }
  }
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
  yield `    ${counts.passed} passed, ${counts.failed} failed${skipped}\n`;
  const target = process.env.BERTH_TEST_COUNTS;
  if (target !== undefined) appendFileSync(target, `${JSON.stringify(counts)}\n`);
}

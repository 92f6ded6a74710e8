import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { type Outcome, runSuites, summary } from './run-suites.ts';

// A test file that it runs is no part of this one.
delete process.env.NODE_TEST_CONTEXT;

let folder: string;
before(() => (folder = mkdtempSync(join(tmpdir(), 'berth-suites-'))));
after(() => rmSync(folder, { recursive: true }));

interface Given {
  readonly text: string;
  readonly weight?: number;
}

async function run(
  given: readonly Given[],
  options: { readonly limit?: number; readonly signal?: AbortSignal } = {},
): Promise<Outcome[]> {
  const suites = given.map(({ text, weight = 1 }, n) => {
    const file = join(folder, `${n}.test.mjs`);
    writeFileSync(file, `import { test } from 'node:test';\nimport assert from 'node:assert';\n${text}`);
    return { file, weight, seconds: given.length - n };
  });
  const reporter = join(import.meta.dirname, 'test-reporter.ts');
  return runSuites(suites, { capacity: 2, limit: 60, reporter, ended: () => {}, ...options });
}

it('runs each, counts what they say, and knows what they cost', async () => {
  const busy = 'const end = Date.now() + 500; while (Date.now() < end) Math.random();';
  const outcomes = await run([
    { text: `test('a', () => { ${busy} });` },
    { text: "test('b', () => assert.fail('on purpose')); test('c', () => {}); test.skip('d', () => {});" },
    { text: "test('e', () => {});", weight: 5 },
  ]);
  const counts = Object.fromEntries(outcomes.map(({ counts, suite }) => [suite.file.at(-10), counts]));
  assert.deepEqual(counts, {
    0: { passed: 1, failed: 0, skipped: 0 },
    1: { passed: 1, failed: 1, skipped: 1 },
    2: { passed: 1, failed: 0, skipped: 0 },
  });
  const first = outcomes.find(({ suite }) => suite.file.endsWith('0.test.mjs'))!;
  assert.ok(first.seconds > 0.5 && first.cpuSeconds > 0.05, `${first.seconds} s, ${first.cpuSeconds} s`);
  assert.match(outcomes.map(({ output }) => output).join(''), /FAILED {2}b\n[\s\S]*on purpose/);
  const words = summary(outcomes, 90);
  assert.match(words, /0\.test\.mjs/);
  assert.match(words, /3 files took 1\.5 min side by side, 0\.\d min one after the other/);
});

it('what dies without a word, or does not end, has failed once, and keeps nobody', async () => {
  const outcomes = await run(
    [
      { text: "process.kill(process.ppid, 'SIGKILL');" },
      { text: "test('hangs', async () => { setInterval(() => {}, 1000); await new Promise(() => {}); });" },
      { text: "test('works', () => {});" },
    ],
    { limit: 20 },
  );
  const failed = Object.fromEntries(outcomes.map(({ counts, suite }) => [suite.file.at(-10), counts.failed]));
  assert.deepEqual(failed, { 0: 1, 1: 1, 2: 0 });
});

it('begins nothing more when it is told to end, and ends what runs', async () => {
  const text = "test('waits', () => new Promise((resolve) => setTimeout(resolve, 600_000)));";
  const ending = new AbortController();
  setTimeout(() => ending.abort(), 1000);
  const outcomes = await run([{ text, weight: 2 }, { text }], { signal: ending.signal });
  assert.deepEqual(
    outcomes.map(({ counts }) => counts.failed),
    [1],
  );
});

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';

let folder: string;
before(() => (folder = mkdtempSync(join(tmpdir(), 'berth-reporter-'))));
after(() => rmSync(folder, { recursive: true }));

/** Runs a test file with our reporter, in a process that is no test itself. */
function report(text: string): { output: string; counts: unknown; status: number | null } {
  const file = join(folder, 'sample.test.mjs');
  const countsFile = join(folder, 'counts');
  writeFileSync(file, `import { describe, it, test } from 'node:test';\nimport assert from 'node:assert';\n${text}`);
  rmSync(countsFile, { force: true });
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const reporter = join(import.meta.dirname, 'test-reporter.ts');
  const { stdout, status } = spawnSync(process.execPath, ['--test', `--test-reporter=${reporter}`, file], {
    encoding: 'utf8',
    env: { ...env, BERTH_TEST_COUNTS: countsFile },
  });
  return { output: stdout, counts: JSON.parse(readFileSync(countsFile, 'utf8')), status };
}

it('counts tests, not groups, and nothing that was skipped as passed', () => {
  const { output, counts } = report(`
    describe('group', () => { it('a', () => {}); it('b', () => {}); });
    it.skip('c', () => {}); it.todo('d');`);
  assert.deepEqual(counts, { passed: 2, failed: 0, skipped: 2 });
  assert.equal(output, '    2 passed, 0 failed, 2 skipped\n');
});

it('shows a failure with its place and reason, once', () => {
  const { output, counts, status } = report(`
    test('parent', async (t) => { await t.test('child', () => assert.equal(1, 2)); });`);
  assert.deepEqual(counts, { passed: 0, failed: 1, skipped: 0 });
  assert.match(output, /FAILED {2}child\n.*sample\.test\.mjs:4\n.*AssertionError.*1 == 2/);
  assert.equal(output.match(/FAILED/g)?.length, 1);
  assert.equal(status, 1);
});

it('shows what a failed test has to say, and of no other', () => {
  const { output } = report(`
    test('a', (t) => { t.diagnostic('all went well'); });
    test('b', (t) => { t.diagnostic('log of h1:\\nit hurts'); assert.fail('no'); });
    test('c', (t) => { t.diagnostic('well again'); });
    test('d', () => assert.fail('no'));`);
  assert.match(output, /FAILED {2}b\n[\s\S]*\n {6}log of h1:\n {6}it hurts\n/);
  assert.doesNotMatch(output, /well|duration_ms/);
});

it('counts a file that cannot be loaded as a failure', () => {
  const { output, counts } = report('throw new Error("cannot begin");');
  assert.deepEqual(counts, { passed: 0, failed: 1, skipped: 0 });
  assert.match(output, /sample\.test\.mjs/);
});

it('counts a hook that fails', () => {
  const { counts } = report(`
    import { before } from 'node:test';
    describe('group', () => { before(() => { throw new Error('no'); }); it('a', () => {}); });`);
  assert.equal((counts as { failed: number }).failed > 0, true);
});

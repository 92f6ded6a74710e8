import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { findViolations, importsOf } from './check-layers.ts';

let root: string;
beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'berth-layers-'))));
afterEach(() => rmSync(root, { recursive: true }));

/** What is said about files with these contents. */
function check(files: Record<string, string>): string[] {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return findViolations(root).map((violation) => `${violation.file}: ${violation.why}`);
}

describe('the layers', () => {
  const forbidden: readonly [name: string, file: string, text: string, why: RegExp][] = [
    ['an import that points up', 'model/a.ts', `import { b } from '../store/b.ts';`, /model may not know store/],
    [
      'a type import that points up',
      'store/a.ts',
      `import type { B } from '../agent/b.ts';`,
      /store may not know agent/,
    ],
    ['an import on the same floor', 'kernel/a.ts', `import { b } from '../docker/b.ts';`, /kernel may not know docker/],
    ['a lazy import that points up', 'agent/a.ts', `const b = await import('../cli/b.ts');`, /agent may not know cli/],
    ['an export from above', 'ipam/a.ts', `export * from '../fabric/b.ts';`, /ipam may not know fabric/],
    ['an import over many lines', 'model/a.ts', `import {\n  b,\n  c,\n} from '../store/b.ts';`, /may not know store/],
    ['a sibling fabric', 'fabric/lan/a.ts', `import { b } from '../cluster/b.ts';`, /may not know fabric\/cluster/],
    ['a file outside', 'cli/a.ts', `import { b } from '../../test/b.ts';`, /outside src/],
    ['a folder without a floor', 'utils/a.ts', `import { b } from '../model/b.ts';`, /no floor/],
    ['I/O in the model', 'model/a.ts', `import { readFileSync } from 'node:fs';`, /does no I\/O/],
    ['a package of another layer', 'cli/a.ts', `import { z } from 'zod';`, /zod is only for/],
    ['an unknown package', 'agent/a.ts', `import _ from 'lodash/fp';`, /lodash is in no row/],
  ];
  for (const [name, file, text, why] of forbidden) {
    it(`refuse ${name}`, () => {
      const [first, ...others] = check({ [file]: text });
      assert.match(first ?? '', why);
      assert.deepEqual(others, []);
    });
  }

  it('allow what points down, stays inside, or is Node’s own', () => {
    const allowed = {
      'cli/a.ts': `import { a } from '../agent/a.ts';\nimport { Command } from 'commander';`,
      'fabric/fabrics.ts': `import { a } from './lan/a.ts';\nimport { b } from './cluster/b.ts';`,
      'fabric/lan/a.ts': `import type { F } from '../fabric.ts';\nimport { x } from './x.ts';`,
      'store/a.ts': `import { a } from '../model/a.ts';\nimport { readFileSync } from 'node:fs';`,
      'ipam/a.test.ts': `import fc from 'fast-check';\nimport { h } from '../../test/h.ts';`,
    };
    assert.deepEqual(check(allowed), []);
  });
});

it('imports are found in every form, and not in strings or comments', () => {
  const text = `import a from 'one';\nimport 'two';\nexport { b } from 'three';\nconst c = import('four');\n// import x from 'no'\nconst d = "import y from 'no'";`;
  assert.deepEqual(importsOf(text), ['one', 'two', 'three', 'four']);
});

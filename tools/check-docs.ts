/**
 * The reference pages that are made from the code, so that they cannot lie. Without `--write` it only compares.
 *
 *   node tools/check-docs.ts [--write]
 */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cliPage } from './pages/cli.ts';
import { configurationPage } from './pages/configuration.ts';
import { errorsPage } from './pages/errors.ts';
import { optionsPage } from './pages/options.ts';

const docs = join(import.meta.dirname, '../docs');

/** A page and what makes it. */
const pages: Readonly<Record<string, () => string>> = {
  'errors.md': errorsPage,
  'cli.md': cliPage,
  'options.md': optionsPage,
  'configuration.md': configurationPage,
};

let stale = 0;
for (const [name, make] of Object.entries(pages)) {
  const file = join(docs, name);
  const text = make();
  const current = existsSync(file) ? readFileSync(file, 'utf8') : '';
  if (text === current) continue;
  if (process.argv.includes('--write')) {
    writeFileSync(file, text);
    console.log(`wrote docs/${name}`);
  } else {
    console.error(`docs/${name} is not what the code says; write it with: make docs`);
    stale++;
  }
}
process.exitCode = stale === 0 ? 0 : 1;

/**
 * The reference pages that are made from the code, so that they cannot lie; and every page that the code or another page
 * leads to must exist. Without `--write` it only compares.
 *
 *   node tools/check-docs.ts [--write]
 */

import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { apiPage } from './pages/api.ts';
import { cliPage } from './pages/cli.ts';
import { configurationPage } from './pages/configuration.ts';
import { errorsPage } from './pages/errors.ts';
import { kuryrConfPage } from './pages/kuryr-conf.ts';
import { metricsPage } from './pages/metrics.ts';
import { optionsPage } from './pages/options.ts';

const root = join(import.meta.dirname, '..');

/** A page and what makes it. */
const pages: Readonly<Record<string, () => string>> = {
  'docs/errors.md': errorsPage,
  'docs/api.md': apiPage,
  'docs/cli.md': cliPage,
  'docs/options.md': optionsPage,
  'docs/configuration.md': configurationPage,
  'docs/metrics.md': metricsPage,
  'docs/kuryr-conf.md': kuryrConfPage,
};

function* stalePages(): Generator<string> {
  for (const [name, make] of Object.entries(pages)) {
    const file = join(root, name);
    const text = make();
    if (existsSync(file) && text === readFileSync(file, 'utf8')) continue;
    if (process.argv.includes('--write')) {
      writeFileSync(file, text);
      console.log(`wrote ${name}`);
    } else {
      yield `${name} is not what the code says; write it with: make docs`;
    }
  }
}

/** Links in Markdown and names of files in it, and pages that messages and comments in the source name. */
function* brokenLinks(): Generator<string> {
  for (const page of globSync(['*.md', 'docs/**/*.md', 'test/**/*.md'], { cwd: root })) {
    const text = readFileSync(join(root, page), 'utf8');
    for (const [, target] of text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
      if (!existsSync(join(root, dirname(page), target!))) yield `${page} leads to ${target}, which is not there`;
    }
    for (const [, file] of text.matchAll(/`((?:src|test|tools|bench|packaging)\/[\w./-]*)`/g)) {
      // Capitals stand for a name that the reader chooses.
      if (!/\/[A-Z]+\//.test(file!) && !existsSync(join(root, file!)))
        yield `${page} names ${file}, which is not there`;
    }
  }
  for (const source of globSync(['src/**/*.ts', 'packaging/*'], { cwd: root })) {
    const text = readFileSync(join(root, source), 'utf8');
    for (const [target] of text.matchAll(/\b(docs\/[\w-]+|README|CONTRIBUTING)\.md\b/g)) {
      if (!existsSync(join(root, target))) yield `${source} names ${target}, which is not there`;
    }
  }
}

const complaints = [...stalePages(), ...brokenLinks()];
for (const complaint of complaints) console.error(complaint);
process.exitCode = complaints.length === 0 ? 0 : 1;

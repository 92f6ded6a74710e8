/** What takes seconds to make and is the same each time, kept beside the engine trees. */

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { cache } from '../engines.ts';
import { run } from '../process.ts';

const templates = join(cache, 'openstack');

export interface Template {
  readonly name: string;
  /** Debian packages and files beside this one; when they have changed, it is made anew. */
  readonly packages: readonly string[];
  readonly sources: readonly string[];
  /** Makes the files in an empty folder; nobody may have them open when it is done. */
  make(folder: string): Promise<void>;
}

/** Puts the files of a template into a folder, which is there. */
export async function fromTemplate(template: Template, target: string): Promise<void> {
  const made = join(templates, `${template.name}-${await fingerprint(template)}`);
  if (!existsSync(made)) {
    mkdirSync(templates, { recursive: true });
    const partial = mkdtempSync(join(templates, `.${template.name}-`));
    try {
      await template.make(partial);
      renameSync(partial, made);
    } catch (error) {
      rmSync(partial, { recursive: true, force: true });
      // Somebody else may have made it meanwhile.
      if (!existsSync(made)) throw error;
    }
  }
  await cp(made, target, { recursive: true });
}

async function fingerprint({ packages, sources }: Template): Promise<string> {
  const { stdout } = await run(['dpkg-query', '--show', ...packages]);
  const hash = createHash('sha256').update(stdout);
  for (const file of sources) hash.update(readFileSync(join(import.meta.dirname, file)));
  return hash.digest('hex').slice(0, 12);
}

/** Runs statements on a database of SQLite, which others may have open (write-ahead log). */
export function withSqlite<T>(file: string, action: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(file, { timeout: 10_000 });
  try {
    return action(database);
  } finally {
    database.close();
  }
}

/**
 * Lets readers and a writer be at it at once: without, Keystone's own connections lock each other out.
 */
export function writeAhead(file: string): void {
  withSqlite(file, (database) => database.exec('PRAGMA journal_mode = WAL'));
}

/** The state file: opened, checked, locked, and laid out. */

import { chmodSync, closeSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { BerthError } from '../../model/errors.ts';
import { storeError } from './errors.ts';

/** Layout of the tables, in `user_version`. */
const LAYOUT = 1;

/**
 * `kv` is the present, `log` is how it came about: one row per change, kept for the latest revisions. The newest row of `log`
 * is never removed, so it also says which revision the store is at.
 */
const TABLES = `
  CREATE TABLE kv (
    key TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL,
    created INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    lease TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX kv_lease ON kv (lease) WHERE lease IS NOT NULL;
  CREATE TABLE log (
    revision INTEGER NOT NULL,
    position INTEGER NOT NULL,
    key TEXT NOT NULL,
    value TEXT,
    created INTEGER,
    lease TEXT,
    PRIMARY KEY (revision, position)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE lease (id TEXT PRIMARY KEY NOT NULL, ttl REAL NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE compaction (oldest INTEGER NOT NULL) STRICT;
  INSERT INTO compaction VALUES (1);
  PRAGMA user_version = ${LAYOUT};
`;

/**
 * Opens the state file, making it when there is none, with mode 0600, and keeps it for this process alone. In exclusive mode
 * SQLite needs no shared memory, and so works on a full disk and on any file system.
 *
 * @throws BerthError STORE_CORRUPT and STORE_NEWER, with every byte of the file and its journal as it was; STATE_LOCKED;
 *   STORE_FULL; STORE_UNAVAILABLE.
 */
export function openStateFile(path: string, lockTimeout: number): DatabaseSync {
  try {
    const empty = prepare(path);
    if (!empty) inspect(path, lockTimeout);
    return open(path, lockTimeout);
  } catch (error) {
    throw storeError(error, path);
  }
}

/** Makes the file when there is none. @returns whether there is nothing in it. */
function prepare(path: string): boolean {
  // Not recursively: Node then tries for ever where the kernel answers ENOENT, as it does below /proc.
  ignoreExisting(() => mkdirSync(dirname(path), { mode: 0o700 }));
  // SQLite gives its journal the mode of the file, so this one decides for both.
  ignoreExisting(() => closeSync(openSync(path, 'wx', 0o600)));
  // By path, never by descriptor: closing any descriptor of the file would drop this process's lock on it (fcntl(2)).
  chmodSync(path, 0o600);
  return statSync(path).size === 0;
}

function ignoreExisting(make: () => void): void {
  try {
    make();
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
}

/**
 * Looks at the file without the right to write, because closing a writable one moves the journal into it, damaged or not.
 * Where reading needs what is not there (shared memory, on a full disk), `open` looks instead.
 */
function inspect(path: string, lockTimeout: number): void {
  try {
    using database = new DatabaseSync(path, { readOnly: true, timeout: lockTimeout });
    check(database, path);
  } catch (error) {
    const known = storeError(error, path);
    if (known.code !== 'STORE_UNAVAILABLE' && known.code !== 'STORE_FULL') throw known;
  }
}

function check(database: DatabaseSync, path: string): void {
  const result = database.prepare('PRAGMA quick_check(1)').get()?.quick_check;
  if (result !== 'ok') throw new BerthError('STORE_CORRUPT', `the state file ${path} is damaged: ${String(result)}`);
  const layout = Number(database.prepare('PRAGMA user_version').get()?.user_version);
  if (layout > LAYOUT) {
    throw new BerthError(
      'STORE_NEWER',
      `the state file ${path} has layout ${layout}; this version of Berth knows ${LAYOUT}`,
    );
  }
  const tables = Number(database.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.n);
  if (layout === 0 && tables > 0) {
    throw new BerthError('STORE_CORRUPT', `the file ${path} is a database of another program`);
  }
}

function open(path: string, lockTimeout: number): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: lockTimeout });
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE');
    check(database, path);
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 4194304');
    database.exec('BEGIN IMMEDIATE');
    if (database.prepare('PRAGMA user_version').get()?.user_version === 0) database.exec(TABLES);
    database.exec('COMMIT');
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** The store's operations on an open state file. Blocking, so only the worker calls them. */

import { randomUUID } from 'node:crypto';
import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import type { BerthError } from '../../model/errors.ts';
import { holds, leaseGone } from '../check.ts';
import type { Change, Entry, LeaseId, Listing, Transaction, TransactionResult } from '../store.ts';
import type { HistoryPage } from '../watch.ts';
import { storeError } from './errors.ts';
import type { Write } from './protocol.ts';

export interface Database {
  /** The newest revision. */
  readonly head: number;
  readonly oldest: number;
  get(key: string): Entry | undefined;
  list(prefix: string, after: string | undefined, limit: number | undefined): Listing;
  history(prefix: string, from: number): HistoryPage;
  leases(): readonly { readonly id: LeaseId; readonly ttl: number }[];
  /**
   * Applies all writes with a single wait for the disk, or none if all are relaxed; each succeeds or fails as if it were alone,
   * in the order given. What one of them answers is durable when this returns, unless it is relaxed; in the place of one
   * that failed stands its BerthError.
   */
  write(writes: readonly Write[]): readonly unknown[];
  close(): void;
}

/** Changes in one page of history; a transaction is never divided. */
const HISTORY_PAGE = 500;

interface KvRow {
  readonly key: string;
  readonly value: string;
  readonly created: number;
  readonly modified: number;
  readonly lease: string | null;
}

interface LogRow {
  readonly revision: number;
  readonly key: string;
  /** Null for a deletion. */
  readonly value: string | null;
  readonly created: number;
  readonly lease: string | null;
}

function entry(row: KvRow): Entry {
  const { key, value, created: createRevision, modified: modRevision, lease } = row;
  return { key, value, createRevision, modRevision, ...(lease === null ? {} : { lease }) };
}

function change(row: LogRow): Change {
  if (row.value === null) return { type: 'delete', key: row.key, modRevision: row.revision };
  return { type: 'put', entry: entry({ ...row, value: row.value, modified: row.revision }) };
}

export function createDatabase(sqlite: DatabaseSync, path: string): Database {
  const sql = {
    get: sqlite.prepare('SELECT key, value, created, modified, lease FROM kv WHERE key = ?'),
    from: sqlite.prepare('SELECT key, value, created, modified, lease FROM kv WHERE key >= ? ORDER BY key'),
    after: sqlite.prepare('SELECT key, value, created, modified, lease FROM kv WHERE key > ? ORDER BY key'),
    put: sqlite.prepare(
      `INSERT INTO kv (key, value, created, modified, lease) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET value = excluded.value, modified = excluded.modified, lease = excluded.lease
       RETURNING created`,
    ),
    delete: sqlite.prepare('DELETE FROM kv WHERE key = ?'),
    log: sqlite.prepare('INSERT INTO log (revision, position, key, value, created, lease) VALUES (?, ?, ?, ?, ?, ?)'),
    history: sqlite.prepare(
      'SELECT revision, key, value, created, lease FROM log WHERE revision >= ? ORDER BY revision, position',
    ),
    head: sqlite.prepare('SELECT coalesce(max(revision), 0) AS head FROM log'),
    oldest: sqlite.prepare('SELECT oldest FROM compaction'),
    forget: sqlite.prepare('DELETE FROM log WHERE revision < ?'),
    compact: sqlite.prepare('UPDATE compaction SET oldest = ?'),
    leases: sqlite.prepare('SELECT id, ttl FROM lease'),
    lease: sqlite.prepare('SELECT 1 FROM lease WHERE id = ?'),
    grant: sqlite.prepare('INSERT INTO lease (id, ttl) VALUES (?, ?)'),
    revoke: sqlite.prepare('DELETE FROM lease WHERE id = ?'),
    leaseKeys: sqlite.prepare('SELECT key FROM kv WHERE lease = ? ORDER BY key'),
  };
  let head = sql.head.get()!.head as number;
  let oldest = sql.oldest.get()!.oldest as number;

  const get = (key: string) => {
    const row = sql.get.get(key) as KvRow | undefined;
    return row === undefined ? undefined : entry(row);
  };

  const transact = ({ if: conditions = [], then }: Transaction): TransactionResult | BerthError => {
    for (const failed of conditions) {
      const found = get(failed.key);
      if (!holds(failed, found)) return { committed: false, revision: head, failed, found };
    }
    for (const operation of then) {
      if (operation.do !== 'put' || operation.lease === undefined) continue;
      if (sql.lease.get(operation.lease) === undefined) return leaseGone(operation.lease);
    }
    const revision = head + 1;
    let position = 0;
    const log = (key: string, ...rest: SQLInputValue[]) => sql.log.run(revision, position++, key, ...rest);
    for (const operation of then) {
      if (operation.do === 'put') {
        const { key, value, lease = null } = operation;
        const { created } = sql.put.get(key, value, revision, revision, lease) as { created: number };
        log(key, value, created, lease);
      } else if (sql.delete.run(operation.key).changes > 0) {
        log(operation.key, null, null, null);
      }
    }
    if (position > 0) head = revision;
    return { committed: true, revision: head };
  };

  const revoke = (lease: LeaseId) => {
    const keys = sql.leaseKeys.all(lease) as unknown as { key: string }[];
    transact({ then: keys.map(({ key }) => ({ do: 'delete', key })) });
    sql.revoke.run(lease);
  };

  const compact = (wanted: number) => {
    const revision = Math.min(wanted, head);
    if (revision <= oldest) return;
    sql.forget.run(revision);
    sql.compact.run(revision);
    oldest = revision;
  };

  const apply = (write: Write): unknown => {
    switch (write.call) {
      case 'transact':
        return transact(write.transaction);
      case 'grantLease': {
        const id = randomUUID();
        sql.grant.run(id, write.ttl);
        return id;
      }
      case 'revokeLease':
        return revoke(write.lease);
      case 'compact':
        return compact(write.revision);
    }
  };

  /**
   * In WAL mode, FULL waits for the disk at each commit and NORMAL only when the journal is moved into the file
   * (https://www.sqlite.org/pragma.html#pragma_synchronous). The journal is one file, so waiting for a later commit takes the
   * earlier ones along.
   */
  let waits = true;
  const waitForDisk = (wanted: boolean) => {
    if (wanted === waits) return;
    sqlite.exec(`PRAGMA synchronous = ${wanted ? 'FULL' : 'NORMAL'}`);
    waits = wanted;
  };

  /** All of them, or an exception and none. */
  const commit = (writes: readonly Write[]): unknown[] => {
    const before = { head, oldest };
    try {
      waitForDisk(!writes.every((write) => write.call === 'transact' && write.transaction.relaxed === true));
      sqlite.exec('BEGIN IMMEDIATE');
      const results = writes.map(apply);
      sqlite.exec('COMMIT');
      return results;
    } catch (error) {
      ({ head, oldest } = before);
      // SQLite has already rolled back by itself after most errors that concern the disk.
      if (sqlite.isTransaction) sqlite.exec('ROLLBACK');
      throw error;
    }
  };

  /** A file that was found damaged is not written any more: every further page could destroy what is left. */
  let damage: BerthError | undefined;
  const tryCommit = (writes: readonly Write[]): unknown[] => {
    if (damage !== undefined) throw damage;
    try {
      return commit(writes);
    } catch (error) {
      const known = storeError(error, path);
      if (known.code === 'STORE_CORRUPT') damage = known;
      throw known;
    }
  };

  return {
    get head() {
      return head;
    },
    get oldest() {
      return oldest;
    },
    get,

    list(prefix, after, limit = Number.POSITIVE_INFINITY) {
      const entries: Entry[] = [];
      const inside = after !== undefined && Buffer.compare(Buffer.from(after), Buffer.from(prefix)) >= 0;
      const rows = inside ? sql.after.iterate(after) : sql.from.iterate(prefix);
      for (const row of rows as Iterable<unknown> as Iterable<KvRow>) {
        if (!row.key.startsWith(prefix)) break;
        if (entries.length >= limit) return { entries, revision: head, more: true };
        entries.push(entry(row));
      }
      return { entries, revision: head, more: false };
    },

    history(prefix, from) {
      const messages: { type: 'changes'; revision: number; changes: Change[] }[] = [];
      let count = 0;
      for (const row of sql.history.iterate(from) as Iterable<unknown> as Iterable<LogRow>) {
        let message = messages.at(-1);
        if (count >= HISTORY_PAGE && row.revision !== message?.revision) {
          return { messages, next: row.revision, oldest };
        }
        if (!row.key.startsWith(prefix)) continue;
        if (message?.revision !== row.revision) {
          message = { type: 'changes', revision: row.revision, changes: [] };
          messages.push(message);
        }
        message.changes.push(change(row));
        count++;
      }
      return { messages, next: Math.max(from, head + 1), oldest };
    },

    leases: () => sql.leases.all() as unknown as { id: LeaseId; ttl: number }[],

    write(writes) {
      try {
        return tryCommit(writes);
      } catch (error) {
        if (writes.length === 1) return [storeError(error, path)];
      }
      // One that is too big for the disk must not take the others with it.
      return writes.map((write) => {
        try {
          return tryCommit([write])[0];
        } catch (error) {
          return storeError(error, path);
        }
      });
    },

    close: () => sqlite.close(),
  };
}

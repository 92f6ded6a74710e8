/** A store that forgets everything when the process ends: for the tests of the layers above, where no disk is wanted. */

import { checkTransaction, checkTtl, compareKeys, holds, leaseGone, storeClosed } from './check.ts';
import { createLeaseClock, runLeaseTimer } from './leases.ts';
import type { Change, Entry, LeaseId, Store, Transaction, TransactionResult } from './store.ts';
import { createRevisionGauge, watchHistory } from './watch.ts';

/** A new, empty store. It passes the same conformance suite as the others. */
export function createMemoryStore(): Store {
  const entries = new Map<string, Entry>();
  const log: { readonly type: 'changes'; readonly revision: number; readonly changes: readonly Change[] }[] = [];
  const gauge = createRevisionGauge();
  const now = () => performance.now();
  const clock = createLeaseClock(now);
  let head = 0;
  let oldest = 1;
  let leases = 0;
  let closed = false;

  const timer = runLeaseTimer(clock, now, (overdue) => overdue.forEach(revoke));
  const revoke = (lease: LeaseId) => {
    clock.end(lease);
    const keys = [...entries.values()].filter((entry) => entry.lease === lease).map(({ key }) => key);
    transact({ then: keys.map((key) => ({ do: 'delete', key })) });
  };

  const transact = ({ if: conditions = [], then }: Transaction): TransactionResult => {
    for (const failed of conditions) {
      const found = entries.get(failed.key);
      if (!holds(failed, found)) return { committed: false, revision: head, failed, found };
    }
    for (const operation of then) {
      if (operation.do === 'put' && operation.lease !== undefined && !clock.has(operation.lease)) {
        throw leaseGone(operation.lease);
      }
    }
    const revision = head + 1;
    const changes: Change[] = [];
    for (const operation of then) {
      if (operation.do === 'put') {
        const { do: _, ...rest } = operation;
        const createRevision = entries.get(operation.key)?.createRevision ?? revision;
        const entry: Entry = { ...rest, createRevision, modRevision: revision };
        entries.set(entry.key, entry);
        changes.push({ type: 'put', entry });
      } else if (entries.delete(operation.key)) {
        changes.push({ type: 'delete', key: operation.key, modRevision: revision });
      }
    }
    if (changes.length > 0) {
      log.push({ type: 'changes', revision, changes });
      head = revision;
      gauge.advance(head);
    }
    return { committed: true, revision: head };
  };

  /** Every call answers later, as that of a real store, and fails once the store is closed. */
  const later = async <T>(work: () => T): Promise<T> => {
    await Promise.resolve();
    if (closed) throw storeClosed();
    return work();
  };

  const history = {
    reached: (revision: number, signal: AbortSignal) => gauge.reached(revision, signal),
    read: (prefix: string, from: number) =>
      later(() => {
        const messages = log
          .filter(({ revision }) => revision >= from)
          .map((message) => ({
            ...message,
            changes: message.changes.filter((change) => keyOf(change).startsWith(prefix)),
          }))
          .filter(({ changes }) => changes.length > 0);
        return { messages, next: Math.max(from, head + 1), oldest };
      }),
  };

  return {
    get: (key) => later(() => entries.get(key)),
    list: (prefix, { after, limit = Number.POSITIVE_INFINITY } = {}) =>
      later(() => {
        const found = [...entries.values()]
          .filter(({ key }) => key.startsWith(prefix) && (after === undefined || compareKeys(key, after) > 0))
          .sort((a, b) => compareKeys(a.key, b.key));
        return { entries: found.slice(0, limit), revision: head, more: found.length > limit };
      }),
    async transact(transaction) {
      checkTransaction(transaction);
      return await later(() => transact(transaction));
    },
    watch: (prefix, fromRevision, signal) => watchHistory(history, prefix, fromRevision, signal),
    async grantLease(ttl) {
      checkTtl(ttl);
      return await later(() => {
        const lease = `lease-${++leases}`;
        clock.grant(lease, ttl);
        timer.arm();
        return lease;
      });
    },
    keepAlive: (lease) => later(() => clock.keepAlive(lease)),
    revokeLease: (lease) => later(() => revoke(lease)),
    compact: (revision) =>
      later(() => {
        oldest = Math.max(oldest, Math.min(revision, head));
        log.splice(0, log.findLastIndex((message) => message.revision < oldest) + 1);
      }),
    async close() {
      closed = true;
      timer.stop();
      gauge.fail(storeClosed());
    },
  };
}

function keyOf(change: Change): string {
  return change.type === 'put' ? change.entry.key : change.key;
}

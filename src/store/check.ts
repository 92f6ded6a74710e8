/** What the stores that keep their own data have in common. */

import { BerthError } from '../model/errors.ts';
import type { Condition, Entry, LeaseId, Transaction } from './store.ts';

/**
 * A transaction that no store can carry out is a defect of the caller.
 *
 * @throws RangeError for a key that repeats among the operations, is empty, or is no Unicode text (a lone surrogate has no
 *   bytes of its own: two such keys would become one).
 */
export function checkTransaction(transaction: Transaction): void {
  const written = new Set<string>();
  for (const { key } of transaction.then) {
    if (written.has(key)) throw new RangeError(`a transaction writes the key ${JSON.stringify(key)} twice`);
    written.add(key);
    checkText('key', key);
    if (key === '') throw new RangeError('a key must not be empty');
  }
  for (const operation of transaction.then) if (operation.do === 'put') checkText('value', operation.value);
}

function checkText(what: string, text: string): void {
  if (!text.isWellFormed()) throw new RangeError(`a ${what} must be Unicode text, not ${JSON.stringify(text)}`);
}

/** Whether a condition holds for what stands at its key. */
export function holds(condition: Condition, found: Entry | undefined): boolean {
  switch (condition.is) {
    case 'absent':
      return found === undefined;
    case 'present':
      return found !== undefined;
    case 'at':
      return found?.modRevision === condition.revision;
  }
}

export function checkTtl(ttl: number): void {
  if (!(ttl > 0 && Number.isFinite(ttl)))
    throw new RangeError(`a lease needs a positive number of seconds, not ${ttl}`);
}

/** A put names a lease that is over. */
export function leaseGone(lease: LeaseId): BerthError {
  return new BerthError('NOT_FOUND', `the lease ${lease} has ended`);
}

export function storeClosed(): BerthError {
  return new BerthError('STORE_UNAVAILABLE', 'the store is closed');
}

/** Order of keys as the store interface promises it: by their bytes in UTF-8, which differs from that of UTF-16 units. */
export function compareKeys(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/**
 * One transaction, and what has become of it where its answer was lost: with a leader that dies, members drop what they were asked,
 * or carry it out and tell nobody.
 *
 * It is then asked for once more, with its conditions, and with a look at what it would have written. Most transactions change a key
 * that they have a condition on ("absent", "at this revision"), so that only one of the two can have an effect: if the second has
 * none, the keys show whether the first had, for who writes them has put his name or a random number there. A transaction without
 * such a condition says what shall stand there, whatever stood there before; it may have its effect twice.
 */

import { BerthError } from '../../model/errors.ts';
import { checkTransaction, holds, leaseGone } from '../check.ts';
import type { Entry, Operation, Transaction, TransactionResult } from '../store.ts';
import type { Client } from './client.ts';
import { getRequest, methods, parseLease, readRange, readTxn, type Strip, txnRequest } from './messages.ts';
import { GrpcError, isCompacted } from './status.ts';

export interface TransactParts {
  readonly client: Client;
  /** The key in etcd of a key of the store, and back. */
  readonly full: (key: string) => Buffer;
  readonly strip: Strip;
  /** The newest revision that etcd has told us of: the transaction comes after it. */
  readonly since: number;
}

/** How many changes of a key by others are looked through for ours. */
const MOST_CHANGES = 100;

/** Of conditions, and of operations of each branch (`--max-txn-ops`). */
const MOST_OPERATIONS = 128;

type Put = Extract<Operation, { do: 'put' }>;

/** @throws as `transact` of the store */
export async function transact(
  { client, full, strip, since }: TransactParts,
  transaction: Transaction,
): Promise<TransactionResult> {
  checkTransaction(transaction);
  const { if: conditions = [], then } = transaction;
  const puts = then.filter((operation) => operation.do === 'put');
  for (const { lease } of puts) if (lease !== undefined && parseLease(lease) === undefined) throw leaseGone(lease);
  const looked = puts.slice(0, MOST_OPERATIONS - conditions.length);
  let inDoubt = false;
  const answer = await client.call({
    method: methods.txn,
    request: txnRequest(conditions, then, full),
    what: 'a write',
    repeatable: then.length === 0,
    inDoubt: () => {
      inDoubt = true;
      return txnRequest(
        conditions,
        then,
        full,
        looked.map(({ key }) => key),
      );
    },
  });
  const { succeeded, revision, found } = readTxn(answer, strip);
  if (succeeded) return { committed: true, revision };
  if (inDoubt) {
    for (const [index, put] of looked.entries()) {
      const done = await writtenAt(put, found[conditions.length + index]);
      if (done !== undefined) return { committed: true, revision: done };
    }
  }
  const failed = conditions.findIndex((condition, index) => !holds(condition, found[index]));
  return { committed: false, revision, failed: conditions[failed]!, found: found[failed] };

  /** The revision at which a key got the value that we were to give it, also when others have changed it since. */
  async function writtenAt(put: Put, now: Entry | undefined): Promise<number | undefined> {
    let entry = now;
    for (let changes = 0; entry !== undefined && entry.modRevision > since; changes++) {
      if (entry.value === put.value && entry.lease === put.lease) return entry.modRevision;
      if (changes === MOST_CHANGES) throw unknown('others have changed much since');
      entry = await before(entry);
    }
    return undefined;
  }

  async function before({ key, modRevision }: Entry): Promise<Entry | undefined> {
    const request = getRequest(full(key), modRevision - 1);
    try {
      const answer = await client.call(
        { method: methods.range, request, what: 'a read', repeatable: true },
        isCompacted,
      );
      return readRange(answer, strip).entries[0];
    } catch (error) {
      throw unknown(error instanceof GrpcError ? 'its history has been compacted' : (error as Error).message, error);
    }
  }
}

function unknown(reason: string, cause?: unknown): BerthError {
  return new BerthError(
    'STORE_UNAVAILABLE',
    `etcd did not answer a write, and ${reason}; it is unknown whether it was done`,
    {
      cause,
    },
  );
}

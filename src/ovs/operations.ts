/** Operations of a transaction (RFC 7047 §5.2), and what became of them. */

import { BerthError } from '../model/errors.ts';
import { isObject, ProtocolError } from './json-stream.ts';
import { type Row, readRow, type Value } from './values.ts';

export type Condition = readonly [column: string, test: '==' | 'includes', value: Value];
export type Mutation = readonly [column: string, mutator: 'insert' | 'delete' | '+=', value: Value];

export type Operation =
  | {
      readonly op: 'select';
      readonly table: string;
      readonly where: readonly Condition[];
      readonly columns: readonly string[];
    }
  | {
      readonly op: 'insert';
      readonly table: string;
      readonly row: Readonly<Record<string, Value>>;
      readonly 'uuid-name': string;
    }
  | {
      readonly op: 'update';
      readonly table: string;
      readonly where: readonly Condition[];
      readonly row: Readonly<Record<string, Value>>;
    }
  | {
      readonly op: 'mutate';
      readonly table: string;
      readonly where: readonly Condition[];
      readonly mutations: readonly Mutation[];
    }
  /** For a row with these columns, or without; else the transaction comes to nothing (`timed out`). */
  | {
      readonly op: 'wait';
      readonly table: string;
      /** Milliseconds; with 0 it is not waited for. */
      readonly timeout: number;
      readonly where: readonly Condition[];
      readonly columns: readonly string[];
      readonly until: '==' | '!=';
      readonly rows: readonly Readonly<Record<string, Value>>[];
    }
  /** Stands in the database's own log: `ovsdb-tool show-log`. */
  | { readonly op: 'comment'; readonly comment: string };

/** What one operation answered. */
export type Result = Readonly<Record<string, unknown>>;

/** The database took none of a transaction, and says why. */
export class TransactionRefused extends Error {
  /** As in RFC 7047 §5: `constraint violation`, `timed out`, `referential integrity violation` … */
  readonly error: string;

  constructor(error: string, details: string | undefined) {
    super(details === undefined ? error : `${error}: ${details}`);
    this.name = 'TransactionRefused';
    this.error = error;
  }

  toBerthError(doing: string): BerthError {
    return new BerthError('OVS_REFUSED', `Open vSwitch refused to ${doing}: ${this.message}`, { cause: this });
  }
}

/**
 * The results of a `transact`, one for each operation. What fails only when all is done (a name that exists already) stands
 * in one more element at the end.
 *
 * @throws TransactionRefused when the database took nothing of it.
 * @throws ProtocolError
 */
export function readResults(answer: unknown, operations: readonly Operation[]): readonly Result[] {
  if (!Array.isArray(answer)) throw new ProtocolError('a transaction was answered with something else than a list');
  for (const result of answer as unknown[]) {
    if (!isObject(result) || typeof result.error !== 'string') continue;
    throw new TransactionRefused(result.error, typeof result.details === 'string' ? result.details : undefined);
  }
  if (answer.length < operations.length) throw new ProtocolError('a transaction has fewer results than operations');
  return answer.slice(0, operations.length).map((result) => (isObject(result) ? result : {}));
}

/** Rows that a `select` found. @throws ProtocolError */
export function rowsOf(result: Result | undefined): readonly Row[] {
  if (!Array.isArray(result?.rows)) throw new ProtocolError('a selection has no rows');
  return result.rows.map(readRow);
}

/** How many rows an operation changed. @throws ProtocolError */
export function countOf(result: Result | undefined): number {
  if (typeof result?.count !== 'number')
    throw new ProtocolError('a change says nothing of how many rows it was made to');
  return result.count;
}

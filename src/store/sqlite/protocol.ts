/** What the main thread and the store's worker say to each other. */

import type { ErrorCode } from '../../model/errors.ts';
import type { LeaseId, Transaction } from '../store.ts';

export type Write =
  | { readonly call: 'transact'; readonly transaction: Transaction }
  | { readonly call: 'grantLease'; readonly ttl: number }
  | { readonly call: 'revokeLease'; readonly lease: LeaseId }
  | { readonly call: 'compact'; readonly revision: number };

export type Read =
  | { readonly call: 'get'; readonly key: string }
  | { readonly call: 'list'; readonly prefix: string; readonly after?: string; readonly limit?: number }
  | { readonly call: 'history'; readonly prefix: string; readonly from: number };

export type Call = Write | Read | { readonly call: 'keepAlive'; readonly lease: LeaseId } | { readonly call: 'close' };

export interface Request {
  readonly id: number;
  /** Milliseconds of the monotonic clock that all threads share; nobody waits for the answer after it. */
  readonly deadline: number;
  readonly call: Call;
}

export interface Failure {
  readonly code: ErrorCode;
  readonly sentence: string;
}

export type Outcome = { readonly value: unknown } | { readonly failure: Failure };

export type Message =
  | { readonly type: 'opened'; readonly head: number }
  | { readonly type: 'failed'; readonly failure: Failure }
  | { readonly type: 'answers'; readonly head: number; readonly answers: readonly (readonly [number, Outcome])[] };

export interface WorkerOptions {
  readonly path: string;
  /** How many of the latest revisions a watch can start from. */
  readonly keepRevisions: number;
  /** Milliseconds to wait for another process to let go of the file. */
  readonly lockTimeout: number;
}

/** Milliseconds of CLOCK_MONOTONIC: unlike `performance.now()`, the same in every thread. */
export function monotonic(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

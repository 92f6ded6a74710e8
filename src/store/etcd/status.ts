/** What gRPC and etcd say when something goes wrong, and what Berth makes of it. */

import { BerthError } from '../../model/errors.ts';
import { StoreNotReached } from '../store.ts';

/** https://grpc.github.io/grpc/core/md_doc_statuscodes.html; those that are told apart here. */
export const statusCodes = {
  ok: 0,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  outOfRange: 11,
  unimplemented: 12,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

/** A call that failed, with gRPC's status. */
export class GrpcError extends Error {
  readonly status: number;
  /** The server certainly did not begin with it. */
  readonly untouched: boolean;

  constructor(status: number, reason: string, untouched = false) {
    super(reason);
    this.name = 'GrpcError';
    this.status = status;
    this.untouched = untouched;
  }
}

/** The connection is gone or was never there. */
export function lost(reason: string, untouched = false): GrpcError {
  return new GrpcError(statusCodes.unavailable, reason, untouched);
}

const ETCD = 'etcdserver: ';

/**
 * Whether etcd refused before it proposed anything to its members, so that even a write may be tried again: texts of
 * etcd's api/v3rpc/rpctypes/error.go and raft's node.go.
 */
export function refusedEarly({ status, message, untouched }: GrpcError): boolean {
  return (
    untouched ||
    (status === statusCodes.unavailable && message === `${ETCD}no leader`) ||
    (status === statusCodes.resourceExhausted && message === `${ETCD}too many requests`) ||
    message === 'raft proposal dropped'
  );
}

/** Whether this member, and perhaps not the others, cannot do it at the moment: it is alone, or too slow. */
export function ofThisMember({ status, message }: GrpcError): boolean {
  if (status === statusCodes.deadlineExceeded) return true;
  return status === statusCodes.unavailable && /^etcdserver: (no leader|request timed out)/.test(message);
}

/** Whether it may work out at the next attempt, where asking twice does no harm. */
export function passing(error: GrpcError): boolean {
  return (
    error.status === statusCodes.unavailable || error.status === statusCodes.deadlineExceeded || refusedEarly(error)
  );
}

/** Whether the token is no longer known: its time is over, the member has restarted, or users have been changed. */
export function tokenEnded({ status, message }: GrpcError): boolean {
  return (
    (status === statusCodes.unauthenticated && message === `${ETCD}invalid auth token`) ||
    message === `${ETCD}revision of auth store is old`
  );
}

export function authIsOff({ status, message }: GrpcError): boolean {
  return status === statusCodes.failedPrecondition && message === `${ETCD}authentication is not enabled`;
}

export function isCompacted({ status, message }: GrpcError): boolean {
  return status === statusCodes.outOfRange && message === `${ETCD}mvcc: required revision has been compacted`;
}

export function leaseExists({ message }: GrpcError): boolean {
  return message === `${ETCD}lease already exists`;
}

/**
 * The failure of a call as an error for users.
 *
 * @param what was asked for, such as "the write".
 * @param mayHaveBeenDone of a write whose answer did not come: that is told, whatever has failed since.
 */
export function storeError(error: GrpcError, what: string, mayHaveBeenDone: boolean): BerthError {
  const options = { cause: error };
  const reason = error.message.replace(ETCD, '');
  const sentence = `etcd could not do ${what}: ${reason}`;
  if (mayHaveBeenDone && error.status !== statusCodes.dataLoss) {
    return new BerthError('STORE_UNAVAILABLE', `${sentence}; it is unknown whether it was done`, options);
  }
  switch (error.status) {
    case statusCodes.resourceExhausted:
      if (reason.includes('database space exceeded')) {
        return new BerthError('STORE_FULL', `etcd has no space left for ${what}: ${reason}`, options);
      }
      if (reason.includes('larger than max')) return tooLarge(what, reason, options);
      break;
    case statusCodes.invalidArgument:
      if (reason === 'request is too large' || reason === 'too many operations in txn request') {
        return tooLarge(what, reason, options);
      }
      if (reason === 'user name is empty' || reason.startsWith('authentication failed')) return denied(reason, options);
      break;
    case statusCodes.permissionDenied:
    case statusCodes.unauthenticated:
      return denied(`${what}: ${reason}`, options);
    case statusCodes.notFound:
      if (reason === 'requested lease not found') return new BerthError('NOT_FOUND', 'the lease has ended', options);
      break;
    case statusCodes.dataLoss:
      return new BerthError('STORE_CORRUPT', `etcd says that its data is damaged: ${reason}`, options);
    default:
      break;
  }
  return new StoreNotReached(sentence, options);
}

function tooLarge(what: string, reason: string, options: { cause: unknown }): BerthError {
  return new BerthError('TRANSACTION_TOO_LARGE', `etcd does not take ${what}: ${reason}`, options);
}

export function denied(reason: string, options: { cause?: unknown } = {}): BerthError {
  return new BerthError('STORE_DENIED', `etcd refuses ${reason}`, options);
}

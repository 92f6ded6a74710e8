/**
 * The messages of etcd's API that Berth sends and reads, with the field numbers of etcd's rpc.proto, kv.proto and auth.proto
 * (api/etcdserverpb, api/mvccpb of https://github.com/etcd-io/etcd; the numbers are the same from 3.0 to 3.6).
 */

import { BerthError } from '../../model/errors.ts';
import type { Condition, Entry, Operation } from '../store.ts';
import { bytesField, type Fields, idField, intField, message, messageField, readMessage } from './protobuf.ts';

export const methods = {
  range: '/etcdserverpb.KV/Range',
  txn: '/etcdserverpb.KV/Txn',
  compact: '/etcdserverpb.KV/Compact',
  watch: '/etcdserverpb.Watch/Watch',
  leaseGrant: '/etcdserverpb.Lease/LeaseGrant',
  leaseRevoke: '/etcdserverpb.Lease/LeaseRevoke',
  leaseKeepAlive: '/etcdserverpb.Lease/LeaseKeepAlive',
  authenticate: '/etcdserverpb.Auth/Authenticate',
  status: '/etcdserverpb.Maintenance/Status',
} as const;

/** A half-open range of keys, as bytes: the end of a prefix need not be text. */
export interface KeyRange {
  readonly from: Buffer;
  readonly to: Buffer;
}

/** All keys that begin so: up to the prefix with its last byte increased (`getPrefix` of etcd's client/v3/op.go). */
export function prefixRange(prefix: Buffer): KeyRange {
  for (let last = prefix.length - 1; last >= 0; last--) {
    if (prefix[last]! === 0xff) continue;
    const to = Buffer.from(prefix.subarray(0, last + 1));
    to[last]!++;
    return { from: prefix, to };
  }
  // A range that ends at the byte 0 has no end; no key is empty, so the first possible is that byte.
  return { from: prefix.length === 0 ? Buffer.from([0]) : prefix, to: Buffer.from([0]) };
}

export function rangeRequest(range: KeyRange, limit = 0, revision = 0): Buffer {
  return message(bytesField(1, range.from), bytesField(2, range.to), intField(3, limit), intField(4, revision));
}

function keyRequest(key: Buffer): Buffer {
  return message(bytesField(1, key));
}

/** @param revision of the past; 0: the newest. */
export function getRequest(key: Buffer, revision = 0): Buffer {
  return message(bytesField(1, key), intField(4, revision));
}

/** Compare.CompareResult */
const EQUAL = 0;
const GREATER = 1;
/** Compare.CompareTarget: a key that is absent was created at revision 0. */
const CREATE = 1;
const MOD = 2;

function compare(condition: Condition, key: Buffer): Buffer {
  switch (condition.is) {
    case 'absent':
      return message(intField(1, EQUAL), intField(2, CREATE), bytesField(3, key), zeroRevision(5));
    case 'present':
      return message(intField(1, GREATER), intField(2, CREATE), bytesField(3, key), zeroRevision(5));
    case 'at':
      return message(
        intField(1, EQUAL),
        intField(2, MOD),
        bytesField(3, key),
        condition.revision === 0 ? zeroRevision(6) : intField(6, condition.revision),
      );
  }
}

/** In a `oneof` even a zero must stand there, or etcd sees no value to compare with. */
function zeroRevision(field: number): Buffer {
  return Buffer.from([field * 8, 0]);
}

/** RequestOp: one of range, put, delete. */
function requestOp(operation: Operation, key: Buffer): Buffer {
  if (operation.do === 'delete') return messageField(3, keyRequest(key));
  const lease = operation.lease === undefined ? undefined : parseLease(operation.lease);
  return messageField(2, message(bytesField(1, key), bytesField(2, operation.value), idField(3, lease)));
}

/**
 * Conditions and operations with the keys that they have in etcd. Where a condition fails, all keys of conditions are read, and
 * after them those of `alsoRead`.
 */
export function txnRequest(
  conditions: readonly Condition[],
  operations: readonly Operation[],
  key: (key: string) => Buffer,
  alsoRead: readonly string[] = [],
): Buffer {
  const read = [...conditions.map((condition) => condition.key), ...alsoRead];
  return message(
    ...conditions.map((condition) => messageField(1, compare(condition, key(condition.key)))),
    ...operations.map((operation) => messageField(2, requestOp(operation, key(operation.key)))),
    ...read.map((name) => messageField(3, messageField(1, keyRequest(key(name))))),
  );
}

export function compactRequest(revision: number): Buffer {
  return message(intField(1, revision));
}

/** @param seconds whole. */
export function leaseGrantRequest(lease: bigint, seconds: number): Buffer {
  return message(intField(1, seconds), idField(2, lease));
}

export function leaseRequest(lease: bigint): Buffer {
  return message(idField(1, lease));
}

export function authenticateRequest(name: string, password: string): Buffer {
  return message(bytesField(1, name), bytesField(2, password));
}

export function watchRequest(range: KeyRange, startRevision: number): Buffer {
  const create = message(
    bytesField(1, range.from),
    bytesField(2, range.to),
    intField(3, startRevision),
    // Tells how far a watch has come that has nothing to tell.
    intField(4, true),
  );
  return messageField(1, create);
}

/** What reads an answer, or says that it is none: nothing can be concluded from it, not even that nothing was done. */
function guarded<Given extends readonly unknown[], Value>(
  read: (...given: Given) => Value,
): (...given: Given) => Value {
  return (...given) => {
    try {
      return read(...given);
    } catch (error) {
      const why = (error as Error).message;
      throw new BerthError('STORE_UNAVAILABLE', `etcd answered with what is no message of its API: ${why}`, {
        cause: error,
      });
    }
  };
}

interface Header {
  readonly cluster: bigint;
  readonly revision: number;
}

function header(fields: Fields): Header {
  const found = fields.message(1);
  return { cluster: found?.id(1) ?? 0n, revision: found?.int(3) ?? 0 };
}

export interface Status {
  readonly cluster: bigint;
  /** The member that leads; 0 when this one knows of none. */
  readonly leader: bigint;
  /** Not yet a full member. */
  readonly learner: boolean;
}

export const readStatus = guarded((bytes: Buffer): Status => {
  const fields = readMessage(bytes);
  return { cluster: header(fields).cluster, leader: fields.id(4), learner: fields.bool(10) };
});

export interface RangeResult {
  readonly revision: number;
  readonly entries: readonly Entry[];
  readonly more: boolean;
}

/** Takes the prefix of this store off an etcd key. */
export type Strip = (key: string) => string;

function entry(fields: Fields, strip: Strip): Entry {
  const lease = fields.id(6);
  return {
    key: strip(fields.text(1)),
    value: fields.text(5),
    createRevision: fields.int(2),
    modRevision: fields.int(3),
    ...(lease === 0n ? {} : { lease: formatLease(lease) }),
  };
}

function range(fields: Fields, strip: Strip): RangeResult {
  return {
    revision: header(fields).revision,
    entries: fields.messages(2).map((kv) => entry(kv, strip)),
    more: fields.bool(3),
  };
}

export const readRange = guarded((bytes: Buffer, strip: Strip): RangeResult => {
  return range(readMessage(bytes), strip);
});

export interface TxnResult {
  readonly revision: number;
  readonly succeeded: boolean;
  /** What stands at the key of each condition, and at the other keys to be read, when a condition failed. */
  readonly found: readonly (Entry | undefined)[];
}

export const readTxn = guarded((bytes: Buffer, strip: Strip): TxnResult => {
  const fields = readMessage(bytes);
  const succeeded = fields.bool(2);
  const found = succeeded
    ? []
    : fields.messages(3).map((response) => {
        const read = response.message(1);
        return read === undefined ? undefined : range(read, strip).entries[0];
      });
  return { revision: header(fields).revision, succeeded, found };
});

/** @returns the seconds that are left; 0 or less when the lease is over. */
export const readKeepAlive = guarded((bytes: Buffer): number => {
  return readMessage(bytes).int(3);
});

export const readToken = guarded((bytes: Buffer): string => {
  return readMessage(bytes).text(2);
});

export interface WatchResult {
  readonly cluster: bigint;
  readonly revision: number;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly reason: string;
  /** When not 0: revisions up to before this one are gone. */
  readonly compactRevision: number;
  readonly events: readonly WatchEvent[];
}

export interface WatchEvent {
  readonly deleted: boolean;
  readonly entry: Entry;
}

/** Event.EventType */
const DELETE = 1;

export const readWatch = guarded((bytes: Buffer, strip: Strip): WatchResult => {
  const fields = readMessage(bytes);
  return {
    ...header(fields),
    created: fields.bool(3),
    canceled: fields.bool(4),
    compactRevision: fields.int(5),
    reason: fields.text(6),
    events: fields.messages(11).map((event) => ({
      deleted: event.int(1) === DELETE,
      entry: entry(event.message(2)!, strip),
    })),
  };
});

/** Leases are written as etcdctl writes them. */
export function formatLease(lease: bigint): string {
  return lease.toString(16);
}

/** @returns undefined for what is no lease of etcd. */
export function parseLease(lease: string): bigint | undefined {
  return /^[0-9a-f]{1,16}$/.test(lease) ? BigInt.asIntN(64, BigInt(`0x${lease}`)) : undefined;
}

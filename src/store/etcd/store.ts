/** The store that hosts share: etcd, by its v3 API (https://etcd.io/docs/v3.4/learning/api/). */

import { randomBytes } from 'node:crypto';
import { checkTtl } from '../check.ts';
import type { Entry, Listing, Store } from '../store.ts';
import { createClient, type User } from './client.ts';
import type { Endpoint } from './connection.ts';
import {
  compactRequest,
  formatLease,
  getRequest,
  leaseGrantRequest,
  leaseRequest,
  methods,
  parseLease,
  prefixRange,
  rangeRequest,
  readKeepAlive,
  readRange,
  readTxn,
  txnRequest,
} from './messages.ts';
import { GrpcError, isCompacted, leaseExists, statusCodes } from './status.ts';
import { transact } from './transact.ts';
import { watchRange } from './watch.ts';

export interface EtcdOptions {
  /** The members, or as many of them as are to be asked; all of one cluster. */
  readonly endpoints: readonly Endpoint[];
  /** Begins every key in etcd, and is no part of the keys of the store. Empty when absent. */
  readonly prefix?: string;
  readonly user?: User;
  /** Milliseconds until a call is given up with STORE_UNAVAILABLE. 4,000 when absent. */
  readonly deadline?: number;
  /** Opens it unasked: whether it answers is left to the first call. */
  readonly unasked?: boolean;
}

/** Keys that are asked for at once. */
const PAGE = 1000;

/**
 * Opens the store. No call takes longer than the deadline, whatever the members do, except for a transaction whose outcome is unknown:
 * it is given three quarters more to find out. Reads are asked again of another member; for writes see `transact.ts`.
 *
 * @throws BerthError STORE_UNAVAILABLE when no member serves within the deadline, STORE_DENIED when etcd refuses us.
 */
export async function openEtcdStore(options: EtcdOptions): Promise<Store> {
  const { prefix = '', deadline = 4000, unasked = false, endpoints, user } = options;
  const client = createClient({ endpoints, deadline, ...(user === undefined ? {} : { user }) });
  const full = (key: string) => Buffer.from(prefix + key);
  const strip = (key: string) => key.slice(prefix.length);

  let newest = 0;
  const heard = (revision: number): number => {
    newest = Math.max(newest, revision);
    return revision;
  };

  const read = (request: Buffer, keep?: (error: GrpcError) => boolean) =>
    client.call({ method: methods.range, request, what: 'a read', repeatable: true }, keep);

  /** One page after the other, all of the same revision; undefined when that has been compacted in the meantime. */
  async function listOnce(begin: Buffer, end: Buffer, limit: number): Promise<Listing | undefined> {
    const entries: Entry[] = [];
    let from = begin;
    let revision = 0;
    for (;;) {
      const page = Math.min(PAGE, limit - entries.length);
      let answer: Buffer;
      try {
        answer = await read(rangeRequest({ from, to: end }, page, revision), isCompacted);
      } catch (error) {
        if (error instanceof GrpcError) return undefined;
        throw error;
      }
      const found = readRange(answer, strip);
      heard(found.revision);
      entries.push(...found.entries);
      // The revision of the first page, for the answers to the others tell the newest.
      if (revision === 0) revision = found.revision;
      if (!found.more || entries.length >= limit) return { entries, revision, more: found.more };
      from = full(`${entries.at(-1)!.key}\0`);
    }
  }

  /** The newest revision that a member knows; needs no right to any key. */
  async function head(): Promise<number> {
    const call = { method: methods.txn, request: txnRequest([], [], full), what: 'a read', repeatable: true };
    return heard(readTxn(await client.call(call), strip).revision);
  }

  async function compact(revision: number): Promise<boolean> {
    // etcd forgets what is older than its revision, and deletions at it as well.
    if (revision <= 1) return true;
    const request = compactRequest(revision - 1);
    try {
      await client.call(
        { method: methods.compact, request, what: 'a compaction', repeatable: true },
        ({ status }) => status === statusCodes.outOfRange,
      );
      return true;
    } catch (error) {
      if (error instanceof GrpcError) return isCompacted(error);
      throw error;
    }
  }

  const store: Store = {
    async get(key) {
      if (key === '' || !key.isWellFormed()) return undefined;
      const { entries, revision } = readRange(await read(getRequest(full(key))), strip);
      heard(revision);
      return entries[0];
    },
    async list(from, { after, limit = Number.POSITIVE_INFINITY } = {}) {
      const range = prefixRange(full(from));
      const next = after === undefined ? range.from : full(`${after}\0`);
      const begin = Buffer.compare(next, range.from) > 0 ? next : range.from;
      // To a key that comes after the end etcd would answer with all that there is.
      if (!range.to.equals(Buffer.from([0])) && Buffer.compare(begin, range.to) >= 0) {
        return { entries: [], revision: await head(), more: false };
      }
      for (;;) {
        const listing = await listOnce(begin, range.to, limit);
        if (listing !== undefined) return listing;
      }
    },
    async transact(transaction) {
      const result = await transact({ client, full, strip, since: newest }, transaction);
      heard(result.revision);
      return result;
    },
    watch: (from, fromRevision, signal) => watchRange(client, prefixRange(full(from)), strip, fromRevision, signal),
    async grantLease(ttl) {
      checkTtl(ttl);
      // Named by us, so that asking again grants no second one.
      const lease = randomBytes(8).readBigUInt64BE() >> 1n || 1n;
      const request = leaseGrantRequest(lease, Math.ceil(ttl));
      try {
        await client.call({ method: methods.leaseGrant, request, what: 'a lease', repeatable: true }, leaseExists);
      } catch (error) {
        if (!(error instanceof GrpcError)) throw error;
      }
      return formatLease(lease);
    },
    async keepAlive(lease) {
      const id = parseLease(lease);
      if (id === undefined) return false;
      const request = leaseRequest(id);
      // A stream for etcd; one question on it is the same on the wire as a call.
      const method = methods.leaseKeepAlive;
      return readKeepAlive(await client.call({ method, request, what: 'to renew a lease', repeatable: true })) > 0;
    },
    async revokeLease(lease) {
      const id = parseLease(lease);
      if (id === undefined) return;
      const request = leaseRequest(id);
      try {
        await client.call(
          { method: methods.leaseRevoke, request, what: 'to end a lease', repeatable: true },
          ({ status }) => status === statusCodes.notFound,
        );
      } catch (error) {
        if (!(error instanceof GrpcError)) throw error;
      }
    },
    async compact(revision) {
      if (!(await compact(revision))) await compact(await head());
    },
    async close() {
      client.close();
    },
  };
  if (unasked) return store;
  try {
    await head();
  } catch (error) {
    client.close();
    throw error;
  }
  return store;
}

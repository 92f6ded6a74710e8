/** Calls to etcd: to whichever member serves, as the user that was configured, each within its deadline. */

import { setTimeout as delay } from 'node:timers/promises';
import type { BerthError } from '../../model/errors.ts';
import { storeClosed } from '../check.ts';
import { backOff } from './back-off.ts';
import { createCluster } from './cluster.ts';
import type { Connection, Endpoint, Metadata } from './connection.ts';
import { authenticateRequest, methods, readToken } from './messages.ts';
import {
  authIsOff,
  denied,
  GrpcError,
  lost,
  ofThisMember,
  passing,
  refusedEarly,
  statusCodes,
  storeError,
  tokenEnded,
} from './status.ts';

export interface User {
  readonly name: string;
  readonly password: string;
}

export interface ClientOptions {
  readonly endpoints: readonly Endpoint[];
  readonly user?: User;
  /** Milliseconds for each call, with all its attempts. */
  readonly deadline: number;
}

export interface Call {
  readonly method: string;
  readonly request: Buffer;
  /** For the sentence of an error, such as "the write". */
  readonly what: string;
  /** Asking twice does no harm, so that a call is repeated when its answer does not come. */
  readonly repeatable: boolean;
  /** What is asked instead, once it is unknown whether the request was carried out: asking that twice does no harm. */
  readonly inDoubt?: () => Buffer;
}

export interface Client {
  /**
   * @throws BerthError STORE_UNAVAILABLE, STORE_DENIED, STORE_FULL, STORE_CORRUPT, TRANSACTION_TOO_LARGE, NOT_FOUND (a lease)
   * @throws GrpcError what `keep` asks for.
   */
  call(call: Call, keep?: (error: GrpcError) => boolean): Promise<Buffer>;
  /** One attempt at a stream of answers, at whichever member serves. Throws GrpcError, or BerthError STORE_DENIED. */
  stream(method: string, request: Buffer, signal: AbortSignal): AsyncGenerator<Buffer, void, void>;
  /** The next call proves anew who we are. */
  forgetToken(): void;
  /** Aborts when the client is closed. */
  readonly closing: AbortSignal;
  readonly deadline: number;
  close(): void;
}

const FIRST_WAIT = 20;
const LONGEST_WAIT = 500;

/** Milliseconds that must be left for one more attempt: a shorter one would only end in doubt of what it has done. */
const LEAST_TIME = 100;

/** Calls that may wait at once; more would only fill the memory while etcd is away. */
const MOST_WAITING = 10_000;

/** Milliseconds for which a refused password is not tried again: each trial costs etcd a tenth of a second. */
const DENIED_FOR = 5000;

/** Tokens that a call may find ended before it gives up: one by time, one more by a member that has just restarted. */
const MOST_TOKENS = 2;

/** How much longer than others a call may take whose outcome is unknown, as members need some seconds to agree on a new leader. */
const LONGER_IN_DOUBT = 1.75;

const leader: Metadata = { hasleader: 'true' };

export function createClient({ endpoints, user, deadline }: ClientOptions): Client {
  const cluster = createCluster(endpoints);
  const closing = new AbortController();
  let waiting = 0;
  let token: Promise<string | undefined> | undefined;
  let refused: { readonly error: BerthError; readonly until: number } | undefined;

  async function authenticate(connection: Connection, patience: number): Promise<string | undefined> {
    if (refused !== undefined && performance.now() < refused.until) throw refused.error;
    try {
      const request = authenticateRequest(user!.name, user!.password);
      return readToken(await connection.unary(methods.authenticate, request, leader, patience));
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error;
      if (authIsOff(error)) return undefined;
      // Nothing has been sent yet of what was to be done.
      if (passing(error)) throw new GrpcError(error.status, error.message, true);
      const because = denied(`the user '${user!.name}': ${error.message.replace('etcdserver: ', '')}`, {
        cause: error,
      });
      refused = { error: because, until: performance.now() + DENIED_FOR };
      throw because;
    }
  }

  async function metadata(connection: Connection, patience: number): Promise<Metadata> {
    if (user === undefined) return leader;
    token ??= authenticate(connection, patience);
    const asked = token;
    try {
      const known = await asked;
      return known === undefined ? leader : { ...leader, token: known };
    } catch (error) {
      if (token === asked) token = undefined;
      throw error;
    }
  }

  function forget(used: Metadata | undefined): Promise<void> {
    return Promise.resolve(token).then(
      (known) => {
        if (known === used?.token) token = undefined;
      },
      () => {},
    );
  }

  async function call(
    { method, request, what, repeatable, inDoubt }: Call,
    keep?: (error: GrpcError) => boolean,
  ): Promise<Buffer> {
    const began = performance.now();
    const oneOfMore = repeatable || inDoubt !== undefined;
    let end = began + deadline;
    let asked = request;
    /** An attempt has failed that may have been carried out. */
    let unknown = false;
    let ended = 0;
    /** How the last attempt ended that was not cut off by the deadline: it tells more than that the time is over. */
    let telling: GrpcError | undefined;
    for (let failures = 0; ; failures++) {
      let connection: Connection | undefined;
      let used: Metadata | undefined;
      try {
        connection = await cluster.connection(end - performance.now());
        used = await metadata(connection, end - performance.now());
        const left = end - performance.now();
        if (left <= 0) throw lost('the time was over before it was asked', true);
        // Half of the time for the first member, so that a second can be asked.
        return await connection.unary(method, asked, used, oneOfMore && failures === 0 ? left / 2 : left);
      } catch (error) {
        if (!(error instanceof GrpcError)) throw error;
        if (closing.signal.aborted) throw storeClosed();
        if (keep?.(error) === true) throw error;
        if (connection !== undefined && ofThisMember(error))
          cluster.avoid(connection, `${connection.url}: ${error.message}`);
        const renew = user !== undefined && tokenEnded(error) && ended++ < MOST_TOKENS;
        if (renew) await forget(used);
        const wait = renew ? 0 : backOff(failures, FIRST_WAIT, LONGEST_WAIT);
        const doubt = !repeatable && !refusedEarly(error) && doubtful(error);
        if (doubt && !unknown && inDoubt !== undefined) {
          asked = inDoubt();
          end = began + deadline * LONGER_IN_DOUBT;
        }
        unknown ||= doubt;
        const again = renew || refusedEarly(error) || (oneOfMore && passing(error));
        if (performance.now() < end) telling = error;
        if (!again || performance.now() + wait + LEAST_TIME >= end) throw storeError(telling ?? error, what, unknown);
        await delay(wait, undefined, { signal: closing.signal }).catch(() => {});
      }
    }
  }

  return {
    closing: closing.signal,
    deadline,
    async call(what, keep) {
      if (closing.signal.aborted) throw storeClosed();
      if (waiting >= MOST_WAITING) {
        throw storeError(lost('too many calls wait for an answer', true), what.what, false);
      }
      waiting++;
      try {
        return await call(what, keep);
      } finally {
        waiting--;
      }
    },
    async *stream(method, request, signal) {
      const connection = await cluster.connection(deadline);
      const used = await metadata(connection, deadline);
      try {
        yield* connection.stream(method, request, used, AbortSignal.any([signal, closing.signal]));
      } catch (error) {
        if (error instanceof GrpcError) {
          if (ofThisMember(error)) cluster.avoid(connection, `${connection.url}: ${error.message}`);
          if (tokenEnded(error)) await forget(used);
        }
        throw error;
      }
    },
    forgetToken() {
      token = undefined;
    },
    close() {
      closing.abort();
      cluster.close();
    },
  };
}

/** Whether the server may have done what it did not answer. */
function doubtful({ status }: GrpcError): boolean {
  const sure: readonly number[] = [
    statusCodes.invalidArgument,
    statusCodes.notFound,
    statusCodes.permissionDenied,
    statusCodes.resourceExhausted,
    statusCodes.failedPrecondition,
    statusCodes.outOfRange,
    statusCodes.unimplemented,
    statusCodes.unauthenticated,
  ];
  return !sure.includes(status);
}

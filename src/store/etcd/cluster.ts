/** The members of etcd, of which any will do: one connection to one of them, and another one when it fails. */

import { setTimeout as delay } from 'node:timers/promises';
import { backOff } from './back-off.ts';
import { type Connection, type Endpoint, openConnection } from './connection.ts';
import { methods, readStatus } from './messages.ts';
import { GrpcError, lost, statusCodes } from './status.ts';

export interface Cluster {
  /**
   * A connection to a member that is in touch with the others; the same one as long as it serves.
   *
   * @param patience milliseconds to wait for one.
   * @throws GrpcError saying of each member what is wrong with it.
   */
  connection(patience: number): Promise<Connection>;
  /** This member cannot serve for now: the next call goes to another. */
  avoid(connection: Connection, reason: string): void;
  close(): void;
}

/** Milliseconds for one attempt to connect. */
const CONNECT_PATIENCE = 1000;
/** Milliseconds until the next member is tried as well, while one has not answered yet. */
const STAGGER = 250;
/** Milliseconds after which it is known that all members are away, and nobody is kept waiting for long any more. */
const KNOWN_AFTER = 5000;
const FIRST_WAIT = 50;
const LONGEST_WAIT = 1000;

/** How servers say that not everybody may ask; InvalidArgument is "user name is empty". */
const reserved: readonly number[] = [
  statusCodes.permissionDenied,
  statusCodes.unauthenticated,
  statusCodes.invalidArgument,
];

interface Member {
  readonly endpoint: Endpoint;
  failures: number;
  /** Not to be asked before this time. */
  notBefore: number;
  reason: string | undefined;
}

export function createCluster(endpoints: readonly Endpoint[]): Cluster {
  const members = shuffle(endpoints).map(
    (endpoint): Member => ({ endpoint, failures: 0, notBefore: 0, reason: undefined }),
  );
  const closing = new AbortController();
  let current: Connection | undefined;
  let attempt: Promise<void> | undefined;
  let clusterId: bigint | undefined;
  /** Since when nobody has been found who serves. */
  let awaySince: number | undefined;

  function failed(member: Member, reason: string): void {
    member.notBefore = performance.now() + backOff(member.failures++, FIRST_WAIT, LONGEST_WAIT);
    member.reason = reason;
  }

  /** Refuses a member of another cluster, whose revisions mean something else, and one that is cut off from the others. */
  async function examine(connection: Connection): Promise<void> {
    let status: ReturnType<typeof readStatus>;
    try {
      status = readStatus(await connection.unary(methods.status, Buffer.alloc(0), {}, CONNECT_PATIENCE));
    } catch (error) {
      // A server that keeps this to its users is taken at its word.
      if (error instanceof GrpcError && reserved.includes(error.status)) return;
      throw error;
    }
    if (status.leader === 0n) throw lost(`${connection.url} is in touch with no leader`, true);
    if (status.learner) throw lost(`${connection.url} is a learner, which serves nobody yet`, true);
    clusterId ??= status.cluster;
    if (status.cluster !== clusterId) {
      const ids = `${status.cluster.toString(16)} instead of ${clusterId.toString(16)}`;
      throw lost(`${connection.url} belongs to another cluster (${ids}); after a restore, restart Berth`, true);
    }
  }

  async function tryMember(member: Member, won: AbortSignal): Promise<void> {
    let connection: Connection | undefined;
    try {
      connection = await openConnection(member.endpoint, CONNECT_PATIENCE, () => {
        if (current !== undefined && current === connection) current = undefined;
      });
      await examine(connection);
      if (won.aborted || closing.signal.aborted || current !== undefined) {
        connection.close();
        return;
      }
      member.failures = 0;
      member.reason = undefined;
      current = connection;
      awaySince = undefined;
    } catch (error) {
      connection?.close();
      failed(member, (error as Error).message);
      throw error;
    }
  }

  /** Tries all members whose time has come, one soon after the other, until the first serves. */
  async function connectToAny(): Promise<void> {
    const wait = Math.min(...members.map(({ notBefore }) => notBefore)) - performance.now();
    if (wait > 0) await delay(wait, undefined, { signal: closing.signal });
    const due = members.filter(({ notBefore }) => notBefore <= performance.now());
    const done = new AbortController();
    try {
      await Promise.any(
        due.map(async (member, index) => {
          if (index > 0) await delay(index * STAGGER, undefined, { signal: done.signal });
          await tryMember(member, done.signal);
        }),
      );
    } catch {
      // Each member has its reason noted.
    } finally {
      done.abort();
    }
  }

  return {
    async connection(patience) {
      const began = performance.now();
      const known = awaySince !== undefined && began - awaySince > KNOWN_AFTER;
      const end = began + (known ? Math.min(patience, CONNECT_PATIENCE) : patience);
      for (;;) {
        if (closing.signal.aborted) throw lost('the store is closed', true);
        if (current !== undefined) return current;
        awaySince ??= performance.now();
        const left = end - performance.now();
        if (left <= 0) break;
        attempt ??= connectToAny()
          .catch(() => {})
          .finally(() => {
            attempt = undefined;
          });
        const timer = new AbortController();
        await Promise.race([attempt, delay(left, undefined, timer).catch(() => {})]);
        timer.abort();
      }
      const reasons = members.map(({ endpoint, reason }) => reason ?? `${endpoint.url} did not answer`);
      throw lost(reasons.join('; '), true);
    },
    avoid(connection, reason) {
      if (members.length === 1) return;
      if (current === connection) current = undefined;
      connection.retire();
      const member = members.find(({ endpoint }) => endpoint.url === connection.url);
      if (member !== undefined) failed(member, reason);
    },
    close() {
      closing.abort();
      current?.close();
      current = undefined;
    },
  };
}

/** In an order of its own for each host, so that not all of them depend on the same member; this very machine's first. */
function shuffle(endpoints: readonly Endpoint[]): Endpoint[] {
  const order = endpoints.map((endpoint) => ({ endpoint, at: isLocal(endpoint.url) ? -1 : Math.random() }));
  return order.sort((a, b) => a.at - b.at).map(({ endpoint }) => endpoint);
}

function isLocal(url: string): boolean {
  return /^https?:\/\/(127\.|localhost[:/]|\[::1\])/.test(url);
}

/** Which leases are in use: by an endpoint that is being made, or by one whose container is still there. */

import type { Terms } from '../../dhcp/terms.ts';
import { sameAddress } from '../../model/address.ts';
import type { EndpointId } from '../../model/ids.ts';
import type { State } from '../state.ts';
import type { Book } from './book.ts';
import type { DhcpLease } from './record.ts';

export interface UsageParts {
  readonly book: Book;
  readonly state: State;
  /** Leases of endpoints that are not in the records yet, by key. */
  readonly pending: ReadonlyMap<string, EndpointId | undefined>;
  /** When this process began. Milliseconds since the epoch. */
  readonly startedAt: number;
  /** A new engine process says nothing of the endpoints of the one before. */
  engineIsNew(): boolean;
  /** Whether a container's network namespace may still have processes in it. */
  readonly occupied: (sandbox: string) => boolean;
}

export interface Usage {
  /** Whether an endpoint has it, as the records say. */
  isLive(lease: DhcpLease): boolean;
  /**
   * Whether a container uses it, in truth. An engine that was killed, or a host that lost its power, has left endpoints behind
   * of containers that are gone.
   */
  isUsed(lease: DhcpLease): boolean;
  /** Whether another lease on the same link has the address. */
  isTaken(lease: DhcpLease, terms: Terms): boolean;
  /** Endpoints that are gone need not be remembered. */
  forget(): void;
}

export function createUsage(parts: UsageParts): Usage {
  const { book, state, pending } = parts;
  /** Endpoints of a process before this one whose containers were seen to be there still. */
  const seen = new Set<EndpointId>();

  function isLive(lease: DhcpLease): boolean {
    if (pending.has(lease.key)) return true;
    const endpoint = lease.endpoint === undefined ? undefined : state.endpoints.get(lease.endpoint);
    return endpoint !== undefined && endpoint.phase !== 'removing';
  }

  function isUsed(lease: DhcpLease): boolean {
    if (!isLive(lease)) return false;
    const endpoint = lease.endpoint === undefined ? undefined : state.endpoints.get(lease.endpoint);
    const doubtful = parts.engineIsNew() || (endpoint !== undefined && endpoint.createdAt < parts.startedAt);
    if (pending.has(lease.key) || endpoint?.sandbox === undefined || !doubtful || seen.has(endpoint.id)) return true;
    if (!parts.occupied(endpoint.sandbox)) return false;
    if (!parts.engineIsNew()) seen.add(endpoint.id);
    return true;
  }

  function isTaken(lease: DhcpLease, { address }: Terms): boolean {
    return book
      .all()
      .some(
        (other) =>
          other.key !== lease.key &&
          other.link === lease.link &&
          other.granted !== undefined &&
          other.lost === undefined &&
          isLive(other) &&
          sameAddress(other.granted.terms.address.address, address.address),
      );
  }

  return {
    isLive,
    isUsed,
    isTaken,
    forget() {
      for (const id of seen) if (!state.endpoints.has(id)) seen.delete(id);
    },
  };
}

/** When a lease is to be renewed, when anybody may be asked instead, and when it is over (RFC 2131 §4.4.5). Pure. */

import type { Terms } from './terms.ts';

/** What is due next of a lease, and when: milliseconds after it was asked for. */
export type Due =
  | { readonly what: 'renew' | 'rebind'; readonly after: number }
  | { readonly what: 'expire'; readonly after: number };

/** A server that did not answer is not asked more often than this. */
const LEAST_PAUSE = 60_000;
/** For leases so short that a minute is too long: at least so many tries in each part. */
const LEAST_TRIES = 4;
const SHORTEST_PAUSE = 1000;

/**
 * The next step of a lease. After a try without answer, half of what is left until the next part is waited, but not less than
 * a minute, as the RFC has it; a short lease is given four tries in each part.
 *
 * @param triedAfter when a renewal was last tried, milliseconds after the lease was asked for; absent: not yet.
 */
export function nextDue(terms: Pick<Terms, 'lease' | 'renew' | 'rebind'>, triedAfter?: number): Due | undefined {
  if (terms.lease === Infinity) return undefined;
  const [renew, rebind, lease] = [terms.renew * 1000, terms.rebind * 1000, terms.lease * 1000];
  if (triedAfter === undefined || triedAfter < renew) return { what: 'renew', after: renew };
  if (triedAfter < rebind) {
    const after = triedAfter + pause(rebind - triedAfter, rebind - renew);
    return after < rebind ? { what: 'renew', after } : { what: 'rebind', after: rebind };
  }
  const after = triedAfter + pause(lease - triedAfter, lease - rebind);
  return after < lease ? { what: 'rebind', after } : { what: 'expire', after: lease };
}

function pause(left: number, part: number): number {
  return Math.max(left / 2, Math.min(LEAST_PAUSE, Math.max(SHORTEST_PAUSE, part / LEAST_TRIES)));
}

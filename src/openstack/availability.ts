/**
 * Whether a server is there. While it is known to be away, calls fail at once instead of each waiting for the same silence; now
 * and then one of them may try.
 */

export interface Availability {
  /** Why a call need not be tried now; undefined when it may. The first after a pause is let through, alone. */
  away(): string | undefined;
  /** Milliseconds until one may try; 0 while nothing is known to be wrong. */
  remaining(): number;
  /** It answered, whatever it said. */
  answered(): void;
  /** It could not be reached, or stayed silent. */
  failed(why: string): void;
  /** A call that was let through ended without finding out. */
  undecided(): void;
}

/** Milliseconds of the first pause, and of the longest. */
const FIRST = 250;
const LONGEST = 5000;

export function createAvailability(now: () => number = () => performance.now()): Availability {
  let failures = 0;
  let until = 0;
  let reason = '';
  let probing = false;
  return {
    away() {
      if (failures === 0) return undefined;
      if (now() < until || probing) return reason;
      probing = true;
      return undefined;
    },
    remaining: () => (failures === 0 ? 0 : Math.max(0, until - now())),
    answered() {
      failures = 0;
      probing = false;
    },
    failed(why) {
      probing = false;
      // Many that were under way at the same time have found out the same.
      if (now() < until) return;
      failures++;
      reason = why;
      until = now() + Math.min(LONGEST, FIRST * 2 ** Math.min(failures - 1, 10));
    },
    undecided() {
      probing = false;
    },
  };
}

/**
 * When the expiring leases of a store end. Time is monotonic, so a step of the system clock ends nothing early and keeps
 * nothing alive. After a restart every lease has its whole time again: nobody could renew it while the store was down.
 */

import type { LeaseId } from './store.ts';

export interface LeaseClock {
  /** Starts a lease, or starts it again. `ttl` in seconds. */
  grant(lease: LeaseId, ttl: number): void;
  has(lease: LeaseId): boolean;
  /** @returns false when there is no such lease. */
  keepAlive(lease: LeaseId): boolean;
  end(lease: LeaseId): void;
  /** Leases whose time is over. */
  overdue(): readonly LeaseId[];
  /** Milliseconds until the next lease is overdue; undefined when there is none. */
  wait(): number | undefined;
  /** Gives every lease its whole time again. */
  renew(): void;
}

/** @param now monotonic milliseconds. */
export function createLeaseClock(now: () => number): LeaseClock {
  const leases = new Map<LeaseId, { readonly ttl: number; ends: number }>();
  const soonest = () => {
    let ends = Number.POSITIVE_INFINITY;
    for (const lease of leases.values()) ends = Math.min(ends, lease.ends);
    return ends;
  };
  return {
    grant: (lease, ttl) => void leases.set(lease, { ttl, ends: now() + ttl * 1000 }),
    has: (lease) => leases.has(lease),
    keepAlive(id) {
      const lease = leases.get(id);
      if (lease === undefined) return false;
      lease.ends = now() + lease.ttl * 1000;
      return true;
    },
    end: (lease) => void leases.delete(lease),
    overdue: () => [...leases].filter(([, lease]) => lease.ends <= now()).map(([id]) => id),
    wait: () => (leases.size === 0 ? undefined : Math.max(0, soonest() - now())),
    renew() {
      for (const lease of leases.values()) lease.ends = now() + lease.ttl * 1000;
    },
  };
}

/** Node's timers take at most this many milliseconds; a longer wait is split. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** A timer later than this was not late by chance: the process or its disk stood still. */
const STALL = 1000;

/**
 * Calls `expire` when leases are overdue. While a process is stopped, or its disk hangs, nobody can renew them; so after such a stall
 * they have their whole time again, as after a restart. When it began is not known, but only what it made late.
 *
 * @returns `arm`, to be called after each change of the clock, and `stop`.
 */
export function runLeaseTimer(
  clock: LeaseClock,
  now: () => number,
  expire: (overdue: readonly LeaseId[]) => void,
): { arm(): void; stop(): void } {
  let timer: NodeJS.Timeout | undefined;
  let due: number | undefined;

  const arm = () => {
    clearTimeout(timer);
    // Asked here as well as when the timer rings: the work that a stall held up is often done before timers are looked at.
    const late = due === undefined ? 0 : now() - due;
    if (late > STALL) clock.renew();
    const wait = clock.wait();
    due = undefined;
    if (wait === undefined) return;
    const next = Math.min(Math.ceil(wait), LONGEST_TIMER);
    due = now() + next;
    timer = setTimeout(ring, next);
    timer.unref();
  };
  const ring = () => {
    arm();
    const overdue = clock.overdue();
    if (overdue.length > 0) expire(overdue);
    arm();
  };
  return { arm, stop: () => clearTimeout(timer) };
}

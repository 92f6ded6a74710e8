/**
 * When kernel events make declared objects suspect, looks at these soon, mends them, and reports what was found. Events
 * come in bursts, so it waits a little; and it does not fight for ever against somebody who keeps undoing its repairs.
 */

import type { Drift } from './kernel.ts';
import type { ObjectKey } from './objects.ts';

export interface DriftWatch {
  suspect(keys: Iterable<ObjectKey>): void;
  /** Anything may have changed, or failed half way. */
  suspectAll(): void;
  close(): void;
}

export interface DriftWatchOptions {
  /** Audits and repairs these objects; absent: everything. @throws when the kernel cannot be read. */
  readonly audit: (keys: ReadonlySet<ObjectKey> | undefined) => readonly Drift[];
  /** Told only if there is any. */
  readonly report: (drifts: readonly Drift[]) => void;
  /** In milliseconds, for a clock that only goes forward. */
  readonly now?: () => number;
}

/** Milliseconds for which a burst of events is collected. */
const GATHER = 150;
/** So many repairs of one object in a row are made at once; up to `FIGHT`, one a second; then somebody keeps undoing them. */
const PROMPT = 5;
const PAUSE = 1_000;
const FIGHT = 30;
const FIGHT_PAUSE = 15_000;
/** Without a repair for so many milliseconds, the row ends. */
const QUIET = 30_000;
/** Between two audits of everything that nobody asked for. */
const FULL_INTERVAL = 5_000;

interface Struggle {
  readonly repairs: number;
  /** Not to be looked at before. */
  readonly until: number;
}

export function createDriftWatch(options: DriftWatchOptions): DriftWatch {
  const now = options.now ?? (() => performance.now());
  const suspects = new Set<ObjectKey>();
  const struggles = new Map<ObjectKey, Struggle>();
  let all = false;
  let lastFull = -Infinity;
  let timer: NodeJS.Timeout | undefined;
  let due = Infinity;
  let closed = false;

  function wake(at: number): void {
    if (closed || at >= due) return;
    clearTimeout(timer);
    due = at;
    timer = setTimeout(look, Math.max(0, at - now()));
    timer.unref();
  }

  function look(): void {
    due = Infinity;
    const time = now();
    const full = all && time >= lastFull + FULL_INTERVAL;
    const ready = new Set<ObjectKey>();
    for (const key of suspects) {
      if ((struggles.get(key)?.until ?? 0) > time) continue;
      ready.add(key);
      suspects.delete(key);
    }
    if (full) {
      all = false;
      lastFull = time;
      audit(undefined);
    } else if (ready.size > 0) {
      audit(ready);
    }
    for (const [key, struggle] of struggles) if (time > struggle.until + QUIET) struggles.delete(key);
    if (all) wake(lastFull + FULL_INTERVAL);
    for (const key of suspects) wake(struggles.get(key)?.until ?? time + GATHER);
  }

  function audit(keys: ReadonlySet<ObjectKey> | undefined): void {
    let drifts: readonly Drift[];
    try {
      drifts = options.audit(keys);
    } catch {
      // The kernel could not be read: later, everything. What is wrong then is said by the audit that somebody asks for.
      all = true;
      lastFull = now();
      return;
    }
    const time = now();
    for (const { key } of drifts) {
      const repairs = (struggles.get(key)?.repairs ?? 0) + 1;
      const pause = repairs < PROMPT ? 0 : repairs < FIGHT ? PAUSE : FIGHT_PAUSE;
      struggles.set(key, { repairs, until: time + pause });
    }
    if (drifts.length > 0) options.report(drifts);
  }

  return {
    suspect(keys) {
      for (const key of keys) suspects.add(key);
      if (suspects.size > 0) wake(now() + GATHER);
    },
    suspectAll() {
      all = true;
      wake(Math.max(now() + GATHER, lastFull + FULL_INTERVAL));
    },
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}

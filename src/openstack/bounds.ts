/** How long an operation may take. One bound is handed down through all calls of an operation, so that they share its time. */

import { setTimeout as sleep } from 'node:timers/promises';

export interface Bounds {
  /** Ends the operation at once. */
  readonly signal?: AbortSignal | undefined;
  /** The moment by which it must have ended, in milliseconds of `performance.now()`. */
  readonly until?: number | undefined;
}

/** Bounds that end so many milliseconds from now. */
export function within(milliseconds: number, signal?: AbortSignal): Bounds {
  return { until: performance.now() + milliseconds, signal };
}

/** Milliseconds that are left; Infinity without a limit. */
export function timeLeft(bounds: Bounds): number {
  return bounds.until === undefined ? Number.POSITIVE_INFINITY : bounds.until - performance.now();
}

/** Waits so long, unless the operation would be over by then or is ended meanwhile. @returns whether it waited. */
export async function pause(milliseconds: number, bounds: Bounds): Promise<boolean> {
  if (milliseconds >= timeLeft(bounds)) return false;
  try {
    await sleep(milliseconds, undefined, bounds.signal === undefined ? {} : { signal: bounds.signal });
    return true;
  } catch {
    return false;
  }
}

/**
 * Milliseconds to wait before the next attempt: twice as long each time, up to a limit, and by chance a little more or less, so that
 * a thousand hosts do not come back in step.
 *
 * @param failures how many attempts have failed so far.
 */
export function backOff(failures: number, first: number, limit: number): number {
  return Math.min(limit, first * 2 ** Math.min(failures, 20)) * (0.5 + Math.random() / 2);
}

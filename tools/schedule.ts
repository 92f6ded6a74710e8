/** Which test suites run side by side: by their weights, so that together they never ask more of a machine than it has. */

export interface Suite {
  readonly file: string;
  /** How many cores it keeps busy, on average, while it runs alone. One that mostly waits is light. */
  readonly weight: number;
  /** About how long it takes, in seconds. */
  readonly seconds: number;
}

/**
 * Those that cost most first, in cores times seconds: what is given back when a heavy one ends is then enough for the next
 * heavy one, so none is kept waiting by lighter ones, and what is left for the end is short.
 */
export function inOrder(suites: readonly Suite[]): Suite[] {
  return suites.toSorted((a, b) => b.weight * b.seconds - a.weight * a.seconds || a.file.localeCompare(b.file));
}

/**
 * The suite to be begun now, if any: the first that fits beside those that run. One that is too heavy for the whole machine runs alone.
 *
 * @param waiting as `inOrder` has them.
 */
export function nextSuite(waiting: readonly Suite[], running: readonly Suite[], capacity: number): Suite | undefined {
  if (running.length === 0) return waiting[0];
  const used = running.reduce((sum, { weight }) => sum + weight, 0);
  // Weights are tenths, which do not add up exactly.
  return waiting.find(({ weight }) => used + weight <= capacity + 0.001);
}

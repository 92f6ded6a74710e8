/** What a handful of noisy measurements says, without assuming a distribution: quantiles, and ratios of paired runs. */

export interface Summary {
  readonly runs: number;
  readonly min: number;
  readonly q1: number;
  readonly median: number;
  readonly q3: number;
  readonly p99: number;
  readonly max: number;
  /** In 95 of 100 such experiments, the true median is within. */
  readonly interval: readonly [number, number];
}

/**
 * The value below which a share `p` (0 to 1) of the samples lies, interpolated between neighbours (type 7 of Hyndman and
 * Fan, "Sample Quantiles in Statistical Packages", 1996). @throws RangeError without samples.
 */
export function quantile(samples: readonly number[], p: number): number {
  if (samples.length === 0) throw new RangeError('no samples');
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * p;
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below]! + (sorted[above]! - sorted[below]!) * (at - below);
}

export const median = (samples: readonly number[]): number => quantile(samples, 0.5);

/**
 * A confidence interval of the median by order statistics: each sample is above the true median with probability ½, so the
 * number above is binomial. With fewer than six samples the confidence cannot be 95 %; then it is all that was seen.
 */
export function medianInterval(samples: readonly number[]): readonly [number, number] {
  if (samples.length === 0) throw new RangeError('no samples');
  const sorted = samples.toSorted((a, b) => a - b);
  const n = sorted.length;
  let term = 0.5 ** n;
  let tail = term;
  let cut = 0;
  // Above a thousand samples 0.5 ** n is 0 sooner or later: there the binomial is a normal distribution.
  if (n > 1000) cut = Math.floor(n / 2 - 0.98 * Math.sqrt(n));
  else
    while (tail <= 0.025) {
      cut += 1;
      term *= (n - cut + 1) / cut;
      tail += term;
    }
  const low = Math.max(cut - 1, 0);
  return [sorted[low]!, sorted[n - 1 - low]!];
}

export function summarise(samples: readonly number[]): Summary {
  return {
    runs: samples.length,
    min: quantile(samples, 0),
    q1: quantile(samples, 0.25),
    median: quantile(samples, 0.5),
    q3: quantile(samples, 0.75),
    p99: quantile(samples, 0.99),
    max: quantile(samples, 1),
    interval: medianInterval(samples),
  };
}

/** Runs of the same round, one by the other: what slows a whole round down cancels out. @throws RangeError when they do not pair. */
export function pairedRatios(samples: readonly number[], peers: readonly number[]): number[] {
  if (samples.length !== peers.length) throw new RangeError(`${samples.length} runs do not pair with ${peers.length}`);
  return samples.map((sample, index) => sample / peers[index]!);
}

/** A random order, each as likely as any other (Fisher and Yates). */
export function shuffled<T>(items: readonly T[], random: () => number = Math.random): T[] {
  const order = [...items];
  for (let last = order.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [order[last], order[other]] = [order[other]!, order[last]!];
  }
  return order;
}

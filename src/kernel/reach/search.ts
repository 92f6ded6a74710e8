/** The search for the largest packet that passes. What is lost may be so by chance, so each size is tried twice. Pure. */

export interface Search {
  /** The size to try now. */
  next(): number;
  passed(size: number): void;
  /** No answer. */
  lost(size: number): void;
  /** Somebody has said that it does not pass. @param limit what would, if that was said too. */
  tooLarge(size: number, limit?: number): void;
  done(): boolean;
  /** What is known to pass. */
  largest(): number;
  /** Answers so far. */
  steps(): number;
}

/** Sizes that paths have, in bytes: what nobody says is found sooner among these. */
const USUAL = [1280, 1400, 1450, 1492, 1500, 8950, 9000];

/**
 * @param least passes, as everything of that size must.
 * @param steps after which it is over, with what is known by then.
 */
export function createSearch(least: number, most: number, steps: number): Search {
  let low = least;
  let high = most;
  let lostOnce: number | undefined;
  let told: number | undefined;
  let taken = 0;

  return {
    next() {
      if (lostOnce !== undefined) return lostOnce;
      if (taken === 0) return most;
      if (told !== undefined && told > low && told <= high) return told;
      const middle = Math.ceil((low + high) / 2);
      const usual = USUAL.filter((size) => size > low && size <= high);
      return usual.toSorted((a, b) => Math.abs(a - middle) - Math.abs(b - middle))[0] ?? middle;
    },
    passed(size) {
      taken += 1;
      lostOnce = undefined;
      low = Math.max(low, size);
      // What was told to be the limit was no lie: nobody need look above it.
      if (size === told) high = size;
    },
    lost(size) {
      taken += 1;
      if (lostOnce === size) {
        lostOnce = undefined;
        high = Math.min(high, size - 1);
      } else lostOnce = size;
    },
    tooLarge(size, limit) {
      taken += 1;
      lostOnce = undefined;
      high = Math.min(high, size - 1);
      if (limit !== undefined) told = limit;
    },
    done: () => low >= high || taken >= steps,
    largest: () => low,
    steps: () => taken,
  };
}

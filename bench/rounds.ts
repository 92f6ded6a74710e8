/** Interleaved runs: each round has every variant once, in random order, so that what disturbs the machine disturbs all. */

import { shuffled } from './statistics.ts';

export interface RoundsOptions {
  readonly rounds: number;
  /** Rounds before that are not counted. Default 1. */
  readonly warmUp?: number;
  /** Milliseconds between two variants, so that what one leaves for later is not done in the time of the next. Default 0. */
  readonly pause?: number;
  readonly say?: (text: string) => void;
}

/** Measurements of one run, by what was measured. */
export type Measured = Readonly<Record<string, number>>;

/**
 * Runs every variant in each round, one at a time.
 *
 * @returns the samples by variant and by what was measured, in the order of the rounds.
 */
export async function rounds<Variant extends { readonly name: string }>(
  variants: readonly Variant[],
  run: (variant: Variant) => Promise<Measured>,
  options: RoundsOptions,
): Promise<Map<string, Map<string, number[]>>> {
  const { rounds: count, warmUp = 1, pause = 0, say } = options;
  const results = new Map(variants.map(({ name }) => [name, new Map<string, number[]>()]));
  for (let round = -warmUp; round < count; round++) {
    if (round >= 0 && (round === 0 || (round + 1) % Math.ceil(count / 5) === 0))
      say?.(`round ${round + 1} of ${count}`);
    for (const variant of shuffled(variants)) {
      const measured = await run(variant);
      if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
      if (round < 0) continue;
      const of = results.get(variant.name)!;
      for (const [what, value] of Object.entries(measured)) {
        const samples = of.get(what);
        if (samples === undefined) of.set(what, [value]);
        else samples.push(value);
      }
    }
  }
  return results;
}

/** Milliseconds that something takes. */
export async function timed(action: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await action();
  return performance.now() - began;
}

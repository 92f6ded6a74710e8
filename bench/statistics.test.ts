import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { median, medianInterval, pairedRatios, quantile, shuffled, summarise } from './statistics.ts';

describe('quantile', () => {
  it('interpolates between neighbours, whatever the order', () => {
    assert.equal(quantile([4, 1, 3, 2], 0.5), 2.5);
    assert.equal(quantile([4, 1, 3, 2], 0), 1);
    assert.equal(quantile([4, 1, 3, 2], 1), 4);
    // R: quantile(c(1, 2, 3, 4), 0.25) is 1.75.
    assert.equal(quantile([1, 2, 3, 4], 0.25), 1.75);
    assert.equal(quantile([7], 0.99), 7);
  });

  it('compares numbers as numbers', () => {
    assert.equal(median([100, 9, 20]), 20);
  });

  it('refuses to say something of nothing', () => {
    assert.throws(() => quantile([], 0.5), RangeError);
    assert.throws(() => medianInterval([]), RangeError);
  });

  it('leaves the samples as they were', () => {
    const samples = [3, 1, 2];
    summarise(samples);
    assert.deepEqual(samples, [3, 1, 2]);
  });
});

describe('medianInterval', () => {
  const upTo = (n: number) => Array.from({ length: n }, (_, index) => index + 1);

  it('is the textbook one', () => {
    // Tables of the sign test: 6 samples are the fewest for 95 %; of 15 the 4th and 12th, of 20 the 6th and 15th.
    assert.deepEqual(medianInterval(upTo(5)), [1, 5]);
    assert.deepEqual(medianInterval(upTo(6)), [1, 6]);
    assert.deepEqual(medianInterval(upTo(15)), [4, 12]);
    assert.deepEqual(medianInterval(upTo(20)), [6, 15]);
  });

  it('goes over to the normal distribution without a step', () => {
    const [low, high] = medianInterval(upTo(1000));
    assert.deepEqual([low, high], [469, 532]);
    const [low2, high2] = medianInterval(upTo(1001));
    assert.ok(Math.abs(low2 - low) <= 2 && Math.abs(high2 - high) <= 2, `${low2} ${high2}`);
  });

  it('has the median within', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), { minLength: 1, maxLength: 60 }),
        (samples) => {
          const [low, high] = medianInterval(samples);
          return low <= median(samples) && median(samples) <= high;
        },
      ),
    );
  });
});

describe('pairedRatios', () => {
  it('divides run by run', () => {
    assert.deepEqual(pairedRatios([2, 9], [1, 3]), [2, 3]);
  });

  it('refuses runs that do not pair', () => {
    assert.throws(() => pairedRatios([1, 2], [1]), RangeError);
  });
});

describe('shuffled', () => {
  it('keeps what there is', () => {
    assert.deepEqual(
      shuffled([1, 2, 3, 4, 5]).toSorted((a, b) => a - b),
      [1, 2, 3, 4, 5],
    );
  });

  it('gives each order equally often', () => {
    const seen = new Map<string, number>();
    let seed = 1;
    const random = () => {
      seed = (seed * 48271) % 2147483647;
      return seed / 2147483647;
    };
    for (let run = 0; run < 6000; run++) {
      const order = shuffled(['a', 'b', 'c'], random).join('');
      seen.set(order, (seen.get(order) ?? 0) + 1);
    }
    assert.equal(seen.size, 6);
    for (const [order, count] of seen) assert.ok(count > 850 && count < 1150, `${order} ${count}`);
  });
});

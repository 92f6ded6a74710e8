import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { judge, type Row } from './result.ts';

const row = (change: Partial<Row>): Row => ({ what: 'start', name: 'ours', unit: 'ms', samples: [1], ...change });
const verdicts = (...rows: Row[]) => judge({ title: 'test', notes: [], rows }).at(-1)!.verdicts;

describe('judge', () => {
  it('compares with the peer round by round', () => {
    const peer = row({ name: 'theirs', samples: [10, 100, 10, 100, 10, 100] });
    const ours = row({
      samples: [9, 80, 9, 80, 9, 80],
      peer: 'theirs',
      budgets: [{ of: 'ratio', most: 0.5 }],
    });
    const [verdict] = verdicts(peer, ours);
    assert.equal(verdict!.value, 0.8500000000000001);
    assert.equal(verdict!.met, false);
    assert.ok(Math.abs(verdict!.beyond - 0.7) < 1e-9);
    assert.equal(verdict!.close, false);
  });

  it('says when the limit is within the noise', () => {
    const [verdict] = verdicts(row({ samples: [1, 2, 3, 4, 5, 6, 7, 8], budgets: [{ of: 'median', most: 4.4 }] }));
    assert.deepEqual([verdict!.met, verdict!.close], [false, true]);
  });

  it('takes more as better where the budget is a least', () => {
    const least = (samples: number[]) => verdicts(row({ samples, budgets: [{ of: 'median', least: 10 }] }))[0]!;
    assert.equal(least([11, 11, 11]).met, true);
    assert.equal(least([10, 10, 10]).met, true);
    assert.equal(least([9, 9, 9]).met, false);
    assert.equal(least([9, 9, 9]).beyond, 0.1);
  });

  it('judges the tail on its own', () => {
    const samples = [...Array.from({ length: 97 }, () => 1), 50, 50, 50];
    const found = verdicts(
      row({
        samples,
        budgets: [
          { of: 'median', most: 2 },
          { of: 'p99', most: 10 },
        ],
      }),
    );
    assert.deepEqual(
      found.map(({ met, close }) => [met, close]),
      [
        [true, false],
        [false, false],
      ],
    );
  });

  it('says nothing of the tail of too few runs', () => {
    assert.deepEqual(verdicts(row({ samples: [1, 1, 50], budgets: [{ of: 'p99', most: 10 }] })), []);
  });

  it('refuses a peer that is not there', () => {
    assert.throws(() => verdicts(row({ peer: 'nobody' })), /no row nobody/);
  });
});

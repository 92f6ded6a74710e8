import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { nextDue } from './schedule.ts';

const day = { lease: 86_400, renew: 43_200, rebind: 75_600 };

test('renewed at T1, by anybody at T2, over at the end', () => {
  assert.deepEqual(nextDue(day), { what: 'renew', after: 43_200_000 });
  assert.deepEqual(nextDue(day, 43_200_000), { what: 'renew', after: 59_400_000 });
  assert.deepEqual(nextDue(day, 75_590_000), { what: 'rebind', after: 75_600_000 });
  assert.deepEqual(nextDue(day, 75_600_000), { what: 'rebind', after: 81_000_000 });
  assert.deepEqual(nextDue(day, 86_399_000), { what: 'expire', after: 86_400_000 });
  assert.deepEqual(nextDue(day, 90_000_000), { what: 'expire', after: 86_400_000 });
});

test('a lease for ever is never due', () => {
  assert.equal(nextDue({ lease: Infinity, renew: Infinity, rebind: Infinity }), undefined);
});

test('where T1 is T2 and the end is a second later, there is one try', () => {
  const short = { lease: 10, renew: 9, rebind: 9 };
  assert.deepEqual(nextDue(short), { what: 'renew', after: 9000 });
  assert.deepEqual(nextDue(short, 9000), { what: 'expire', after: 10_000 });
});

test('whatever the times, there are some tries and then an end', () => {
  const times = fc
    .tuple(
      fc.double({ min: 10, max: 1e8, noNaN: true }),
      fc.double({ min: 0.01, max: 0.99, noNaN: true }),
      fc.double({ min: 0.01, max: 0.99, noNaN: true }),
    )
    .map(([lease, rebind, renew]) => ({ lease, rebind: lease * rebind, renew: lease * rebind * renew }));
  fc.assert(
    fc.property(times, (terms) => {
      let tried: number | undefined;
      for (let tries = 0; tries < 100; tries += 1) {
        const due = nextDue(terms, tried)!;
        if (due.what === 'expire') {
          assert.equal(due.after, terms.lease * 1000);
          assert.ok(tries >= 1);
          return;
        }
        assert.ok(due.after > (tried ?? 0), `${due.after} is not after ${tried}`);
        tried = due.after;
      }
      assert.fail('it never ends');
    }),
  );
});

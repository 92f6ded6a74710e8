import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { chooseNext, type Waiting } from './queue.ts';

/** `-a`: remove a; `+a`: apply a; `!`: a barrier; `?`: no owner. */
function requests(text: string): Waiting[] {
  return text.split(' ').map((word, number) => {
    if (word === '!') return { number, type: 'barrier' };
    if (word === '?') return { number, type: 'other' };
    return { number, type: word.startsWith('-') ? 'remove' : 'other', owner: word.slice(1) };
  });
}

function chosen(text: string, favoured: number): string {
  const words = text.split(' ');
  return chooseNext(requests(text), favoured)
    .map((request) => words[request.number])
    .join(' ');
}

test('first come, first served', () => {
  assert.deepEqual(chooseNext([], 0), []);
  assert.equal(chosen('+a -b +c', -1), '+a');
  assert.equal(chosen('-a +b', -1), '-a');
  assert.equal(chosen('! -a', -1), '!');
});

test('removals that wait are joined, also past what is in between', () => {
  assert.equal(chosen('-a +b -c ? -d', -1), '-a -c -d');
  const many = Array.from({ length: 300 }, (_, index) => `-${index}`).join(' ');
  assert.equal(chooseNext(requests(many), -1).length, 128);
});

test('what came before the last removal ended goes first', () => {
  assert.equal(chosen('-a +b', 1), '+b');
  assert.equal(chosen('-a ?', 1), '?');
  assert.equal(chosen('-a +b', 0), '-a');
});

test('nothing overtakes an earlier request of the same owner', () => {
  assert.equal(chosen('-a +a', 1), '-a');
  assert.equal(chosen('-a +a -b', 1), '-a -b');
  assert.equal(chosen('-a +b -b', -1), '-a');
  assert.equal(chosen('-a +a -a +c', 3), '+c');
  assert.equal(chosen('-a +a -a', 3), '-a');
});

test('nothing passes a barrier', () => {
  assert.equal(chosen('-a ! -b', 2), '-a');
  assert.equal(chosen('-a ! +b', 2), '-a');
});

test('everything is served once, in the order of its owner, and no apply waits for more than one removal', () => {
  const arrival = fc.record({
    type: fc.constantFrom('remove' as const, 'other' as const),
    owner: fc.constantFrom('a', 'b', 'c', 'd'),
    /** How many requests are served before this one comes. */
    after: fc.nat(2),
  });
  fc.assert(
    fc.property(fc.array(arrival, { maxLength: 40 }), (arrivals) => {
      const waiting: Waiting[] = [];
      const served: Waiting[] = [];
      const removalsSeen = new Map<number, number>();
      let favoured = -1;
      let last = -1;
      const serve = (): void => {
        const next = chooseNext(waiting, favoured);
        for (const request of next) waiting.splice(waiting.indexOf(request), 1);
        served.push(...next);
        if (next[0]?.type === 'remove') {
          favoured = last;
          for (const { number, type, owner } of waiting) {
            // Behind a removal of its own it has to wait in any case.
            const own =
              next.some((removal) => removal.owner === owner) ||
              waiting.some((one) => one.number < number && one.type === 'remove' && one.owner === owner);
            if (type === 'other' && !own) removalsSeen.set(number, (removalsSeen.get(number) ?? 0) + 1);
          }
        }
      };
      for (const [number, { type, owner, after }] of arrivals.entries()) {
        for (let count = 0; count < after; count++) serve();
        waiting.push({ number, type, owner });
        last = number;
      }
      while (waiting.length > 0) serve();
      assert.equal(served.length, arrivals.length);
      for (const owner of ['a', 'b', 'c', 'd']) {
        const numbers = served.filter((request) => request.owner === owner).map((request) => request.number);
        assert.deepEqual(
          numbers,
          numbers.toSorted((a, b) => a - b),
        );
      }
      for (const [number, count] of removalsSeen)
        assert.ok(count <= 1, `request ${number} waited for ${count} removals`);
    }),
    { numRuns: 3000 },
  );
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createSearch } from './search.ts';

/** What a path with this MTU answers to a search. @param says does somebody on it tell its limit? */
function found(
  mtu: number,
  most: number,
  says: boolean | 'half' = false,
): { readonly mtu: number; readonly steps: number } {
  const search = createSearch(68, most, 24);
  while (!search.done()) {
    const size = search.next();
    if (size <= mtu) search.passed(size);
    else if (says === false) search.lost(size);
    else search.tooLarge(size, says === true ? mtu : undefined);
  }
  return { mtu: search.largest(), steps: search.steps() };
}

describe('the search for the largest packet', () => {
  it('asks once where all passes', () => {
    assert.deepEqual(found(1500, 1500), { mtu: 1500, steps: 1 });
    assert.deepEqual(found(9000, 1450), { mtu: 1450, steps: 1 });
  });

  it('believes who tells the limit', () => {
    assert.deepEqual(found(1400, 1500, true), { mtu: 1400, steps: 2 });
    assert.equal(found(1399, 1500, 'half').mtu, 1399);
  });

  it('finds any limit that nobody tells', () => {
    for (const mtu of [576, 1279, 1280, 1337, 1400, 1449, 1450, 1499])
      assert.equal(found(mtu, 1500).mtu, mtu, `${mtu}`);
  });

  it('gives up after its steps, with what passes', () => {
    const search = createSearch(68, 65_535, 4);
    while (!search.done()) search.lost(search.next());
    assert.equal(search.steps(), 4);
    assert.equal(search.largest(), 68);
  });

  it('forgives one loss', () => {
    const search = createSearch(68, 1500, 24);
    search.lost(search.next());
    search.passed(search.next());
    assert.equal(search.largest(), 1500);
  });
});

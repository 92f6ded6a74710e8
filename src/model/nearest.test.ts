import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { nearest } from './nearest.ts';

describe('nearest', () => {
  const cases: readonly [word: string, known: string[], expected: string[]][] = [
    ['netwrok', ['network', 'endpoint', 'lease'], ['network']],
    ['web', ['webs', 'wab', 'db'], ['wab', 'webs']],
    ['lan', ['lan-office', 'lan-lab', 'cluster'], ['lan-lab', 'lan-office']],
    ['LAN', ['lan'], ['lan']],
    ['mut', ['mtu', 'bridge'], ['mtu']],
    ['zzz', ['network', 'endpoint'], []],
    ['', ['a'], ['a']],
    ['ab', ['abcdef'], []],
  ];
  for (const [word, known, expected] of cases) {
    it(`'${word}' among ${known.join(', ')}`, () => assert.deepEqual(nearest(word, known), expected));
  }

  it('gives no more than was asked for, and nothing twice', () => {
    assert.deepEqual(nearest('net', ['net1', 'net1', 'net2', 'net3'], 2), ['net1', 'net2']);
  });
});

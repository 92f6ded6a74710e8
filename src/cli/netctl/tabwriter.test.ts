import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { alignTabs } from './tabwriter.ts';

describe('alignTabs', () => {
  const cases: readonly (readonly [what: string, text: string, aligned: string])[] = [
    ['nothing', '', ''],
    ['no tabs', 'a b\nc\n', 'a b\nc\n'],
    ['columns are as wide as their widest cell and two blanks', 'a\tb\nccc\td\n', 'a    b\nccc  d\n'],
    ['what follows the last tab is in no column', 'a\tlong long\nb\tx\ty\n', 'a  long long\nb  x  y\n'],
    ['an empty column has its padding', 'a\t\tb\nc\t\td\n', 'a    b\nc    d\n'],
    ['a tab at the end pads the last cell', 'a\t\nbcd\t\n', 'a    \nbcd  \n'],
    ['a line without tabs begins the columns anew', 'aaaa\tb\nx\na\tb\n', 'aaaa  b\nx\na  b\n'],
    ['a column is only as long as lines have it', 'a\tbbbbbb\tc\nd\te\nf\tg\th\n', 'a  bbbbbb  c\nd  e\nf  g  h\n'],
    ['code points count, not bytes', 'ä€😀\tb\nabc\td\n', 'ä€😀  b\nabc  d\n'],
  ];
  for (const [what, text, aligned] of cases) {
    it(what, () => assert.equal(alignTabs(text, { padding: 2 }), aligned));
  }

  it('fills with tabs up to the next stop', () => {
    const text = '   a\tone\n   seventeen letters\ttwo\n   1234567\tthree\n';
    const aligned = '   a\t\t\tone\n   seventeen letters\ttwo\n   1234567\t\tthree\n';
    assert.equal(alignTabs(text, { padding: 1, tabStop: 8 }), aligned);
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseIni } from './ini.ts';

const read = (text: string) =>
  parseIni(text, 'f').assignments.map(({ section, key, value, place }) => [section, key, value, place.line]);
const problems = (text: string) => parseIni(text, 'f').problems.map(({ place, sentence }) => [place.line, sentence]);

describe('the INI form of oslo.config', () => {
  const readings: readonly (readonly [string, string, readonly (readonly unknown[])[]])[] = [
    [
      'both signs, the first counts',
      '[s]\na = b:c\nd: e=f',
      [
        ['s', 'a', 'b:c', 2],
        ['s', 'd', 'e=f', 3],
      ],
    ],
    ['hyphens for underscores', '[s]\nauth-url=x', [['s', 'auth_url', 'x', 2]]],
    [
      'sections in any case but for DEFAULT',
      '[NeuTron]\na=1\n[DEFAULT]\na=1',
      [
        ['neutron', 'a', '1', 2],
        ['DEFAULT', 'a', '1', 4],
      ],
    ],
    [
      'a value over several lines',
      '[s]\na = 1\n  2\n\t3\nb = 4',
      [
        ['s', 'a', '1\n2\n3', 2],
        ['s', 'b', '4', 5],
      ],
    ],
    ['comments on lines of their own only', '[s]\n# x=1\n; y=2\na = b # c', [['s', 'a', 'b # c', 4]]],
    [
      'one pair of quotes',
      '[s]\na="b"\nc=\'d\'\ne="f\ng=""',
      [
        ['s', 'a', 'b', 2],
        ['s', 'c', 'd', 3],
        ['s', 'e', '"f', 4],
        ['s', 'g', '', 5],
      ],
    ],
    ['an empty value', '[s]\na=', [['s', 'a', '', 2]]],
    ['lines that end as in Windows, and a byte order mark', '\uFEFF[s]\r\na=b\r\n', [['s', 'a', 'b', 2]]],
    ['a single quotation mark', '[s]\na="', [['s', 'a', '', 2]]],
  ];
  for (const [title, text, expected] of readings)
    it(`reads ${title}`, () => {
      assert.deepEqual(read(text), expected);
      assert.deepEqual(problems(text), []);
    });

  const mistakes: readonly (readonly [string, string, number, RegExp])[] = [
    ['a line without a sign', '[s]\nabc', 2, /neither '=' nor ':'/],
    ['no key', '[s]\n= b', 2, /no key/],
    ['a section that is not closed', '[s\na=b', 1, /not a section/],
    ['a section without a name', '[]', 1, /not a section/],
    ['a key before any section', 'a=b', 1, /before the first/],
    ['a continuation of nothing', '[s]\n  a=b', 2, /none before/],
    ['a continuation after an empty line', '[s]\na=b\n\n  c', 4, /none before/],
  ];
  for (const [title, text, line, sentence] of mistakes)
    it(`finds ${title}`, () => {
      const [found] = problems(text);
      assert.equal(found?.[0], line);
      assert.match(String(found?.[1]), sentence);
    });
});

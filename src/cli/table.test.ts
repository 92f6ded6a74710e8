import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { age, describe as describeValue, shortId, table } from './table.ts';

describe('table', () => {
  const columns = [
    { title: 'NAME', text: (row: readonly [string, string]) => row[0] },
    { title: 'COUNT', text: (row: readonly [string, string]) => row[1], right: true },
  ];
  it('aligns columns, numbers at the right, without trailing blanks', () => {
    assert.equal(
      table(
        [
          ['a', '1'],
          ['long', '100'],
        ],
        columns,
      ),
      'NAME  COUNT\na         1\nlong    100\n',
    );
  });
  it('shows titles without rows', () => assert.equal(table([], columns), 'NAME  COUNT\n'));
  it('shows a dash for nothing', () => assert.equal(table([['', '']], columns), 'NAME  COUNT\n-         -\n'));
  it('counts cells, not characters', () => {
    assert.equal(
      table(
        [
          ['網', '1'],
          ['e\u0301', '2'],
        ],
        columns,
      ),
      'NAME  COUNT\n網        1\ne\u0301         2\n',
    );
  });
  it('lets no control character of a name reach the terminal', () => {
    assert.equal(table([['a\x1b[31m\n', '1']], columns), 'NAME     COUNT\na?[31m?      1\n');
  });
});

describe('short ids', () => {
  const ids: readonly [string, string][] = [
    ['0123456789abcdef'.repeat(4), '0123456789ab'],
    ['abcdefghijklmnopqrstuvwxy', 'abcdefghijkl'],
    ['local/10.1.0.0-24', 'local/10.1.0.0-24'],
    ['shop', 'shop'],
  ];
  for (const [id, short] of ids) it(`of ${id}`, () => assert.equal(shortId(id), short));
});

describe('age', () => {
  const now = Date.parse('2026-11-20T12:00:00Z');
  const ages: readonly [since: string, text: string][] = [
    ['2026-11-20T12:00:00Z', '0 s'],
    ['2026-11-20T11:58:01Z', '119 s'],
    ['2026-11-20T11:58:00Z', '2 min'],
    ['2026-11-20T10:00:00Z', '2 h'],
    ['2026-11-18T12:00:00Z', '2 d'],
    ['2026-11-20T12:00:30Z', '0 s'],
    ['nonsense', ''],
  ];
  for (const [since, text] of ages) it(`${since} is '${text}'`, () => assert.equal(age(since, now), text));
});

it('inspect: everything as indented lines, without what is empty', () => {
  const value = {
    id: 'x',
    gateway: undefined,
    internal: false,
    options: {},
    subnets: [{ subnet: 's', auxiliary: { a: '1' } }, 'y'],
    note: null,
  };
  assert.equal(
    describeValue(value),
    'id: x\ninternal: false\nsubnets:\n  - subnet: s\n    auxiliary:\n      a: 1\n  - y\nnote: null\n',
  );
});

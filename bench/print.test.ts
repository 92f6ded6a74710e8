import assert from 'node:assert/strict';
import { it } from 'node:test';
import { figure, render } from './print.ts';

it('shows three significant digits', () => {
  assert.deepEqual([0, 0.0123, 0.456, 1.234, 12.34, 123.4, 51234].map(figure), [
    '0',
    '0.012',
    '0.456',
    '1.23',
    '12.3',
    '123',
    '51234',
  ]);
});

it('prints a Markdown table without the columns that nothing stands in', () => {
  const text = render({
    title: 'start',
    notes: ['a note'],
    rows: [
      { what: 'run', name: 'bridge', unit: 'ms', samples: [10, 10, 10, 10, 10, 10] },
      {
        what: 'run',
        name: 'berth',
        unit: 'ms',
        samples: [12, 12, 12, 12, 12, 12],
        peer: 'bridge',
        budgets: [{ of: 'ratio', most: 1 }],
      },
    ],
  });
  assert.equal(
    text,
    [
      '### start',
      '',
      '| what | on     | runs | median  | quartiles | min–max   | ratio (quartiles)         | budget    | verdict        |',
      '|------|--------|------|---------|-----------|-----------|---------------------------|-----------|----------------|',
      '| run  | bridge | 6    | 10.0 ms | 10.0–10.0 | 10.0–10.0 |                           |           |                |',
      '| run  | berth  | 6    | 12.0 ms | 12.0–12.0 | 12.0–12.0 | 1.20 (1.20–1.20) × bridge | ratio ≤ 1 | missed by 20 % |',
      '',
      '- a note',
      '',
    ].join('\n'),
  );
});

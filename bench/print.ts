/** Results for people: Markdown tables, so that they can be pasted into a page as they are. */

import type { Budget, Judged, Table, Verdict } from './result.ts';
import { hasTail, judge } from './result.ts';
import type { Summary } from './statistics.ts';

const names = { median: '', p99: 'p99 ', ratio: 'ratio ' } as const;

/** Three significant digits, and not more than three decimals. */
export function figure(value: number): string {
  if (value === 0) return '0';
  const decimals = Math.min(3, Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value)))));
  return value.toFixed(decimals);
}

function budgetText(budget: Budget): string {
  return budget.most === undefined ? `${names[budget.of]}≥ ${budget.least}` : `${names[budget.of]}≤ ${budget.most}`;
}

function verdictText({ budget, met, beyond, close }: Verdict, several: boolean): string {
  const percent = `${(Math.abs(beyond) * 100).toFixed(Math.abs(beyond) < 0.1 ? 1 : 0)} %`;
  const outcome = met ? 'met' : `missed by ${percent}`;
  return `${several ? names[budget.of] || 'median ' : ''}${outcome}${close ? ', within noise' : ''}`;
}

function ratioText({ runs, median, q1, q3 }: Summary): string {
  return runs > 1 ? `${median.toFixed(2)} (${q1.toFixed(2)}–${q3.toFixed(2)})` : median.toFixed(2);
}

function cells(row: Judged): string[] {
  const { summary, ratio, verdicts } = row;
  return [
    row.what,
    row.name,
    `${summary.runs}`,
    `${figure(summary.median)} ${row.unit}`,
    summary.runs > 1 ? `${figure(summary.q1)}–${figure(summary.q3)}` : '',
    summary.runs > 1 ? `${figure(summary.min)}–${figure(summary.max)}` : '',
    hasTail(summary) ? figure(summary.p99) : '',
    ratio === undefined ? '' : `${ratioText(ratio)} × ${row.peer}`,
    verdicts.map(({ budget }) => budgetText(budget)).join(', '),
    verdicts.map((verdict) => verdictText(verdict, verdicts.length > 1)).join('; '),
  ];
}

const titles = [
  'what',
  'on',
  'runs',
  'median',
  'quartiles',
  'min–max',
  'p99',
  'ratio (quartiles)',
  'budget',
  'verdict',
];

/** A table with its title and notes. Columns that nothing stands in are left out. */
export function render(table: Table): string {
  const lines = [titles, ...judge(table).map(cells)];
  const used = titles.map((_, column) => column).filter((column) => lines.slice(1).some((line) => line[column] !== ''));
  const widths = used.map((column) => Math.max(...lines.map((line) => line[column]!.length)));
  const text = lines.map((line) => `| ${used.map((column, i) => line[column]!.padEnd(widths[i]!)).join(' | ')} |`);
  text.splice(1, 0, `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`);
  const notes = table.notes.map((note) => `- ${note}\n`).join('');
  return `### ${table.title}\n\n${text.join('\n')}\n${notes === '' ? '' : `\n${notes}`}`;
}

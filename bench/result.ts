/** What a benchmark gives back: rows of samples with their peers and budgets, and the judgement of them. */

import { pairedRatios, type Summary, summarise } from './statistics.ts';

export type Statistic = 'median' | 'p99' | 'ratio';

/** A limit of design: for times and memory `most`, for throughput `least`. */
export interface Budget {
  readonly of: Statistic;
  readonly most?: number;
  readonly least?: number;
}

export interface Row {
  /** What was done, such as `docker run --rm`. */
  readonly what: string;
  /** On what. */
  readonly name: string;
  readonly unit: string;
  readonly samples: readonly number[];
  /** Name of the row with the same `what` that this one is compared with, round by round. */
  readonly peer?: string;
  readonly budgets?: readonly Budget[];
}

export interface Table {
  readonly title: string;
  /** What to know when reading it. */
  readonly notes: readonly string[];
  readonly rows: readonly Row[];
}

export interface Verdict {
  readonly budget: Budget;
  readonly value: number;
  readonly met: boolean;
  /** How far beyond the limit, or how far within (negative), as a share of the limit. */
  readonly beyond: number;
  /** The confidence interval of the value includes the limit: a repetition may say the opposite. Not known for p99. */
  readonly close: boolean;
}

export interface Judged extends Row {
  readonly summary: Summary;
  readonly ratio?: Summary;
  readonly verdicts: readonly Verdict[];
}

/** With fewer runs, the slowest of a hundred has not been seen. */
export const hasTail = ({ runs }: Summary): boolean => runs >= 100;

/** @throws Error when a row names a peer that is not there. */
export function judge(table: Table): Judged[] {
  return table.rows.map((row) => {
    const summary = summarise(row.samples);
    const ratio = row.peer === undefined ? undefined : summarise(pairedRatios(row.samples, peerOf(table, row).samples));
    const judged = (row.budgets ?? []).filter(({ of }) => of !== 'p99' || hasTail(summary));
    const verdicts = judged.map((budget) => verdictOn(budget, summary, ratio));
    return { ...row, summary, ...(ratio === undefined ? {} : { ratio }), verdicts };
  });
}

function peerOf(table: Table, row: Row): Row {
  const peer = table.rows.find(({ what, name }) => what === row.what && name === row.peer);
  if (peer === undefined) throw new Error(`${table.title}: ${row.what} has no row ${row.peer}`);
  return peer;
}

function verdictOn(budget: Budget, summary: Summary, ratio: Summary | undefined): Verdict {
  const of = budget.of === 'ratio' ? ratio : summary;
  if (of === undefined) throw new Error('a budget of a ratio needs a peer');
  const value = budget.of === 'p99' ? of.p99 : of.median;
  const limit = (budget.most ?? budget.least)!;
  const beyond = budget.most === undefined ? (limit - value) / limit : (value - limit) / limit;
  const [low, high] = of.interval;
  return { budget, value, met: beyond <= 0, beyond, close: budget.of !== 'p99' && low <= limit && limit <= high };
}

/** Text for people: tables, ids, ages. Pure. */

import type { HostView } from '../agent/api.ts';

export interface Column<T> {
  readonly title: string;
  readonly text: (row: T) => string;
  /** Numbers read better at the right. */
  readonly right?: boolean;
}

/** How wide a text is on a terminal, near enough: wide East Asian characters and emoji take two cells, marks none. */
function width(text: string): number {
  let cells = 0;
  for (const character of text) {
    if (/\p{M}/u.test(character)) continue;
    cells +=
      /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60]/u.test(
        character,
      )
        ? 2
        : 1;
  }
  return cells;
}

/** Control characters in names (they may come from anywhere) must not reach a terminal. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '?');
}

/** Aligned columns under a line of titles, two spaces apart, without trailing blanks. An empty cell is `-`. */
export function table<T>(rows: readonly T[], columns: readonly Column<T>[]): string {
  const cells = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map(({ text }) => printable(text(row)) || '-')),
  ];
  const widths = columns.map((_, i) => Math.max(...cells.map((line) => width(line[i]!))));
  return cells
    .map((line) =>
      line
        .map((cell, i) => {
          const blanks = ' '.repeat(widths[i]! - width(cell));
          return columns[i]!.right ? blanks + cell : cell + blanks;
        })
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}

/** Docker's habit: 12 characters name an id well enough. Names and pool ids stay whole. */
export function shortId(id: string): string {
  return /^[0-9a-z]{25,64}$/i.test(id) ? id.slice(0, 12) : id;
}

/**
 * How long ago, in the largest unit that says something: `12 s`, `5 min`, `3 h`, `8 d`.
 *
 * @param since ISO 8601.
 */
export function age(since: string, now: number): string {
  const seconds = Math.max(0, Math.floor((now - Date.parse(since)) / 1000));
  if (Number.isNaN(seconds)) return '';
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** Whether the agent of a host runs, and since when. */
export function hostState({ state, since }: Pick<HostView, 'state' | 'since'>, now: number): string {
  const duration = age(since, now);
  if (state === 'heard') return `runs, heard for ${duration}`;
  return state === 'silent' ? `silent for ${duration}` : `gone: neither it nor the host answers for ${duration}`;
}

function isScalar(value: unknown): value is string | number | boolean | null | undefined {
  return value === null || typeof value !== 'object';
}

/** Any value of the agent's API as indented `name: value` lines, for `inspect`. What is absent or empty is left out. */
export function describe(value: unknown, indent = ''): string {
  if (isScalar(value)) return `${indent}${printable(String(value))}\n`;
  if (Array.isArray(value)) {
    return value
      .map((item: unknown) => {
        if (isScalar(item)) return `${indent}- ${printable(String(item))}\n`;
        return `${indent}- ${describe(item, `${indent}  `).slice(indent.length + 2)}`;
      })
      .join('');
  }
  return Object.entries(value as object)
    .map(([name, item]: [string, unknown]) => {
      if (item === undefined || item === '') return '';
      if (isScalar(item)) return `${indent}${printable(name)}: ${printable(String(item))}\n`;
      if (Object.keys(item as object).length === 0) return '';
      return `${indent}${printable(name)}:\n${describe(item, `${indent}  `)}`;
    })
    .join('');
}

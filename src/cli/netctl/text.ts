/** Values of objects as the text of a cell. */

import type { Fields } from './master.ts';

/** Control characters in names (they may come from anywhere) must reach neither a terminal nor the columns. */
export function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '?');
}

/** A field; what is absent is empty. */
export function text(object: Fields, field: string): string {
  const value = object[field];
  if (value === undefined || value === null) return '';
  return printable(typeof value === 'object' ? JSON.stringify(value) : String(value as string | number | boolean));
}

/** A number; what is absent is 0, as Contiv leaves zeros out of its JSON. */
export function number(object: Fields, field: string): string {
  return text(object, field) || '0';
}

/** The texts of a list; none when it is absent. */
export function texts(object: Fields, field: string): string[] {
  const value = object[field];
  return Array.isArray(value) ? value.map((item: unknown) => printable(String(item))) : [];
}

/** JSON as Go's MarshalIndent writes it. */
export function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

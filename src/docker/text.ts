/** Makes values that others chose fit to stand in one line of an error message or a log. */

const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/**
 * The text on one line: control, format (bidirectional overrides among them) and surrogate characters are written as
 * escapes, so that a hostile value can neither forge log lines nor recolour a terminal; what is longer than `limit`
 * characters is cut, with the full length told.
 */
export function printable(text: string, limit: number): string {
  const cut = text.length > limit ? text.slice(0, limit) : text;
  const escaped = cut.replaceAll(UNPRINTABLE, (char) => `\\u{${char.codePointAt(0)!.toString(16)}}`);
  return text.length > limit ? `${escaped}… (${text.length} characters)` : escaped;
}

/** A value of a request as an error message shows it: a text in quotes, on one line, at most about 80 characters. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return `"${printable(value, 80)}"`;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (value === null) return 'null';
  if (value === undefined) return 'nothing';
  return Array.isArray(value) ? 'a list' : 'an object';
}

/** How Python prints a value (`repr`): programs of kuryr-libnetwork are given `binding:vif_details` so, and look for words in it. */

import type { Json } from '../../../../model/network.ts';

export function pythonRepr(value: Json): string {
  if (value === null) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (typeof value === 'string') return quoted(value);
  if (typeof value === 'number') return String(value);
  if (Array.isArray(value)) return `[${value.map((each: Json) => pythonRepr(each)).join(', ')}]`;
  const members = Object.entries(value as Readonly<Record<string, Json>>);
  return `{${members.map(([name, member]) => `${quoted(name)}: ${pythonRepr(member)}`).join(', ')}}`;
}

/** Single quotes, unless only double ones spare an escape; what cannot be printed as its number (CPython `unicode_repr`). */
function quoted(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const shown = text
    .replaceAll('\\', '\\\\')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t')
    .replaceAll(quote, `\\${quote}`)
    .replaceAll(/\p{Cc}/gu, (each) => `\\x${each.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return quote + shown + quote;
}

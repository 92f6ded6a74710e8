/**
 * Domain names as text (RFC 1035 §5.1): labels with dots between them and none at the end; the root is empty. A byte of a label
 * that is no visible ASCII character, and a dot or a backslash, is escaped, so that each name has one text but for its case.
 */

import { type Address, addressBytes } from '../model/address.ts';

declare const brand: unique symbol;
export type DomainName = string & { readonly [brand]: 'DomainName' };

export const ROOT = '' as DomainName;

const LONGEST_LABEL = 63;
/** In the form of the wire, with the length bytes and the root's (RFC 1035 §2.3.4). */
const LONGEST_NAME = 255;
const DOT = 0x2e;
const BACKSLASH = 0x5c;

/**
 * A name from its labels' bytes.
 *
 * @returns undefined when a label is empty or longer than 63 bytes, or all are longer than 255 together.
 */
export function nameFromLabels(labels: readonly Uint8Array[]): DomainName | undefined {
  if (labels.some(({ length }) => length === 0 || length > LONGEST_LABEL)) return undefined;
  if (labels.reduce((sum, { length }) => sum + length + 1, 1) > LONGEST_NAME) return undefined;
  return labels.map((label) => Array.from(label, escaped).join('')).join('.') as DomainName;
}

function escaped(byte: number): string {
  if (byte === DOT || byte === BACKSLASH) return `\\${String.fromCharCode(byte)}`;
  if (byte > 0x20 && byte < 0x7f) return String.fromCharCode(byte);
  return `\\${String(byte).padStart(3, '0')}`;
}

/** The labels of a name, as bytes. */
export function labelsOf(name: DomainName): readonly Uint8Array[] {
  return splitLabels(name) ?? [];
}

/** Undefined for text with an escape that is none. Does not look at lengths. */
function splitLabels(text: string): Uint8Array[] | undefined {
  if (text === '') return [];
  const labels: Uint8Array[] = [];
  let label: number[] = [];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === DOT) {
      labels.push(Uint8Array.from(label));
      label = [];
    } else if (code !== BACKSLASH) {
      if (code > 0x7e || code <= 0x20) return undefined;
      label.push(code);
    } else if (/^[0-9]{3}$/.test(text.slice(at + 1, at + 4))) {
      const byte = Number(text.slice(at + 1, at + 4));
      if (byte > 255) return undefined;
      label.push(byte);
      at += 3;
    } else {
      at += 1;
      const next = text.charCodeAt(at);
      if (!(next > 0x20 && next < 0x7f) || (next >= 0x30 && next <= 0x39)) return undefined;
      label.push(next);
    }
  }
  labels.push(Uint8Array.from(label));
  return labels;
}

/** A name as somebody wrote it, with or without the final dot; undefined when it is none. */
export function parseName(text: string): DomainName | undefined {
  if (text === '.') return ROOT;
  if (text === '') return undefined;
  const labels = splitLabels(text);
  if (labels === undefined) return undefined;
  // The final dot leaves an empty label behind itself.
  if (labels.length > 1 && labels.at(-1)!.length === 0) labels.pop();
  return nameFromLabels(labels);
}

/** By which names are compared: of ASCII letters the case does not matter (RFC 4343). */
export function nameKey(name: DomainName): string {
  return name.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}

export function sameName(a: DomainName, b: DomainName): boolean {
  return a === b || nameKey(a) === nameKey(b);
}

/** Whether a name is the zone's or below it. */
export function isWithin(name: DomainName, zone: DomainName): boolean {
  if (zone === ROOT) return true;
  const [inner, outer] = [nameKey(name), nameKey(zone)];
  return inner === outer || inner.endsWith(`.${outer}`);
}

/** A label in front of a name; undefined when that is too long. */
export function child(label: string, parent: DomainName): DomainName | undefined {
  const own = nameFromLabels([new TextEncoder().encode(label)]);
  if (own === undefined) return undefined;
  const name = parent === ROOT ? own : `${own}.${parent}`;
  return nameFromLabels(labelsOf(name as DomainName));
}

/** The name one label up; undefined for the root. */
export function parentOf(name: DomainName): DomainName | undefined {
  return name === ROOT ? undefined : nameFromLabels(labelsOf(name).slice(1));
}

/** Where the name of an address is looked up: RFC 1035 §3.5, RFC 3596 §2.5. */
export function reverseName(address: Address): DomainName {
  const bytes = [...addressBytes(address)].toReversed();
  if (address.family === 4) return `${bytes.join('.')}.in-addr.arpa` as DomainName;
  const nibbles = bytes.flatMap((byte) => [byte & 15, byte >> 4]).map((nibble) => nibble.toString(16));
  return `${nibbles.join('.')}.ip6.arpa` as DomainName;
}

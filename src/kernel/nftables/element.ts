/**
 * The key (or value) of a set element in one spelling, whether it comes from a declaration in nft's language or from nft's
 * JSON, so that the two can be compared. Pure.
 *
 * Names for numbers (`http`, `icmp`) are left alone; whoever finds such an element missing asks the kernel for it by name.
 */

import { formatAddress, parseAddress } from '../../model/address.ts';

/** `"bt1" . 10.1.0.0/24 . 0x50` becomes `bt1 . 10.1.0.0/24 . 80`. */
export function spell(text: string): string {
  return text
    .split(/\s+\.\s+/)
    .map((part) => spellPart(part.trim()))
    .join(' . ');
}

function spellPart(part: string): string {
  if (part.startsWith('"') && part.endsWith('"')) return part.slice(1, -1);
  const range = /^([^-\s]+)\s*-\s*([^-\s]+)$/.exec(part);
  if (range !== null && isNumberOrAddress(range[1]!) && isNumberOrAddress(range[2]!)) {
    return `${spellPart(range[1]!)}-${spellPart(range[2]!)}`;
  }
  const [address, length] = part.split('/');
  const parsed = parseAddress(address!);
  if (parsed !== undefined) {
    const whole = length === undefined || Number(length) === (parsed.family === 4 ? 32 : 128);
    return whole ? formatAddress(parsed) : `${formatAddress(parsed)}/${length}`;
  }
  if (/^(0x[0-9a-f]+|[0-9]+)$/i.test(part)) return BigInt(part).toString();
  if (/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(part)) return part.toLowerCase();
  return part.replaceAll(/\s+/g, ' ');
}

function isNumberOrAddress(text: string): boolean {
  return /^(0x[0-9a-f]+|[0-9]+)$/i.test(text) || parseAddress(text) !== undefined;
}

/** One entry of `elem` in the JSON of a set or map: its key, and for a map its value. */
export function readElement(entry: unknown): { readonly key: string; readonly value?: string } {
  if (Array.isArray(entry)) return { key: readKey(entry[0]), value: readKey(entry[1]) };
  return { key: readKey(entry) };
}

function readKey(value: unknown): string {
  if (typeof value === 'string') return spellPart(value);
  if (typeof value !== 'object' || value === null) return String(value);
  const object = value as Record<string, unknown>;
  if ('elem' in object) return readKey((object.elem as Record<string, unknown>).val);
  if ('concat' in object) return (object.concat as unknown[]).map(readKey).join(' . ');
  if ('range' in object) return (object.range as unknown[]).map(readKey).join('-');
  if ('prefix' in object) {
    const prefix = object.prefix as { addr: string; len: number };
    return spellPart(`${prefix.addr}/${prefix.len}`);
  }
  // A verdict: { "accept": null }, { "jump": { "target": "c" } }.
  const [verdict, argument] = Object.entries(object)[0] ?? ['', null];
  const target = (argument as { target?: string } | null)?.target;
  return target === undefined ? verdict : `${verdict} ${target}`;
}

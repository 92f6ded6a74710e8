/** Contiv's texts for addresses and tags: `10.1.1.10-10.1.1.20/24`, `10.1.1.5-10.1.1.9`, `1-4094`. */

import { type Address, formatAddress, parseAddress } from '../address.ts';
import { contains, hostRange, lastAddress, type Prefix, parseInterfaceAddress, prefixOf } from '../prefix.ts';

/** Addresses or tags, both ends included. */
export interface Range {
  readonly first: bigint;
  readonly last: bigint;
}

export interface SubnetText {
  readonly prefix: Prefix;
  /** What hosts may have: without the network and broadcast address, and of `a-b/len` only what lies within. Undefined: none. */
  readonly hosts: Range | undefined;
  /** What counts when networks of one tenant must not overlap. */
  readonly claimed: Range;
  /** The same as numbers: they are compared with those of thousands of networks. */
  readonly low: number;
  readonly high: number;
}

/** `a.b.c.d/len` (host bits are ignored) or `a.b.c.d-e.f.g.h/len`; undefined when it is neither, or the range is not within the subnet. */
export function parseSubnetText(text: string): SubnetText | undefined {
  const [, first, last, length] = /^([0-9.]+)(?:-([0-9.]+))?\/([0-9]+)$/.exec(text) ?? [];
  if (first === undefined) return undefined;
  const from = parseInterfaceAddress(`${first}/${length}`);
  if (from === undefined) return undefined;
  const prefix = prefixOf(from);
  const whole = hostRange(prefix);
  // A /31 has two addresses by RFC 3021, and by Contiv none.
  const usable = prefix.length < 31 ? whole : undefined;
  if (last === undefined) {
    return claiming({
      prefix,
      hosts: usable,
      claimed: { first: prefix.address.value, last: lastAddress(prefix).value },
    });
  }
  const to = parseAddress(last);
  if (to === undefined || !contains(prefix, to) || to.value < from.address.value) return undefined;
  const claimed = { first: from.address.value, last: to.value };
  return claiming({ prefix, claimed, hosts: usable === undefined ? undefined : intersect(usable, claimed) });
}

function claiming(subnet: Omit<SubnetText, 'low' | 'high'>): SubnetText {
  return { ...subnet, low: Number(subnet.claimed.first), high: Number(subnet.claimed.last) };
}

/** `a.b.c.d` or `a.b.c.d-e.f.g.h`. */
export function parseAddressRange(text: string): Range | undefined {
  const ends = text.split('-').map(parseAddress);
  const [first] = ends;
  const last = ends.at(-1);
  if (ends.length > 2 || first === undefined || last === undefined || first.family !== 4 || last.family !== 4)
    return undefined;
  return first.value <= last.value ? { first: first.value, last: last.value } : undefined;
}

export function intersect(a: Range, b: Range): Range | undefined {
  const { first } = a.first > b.first ? a : b;
  const { last } = a.last < b.last ? a : b;
  return first <= last ? { first, last } : undefined;
}

export function within(inner: Range, outer: Range): boolean {
  return inner.first >= outer.first && inner.last <= outer.last;
}

/** The ranges in order, those that touch as one. */
export function merge(ranges: readonly Range[]): Range[] {
  const merged: Range[] = [];
  for (const range of ranges.toSorted((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0))) {
    const before = merged.at(-1);
    if (before === undefined || range.first > before.last + 1n) merged.push(range);
    else if (range.last > before.last) merged[merged.length - 1] = { first: before.first, last: range.last };
  }
  return merged;
}

/** What is left of `whole` without `taken`. */
export function without(whole: Range, taken: readonly Range[]): Range[] {
  const left: Range[] = [];
  let next = whole.first;
  for (const range of merge(taken)) {
    if (range.last < next) continue;
    if (range.first > whole.last) break;
    if (range.first > next) left.push({ first: next, last: range.first - 1n });
    next = range.last + 1n;
  }
  if (next <= whole.last) left.push({ first: next, last: whole.last });
  return left;
}

const list = (ranges: readonly Range[], show: (value: bigint) => string): string =>
  merge(ranges)
    .map(({ first, last }) => (first === last ? show(first) : `${show(first)}-${show(last)}`))
    .join(', ');

/** `10.1.1.1, 10.1.1.5-10.1.1.9` */
export function formatAddresses(ranges: readonly Range[]): string {
  return list(ranges, (value) => formatAddress({ family: 4, value } satisfies Address));
}

/** `1-6, 8` */
export function formatTags(tags: readonly number[]): string {
  return list(
    tags.map((tag) => ({ first: BigInt(tag), last: BigInt(tag) })),
    String,
  );
}

/** What of a subnet is given out to containers. */

import { type Address, sameAddress } from '../../model/address.ts';
import { intersect } from '../../model/objects/ranges.ts';
import { hostRange, lastAddress, type Prefix } from '../../model/prefix.ts';

export interface AddressRange {
  readonly first: Address;
  /** Included. */
  readonly last: Address;
}

/** The hosts' addresses of a range of a subnet, without those that are kept: in ascending order, none touching the next. */
export function freeRanges(
  subnet: Prefix,
  range: Prefix = subnet,
  kept: readonly Address[] = [],
): readonly AddressRange[] {
  const { family } = subnet.address;
  const usable = intersect(hostRange(subnet), { first: range.address.value, last: lastAddress(range).value });
  if (usable === undefined) return [];
  const { last } = usable;
  let { first } = usable;
  const free: AddressRange[] = [];
  const at = (value: bigint): Address => ({ family, value });
  const distinct = kept.filter((address, index) => kept.findIndex((other) => sameAddress(other, address)) === index);
  for (const { value } of distinct.toSorted((a, b) => (a.value < b.value ? -1 : 1))) {
    if (value < first || value > last) continue;
    if (value > first) free.push({ first: at(first), last: at(value - 1n) });
    first = value + 1n;
  }
  if (first <= last) free.push({ first: at(first), last: at(last) });
  return free;
}

/** Which subnet a network gets when the user names none. */

import { createHash } from 'node:crypto';
import { bits, type Family } from '../model/address.ts';
import { family, lastAddress, type Prefix } from '../model/prefix.ts';

/** A block that automatic subnets are cut from. */
export interface PoolBase {
  readonly base: Prefix;
  /** Length of each subnet. */
  readonly length: number;
}

/**
 * IPv4 blocks that are taken when the configuration names none: the upper half of 10/8 beyond what home routers, offices and
 * clouds number from below, and nothing of what Docker's own IPAM uses (172.17-31/16, 192.168/16, moby `ipamutils`).
 */
export const defaultBases: readonly PoolBase[] = [{ base: v4(10, 128, 9), length: 24 }];

function v4(first: number, second: number, length: number): Prefix {
  return { address: { family: 4, value: (BigInt(first) << 24n) | (BigInt(second) << 16n) }, length };
}

/**
 * A unique local prefix `fdxx:xxxx:xxxx::/48` cut into /64 (RFC 4193 §3.2; the 40 bits come from a hash of the seed instead
 * of the time of day, so the same host has the same prefix for ever).
 */
export function uniqueLocalBase(seed: string): PoolBase {
  const digest = createHash('sha256').update('berth unique local prefix\0').update(seed).digest();
  const global = BigInt(`0x${digest.subarray(0, 5).toString('hex')}`);
  return { base: { address: { family: 6, value: (0xfdn << 120n) | (global << 80n) }, length: 48 }, length: 64 };
}

/**
 * The lowest free subnet of the bases, in their order, that touches nothing that is taken.
 *
 * @param length the length wanted, instead of that of each base.
 * @param taken a default route (length 0) is not counted: it is everywhere.
 * @returns undefined when there is none.
 */
export function chooseSubnet(
  wanted: Family,
  length: number | undefined,
  bases: readonly PoolBase[],
  taken: readonly Prefix[],
): Prefix | undefined {
  const blocked = taken
    .filter((prefix) => family(prefix) === wanted && prefix.length > 0)
    .map((prefix) => [prefix.address.value, lastAddress(prefix).value] as const)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  for (const { base, length: usual } of bases) {
    if (family(base) !== wanted) continue;
    const found = lowestGap(base, length ?? usual, blocked);
    if (found !== undefined) return found;
  }
  return undefined;
}

function lowestGap(base: Prefix, length: number, blocked: readonly (readonly [bigint, bigint])[]): Prefix | undefined {
  if (length < base.length) return undefined;
  const size = 1n << BigInt(bits(family(base)) - length);
  const last = lastAddress(base).value;
  let start = base.address.value;
  // Sorted by their beginning, so each either lies behind the candidate, or pushes it on, or ends the search for it.
  for (const [from, to] of blocked) {
    if (to < start) continue;
    if (from > start + size - 1n) break;
    start = (to / size + 1n) * size;
  }
  return start + size - 1n <= last ? { address: { family: family(base), value: start }, length } : undefined;
}

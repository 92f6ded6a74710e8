/** Which subnets can be pools at all. */

import { BerthError } from '../model/errors.ts';
import {
  contains,
  covers,
  family,
  formatPrefix,
  hostRange,
  lastAddress,
  overlaps,
  type Prefix,
  parsePrefix,
} from '../model/prefix.ts';

/** Blocks that no network can be numbered from (IANA special-purpose registries, RFC 6890). */
const unusable: readonly (readonly [Prefix, string])[] = [
  [parsePrefix('0.0.0.0/8')!, 'addresses of "this network"'],
  [parsePrefix('127.0.0.0/8')!, 'loopback addresses'],
  [parsePrefix('224.0.0.0/4')!, 'multicast addresses'],
  [parsePrefix('255.255.255.255/32')!, 'the broadcast address'],
  // The unspecified and the loopback address, and the deprecated IPv4-compatible ones around them.
  [parsePrefix('::/96')!, 'unspecified and loopback addresses'],
  [{ address: { family: 6, value: 0xffff_0000_0000n }, length: 96 }, 'IPv4 addresses in another form'],
  [parsePrefix('fe80::/10')!, 'link-local addresses'],
  [parsePrefix('ff00::/8')!, 'multicast addresses'],
];

/** The shortest prefix of each family: a shorter one is a slip of the pen, and would hide most of the world. */
const SHORTEST = { 4: 8, 6: 16 } as const;
/** The longest that has room for a container beside the gateway. */
const LONGEST = { 4: 31, 6: 127 } as const;

/** @throws BerthError BAD_SUBNET when no network can be numbered from this subnet. */
export function checkSubnet(subnet: Prefix): void {
  const shown = formatPrefix(subnet);
  checkLength(family(subnet), subnet.length, `the subnet ${shown}`);
  for (const [block, what] of unusable) {
    if (overlaps(block, subnet)) throw new BerthError('BAD_SUBNET', `the subnet ${shown} contains ${what}`);
  }
}

/** @throws BerthError BAD_SUBNET when no subnet can have this length. */
export function checkLength(of: 4 | 6, length: number, what: string): void {
  if (length < SHORTEST[of]) {
    throw new BerthError('BAD_SUBNET', `${what} is too large: IPv${of} subnets are at least /${SHORTEST[of]}`);
  }
  if (length > LONGEST[of]) {
    throw new BerthError('BAD_SUBNET', `${what} is too small: IPv${of} subnets are at most /${LONGEST[of]}`);
  }
}

/** @throws BerthError BAD_SUBNET when a range does not lie in its subnet, or has no address for a host. */
export function checkRange(subnet: Prefix, range: Prefix): void {
  if (!covers(subnet, range)) {
    throw new BerthError(
      'BAD_SUBNET',
      `the range ${formatPrefix(range)} is not within the subnet ${formatPrefix(subnet)}`,
    );
  }
  const { first, last } = allocatable(subnet, range);
  if (first > last) {
    throw new BerthError('BAD_SUBNET', `the range ${formatPrefix(range)} has no address for a container`);
  }
}

/** First and last address that is given out automatically: the hosts of the subnet that lie in the range. */
export function allocatable(
  subnet: Prefix,
  range: Prefix | undefined,
): { readonly first: bigint; readonly last: bigint } {
  const hosts = hostRange(subnet);
  if (range === undefined) return hosts;
  const all = { first: range.address.value, last: lastAddress(range).value };
  if (all.first < hosts.first) all.first = hosts.first;
  if (all.last > hosts.last) all.last = hosts.last;
  return all;
}

/** Whether a host may have this address of the subnet: not the network's own, nor the broadcast address. */
export function isForHosts(subnet: Prefix, value: bigint): boolean {
  const { first, last } = hostRange(subnet);
  return contains(subnet, { family: family(subnet), value }) && value >= first && value <= last;
}

/** Blocks of addresses (`10.1.0.0/24`) and addresses on a link (`10.1.0.5/24`). */

import { type Address, bits, type Family, formatAddress, parseAddress } from './address.ts';

/** A block of addresses: no bit of `address` is set below `length`. */
export interface Prefix {
  readonly address: Address;
  readonly length: number;
}

/** An address together with the length of the prefix that is on-link, as `ip address add` takes it. */
export interface InterfaceAddress {
  readonly address: Address;
  readonly length: number;
}

/** Parses `address/length`. Undefined when it is not of that form. Host bits are allowed. */
export function parseInterfaceAddress(text: string): InterfaceAddress | undefined {
  const match = /^([^/]+)\/(0|[1-9][0-9]{0,2})$/.exec(text);
  if (match === null) return undefined;
  const address = parseAddress(match[1]!);
  const length = Number(match[2]);
  if (address === undefined || length > bits(address.family)) return undefined;
  return { address, length };
}

/** Parses `network/length`. Undefined when it is not of that form, or when a host bit is set. */
export function parsePrefix(text: string): Prefix | undefined {
  const parsed = parseInterfaceAddress(text);
  return parsed !== undefined && (parsed.address.value & hostMask(parsed)) === 0n ? parsed : undefined;
}

/** The block that an address with a length lies in. */
export function prefixOf(on: InterfaceAddress): Prefix {
  return {
    address: { family: on.address.family, value: on.address.value & ~hostMask(on) },
    length: on.length,
  };
}

export function formatPrefix(prefix: Prefix | InterfaceAddress): string {
  return `${formatAddress(prefix.address)}/${prefix.length}`;
}

function hostMask(prefix: { address: Address; length: number }): bigint {
  return (1n << BigInt(bits(prefix.address.family) - prefix.length)) - 1n;
}

export function family(prefix: Prefix | InterfaceAddress): Family {
  return prefix.address.family;
}

export function lastAddress(prefix: Prefix): Address {
  return { family: prefix.address.family, value: prefix.address.value | hostMask(prefix) };
}

export function contains(prefix: Prefix, address: Address): boolean {
  return (
    prefix.address.family === address.family &&
    address.value >= prefix.address.value &&
    address.value <= lastAddress(prefix).value
  );
}

/** Whether every address of `inner` lies in `outer`. */
export function covers(outer: Prefix, inner: Prefix): boolean {
  return inner.length >= outer.length && contains(outer, inner.address);
}

export function overlaps(a: Prefix, b: Prefix): boolean {
  return covers(a, b) || covers(b, a);
}

export function samePrefix(a: Prefix, b: Prefix): boolean {
  return a.length === b.length && a.address.family === b.address.family && a.address.value === b.address.value;
}

/**
 * The addresses that hosts of this block may hold: without the network and broadcast address in IPv4 (RFC 1122 §3.2.1.3;
 * /31 has neither, RFC 3021), without the subnet-router anycast address in IPv6 (RFC 4291 §2.6.1; /127 excepted, RFC 6164).
 */
export function hostRange(prefix: Prefix): { first: bigint; last: bigint } {
  const first = prefix.address.value;
  const last = lastAddress(prefix).value;
  const hostBits = bits(prefix.address.family) - prefix.length;
  if (hostBits <= 1) return { first, last };
  return prefix.address.family === 4 ? { first: first + 1n, last: last - 1n } : { first: first + 1n, last };
}

/** The Internet's checksum (RFC 1071), as IPv4, UDP and ICMPv6 have it. */

/**
 * The one's complement sum of 16-bit words; an odd last byte counts as if a zero followed. Over what has its right checksum within
 * it, 0xffff.
 *
 * @param onto a sum to go on with, such as that of a pseudo-header.
 */
export function onesComplementSum(bytes: Uint8Array, onto = 0): number {
  let sum = onto;
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at]! << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

/** What is written where the checksum stands, of bytes in which that is zero. @param onto as above */
export function internetChecksum(bytes: Uint8Array, onto = 0): number {
  return ~onesComplementSum(bytes, onto) & 0xffff;
}

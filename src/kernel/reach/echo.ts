/** Echoes of ICMP (RFC 792) and ICMPv6 (RFC 4443 §4): written and read. Pure. */

import { internetChecksum } from '../../model/checksum.ts';

/** Bytes of the headers of an echo, IP's and ICMP's. */
export const headers = { 4: 28, 6: 48 } as const;

const TYPES = { 4: { request: 8, reply: 0 }, 6: { request: 128, reply: 129 } } as const;

export interface EchoNumbers {
  readonly id: number;
  readonly sequence: number;
}

/**
 * What is given to a raw socket, which puts the IP header before it; that of IPv6 also writes the checksum (RFC 3542 §3.1).
 *
 * @param size of the whole packet in bytes, IP header and all.
 */
export function echoRequest(family: 4 | 6, { id, sequence }: EchoNumbers, size: number): Uint8Array {
  const bytes = new Uint8Array(8 + Math.max(0, size - headers[family]));
  const view = new DataView(bytes.buffer);
  view.setUint8(0, TYPES[family].request);
  view.setUint16(4, id);
  view.setUint16(6, sequence);
  for (let at = 8; at < bytes.length; at++) bytes[at] = at & 0xff;
  if (family === 4) view.setUint16(2, internetChecksum(bytes));
  return bytes;
}

/** The numbers of an echo reply; undefined for anything else. @param packet as a raw socket gives it: of IPv4 with its header. */
export function readEchoReply(family: 4 | 6, packet: Uint8Array): EchoNumbers | undefined {
  const start = family === 4 ? ((packet[0] ?? 0) & 15) * 4 : 0;
  if (packet.length < start + 8 || packet[start] !== TYPES[family].reply) return undefined;
  const view = new DataView(packet.buffer, packet.byteOffset + start);
  return { id: view.getUint16(4), sequence: view.getUint16(6) };
}

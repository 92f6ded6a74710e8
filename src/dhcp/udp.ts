/**
 * Ethernet frames with an IPv4 UDP datagram in them. A DHCP client has no address yet, or speaks for a container that does not
 * exist yet, so it cannot have the kernel do this.
 */

import { type Address, addressBytes, addressFromBytes } from '../model/address.ts';
import { internetChecksum, onesComplementSum } from '../model/checksum.ts';
import { type Mac, macBytes, macFromBytes } from '../model/mac.ts';

export interface Datagram {
  readonly sourceMac: Mac;
  /** Absent: everybody. */
  readonly destinationMac?: Mac;
  readonly source: Address;
  readonly destination: Address;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly data: Uint8Array;
}

export const unspecified: Address = { family: 4, value: 0n };
export const everybody: Address = { family: 4, value: 0xffffffffn };

const ETHERNET = 14;
const IP = 20;
const UDP = 8;
const ETH_P_IP = 0x0800;
const IPPROTO_UDP = 17;
const BROADCAST_MAC = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

export function encodeFrame(datagram: Datagram): Uint8Array {
  const { data } = datagram;
  const frame = new Uint8Array(ETHERNET + IP + UDP + data.length);
  const view = new DataView(frame.buffer);
  frame.set(datagram.destinationMac === undefined ? BROADCAST_MAC : macBytes(datagram.destinationMac), 0);
  frame.set(macBytes(datagram.sourceMac), 6);
  view.setUint16(12, ETH_P_IP);
  frame[ETHERNET] = 0x45;
  view.setUint16(ETHERNET + 2, IP + UDP + data.length);
  frame[ETHERNET + 8] = 64;
  frame[ETHERNET + 9] = IPPROTO_UDP;
  frame.set(addressBytes(datagram.source), ETHERNET + 12);
  frame.set(addressBytes(datagram.destination), ETHERNET + 16);
  view.setUint16(ETHERNET + 10, internetChecksum(frame.subarray(ETHERNET, ETHERNET + IP)));
  const udp = ETHERNET + IP;
  view.setUint16(udp, datagram.sourcePort);
  view.setUint16(udp + 2, datagram.destinationPort);
  view.setUint16(udp + 4, UDP + data.length);
  frame.set(data, udp + UDP);
  const checksum = internetChecksum(frame.subarray(udp), pseudoHeader(frame, ETHERNET, UDP + data.length));
  // Zero means none (RFC 768).
  view.setUint16(udp + 6, checksum === 0 ? 0xffff : checksum);
  return frame;
}

/** @returns undefined for anything but one whole UDP datagram whose checksums are right. */
export function decodeFrame(frame: Uint8Array): Datagram | undefined {
  if (frame.length < ETHERNET + IP + UDP) return undefined;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (view.getUint16(12) !== ETH_P_IP || frame[ETHERNET]! >> 4 !== 4) return undefined;
  const header = (frame[ETHERNET]! & 15) * 4;
  const total = view.getUint16(ETHERNET + 2);
  const isFragment = (view.getUint16(ETHERNET + 6) & 0x3fff) !== 0;
  if (header < IP || total < header + UDP || ETHERNET + total > frame.length || isFragment) return undefined;
  if (frame[ETHERNET + 9] !== IPPROTO_UDP) return undefined;
  if (onesComplementSum(frame.subarray(ETHERNET, ETHERNET + header)) !== 0xffff) return undefined;
  const udp = ETHERNET + header;
  const length = view.getUint16(udp + 4);
  if (length < UDP || header + length > total) return undefined;
  if (!isIntact(frame, udp, length)) return undefined;
  return {
    sourceMac: macFromBytes(frame.subarray(6, 12)),
    destinationMac: macFromBytes(frame.subarray(0, 6)),
    source: addressFromBytes(frame.subarray(ETHERNET + 12, ETHERNET + 16)),
    destination: addressFromBytes(frame.subarray(ETHERNET + 16, ETHERNET + 20)),
    sourcePort: view.getUint16(udp),
    destinationPort: view.getUint16(udp + 2),
    data: frame.slice(udp + UDP, udp + length),
  };
}

/**
 * A datagram from another virtual interface of this machine has not been through a network card, which would have completed
 * its checksum: it carries the pseudo-header's part only (CHECKSUM_PARTIAL, include/linux/skbuff.h), and is intact all the same.
 */
function isIntact(frame: Uint8Array, udp: number, length: number): boolean {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const found = view.getUint16(udp + 6);
  const pseudo = pseudoHeader(frame, ETHERNET, length);
  return found === 0 || found === pseudo || onesComplementSum(frame.subarray(udp, udp + length), pseudo) === 0xffff;
}

function pseudoHeader(frame: Uint8Array, ip: number, length: number): number {
  return onesComplementSum(frame.subarray(ip + 12, ip + 20), IPPROTO_UDP + length);
}

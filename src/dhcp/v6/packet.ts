/**
 * Ethernet frames with an IPv6 packet in them (RFC 8200), and with a UDP datagram in that. Who asks for the address of a container
 * that does not exist yet cannot have the kernel do this.
 */

import { type Address, addressBytes, addressFromBytes } from '../../model/address.ts';
import { internetChecksum, onesComplementSum } from '../../model/checksum.ts';
import { type Mac, macBytes, macFromBytes } from '../../model/mac.ts';

export interface Packet {
  readonly sourceMac: Mac;
  readonly destinationMac: Mac;
  readonly source: Address;
  readonly destination: Address;
  /** What the payload is, such as UDP. */
  readonly protocol: number;
  readonly hopLimit: number;
  readonly payload: Uint8Array;
}

export interface Datagram extends Omit<Packet, 'protocol' | 'hopLimit' | 'payload'> {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly data: Uint8Array;
}

export const UDP = 17;
export const ICMPV6 = 58;

const ETHERNET = 14;
const IPV6 = 40;
const ETH_P_IPV6 = 0x86dd;
const UDP_HEADER = 8;
const UDP_CHECKSUM = 6;
const HOPS = 64;

/** Where frames to a group go (RFC 2464 §7). */
export function groupMac(group: Address): Mac {
  return macFromBytes(Uint8Array.of(0x33, 0x33, ...addressBytes(group).subarray(12)));
}

/** @param checksumAt where in the payload its checksum is, which is worked out here. */
export function encodePacket(packet: Packet, checksumAt: number): Uint8Array {
  const { payload } = packet;
  const frame = new Uint8Array(ETHERNET + IPV6 + payload.length);
  const view = new DataView(frame.buffer);
  frame.set(macBytes(packet.destinationMac), 0);
  frame.set(macBytes(packet.sourceMac), 6);
  view.setUint16(12, ETH_P_IPV6);
  frame[ETHERNET] = 0x60;
  view.setUint16(ETHERNET + 4, payload.length);
  frame.set([packet.protocol, packet.hopLimit], ETHERNET + 6);
  frame.set(addressBytes(packet.source), ETHERNET + 8);
  frame.set(addressBytes(packet.destination), ETHERNET + 24);
  frame.set(payload, ETHERNET + IPV6);
  view.setUint16(ETHERNET + IPV6 + checksumAt, 0);
  const checksum = internetChecksum(frame.subarray(ETHERNET + IPV6), pseudoHeader(packet));
  // Over IPv6 a UDP checksum of zero is none, which is not allowed (RFC 8200 §8.1).
  view.setUint16(ETHERNET + IPV6 + checksumAt, checksum === 0 ? 0xffff : checksum);
  return frame;
}

/**
 * @param checksumAt where in the payload its checksum is.
 * @returns undefined for anything but a whole packet of this protocol, without extension headers, whose checksum is right.
 */
export function decodePacket(frame: Uint8Array, protocol: number, checksumAt: number): Packet | undefined {
  if (frame.length < ETHERNET + IPV6) return undefined;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (view.getUint16(12) !== ETH_P_IPV6 || frame[ETHERNET]! >> 4 !== 6 || frame[ETHERNET + 6] !== protocol)
    return undefined;
  const length = view.getUint16(ETHERNET + 4);
  if (length < checksumAt + 2 || ETHERNET + IPV6 + length > frame.length) return undefined;
  const packet: Packet = {
    sourceMac: macFromBytes(frame.subarray(6, 12)),
    destinationMac: macFromBytes(frame.subarray(0, 6)),
    source: addressFromBytes(frame.subarray(ETHERNET + 8, ETHERNET + 24)),
    destination: addressFromBytes(frame.subarray(ETHERNET + 24, ETHERNET + 40)),
    protocol,
    hopLimit: frame[ETHERNET + 7]!,
    payload: frame.slice(ETHERNET + IPV6, ETHERNET + IPV6 + length),
  };
  return isIntact(packet, checksumAt) ? packet : undefined;
}

export function encodeDatagram({ sourcePort, destinationPort, data, ...addresses }: Datagram): Uint8Array {
  const payload = new Uint8Array(UDP_HEADER + data.length);
  const view = new DataView(payload.buffer);
  view.setUint16(0, sourcePort);
  view.setUint16(2, destinationPort);
  view.setUint16(4, payload.length);
  payload.set(data, UDP_HEADER);
  return encodePacket({ ...addresses, protocol: UDP, hopLimit: HOPS, payload }, UDP_CHECKSUM);
}

/** @returns undefined for anything but one whole UDP datagram whose checksum is right. */
export function decodeDatagram(frame: Uint8Array): Datagram | undefined {
  const packet = decodePacket(frame, UDP, UDP_CHECKSUM);
  if (packet === undefined || packet.payload.length < UDP_HEADER) return undefined;
  const { payload, protocol: _udp, hopLimit: _any, ...addresses } = packet;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  if (view.getUint16(4) !== payload.length) return undefined;
  return {
    ...addresses,
    sourcePort: view.getUint16(0),
    destinationPort: view.getUint16(2),
    data: payload.subarray(UDP_HEADER),
  };
}

/**
 * What comes from another virtual interface of this machine has not been through a network card, which would have completed its
 * checksum: it carries the pseudo-header's part only (CHECKSUM_PARTIAL, include/linux/skbuff.h), and is intact all the same.
 */
function isIntact(packet: Packet, checksumAt: number): boolean {
  const found = (packet.payload[checksumAt]! << 8) | packet.payload[checksumAt + 1]!;
  const pseudo = pseudoHeader(packet);
  return found === pseudo || onesComplementSum(packet.payload, pseudo) === 0xffff;
}

function pseudoHeader({ source, destination, protocol, payload }: Packet): number {
  const addresses = Uint8Array.of(...addressBytes(source), ...addressBytes(destination));
  return onesComplementSum(addresses, payload.length + protocol);
}

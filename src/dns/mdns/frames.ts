/**
 * Ethernet frames with multicast DNS over IPv4 in them. Containers speak for themselves on a link on which the host has no
 * address, and which link a message came from is certain.
 */

import { type Address, addressBytes, addressFromBytes, parseAddress } from '../../model/address.ts';
import { type Mac, macBytes, macFromBytes } from '../../model/mac.ts';

/** RFC 6762 §3, and RFC 1112 §6.4 for its MAC. */
export const GROUP: Address = parseAddress('224.0.0.251')!;
export const GROUP_MAC = '01:00:5e:00:00:fb' as Mac;

export interface Datagram {
  readonly source: { readonly mac: Mac; readonly address: Address; readonly port: number };
  readonly destination: { readonly mac: Mac; readonly address: Address; readonly port: number };
  readonly data: Uint8Array;
}

const ETHERNET = 14;
const IP = 20;
const UDP = 8;
const ETH_P_IP = 0x0800;
const IPPROTO_UDP = 17;
/** By which it is seen that no router had it (RFC 6762 §11). */
const HOPS = 255;

export function writeDatagram({ source, destination, data }: Datagram): Uint8Array {
  const frame = new Uint8Array(ETHERNET + IP + UDP + data.length);
  const view = new DataView(frame.buffer);
  frame.set(macBytes(destination.mac), 0);
  frame.set(macBytes(source.mac), 6);
  view.setUint16(12, ETH_P_IP);
  frame[ETHERNET] = 0x45;
  view.setUint16(ETHERNET + 2, IP + UDP + data.length);
  frame[ETHERNET + 8] = HOPS;
  frame[ETHERNET + 9] = IPPROTO_UDP;
  frame.set(addressBytes(source.address), ETHERNET + 12);
  frame.set(addressBytes(destination.address), ETHERNET + 16);
  view.setUint16(ETHERNET + 10, checksum(frame.subarray(ETHERNET, ETHERNET + IP)));
  const at = ETHERNET + IP;
  view.setUint16(at, source.port);
  view.setUint16(at + 2, destination.port);
  view.setUint16(at + 4, UDP + data.length);
  frame.set(data, at + UDP);
  // The pseudo-header of RFC 768. Zero would mean that there is none.
  const pseudo = Uint8Array.of(
    ...addressBytes(source.address),
    ...addressBytes(destination.address),
    0,
    IPPROTO_UDP,
    (UDP + data.length) >> 8,
    (UDP + data.length) & 255,
  );
  view.setUint16(at + 6, checksum(Uint8Array.of(...pseudo, ...frame.subarray(at))) || 0xffff);
  return frame;
}

/**
 * @returns undefined for anything but one whole UDP datagram. Its checksum is not looked at: a sender on this machine leaves
 *   it for a network card to fill in, and what is damaged is no DNS message, or asks for what nobody has.
 */
export function readDatagram(frame: Uint8Array): Datagram | undefined {
  if (frame.length < ETHERNET + IP + UDP) return undefined;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (view.getUint16(12) !== ETH_P_IP || frame[ETHERNET]! >> 4 !== 4 || frame[ETHERNET + 9] !== IPPROTO_UDP)
    return undefined;
  const header = (frame[ETHERNET]! & 15) * 4;
  const at = ETHERNET + header;
  const isFragment = (view.getUint16(ETHERNET + 6) & 0x3fff) !== 0;
  if (header < IP || isFragment || at + UDP > frame.length) return undefined;
  const length = view.getUint16(at + 4);
  if (length < UDP || header + length > view.getUint16(ETHERNET + 2) || at + length > frame.length) return undefined;
  const end = (macAt: number, addressAt: number, port: number) => ({
    mac: macFromBytes(frame.subarray(macAt, macAt + 6)),
    address: addressFromBytes(frame.subarray(ETHERNET + addressAt, ETHERNET + addressAt + 4)),
    port,
  });
  return {
    source: end(6, 12, view.getUint16(at)),
    destination: end(0, 16, view.getUint16(at + 2)),
    data: frame.slice(at + UDP, at + length),
  };
}

/** RFC 1071: of 16-bit words; a last odd byte counts as the high half of one. */
function checksum(bytes: Uint8Array): number {
  let total = 0;
  for (let at = 0; at < bytes.length; at += 2) total += (bytes[at]! << 8) | (bytes[at + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return ~total & 0xffff;
}

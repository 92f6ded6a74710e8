/**
 * Ethernet frames with multicast DNS in them, over IPv4 or IPv6. Containers speak for themselves on a link on which the host has no
 * address, and which link a message came from is certain.
 */

import { type Address, addressBytes, addressFromBytes, type Family, parseAddress } from '../../model/address.ts';
import { internetChecksum } from '../../model/checksum.ts';
import { type Mac, macBytes, macFromBytes } from '../../model/mac.ts';

/** RFC 6762 §3; for their MACs RFC 1112 §6.4 and RFC 2464 §7. */
export const GROUPS: Readonly<Record<Family, { readonly address: Address; readonly mac: Mac }>> = {
  4: { address: parseAddress('224.0.0.251')!, mac: '01:00:5e:00:00:fb' as Mac },
  6: { address: parseAddress('ff02::fb')!, mac: '33:33:00:00:00:fb' as Mac },
};

export interface Datagram {
  readonly source: { readonly mac: Mac; readonly address: Address; readonly port: number };
  readonly destination: { readonly mac: Mac; readonly address: Address; readonly port: number };
  readonly data: Uint8Array;
}

const ETHERNET = 14;
const IP4 = 20;
/** Without extension headers, which nothing here has. */
const IP6 = 40;
const UDP = 8;
const ETH_P_IP = 0x0800;
const ETH_P_IPV6 = 0x86dd;
const IPPROTO_UDP = 17;
/** By which it is seen that no router had it (RFC 6762 §11). */
const HOPS = 255;

/** @param datagram both of whose addresses are of one family. */
export function writeDatagram({ source, destination, data }: Datagram): Uint8Array {
  const isFour = source.address.family === 4;
  const length = UDP + data.length;
  const at = ETHERNET + (isFour ? IP4 : IP6);
  const frame = new Uint8Array(at + length);
  const view = new DataView(frame.buffer);
  frame.set(macBytes(destination.mac), 0);
  frame.set(macBytes(source.mac), 6);
  const addresses = Uint8Array.of(...addressBytes(source.address), ...addressBytes(destination.address));
  if (isFour) {
    view.setUint16(12, ETH_P_IP);
    frame[ETHERNET] = 0x45;
    view.setUint16(ETHERNET + 2, IP4 + length);
    frame[ETHERNET + 8] = HOPS;
    frame[ETHERNET + 9] = IPPROTO_UDP;
    frame.set(addresses, ETHERNET + 12);
    view.setUint16(ETHERNET + 10, internetChecksum(frame.subarray(ETHERNET, at)));
  } else {
    view.setUint16(12, ETH_P_IPV6);
    frame[ETHERNET] = 0x60;
    view.setUint16(ETHERNET + 4, length);
    frame[ETHERNET + 6] = IPPROTO_UDP;
    frame[ETHERNET + 7] = HOPS;
    frame.set(addresses, ETHERNET + 8);
  }
  view.setUint16(at, source.port);
  view.setUint16(at + 2, destination.port);
  view.setUint16(at + 4, length);
  frame.set(data, at + UDP);
  // The pseudo-header of RFC 768, or of RFC 8200 §8.1, which adds up to the same. Zero would mean that there is none.
  const pseudo = Uint8Array.of(...addresses, 0, IPPROTO_UDP, length >> 8, length & 255);
  view.setUint16(at + 6, internetChecksum(Uint8Array.of(...pseudo, ...frame.subarray(at))) || 0xffff);
  return frame;
}

/**
 * @returns undefined for anything but one whole UDP datagram. Its checksum is not looked at: a sender on this machine leaves
 *   it for a network card to fill in, and what is damaged is no DNS message, or asks for what nobody has.
 */
export function readDatagram(frame: Uint8Array): Datagram | undefined {
  if (frame.length < ETHERNET + IP4 + UDP) return undefined;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const header = view.getUint16(12) === ETH_P_IP ? header4(frame, view) : header6(frame, view);
  if (header === undefined) return undefined;
  const at = ETHERNET + header.length;
  if (at + UDP > frame.length) return undefined;
  const length = view.getUint16(at + 4);
  if (length < UDP || length > header.payload || at + length > frame.length) return undefined;
  const end = (macAt: number, addressAt: number, port: number) => ({
    mac: macFromBytes(frame.subarray(macAt, macAt + 6)),
    address: addressFromBytes(frame.subarray(addressAt, addressAt + header.width)),
    port,
  });
  const { addresses, width } = header;
  return {
    source: end(6, addresses, view.getUint16(at)),
    destination: end(0, addresses + width, view.getUint16(at + 2)),
    data: frame.slice(at + UDP, at + length),
  };
}

interface Header {
  readonly length: number;
  /** How many bytes follow it. */
  readonly payload: number;
  /** Where the source's address begins in the frame; the destination's follows. */
  readonly addresses: number;
  readonly width: number;
}

function header4(frame: Uint8Array, view: DataView): Header | undefined {
  if (frame[ETHERNET]! >> 4 !== 4 || frame[ETHERNET + 9] !== IPPROTO_UDP) return undefined;
  const length = (frame[ETHERNET]! & 15) * 4;
  const isFragment = (view.getUint16(ETHERNET + 6) & 0x3fff) !== 0;
  if (length < IP4 || isFragment) return undefined;
  return { length, payload: view.getUint16(ETHERNET + 2) - length, addresses: ETHERNET + 12, width: 4 };
}

function header6(frame: Uint8Array, view: DataView): Header | undefined {
  if (frame.length < ETHERNET + IP6 + UDP || view.getUint16(12) !== ETH_P_IPV6) return undefined;
  if (frame[ETHERNET]! >> 4 !== 6 || frame[ETHERNET + 6] !== IPPROTO_UDP) return undefined;
  return { length: IP6, payload: view.getUint16(ETHERNET + 4), addresses: ETHERNET + 8, width: 16 };
}

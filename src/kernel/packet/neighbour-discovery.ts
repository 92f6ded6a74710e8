/** IPv6 neighbour solicitations and advertisements (RFC 4861 §4.3, §4.4), with the use that RFC 4862 makes of them. Pure. */

import { type Address, addressBytes, addressFromBytes } from '../../model/address.ts';
import { internetChecksum } from '../../model/checksum.ts';
import { type Mac, macBytes, macFromBytes } from '../../model/mac.ts';
import { bytes16, readFrame, writeFrame } from './ethernet.ts';
import { ETH_P_IPV6, ICMPV6 } from './numbers.ts';

const SOLICITATION = 135;
const ADVERTISEMENT = 136;
const SOURCE_LINK_LAYER = 1;
const TARGET_LINK_LAYER = 2;

const OVERRIDE = 0x20;
/** Routers decrement it, so that what still has it comes from this segment (RFC 4861 §7.1). */
const HOP_LIMIT = 255;
const ANY: Address = { family: 6, value: 0n };
const ALL_NODES: Address = { family: 6, value: (0xff02n << 112n) | 1n };

export interface NeighbourMessage {
  readonly type: 'solicitation' | 'advertisement';
  /** Who sent the frame. */
  readonly source: Mac;
  /** `::` in a question of duplicate address detection. */
  readonly from: Address;
  readonly target: Address;
  /** From the option that names the sender's MAC in a solicitation, the target's in an advertisement. */
  readonly mac?: Mac;
}

/** A question whether anybody has the address, without a claim to it (RFC 4862 §5.4.2). */
export function duplicateSolicitation(mac: Mac, address: Address): Uint8Array {
  return message(mac, ANY, solicitedNode(address), [SOLICITATION, 0, 0, 0, 0, 0, 0, 0, ...addressBytes(address)]);
}

/** A question of somebody who has an address, as the kernel asks before it sends there (RFC 4861 §7.2.2). */
export function solicitation(mac: Mac, from: Address, address: Address): Uint8Array {
  const option = [SOURCE_LINK_LAYER, 1, ...macBytes(mac)];
  const body = [SOLICITATION, 0, 0, 0, 0, 0, 0, 0, ...addressBytes(address), ...option];
  return message(mac, from, solicitedNode(address), body);
}

/** An answer that nobody asked for, to all nodes, which overrides what they remember (RFC 4861 §7.2.6). */
export function unsolicitedAdvertisement(mac: Mac, address: Address): Uint8Array {
  const option = [TARGET_LINK_LAYER, 1, ...macBytes(mac)];
  const body = [ADVERTISEMENT, 0, 0, 0, OVERRIDE, 0, 0, 0, ...addressBytes(address), ...option];
  return message(mac, address, ALL_NODES, body);
}

function message(mac: Mac, from: Address, to: Address, body: readonly number[]): Uint8Array {
  const icmp = Uint8Array.from(body);
  const addresses = [...addressBytes(from), ...addressBytes(to)];
  const pseudoHeader = [...addresses, 0, 0, ...bytes16(icmp.length), 0, 0, 0, ICMPV6];
  icmp.set(bytes16(internetChecksum(Uint8Array.of(...pseudoHeader, ...icmp))), 2);
  const header = [0x60, 0, 0, 0, ...bytes16(icmp.length), ICMPV6, HOP_LIMIT, ...addresses];
  const payload = Uint8Array.of(...header, ...icmp);
  return writeFrame({ destination: groupMac(to), source: mac, type: ETH_P_IPV6, payload });
}

/** Where a solicitation for the address goes (RFC 4291 §2.7.1). */
function solicitedNode(address: Address): Address {
  return { family: 6, value: (0xff02n << 112n) | (0x1ffn << 24n) | (address.value & 0xffffffn) };
}

/** RFC 2464 §7. */
function groupMac(group: Address): Mac {
  return macFromBytes(Uint8Array.of(0x33, 0x33, ...addressBytes(group).subarray(12)));
}

/** @returns undefined when the frame is anything else, or one that RFC 4861 §7.1 says to ignore, but for its checksum. */
export function readNeighbourMessage(frame: Uint8Array): NeighbourMessage | undefined {
  const { type, source, payload } = readFrame(frame) ?? {};
  if (type !== ETH_P_IPV6 || source === undefined || payload === undefined || payload.length < 64) return undefined;
  if (payload[6] !== ICMPV6 || payload[7] !== HOP_LIMIT || payload[41] !== 0) return undefined;
  const kind =
    payload[40] === SOLICITATION ? 'solicitation' : payload[40] === ADVERTISEMENT ? 'advertisement' : undefined;
  const length = (payload[4]! << 8) | payload[5]!;
  if (kind === undefined || length < 24 || payload.length < 40 + length) return undefined;
  const mac = linkLayerOption(
    payload.subarray(64, 40 + length),
    kind === 'solicitation' ? SOURCE_LINK_LAYER : TARGET_LINK_LAYER,
  );
  return {
    type: kind,
    source,
    from: addressFromBytes(payload.subarray(8, 24)),
    target: addressFromBytes(payload.subarray(48, 64)),
    ...(mac === undefined ? {} : { mac }),
  };
}

function linkLayerOption(options: Uint8Array, wanted: number): Mac | undefined {
  for (let at = 0; at + 8 <= options.length; ) {
    const length = options[at + 1]! * 8;
    if (length === 0) return undefined;
    if (options[at] === wanted && length === 8) return macFromBytes(options.subarray(at + 2, at + 8));
    at += length;
  }
  return undefined;
}

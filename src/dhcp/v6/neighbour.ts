/**
 * Whoever is to be answered over IPv6 must be found first: a DHCPv6 server asks for the MAC of the link-local address that it was asked
 * from (RFC 4861), and switches pass such questions on only to those who have joined their group (RFC 4541 §3). No kernel does
 * either for a container that does not exist yet.
 */

import { createHash } from 'node:crypto';
import { type Address, addressBytes, addressFromBytes, sameAddress } from '../../model/address.ts';
import { type Mac, macBytes } from '../../model/mac.ts';
import { decodePacket, encodePacket, groupMac, ICMPV6 } from './packet.ts';

const SOLICITATION = 135;
const ADVERTISEMENT = 136;
const MULTICAST_REPORT = 143;
const CHECKSUM = 2;
const TARGET_LINK_LAYER = 2;
/** Asked for, and to override what is remembered (RFC 4861 §4.4). */
const SOLICITED_OVERRIDE = 0x60;
/** RFC 4861 §7.1: who is farther away cannot send with it. */
const ON_LINK = 255;
/** RFC 3810 §5.2.12: the group is listened to, whoever speaks. */
const TO_EXCLUDE_NOBODY = 4;
const HOP_BY_HOP = 0;

const ALL_REPORTS: Address = { family: 6, value: (0xff02n << 112n) | 0x16n };

/**
 * The link-local address that a client asks from. It follows from the client's DUID and not from the MAC, because the container will
 * have the MAC's own as soon as it runs, and must not find it in use (RFC 4862 §5.4).
 */
export function linkLocalOf(duid: Uint8Array): Address {
  const digest = createHash('sha256').update(duid).digest();
  return addressFromBytes(Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, ...digest.subarray(0, 8)));
}

/** @returns the answer to a frame that asks who has this address; undefined to any other, also to one that wants to have it. */
export function answerSolicitation(frame: Uint8Array, address: Address, mac: Mac): Uint8Array | undefined {
  const packet = decodePacket(frame, ICMPV6, CHECKSUM);
  if (packet?.hopLimit !== ON_LINK || packet.payload.length < 24) return undefined;
  const { payload, source } = packet;
  if (payload[0] !== SOLICITATION || payload[1] !== 0 || source.value === 0n) return undefined;
  if (!sameAddress(addressFromBytes(payload.subarray(8, 24)), address)) return undefined;
  const answer = new Uint8Array(32);
  answer[0] = ADVERTISEMENT;
  answer[4] = SOLICITED_OVERRIDE;
  answer.set(addressBytes(address), 8);
  answer.set([TARGET_LINK_LAYER, 1, ...macBytes(mac)], 24);
  return encodePacket(
    {
      sourceMac: mac,
      destinationMac: packet.sourceMac,
      source: address,
      destination: source,
      protocol: ICMPV6,
      hopLimit: ON_LINK,
      payload: answer,
    },
    CHECKSUM,
  );
}

/** Tells the switches that questions for this address are listened to here (RFC 3810 §5.2). */
export function multicastReport(address: Address, mac: Mac): Uint8Array {
  const group: Address = { family: 6, value: (0xff02n << 112n) | (0x1ffn << 24n) | (address.value & 0xffffffn) };
  const payload = new Uint8Array(28);
  payload[0] = MULTICAST_REPORT;
  payload[7] = 1;
  payload[8] = TO_EXCLUDE_NOBODY;
  payload.set(addressBytes(group), 12);
  const report = encodePacket(
    {
      sourceMac: mac,
      destinationMac: groupMac(ALL_REPORTS),
      source: address,
      destination: ALL_REPORTS,
      protocol: ICMPV6,
      hopLimit: 1,
      payload,
    },
    CHECKSUM,
  );
  return withRouterAlert(report);
}

/** Reports without this option are ignored (RFC 3810 §5.2.14); it is not part of what the checksum covers. */
function withRouterAlert(frame: Uint8Array): Uint8Array {
  const headers = 54;
  const option = [ICMPV6, 0, 5, 2, 0, 0, 1, 0];
  const longer = Uint8Array.of(...frame.subarray(0, headers), ...option, ...frame.subarray(headers));
  longer[20] = HOP_BY_HOP;
  new DataView(longer.buffer).setUint16(18, longer.length - headers);
  return longer;
}

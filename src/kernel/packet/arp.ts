/** ARP for IPv4 over Ethernet (RFC 826), with the uses that RFC 5227 makes of it. Pure. */

import { type Address, addressBytes, addressFromBytes } from '../../model/address.ts';
import { type Mac, macBytes, macFromBytes } from '../../model/mac.ts';
import { BROADCAST, bytes16, readFrame, writeFrame } from './ethernet.ts';
import { ETH_P_ARP, ETH_P_IP } from './numbers.ts';

const REQUEST = 1;
const REPLY = 2;
const ETHERNET = 1;

export interface Arp {
  readonly operation: 'request' | 'reply';
  readonly senderMac: Mac;
  /** 0.0.0.0 in a probe: whoever asks does not claim an address. */
  readonly sender: Address;
  readonly target: Address;
}

/** A question whether anybody has the address, without a claim to it (RFC 5227 §1.1, "ARP Probe"). */
export function arpProbe(mac: Mac, address: Address): Uint8Array {
  return request(mac, { family: 4, value: 0n }, address);
}

/** A question for one's own address, to everybody (RFC 5227 §1.1, "ARP Announcement"). */
export function arpAnnouncement(mac: Mac, address: Address): Uint8Array {
  return request(mac, address, address);
}

/** A question of somebody who has an address, as the kernel asks before it sends there (RFC 826). */
export function arpRequest(mac: Mac, sender: Address, target: Address): Uint8Array {
  return request(mac, sender, target);
}

function request(mac: Mac, sender: Address, target: Address): Uint8Array {
  const payload = Uint8Array.of(
    ...bytes16(ETHERNET),
    ...bytes16(ETH_P_IP),
    6,
    4,
    ...bytes16(REQUEST),
    ...macBytes(mac),
    ...addressBytes(sender),
    ...new Uint8Array(6),
    ...addressBytes(target),
  );
  return writeFrame({ destination: BROADCAST, source: mac, type: ETH_P_ARP, payload });
}

/** @returns undefined when the frame is anything else. */
export function readArp(frame: Uint8Array): Arp | undefined {
  const { type, payload } = readFrame(frame) ?? {};
  if (type !== ETH_P_ARP || payload === undefined || payload.length < 28) return undefined;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const operation = view.getUint16(6);
  const ours = view.getUint16(0) === ETHERNET && view.getUint16(2) === ETH_P_IP && payload[4] === 6 && payload[5] === 4;
  if (!ours || (operation !== REQUEST && operation !== REPLY)) return undefined;
  return {
    operation: operation === REQUEST ? 'request' : 'reply',
    senderMac: macFromBytes(payload.subarray(8, 14)),
    sender: addressFromBytes(payload.subarray(14, 18)),
    target: addressFromBytes(payload.subarray(24, 28)),
  };
}

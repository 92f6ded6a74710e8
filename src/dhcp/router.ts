/**
 * Addresses without a server: a router says which prefix is on the link, and a host makes its address of that and its MAC
 * (RFC 4861 for what is said, RFC 4862 for what follows, RFC 4291 appendix A for the address). Whoever is on the LAN can send
 * these: what cannot be read is passed over.
 */

import { type Address, addressBytes, addressFromBytes } from '../model/address.ts';
import { internetChecksum } from '../model/checksum.ts';
import { type Mac, macBytes } from '../model/mac.ts';
import { type InterfaceAddress, type Prefix, prefixOf } from '../model/prefix.ts';
import type { Port } from './dialogue.ts';

export interface Advertisement {
  /** Link-local address of the router. */
  readonly router: Address;
  /** Seconds for which it is a default router; 0: it is none. */
  readonly lifetime: number;
  /** Flag M: addresses are to be had by DHCPv6. */
  readonly managed: boolean;
  /** Flag O: other things, such as name servers, are. M says so too (RFC 4861 §4.2). */
  readonly otherwise: boolean;
  /** What is on the link itself (flag L), whoever gives its addresses. */
  readonly onLink: readonly Prefix[];
  /** Of which hosts may make addresses of their own. */
  readonly prefixes: readonly { readonly prefix: Prefix; readonly valid: number; readonly preferred: number }[];
  readonly mtu?: number;
}

const ETHERNET = 14;
const IPV6 = 40;
const ETH_P_IPV6 = 0x86dd;
const ICMPV6 = 58;
const SOLICITATION = 133;
const ADVERTISEMENT = 134;
const PREFIX_INFORMATION = 3;
const MTU = 5;
/** RFC 4861 §6.1: who is farther away cannot send with it. */
const HOP_LIMIT = 255;
const LEAST_MTU = 1280;
const FOR_EVER = 0xffffffff;

/** A question to all routers, from nobody in particular: whoever asks has no address yet (RFC 4861 §4.1). */
export function encodeSolicitation(mac: Mac): Uint8Array {
  const allRouters = [0xff, 0x02, ...Array<number>(13).fill(0), 2];
  const frame = new Uint8Array(ETHERNET + IPV6 + 8);
  const view = new DataView(frame.buffer);
  frame.set([0x33, 0x33, 0, 0, 0, 2, ...macBytes(mac)], 0);
  view.setUint16(12, ETH_P_IPV6);
  frame.set([0x60, 0, 0, 0, 0, 8, ICMPV6, HOP_LIMIT], ETHERNET);
  frame.set(allRouters, ETHERNET + 24);
  frame[ETHERNET + IPV6] = SOLICITATION;
  view.setUint16(ETHERNET + IPV6 + 2, checksum(frame, 8));
  return frame;
}

/** @returns undefined for anything but an advertisement of a router on this link (RFC 4861 §6.1.2). */
export function decodeAdvertisement(frame: Uint8Array): Advertisement | undefined {
  const start = ETHERNET + IPV6;
  if (frame.length < start + 16) return undefined;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const length = view.getUint16(ETHERNET + 4);
  if (view.getUint16(12) !== ETH_P_IPV6 || frame[ETHERNET]! >> 4 !== 6 || frame[ETHERNET + 6] !== ICMPV6)
    return undefined;
  if (frame[ETHERNET + 7] !== HOP_LIMIT || length < 16 || start + length > frame.length) return undefined;
  if (frame[start] !== ADVERTISEMENT || frame[start + 1] !== 0 || checksum(frame, length) !== 0) return undefined;
  const router = addressFromBytes(frame.subarray(ETHERNET + 8, ETHERNET + 24));
  if (router.value >> 118n !== 0b1111111010n) return undefined;
  const prefixes: Advertisement['prefixes'][number][] = [];
  const onLink: Prefix[] = [];
  let mtu: number | undefined;
  for (let at = start + 16; at < start + length; ) {
    const size = (frame[at + 1] ?? 0) * 8;
    if (size === 0 || at + size > start + length) return undefined;
    if (frame[at] === PREFIX_INFORMATION && size === 32) {
      prefixes.push(...readPrefix(view, frame, at));
      onLink.push(...readOnLink(view, frame, at));
    }
    if (frame[at] === MTU && size === 8) mtu = view.getUint32(at + 4);
    at += size;
  }
  const usable = mtu !== undefined && mtu >= LEAST_MTU && mtu <= 0xffff;
  const flags = frame[start + 5]!;
  return {
    router,
    lifetime: view.getUint16(start + 6),
    managed: (flags & 0x80) !== 0,
    otherwise: (flags & 0xc0) !== 0,
    onLink,
    prefixes,
    ...(usable ? { mtu: mtu! } : {}),
  };
}

/** RFC 4861 §6.3.4: with the flag L and a lifetime, and not the link-local one. */
function readOnLink(view: DataView, frame: Uint8Array, at: number): readonly Prefix[] {
  const length = frame[at + 2]!;
  const address = addressFromBytes(frame.subarray(at + 16, at + 32));
  if ((frame[at + 3]! & 0x80) === 0 || length > 128 || view.getUint32(at + 4) === 0) return [];
  return address.value >> 118n === 0b1111111010n ? [] : [prefixOf({ address, length })];
}

/** RFC 4862 §5.5.3: with the flag A, not link-local, and of such a length that a 64-bit interface id fits. */
function readPrefix(view: DataView, frame: Uint8Array, at: number): Advertisement['prefixes'] {
  const length = frame[at + 2]!;
  const autonomous = (frame[at + 3]! & 0x40) !== 0;
  const [valid, preferred] = [view.getUint32(at + 4), view.getUint32(at + 8)];
  const address = addressFromBytes(frame.subarray(at + 16, at + 32));
  const top = address.value >> 118n;
  if (!autonomous || length !== 64 || valid === 0 || preferred > valid || top === 0b1111111010n || top >> 2n === 0xffn)
    return [];
  const seconds = (value: number) => (value === FOR_EVER ? Infinity : value);
  return [{ prefix: prefixOf({ address, length }), valid: seconds(valid), preferred: seconds(preferred) }];
}

/** The address that a host with this MAC makes of a prefix: `ff:fe` in the middle, and the bit for "universal" turned over. */
export function addressIn(prefix: Prefix, mac: Mac): InterfaceAddress {
  const [a, b, c, d, e, f] = macBytes(mac) as unknown as [number, number, number, number, number, number];
  const interfaceId = addressFromBytes(
    Uint8Array.of(...addressBytes(prefix.address).subarray(0, 8), a ^ 2, b, c, 0xff, 0xfe, d, e, f),
  );
  return { address: interfaceId, length: prefix.length };
}

/** RFC 4861 §10: at most three questions; routers answer within half a second. Milliseconds after the beginning. */
const QUESTIONS = [0, 500, 1500] as const;

/**
 * Asks the routers of a link what they advertise.
 *
 * @param patience milliseconds.
 * @param wanted what the advertisement must have.
 * @returns the first that has it, or else the last that was heard; undefined when none came.
 */
export async function solicit(
  port: Port,
  mac: Mac,
  patience: number,
  wanted: (advertisement: Advertisement) => boolean,
): Promise<Advertisement | undefined> {
  const { promise, resolve } = Promise.withResolvers<Advertisement | undefined>();
  let last: Advertisement | undefined;
  const deaf = port.onFrame((frame) => {
    const heard = decodeAdvertisement(frame);
    last = heard ?? last;
    if (heard !== undefined && wanted(heard)) resolve(heard);
  });
  const timers = QUESTIONS.map((after) => setTimeout(() => void port.send(encodeSolicitation(mac)), after));
  timers.push(setTimeout(() => resolve(last), patience));
  try {
    return await promise;
  } finally {
    for (const timer of timers) clearTimeout(timer);
    deaf();
  }
}

/** Of the ICMPv6 message of this length, with its pseudo-header (RFC 8200 §8.1); 0 over a message whose checksum is right. */
function checksum(frame: Uint8Array, length: number): number {
  return internetChecksum(frame.subarray(ETHERNET + 8, ETHERNET + IPV6 + length), length + ICMPV6);
}

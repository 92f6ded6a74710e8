/** Ethernet II frames. Pure. */

import { type Mac, macBytes, macFromBytes } from '../../model/mac.ts';

export const BROADCAST = 'ff:ff:ff:ff:ff:ff' as Mac;

const HEADER = 14;

export interface Frame {
  readonly destination: Mac;
  readonly source: Mac;
  /** Such as ETH_P_ARP. */
  readonly type: number;
  /** What follows the header. Of a frame that was received, padding may be at its end. */
  readonly payload: Uint8Array;
}

export function writeFrame({ destination, source, type, payload }: Frame): Uint8Array {
  const bytes = new Uint8Array(HEADER + payload.length);
  bytes.set(macBytes(destination), 0);
  bytes.set(macBytes(source), 6);
  bytes.set(bytes16(type), 12);
  bytes.set(payload, HEADER);
  return bytes;
}

/** @returns undefined when it is too short for its header. */
export function readFrame(bytes: Uint8Array): Frame | undefined {
  if (bytes.length < HEADER) return undefined;
  return {
    destination: macFromBytes(bytes.subarray(0, 6)),
    source: macFromBytes(bytes.subarray(6, 12)),
    type: (bytes[12]! << 8) | bytes[13]!,
    payload: bytes.subarray(HEADER),
  };
}

/** A 16-bit number in network order. */
export function bytes16(value: number): [number, number] {
  return [value >> 8, value & 255];
}

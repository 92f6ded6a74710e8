/** What the parts of traffic control have in common: header, handles, rates (`struct tcmsg`, linux/rtnetlink.h; linux/pkt_sched.h). */

import { readU32, type Writer } from './attributes.ts';
import { TC_H_INGRESS, TC_H_ROOT, TC_LINKLAYER_ETHERNET } from './constants.ts';

/** Traffic control counts time in ticks of 64 ns since Linux 2.6.31 (PSCHED_SHIFT, net/pkt_sched.h). */
const TICK_NS = 64;
const NS_PER_SECOND = 1e9;
export const U32_MAX = 0xffffffff;
/** The maximum transmission unit and its header: the least that a bucket must hold to let anything through. */
export const LEAST_BURST = 1600;

export interface TcMessage {
  readonly link: number;
  readonly handle: number;
  readonly parent: number;
  readonly info: number;
}

export function writeHeader(writer: Writer, { link, handle, parent, info }: TcMessage): void {
  writer.u8(0).u8(0).u16(0).u32(link).u32(handle).u32(parent).u32(info);
}

export function readHeader(body: Uint8Array): TcMessage {
  return { link: readU32(body, 4), handle: readU32(body, 8), parent: readU32(body, 12), info: readU32(body, 16) };
}

/**
 * A handle or the place that a qdisc hangs on: `root`, `ingress`, `clsact`, or `1:`, `1:10` in hexadecimal as tc writes them.
 */
export function parseHandle(text: string): number {
  switch (text) {
    case 'root':
      return TC_H_ROOT;
    case 'ingress':
    case 'clsact':
      return TC_H_INGRESS;
  }
  const match = /^([0-9a-fA-F]{1,4}):([0-9a-fA-F]{0,4})$/.exec(text);
  if (match === null) throw new RangeError(`'${text}' is no traffic control handle`);
  return ((Number.parseInt(match[1]!, 16) << 16) | Number.parseInt(match[2] || '0', 16)) >>> 0;
}

export function formatHandle(handle: number): string {
  if (handle === TC_H_ROOT) return 'root';
  const minor = handle & 0xffff;
  return `${(handle >>> 16).toString(16)}:${minor === 0 ? '' : minor.toString(16)}`;
}

/** `struct tc_ratespec`. With a link layer given, the kernel needs no rate table (psched_ratecfg). */
export function writeRate(writer: Writer, bytesPerSecond: number): void {
  const layer = bytesPerSecond === 0 ? 0 : TC_LINKLAYER_ETHERNET;
  writer.u8(0).u8(layer).u16(0).u16(0).u16(0).u32(Math.min(bytesPerSecond, U32_MAX));
}

/** How long so many bytes take, in ticks. */
export function ticks(bytes: number, bytesPerSecond: number): number {
  return Math.min(U32_MAX, Math.floor((bytes * NS_PER_SECOND) / bytesPerSecond / TICK_NS));
}

/** The other way round. */
export function bytesIn(ticks: number, bytesPerSecond: number): number {
  return Math.round((ticks * TICK_NS * bytesPerSecond) / NS_PER_SECOND);
}

/** Whether two times are the same but for rounding: the kernel keeps a burst as a time, and gives it back rounded. */
export function nearlySame(found: number, wanted: number): boolean {
  return Math.abs(found - wanted) <= 1 + wanted / 1000;
}

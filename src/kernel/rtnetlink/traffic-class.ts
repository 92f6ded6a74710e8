/** HTB classes: RTM_NEWTCLASS and its relatives (linux/pkt_sched.h). */

import type { TrafficClass } from '../objects.ts';
import { getString, getU64, nestedAttributes, readAttributes, readU32, type Writer } from './attributes.ts';
import {
  NLM_F_CREATE,
  NLM_F_REPLACE,
  RTM_DELTCLASS,
  RTM_GETTCLASS,
  RTM_NEWTCLASS,
  TCA_HTB_CEIL64,
  TCA_HTB_PARMS,
  TCA_HTB_RATE64,
  TCA_KIND,
  TCA_OPTIONS,
} from './constants.ts';
import { type Request, request } from './message.ts';
import { LEAST_BURST, parseHandle, readHeader, ticks, U32_MAX, writeHeader, writeRate } from './tc.ts';

export interface ClassRecord {
  readonly link: number;
  readonly type: string;
  readonly classid: number;
  readonly parent: number;
  /** Bytes per second. */
  readonly rate: number;
  readonly ceil: number;
  readonly bufferTicks: number;
}

/** What the kernel keeps of a class. Absent: `ceil` is the rate, `burst` what arrives in a millisecond. */
export function classParameters(wanted: TrafficClass): {
  rate: number;
  ceil: number;
  bufferTicks: number;
  ceilBufferTicks: number;
} {
  const rate = Math.floor(wanted.rate / 8);
  const ceil = Math.floor((wanted.ceil ?? wanted.rate) / 8);
  const burst = (bytesPerSecond: number) => Math.max(LEAST_BURST, Math.floor(bytesPerSecond / 1000));
  return {
    rate,
    ceil,
    bufferTicks: ticks(wanted.burst ?? burst(rate), rate),
    ceilBufferTicks: ticks(wanted.burst ?? burst(ceil), ceil),
  };
}

/** Creates a class, or changes it. */
export function newClass(wanted: TrafficClass, link: number): Request {
  return request(RTM_NEWTCLASS, NLM_F_CREATE | NLM_F_REPLACE, (writer) => {
    writeClassHeader(writer, wanted, link);
    writer.attributeString(TCA_KIND, 'htb');
    const { rate, ceil, bufferTicks, ceilBufferTicks } = classParameters(wanted);
    writer.nested(TCA_OPTIONS, () => {
      if (rate > U32_MAX) writer.attributeU64(TCA_HTB_RATE64, BigInt(rate));
      if (ceil > U32_MAX) writer.attributeU64(TCA_HTB_CEIL64, BigInt(ceil));
      // `struct tc_htb_opt`: rate, ceil, buffer, cbuffer, quantum, level, prio. The quantum that HTB would compute itself is
      // out of its own bounds below 80 kbit/s and above 16 Mbit/s, and then it complains in the kernel's log.
      writer.u16(4 + 44).u16(TCA_HTB_PARMS);
      writeRate(writer, rate);
      writeRate(writer, ceil);
      const quantum = Math.min(200_000, Math.max(LEAST_BURST, Math.floor(rate / 10)));
      writer.u32(bufferTicks).u32(ceilBufferTicks).u32(quantum).u32(0).u32(0);
    });
  });
}

export function deleteClass(wanted: TrafficClass, link: number): Request {
  return request(RTM_DELTCLASS, 0, (writer) => writeClassHeader(writer, wanted, link));
}

function writeClassHeader(writer: Writer, wanted: TrafficClass, link: number): void {
  writeHeader(writer, { link, handle: parseHandle(wanted.classid), parent: parseHandle(wanted.parent), info: 0 });
}

/** To be dumped. */
export function getClasses(link: number): Request {
  return request(RTM_GETTCLASS, 0, (writer) => writeHeader(writer, { link, handle: 0, parent: 0, info: 0 }));
}

export function readClass({ body }: { readonly body: Uint8Array }): ClassRecord {
  const header = readHeader(body);
  const attributes = readAttributes(body.subarray(20));
  const options = nestedAttributes(attributes, TCA_OPTIONS);
  const parameters = options.get(TCA_HTB_PARMS);
  const number = (at: number) => (parameters === undefined ? 0 : readU32(parameters, at));
  return {
    link: header.link,
    type: getString(attributes, TCA_KIND) ?? '',
    classid: header.handle,
    parent: header.parent,
    rate: Number(getU64(options, TCA_HTB_RATE64) ?? number(8)),
    ceil: Number(getU64(options, TCA_HTB_CEIL64) ?? number(20)),
    bufferTicks: number(24),
  };
}

/** Qdiscs: RTM_NEWQDISC and its relatives (linux/pkt_sched.h). */

import type { Qdisc } from '../objects.ts';
import {
  type Attributes,
  getString,
  getU64,
  nestedAttributes,
  readAttributes,
  readU32,
  type Writer,
} from './attributes.ts';
import {
  NLM_F_CREATE,
  NLM_F_REPLACE,
  RTM_DELQDISC,
  RTM_GETQDISC,
  RTM_NEWQDISC,
  TCA_HTB_INIT,
  TCA_KIND,
  TCA_OPTIONS,
  TCA_TBF_BURST,
  TCA_TBF_PARMS,
  TCA_TBF_RATE64,
} from './constants.ts';
import { type Request, request } from './message.ts';
import { parseHandle, readHeader, ticks, U32_MAX, writeHeader, writeRate } from './tc.ts';

export interface QdiscRecord {
  readonly link: number;
  readonly type: string;
  /** 0: put there by the kernel; it can be replaced but not deleted. */
  readonly handle: number;
  readonly parent: number;
  readonly tbf: { readonly rate: number; readonly bufferTicks: number; readonly limit: number } | undefined;
  readonly htb: { readonly defaultClass: number } | undefined;
}

function qdiscHandle(qdisc: Qdisc): number {
  const { type } = qdisc.discipline;
  if (type === 'ingress' || type === 'clsact') return 0xffff0000;
  return qdisc.handle === undefined ? 0 : parseHandle(qdisc.handle);
}

/** Creates a qdisc, puts it in the place of one of another type, or changes one of the same type that can be changed. */
export function newQdisc(qdisc: Qdisc, link: number): Request {
  return request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, (writer) => {
    writeHeader(writer, { link, handle: qdiscHandle(qdisc), parent: parseHandle(qdisc.parent), info: 0 });
    writer.attributeString(TCA_KIND, qdisc.discipline.type);
    const { discipline } = qdisc;
    if (discipline.type === 'tbf') writeTbf(writer, discipline);
    if (discipline.type === 'htb') {
      // `struct tc_htb_glob`: version 3, rate2quantum 10 (both as tc sends them).
      writer.nested(TCA_OPTIONS, () => {
        const glob = Uint32Array.of(3, 10, discipline.defaultClass ?? 0, 0, 0);
        writer.attribute(TCA_HTB_INIT, new Uint8Array(glob.buffer));
      });
    }
  });
}

type Tbf = Extract<Qdisc['discipline'], { type: 'tbf' }>;

/** What the kernel keeps of a token bucket: bytes per second, the time that the burst takes, the queue in bytes. */
export function tbfParameters(tbf: Tbf): { rate: number; bufferTicks: number; limit: number } {
  const rate = Math.floor(tbf.rate / 8);
  return {
    rate,
    bufferTicks: ticks(tbf.burst, rate),
    limit: Math.min(U32_MAX, Math.floor((rate * tbf.latencyMs) / 1000) + tbf.burst),
  };
}

function writeTbf(writer: Writer, tbf: Tbf): void {
  const { rate, bufferTicks, limit } = tbfParameters(tbf);
  writer.nested(TCA_OPTIONS, () => {
    if (rate > U32_MAX) writer.attributeU64(TCA_TBF_RATE64, BigInt(rate));
    writer.attributeU32(TCA_TBF_BURST, tbf.burst);
    // `struct tc_tbf_qopt`: rate, peak rate, limit, buffer, MTU (0: the burst bounds the packets).
    writer.u16(4 + 36).u16(TCA_TBF_PARMS);
    writeRate(writer, rate);
    writeRate(writer, 0);
    writer.u32(limit).u32(bufferTicks).u32(0);
  });
}

export function deleteQdisc(qdisc: Qdisc, link: number): Request {
  return request(RTM_DELQDISC, 0, (writer) => {
    writeHeader(writer, { link, handle: qdiscHandle(qdisc), parent: parseHandle(qdisc.parent), info: 0 });
    writer.attributeString(TCA_KIND, qdisc.discipline.type);
  });
}

/**
 * To be dumped, of all links. Asking for one would be quicker, but until Linux 6.7 its answer goes to everyone who listens
 * for changes too (qdisc_notify): reading would look like a change.
 */
export function getQdiscs(): Request {
  return request(RTM_GETQDISC, 0, (writer) => writeHeader(writer, { link: 0, handle: 0, parent: 0, info: 0 }));
}

export function readQdisc({ body }: { readonly body: Uint8Array }): QdiscRecord {
  const header = readHeader(body);
  const attributes = readAttributes(body.subarray(20));
  const type = getString(attributes, TCA_KIND) ?? '';
  return {
    link: header.link,
    type,
    handle: header.handle,
    parent: header.parent,
    tbf: type === 'tbf' ? readTbf(nestedAttributes(attributes, TCA_OPTIONS)) : undefined,
    htb: type === 'htb' ? readHtb(nestedAttributes(attributes, TCA_OPTIONS)) : undefined,
  };
}

function readTbf(options: Attributes): QdiscRecord['tbf'] {
  const parameters = options.get(TCA_TBF_PARMS);
  if (parameters === undefined || parameters.length < 36) return undefined;
  const rate64 = getU64(options, TCA_TBF_RATE64);
  return {
    rate: rate64 === undefined ? readU32(parameters, 8) : Number(rate64),
    limit: readU32(parameters, 24),
    bufferTicks: readU32(parameters, 28),
  };
}

function readHtb(options: Attributes): QdiscRecord['htb'] {
  const glob = options.get(TCA_HTB_INIT);
  return glob === undefined || glob.length < 12 ? undefined : { defaultClass: readU32(glob, 8) };
}

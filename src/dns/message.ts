/**
 * DNS messages (RFC 1035 §4), as bytes and as values. The data of a record stay bytes, with the names in them written out in
 * full: so they can be compared (RFC 2136 §1.1, RFC 6762 §8.2) whatever their type. `records.ts` reads and makes them.
 */

import { type DomainName, labelsOf, nameFromLabels } from './name.ts';

/** What of the second word of a header is not a number (RFC 1035 §4.1.1). */
export const flag = { response: 0x8000, authoritative: 0x0400, truncated: 0x0200, recursionDesired: 0x0100 } as const;
export const opcode = { query: 0, update: 5 } as const;

export const rcode = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  noSuchName: 3,
  notImplemented: 4,
  refused: 5,
  nameExists: 6,
  recordsExist: 7,
  noSuchRecords: 8,
  notAuthoritative: 9,
  notInZone: 10,
} as const;

export const type = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  DNAME: 39,
  OPT: 41,
  NSEC: 47,
  TSIG: 250,
  ANY: 255,
} as const;

export const IN = 1;
/** Class of prerequisites and deletions in updates (RFC 2136). */
export const NONE = 254;
export const ANY = 255;

export interface Question {
  readonly name: DomainName;
  readonly type: number;
  readonly class: number;
}

export interface ResourceRecord {
  readonly name: DomainName;
  readonly type: number;
  readonly class: number;
  /** Seconds. */
  readonly ttl: number;
  readonly data: Uint8Array;
}

/** In an update (RFC 2136 §2) the sections are called zone, prerequisites, updates and additional data. */
export interface Message {
  readonly id: number;
  /** The whole second word of the header. */
  readonly flags: number;
  readonly questions: readonly Question[];
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  readonly additionals: readonly ResourceRecord[];
}

const HEADER = 12;

export const flagsOf = (operation: number, ...set: readonly number[]): number =>
  set.reduce((flags, bit) => flags | bit, operation << 11);
export const opcodeOf = ({ flags }: Message): number => (flags >> 11) & 15;
export const rcodeOf = ({ flags }: Message): number => flags & 15;
export const has = ({ flags }: Message, bit: number): boolean => (flags & bit) !== 0;

/** The message in the form of the wire, without compression. The numbers in it must fit. */
export function encodeMessage(message: Message): Uint8Array {
  const bytes: number[] = [];
  const { questions, answers, authorities, additionals } = message;
  for (const word of [message.id, message.flags, ...[questions, answers, authorities, additionals].map(lengthOf)])
    push16(bytes, word);
  for (const question of questions) {
    pushName(bytes, question.name);
    push16(bytes, question.type);
    push16(bytes, question.class);
  }
  for (const record of [...answers, ...authorities, ...additionals]) pushRecord(bytes, record);
  return Uint8Array.from(bytes);
}

const lengthOf = ({ length }: { readonly length: number }): number => length;

/** Appends a record, as `encodeMessage` does. */
export function pushRecord(bytes: number[], record: ResourceRecord): void {
  pushName(bytes, record.name);
  push16(bytes, record.type);
  push16(bytes, record.class);
  push16(bytes, Math.floor(record.ttl / 0x10000));
  push16(bytes, record.ttl % 0x10000);
  push16(bytes, record.data.length);
  bytes.push(...record.data);
}

export function push16(bytes: number[], value: number): void {
  bytes.push((value >> 8) & 255, value & 255);
}

export function pushName(bytes: number[], name: DomainName): void {
  for (const label of labelsOf(name)) bytes.push(label.length, ...label);
  bytes.push(0);
}

/** @returns undefined for bytes that are no message, whatever they are; what follows a message is ignored. */
export function decodeMessage(bytes: Uint8Array): Message | undefined {
  return decodeWithOffset(bytes)?.message;
}

/** The same, with where its last record begins: a signature stands there, and covers what is before it. */
export function decodeWithOffset(
  bytes: Uint8Array,
): { readonly message: Message; readonly lastRecord: number } | undefined {
  if (bytes.length < HEADER) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const counts = [4, 6, 8, 10].map((at) => view.getUint16(at));
  let at = HEADER;
  let lastRecord = HEADER;

  const questions: Question[] = [];
  for (let left = counts[0]!; left > 0; left--) {
    const read = readName(bytes, at);
    if (read === undefined || read.end + 4 > bytes.length) return undefined;
    questions.push({ name: read.name, type: view.getUint16(read.end), class: view.getUint16(read.end + 2) });
    at = read.end + 4;
  }
  const sections: ResourceRecord[][] = [];
  for (const count of counts.slice(1)) {
    const section: ResourceRecord[] = [];
    for (let left = count; left > 0; left--) {
      const read = readRecord(bytes, view, at);
      if (read === undefined) return undefined;
      section.push(read.record);
      lastRecord = at;
      at = read.end;
    }
    sections.push(section);
  }
  const [answers, authorities, additionals] = sections as [ResourceRecord[], ResourceRecord[], ResourceRecord[]];
  const message = { id: view.getUint16(0), flags: view.getUint16(2), questions, answers, authorities, additionals };
  return { message, lastRecord };
}

function readRecord(
  bytes: Uint8Array,
  view: DataView,
  at: number,
): { readonly record: ResourceRecord; readonly end: number } | undefined {
  const owner = readName(bytes, at);
  if (owner === undefined || owner.end + 10 > bytes.length) return undefined;
  const begin = owner.end + 10;
  const end = begin + view.getUint16(owner.end + 8);
  if (end > bytes.length) return undefined;
  const kind = view.getUint16(owner.end);
  const data = expand(bytes, kind, begin, end);
  if (data === undefined) return undefined;
  const record = {
    name: owner.name,
    type: kind,
    class: view.getUint16(owner.end + 2),
    ttl: view.getUint32(owner.end + 4),
    data,
  };
  return { record, end };
}

/** Types whose data may have compressed names in them (RFC 3597 §4, RFC 6762 §18.14): bytes before, names, and whether more may follow. */
const named: ReadonlyMap<number, { readonly before: number; readonly names: number; readonly more: boolean }> = new Map(
  [
    [type.NS, { before: 0, names: 1, more: false }],
    [type.CNAME, { before: 0, names: 1, more: false }],
    [type.PTR, { before: 0, names: 1, more: false }],
    [type.DNAME, { before: 0, names: 1, more: false }],
    [type.SOA, { before: 0, names: 2, more: true }],
    [type.MX, { before: 2, names: 1, more: false }],
    [type.SRV, { before: 6, names: 1, more: false }],
    [type.NSEC, { before: 0, names: 1, more: true }],
  ],
);

/** A record's data with the names in it written out; undefined when they are damaged. */
function expand(bytes: Uint8Array, kind: number, begin: number, end: number): Uint8Array | undefined {
  const form = named.get(kind);
  // Updates name records by their type alone (RFC 2136 §2.4).
  if (form === undefined || begin === end) return bytes.slice(begin, end);
  const data = [...bytes.subarray(begin, begin + form.before)];
  let at = begin + form.before;
  for (let left = form.names; left > 0; left--) {
    const read = at < end ? readName(bytes, at) : undefined;
    if (read === undefined || read.end > end) return undefined;
    pushName(data, read.name);
    at = read.end;
  }
  if (!form.more && at !== end) return undefined;
  data.push(...bytes.subarray(at, end));
  return Uint8Array.from(data);
}

/**
 * A name that may be compressed (RFC 1035 §4.1.4). Each pointer must lead to before where it was come from, so that none goes
 * round in circles.
 */
export function readName(
  bytes: Uint8Array,
  start: number,
): { readonly name: DomainName; readonly end: number } | undefined {
  const labels: Uint8Array[] = [];
  let at = start;
  let floor = start;
  let end: number | undefined;
  let total = 1;
  for (;;) {
    const length = bytes[at];
    if (length === undefined) return undefined;
    if (length >= 0xc0) {
      const low = bytes[at + 1];
      if (low === undefined) return undefined;
      const target = ((length & 0x3f) << 8) | low;
      if (target >= floor) return undefined;
      end ??= at + 2;
      at = target;
      floor = target;
    } else if (length > 63) {
      return undefined;
    } else if (length === 0) {
      const name = nameFromLabels(labels);
      return name === undefined ? undefined : { name, end: end ?? at + 1 };
    } else {
      if (at + 1 + length > bytes.length) return undefined;
      total += length + 1;
      if (total > 255) return undefined;
      labels.push(bytes.subarray(at + 1, at + 1 + length));
      at += length + 1;
    }
  }
}

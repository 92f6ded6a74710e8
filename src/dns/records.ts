/** Records of the types that Berth registers and reads. */

import { type Address, addressBytes, addressFromBytes } from '../model/address.ts';
import { IN, push16, pushName, type ResourceRecord, readName, type } from './message.ts';
import { type DomainName, nameKey } from './name.ts';

export function addressRecord(name: DomainName, address: Address, ttl: number): ResourceRecord {
  return record(name, address.family === 4 ? type.A : type.AAAA, ttl, addressBytes(address));
}

export function pointerRecord(name: DomainName, target: DomainName, ttl: number): ResourceRecord {
  return record(name, type.PTR, ttl, nameBytes(target));
}

/** @param strings of at most 255 bytes each. An empty list is one empty string (RFC 6763 §6.1). */
export function textRecord(name: DomainName, strings: readonly string[], ttl: number): ResourceRecord {
  const data = (strings.length === 0 ? [''] : strings).flatMap((text) => {
    const bytes = new TextEncoder().encode(text);
    if (bytes.length > 255) throw new RangeError('a text of a TXT record has at most 255 bytes');
    return [bytes.length, ...bytes];
  });
  return record(name, type.TXT, ttl, Uint8Array.from(data));
}

/** RFC 2782, with priority and weight of zero. */
export function serviceRecord(name: DomainName, target: DomainName, port: number, ttl: number): ResourceRecord {
  const data: number[] = [];
  for (const word of [0, 0, port]) push16(data, word);
  pushName(data, target);
  return record(name, type.SRV, ttl, Uint8Array.from(data));
}

/** That a name has records of these types and no others, in the form that RFC 6762 §6.1 asks for; types below 256. */
export function nothingElseRecord(name: DomainName, types: readonly number[], ttl: number): ResourceRecord {
  const bitmap = new Uint8Array(32);
  for (const kind of types) bitmap[kind >> 3]! |= 0x80 >> (kind & 7);
  const used = bitmap.findLastIndex((byte) => byte !== 0) + 1;
  return record(
    name,
    type.NSEC,
    ttl,
    Uint8Array.of(...nameBytes(name), ...(used === 0 ? [] : [0, used]), ...bitmap.subarray(0, used)),
  );
}

function record(name: DomainName, kind: number, ttl: number, data: Uint8Array): ResourceRecord {
  return { name, type: kind, class: IN, ttl, data };
}

export function nameBytes(name: DomainName): Uint8Array {
  const data: number[] = [];
  pushName(data, name);
  return Uint8Array.from(data);
}

/** The address of an A or AAAA record; undefined for any other, and for a damaged one. */
export function addressOf({ type: kind, data }: ResourceRecord): Address | undefined {
  if ((kind === type.A && data.length === 4) || (kind === type.AAAA && data.length === 16))
    return addressFromBytes(data);
  return undefined;
}

/** The name in a PTR, CNAME or NS record, and the first one of an SOA. */
export function targetOf({ data }: ResourceRecord): DomainName | undefined {
  return readName(data, 0)?.name;
}

/** The strings of a TXT record; undefined for a damaged one. */
export function textsOf({ data }: ResourceRecord): readonly string[] | undefined {
  const strings: string[] = [];
  for (let at = 0; at < data.length; at += data[at]! + 1) {
    const end = at + 1 + data[at]!;
    if (end > data.length) return undefined;
    strings.push(new TextDecoder().decode(data.subarray(at + 1, end)));
  }
  return strings;
}

/** Whether two records' data mean the same: names in them may differ in case. */
export function sameData(a: ResourceRecord, b: ResourceRecord): boolean {
  if (a.type !== b.type) return false;
  if (Buffer.compare(a.data, b.data) === 0) return true;
  if (a.type !== type.PTR && a.type !== type.CNAME && a.type !== type.NS) return false;
  const [mine, theirs] = [targetOf(a), targetOf(b)];
  return mine !== undefined && theirs !== undefined && nameKey(mine) === nameKey(theirs);
}

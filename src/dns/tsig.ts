/** Signatures of DNS messages with a shared secret (RFC 8945). */

import { createHmac, timingSafeEqual } from 'node:crypto';
import { type Algorithm, algorithms, type TsigKey } from './key-file.ts';
import { ANY, decodeWithOffset, push16, pushName, pushRecord, readName, type } from './message.ts';
import { type DomainName, nameKey, sameName } from './name.ts';
import { nameBytes } from './records.ts';

/** Seconds that the clocks of the two may differ (RFC 8945 §10). */
const FUDGE = 300;

/** What the server said was wrong with a signature of ours (RFC 8945 §3). */
export const tsigErrors: ReadonlyMap<number, string> = new Map([
  [16, 'the signature is wrong: the secret is not the same on both sides'],
  [17, 'the server does not know the key'],
  [18, "the clocks of this host and the server differ by more than 5 minutes, or the server's is wrong"],
  [22, 'the server asks for a longer signature'],
]);

export interface Signed {
  readonly bytes: Uint8Array;
  /** Which the answer is checked with. */
  readonly mac: Uint8Array;
}

/**
 * Signs a message.
 *
 * @param seconds since the epoch.
 * @param request the signature of the request, when it is an answer that is signed.
 */
export function sign(message: Uint8Array, key: TsigKey, seconds: number, request?: Uint8Array): Signed {
  const variables = { name: key.name, algorithm: key.algorithm as string as DomainName, seconds, fudge: FUDGE };
  const mac = digest(key, message, { ...variables, error: 0, other: new Uint8Array() }, request);
  const data: number[] = [...nameBytes(variables.algorithm)];
  push48(data, seconds);
  push16(data, FUDGE);
  push16(data, mac.length);
  data.push(...mac, message[0]!, message[1]!);
  push16(data, 0);
  push16(data, 0);
  const record: number[] = [];
  pushRecord(record, { name: key.name, type: type.TSIG, class: ANY, ttl: 0, data: Uint8Array.from(data) });
  const bytes = new Uint8Array(message.length + record.length);
  bytes.set(message);
  bytes.set(record, message.length);
  addAdditional(bytes, 1);
  return { bytes, mac };
}

export type Verdict =
  | { readonly is: 'good'; readonly mac: Uint8Array }
  /** There is no signature. */
  | { readonly is: 'unsigned' }
  /** The server refuses ours; that need not be signed (RFC 8945 §5.3.2). */
  | { readonly is: 'refused'; readonly error: number }
  | { readonly is: 'bad'; readonly why: string };

/**
 * Checks the signature of a message.
 *
 * @param request the signature of what it answers.
 * @param seconds since the epoch.
 */
export function verify(bytes: Uint8Array, key: TsigKey, seconds: number, request?: Uint8Array): Verdict {
  const decoded = decodeWithOffset(bytes);
  const record = decoded?.message.additionals.at(-1);
  if (decoded === undefined) return { is: 'bad', why: 'it is no DNS message' };
  if (record?.type !== type.TSIG) return { is: 'unsigned' };
  const fields = readFields(record.data);
  if (fields === undefined) return { is: 'bad', why: 'its signature is damaged' };
  if (fields.error !== 0 && fields.error !== 18) return { is: 'refused', error: fields.error };
  if (!sameName(record.name, key.name) || algorithmOf(fields.algorithm) !== key.algorithm)
    return { is: 'bad', why: 'it is signed with another key' };
  const unsigned = bytes.slice(0, decoded.lastRecord);
  unsigned.set([fields.originalId >> 8, fields.originalId & 255]);
  addAdditional(unsigned, -1);
  const mac = digest(key, unsigned, { ...fields, name: record.name }, request);
  if (mac.length !== fields.mac.length || !timingSafeEqual(mac, fields.mac))
    return { is: 'bad', why: 'its signature is wrong' };
  if (fields.error !== 0) return { is: 'refused', error: fields.error };
  if (Math.abs(seconds - fields.seconds) > fields.fudge) return { is: 'bad', why: 'it was signed at another time' };
  return { is: 'good', mac };
}

interface Variables {
  readonly name: DomainName;
  readonly algorithm: DomainName;
  readonly seconds: number;
  readonly fudge: number;
  readonly error: number;
  readonly other: Uint8Array;
}

/** RFC 8945 §4.3. */
function digest(key: TsigKey, message: Uint8Array, variables: Variables, request: Uint8Array | undefined): Uint8Array {
  const hmac = createHmac(algorithms[key.algorithm], key.secret);
  if (request !== undefined) hmac.update(Uint8Array.of(request.length >> 8, request.length & 255)).update(request);
  const data: number[] = [];
  pushName(data, nameKey(variables.name) as DomainName);
  push16(data, ANY);
  data.push(0, 0, 0, 0);
  pushName(data, nameKey(variables.algorithm) as DomainName);
  push48(data, variables.seconds);
  for (const word of [variables.fudge, variables.error, variables.other.length]) push16(data, word);
  return hmac.update(message).update(Uint8Array.from(data)).update(variables.other).digest();
}

function readFields(
  data: Uint8Array,
): (Omit<Variables, 'name'> & { readonly mac: Uint8Array; readonly originalId: number }) | undefined {
  const read = readName(data, 0);
  if (read === undefined || read.end + 10 > data.length) return undefined;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const at = read.end;
  const end = at + 10 + view.getUint16(at + 8);
  if (end + 6 > data.length || end + 6 + view.getUint16(end + 4) !== data.length) return undefined;
  return {
    algorithm: read.name,
    seconds: view.getUint16(at) * 2 ** 32 + view.getUint32(at + 2),
    fudge: view.getUint16(at + 6),
    mac: data.slice(at + 10, end),
    originalId: view.getUint16(end),
    error: view.getUint16(end + 2),
    other: data.slice(end + 6),
  };
}

function algorithmOf(name: DomainName): Algorithm | undefined {
  const known = nameKey(name);
  return known in algorithms ? (known as Algorithm) : undefined;
}

function push48(bytes: number[], value: number): void {
  push16(bytes, Math.floor(value / 2 ** 32));
  push16(bytes, Math.floor(value / 2 ** 16) % 2 ** 16);
  push16(bytes, value % 2 ** 16);
}

/** Changes the count of the additional records in a header. */
function addAdditional(bytes: Uint8Array, by: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setUint16(10, view.getUint16(10) + by);
}

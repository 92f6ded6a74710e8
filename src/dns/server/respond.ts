/**
 * Answers to single questions, out of what is known here; what is not known here is for the next resolver, as it came. Sources: RFC
 * 1035 §4, RFC 2308 (no such data), RFC 4343 (case), RFC 6891 (EDNS), RFC 8482 (ANY).
 */

import { type Address, addressBytes } from '../../model/address.ts';
import { ANY, decodeMessage, flag, IN, push16, pushName, type Question, rcode, type } from '../message.ts';
import type { DomainName } from '../name.ts';
import { nameBytes } from '../records.ts';

/** What there is of a name. */
export type Known =
  /** Those of both families; with none, the name exists all the same. */
  | { readonly addresses: readonly Address[] }
  /** What an address is called. */
  | { readonly target: DomainName };

/** @returns undefined for a name that is not known here. */
export type Lookup = (name: DomainName) => Known | undefined;

/** A message for whoever asked; `onward`: to be asked of the next resolver as it is; `ignore`: to be answered by nobody. */
export type Response = Uint8Array | 'onward' | 'ignore';

/** Seconds. A container that is started again elsewhere has another address. */
export const TTL = 5;

const HEADER = 12;
const PLAIN_DATAGRAM = 512;
/** The largest that we send, whatever the client would take. */
const LARGEST_DATAGRAM = 4096;
const STREAM_MESSAGE = 65_535;
/** How large a datagram we would take (RFC 6891 §6.2.5). */
const OUR_SIZE = 1232;
const RECURSION_AVAILABLE = 0x0080;
const CHECKING_DISABLED = 0x0010;
const BAD_VERSION = 16;
const OPCODE = 0x7800;

/**
 * Never throws, whatever comes.
 *
 * @param turn shifts the order of several addresses: with each answer another one comes first.
 */
export function respond(query: Uint8Array, lookup: Lookup, over: 'udp' | 'tcp', turn: number): Response {
  if (query.length < HEADER) return 'ignore';
  const word = (at: number): number => (query[at]! << 8) | query[at + 1]!;
  const flags = word(2);
  if ((flags & flag.response) !== 0) return 'ignore';
  // An ordinary question, with no more than EDNS and a signature behind it. All else is judged by the next resolver.
  const ordinary = word(4) === 1 && word(6) === 0 && word(8) === 0 && word(10) <= 2;
  if (!ordinary || (flags & (OPCODE | flag.truncated)) !== 0) return 'onward';
  const message = decodeMessage(query);
  const question = message?.questions[0];
  if (message === undefined || question === undefined || (question.class !== IN && question.class !== ANY))
    return 'onward';
  const known = lookup(question.name);
  if (known === undefined) return 'onward';

  const options = message.additionals.filter((record) => record.type === type.OPT);
  const edns = options[0];
  const limit = over === 'tcp' ? STREAM_MESSAGE : datagramLimit(edns?.class);
  // Only one is allowed (RFC 6891 §6.1.1).
  if (options.length > 1) return write({ id: message.id, flags, question, code: rcode.formatError, limit });
  if (edns !== undefined && (Math.floor(edns.ttl / 0x10000) & 255) > 0)
    return write({ id: message.id, flags, question, code: BAD_VERSION, edns: true, limit });
  const records = recordsOf(known, question.type, turn);
  return write({ id: message.id, flags, question, code: rcode.noError, records, edns: edns !== undefined, limit });
}

/** That we cannot help: the header of the query with an error. */
export function failure(query: Uint8Array): Uint8Array {
  const answer = Uint8Array.from(query.subarray(0, HEADER));
  answer.fill(0, 4);
  answer[2] = (answer[2]! & 0x79) | 0x80;
  answer[3] = (RECURSION_AVAILABLE & 255) | rcode.serverFailure;
  return answer;
}

const datagramLimit = (size = 0): number => Math.min(Math.max(size, PLAIN_DATAGRAM), LARGEST_DATAGRAM);

interface Data {
  readonly type: number;
  readonly data: Uint8Array;
}

function recordsOf(known: Known, wanted: number, turn: number): readonly Data[] {
  const fits = (kind: number): boolean => wanted === kind || wanted === type.ANY;
  if ('target' in known) return fits(type.PTR) ? [{ type: type.PTR, data: nameBytes(known.target) }] : [];
  const chosen = known.addresses.filter(({ family }) => fits(family === 4 ? type.A : type.AAAA));
  const first = chosen.length === 0 ? 0 : turn % chosen.length;
  return [...chosen.slice(first), ...chosen.slice(0, first)].map((address) => ({
    type: address.family === 4 ? type.A : type.AAAA,
    data: addressBytes(address),
  }));
}

/** The question is repeated as it was asked, letter by letter, and the names of the answers point to it. */
function write(answer: {
  readonly id: number;
  readonly flags: number;
  readonly question: Question;
  /** May be an extended one (RFC 6891 §6.1.3). */
  readonly code: number;
  readonly records?: readonly Data[];
  readonly edns?: boolean;
  readonly limit: number;
}): Uint8Array {
  const { question, records = [], edns = false, code } = answer;
  const end: number[] = [];
  if (edns) {
    end.push(0);
    for (const word of [type.OPT, OUR_SIZE, (code >> 4) << 8, 0, 0]) push16(end, word);
  }
  const bytes: number[] = [];
  const kept = answer.flags & (flag.recursionDesired | CHECKING_DISABLED);
  const flags = flag.response | flag.authoritative | RECURSION_AVAILABLE | kept | (code & 15);
  for (const word of [answer.id, flags, 1, 0, 0, edns ? 1 : 0]) push16(bytes, word);
  pushName(bytes, question.name);
  push16(bytes, question.type);
  push16(bytes, question.class);
  let count = 0;
  for (const { type: kind, data } of records) {
    const record = [0xc0, HEADER];
    for (const word of [kind, IN, 0, TTL, data.length]) push16(record, word);
    if (bytes.length + record.length + data.length + end.length > answer.limit) {
      bytes[2] = bytes[2]! | (flag.truncated >> 8);
      break;
    }
    bytes.push(...record, ...data);
    count += 1;
  }
  bytes[6] = count >> 8;
  bytes[7] = count & 255;
  bytes.push(...end);
  return Uint8Array.from(bytes);
}

/** Multicast DNS messages of a size that fits into one frame (RFC 6762 §17, §18). Pure. */

import {
  encodeMessage,
  flag,
  flagsOf,
  IN,
  opcode,
  pushRecord,
  type Question,
  type ResourceRecord,
} from '../message.ts';
import { TOP_BIT } from './answers.ts';
import type { HeldRecord } from './claim.ts';

/** Bytes: with the headers of Ethernet, IPv6 and UDP, and with room to spare, in a frame of 1500. */
const ROOM = 1400;
const HEADER = 12;
/** Seconds: who asks as if we were an ordinary server must not keep the answer for long (§6.7). */
const LEGACY_TTL = 10;

const bytesOf = (record: ResourceRecord): number => {
  const bytes: number[] = [];
  pushRecord(bytes, record);
  return bytes.length;
};

const onWire = ({ record, unique }: HeldRecord): ResourceRecord =>
  unique ? { ...record, class: IN | TOP_BIT } : record;

const responseFlags = flagsOf(opcode.query, flag.response, flag.authoritative);

/** As many messages as it takes; additional records only where there is room. */
export function responses(answers: readonly HeldRecord[], additionals: readonly HeldRecord[] = []): Uint8Array[] {
  const messages: Uint8Array[] = [];
  const rest = answers.map(onWire);
  while (rest.length > 0) {
    let room = ROOM - HEADER;
    const fits = (record: ResourceRecord): boolean => {
      const size = bytesOf(record);
      if (size > room) return false;
      room -= size;
      return true;
    };
    // What fits into no frame is not sent: nobody could receive it.
    const first = rest.shift()!;
    if (!fits(first)) continue;
    const own = [first];
    while (rest[0] !== undefined && fits(rest[0])) own.push(rest.shift()!);
    const extra = rest.length > 0 ? [] : additionals.map(onWire).filter(fits);
    messages.push(
      encodeMessage({ id: 0, flags: responseFlags, questions: [], answers: own, authorities: [], additionals: extra }),
    );
  }
  return messages;
}

/** The answer to somebody who does not know that this is multicast DNS (§6.7): its question, its id, and nothing unusual. */
export function legacyResponse(
  id: number,
  questions: readonly Question[],
  answers: readonly HeldRecord[],
  additionals: readonly HeldRecord[],
): Uint8Array {
  let room = ROOM - HEADER - questions.reduce((sum, { name }) => sum + name.length + 6, 0);
  const fitting = ({ record }: HeldRecord): ResourceRecord[] => {
    const plain = { ...record, ttl: Math.min(record.ttl, LEGACY_TTL) };
    const size = bytesOf(plain);
    if (size > room) return [];
    room -= size;
    return [plain];
  };
  const own = answers.flatMap(fitting);
  const flags = own.length < answers.length ? responseFlags | flag.truncated : responseFlags;
  const plain = questions.map((question) => ({ ...question, class: question.class & ~TOP_BIT }));
  return encodeMessage({
    id,
    flags,
    questions: plain,
    answers: own,
    authorities: [],
    additionals: additionals.flatMap(fitting),
  });
}

/** Asks whether anybody has these names, and says which records they are wanted for (§8.1). */
export function probe(records: readonly ResourceRecord[], names: readonly Question[]): Uint8Array {
  return encodeMessage({ id: 0, flags: 0, questions: names, answers: [], authorities: records, additionals: [] });
}

/** That records are no more (§10.1). */
export function goodbyes(records: readonly HeldRecord[]): Uint8Array[] {
  // Not with the top bit: it would speak of all records of that name and type.
  return responses(records.map(({ record }) => ({ record: { ...record, ttl: 0 }, unique: false })));
}

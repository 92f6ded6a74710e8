/** Dynamic updates (RFC 2136): what must be so, and what is to change, in one message that is done as a whole or not at all. */

import { flagsOf, IN, type Message, NONE, opcode, type ResourceRecord, type } from './message.ts';
import type { DomainName } from './name.ts';

export interface Update {
  /** The apex of the zone. */
  readonly zone: DomainName;
  readonly prerequisites: readonly ResourceRecord[];
  readonly changes: readonly ResourceRecord[];
}

export function updateMessage(id: number, { zone, prerequisites, changes }: Update): Message {
  return {
    id,
    flags: flagsOf(opcode.update),
    questions: [{ name: zone, type: type.SOA, class: IN }],
    answers: prerequisites,
    authorities: changes,
    additionals: [],
  };
}

const bare = (name: DomainName, kind: number, clas: number): ResourceRecord => ({
  name,
  type: kind,
  class: clas,
  ttl: 0,
  data: new Uint8Array(),
});

/** No record of any type has this name. Otherwise the answer is `nameExists`. §2.4.5. */
export const nameIsFree = (name: DomainName): ResourceRecord => bare(name, type.ANY, NONE);
/** Otherwise `recordsExist`. §2.4.3. */
export const noRecords = (name: DomainName, kind: number): ResourceRecord => bare(name, kind, NONE);
/** One of these for each record of that name and type: there are exactly these. Otherwise `noSuchRecords`. §2.4.2. */
export const isExactly = (record: ResourceRecord): ResourceRecord => ({ ...record, class: IN, ttl: 0 });

/** Adds a record; one that is there already stays, with this TTL. §2.5.1. */
export const add = (record: ResourceRecord): ResourceRecord => ({ ...record, class: IN });
/** Deletes this one record, if it is there. §2.5.4. */
export const remove = (record: ResourceRecord): ResourceRecord => ({ ...record, class: NONE, ttl: 0 });

/** For tests: a DNS server in memory that keeps one zone, with the rules of RFC 2136 §3 as far as they are used here. */

import type { Reply } from '../client.ts';
import { flag, flagsOf, IN, type Message, NONE, opcode, type ResourceRecord, rcode, type } from '../message.ts';
import { type DomainName, isWithin, nameKey } from '../name.ts';
import { nameBytes, sameData } from '../records.ts';
import type { DnsServer } from '../registrar.ts';
import type { Update } from '../update.ts';

export interface TestZone extends DnsServer {
  records: ResourceRecord[];
  /** Called before each update is looked at: what somebody else does in between, or a failure. */
  interfere: (() => Reply | undefined) | undefined;
  readonly updates: Update[];
}

export function testZone(apexes: readonly DomainName[]): TestZone {
  const message = (
    flags: number,
    answers: readonly ResourceRecord[],
    authorities: readonly ResourceRecord[] = [],
  ): Reply => ({
    answer: {
      id: 1,
      flags: flags | flag.response,
      questions: [],
      answers,
      authorities,
      additionals: [],
    } satisfies Message,
  });
  const same = (a: ResourceRecord, b: ResourceRecord) => nameKey(a.name) === nameKey(b.name) && a.type === b.type;
  const soa = (apex: DomainName): ResourceRecord => ({
    name: apex,
    type: type.SOA,
    class: IN,
    ttl: 1,
    data: Uint8Array.of(
      ...nameBytes('ns.example' as DomainName),
      ...nameBytes('admin.example' as DomainName),
      ...new Uint8Array(20),
    ),
  });

  /** §3.2. */
  function failing(prerequisites: readonly ResourceRecord[]): number | undefined {
    for (const one of prerequisites) {
      const named = zone.records.filter((record) => nameKey(record.name) === nameKey(one.name));
      if (one.class === NONE) {
        if (one.type === type.ANY && named.length > 0) return rcode.nameExists;
        if (one.type !== type.ANY && named.some((record) => record.type === one.type)) return rcode.recordsExist;
      } else {
        const wanted = prerequisites.filter((other) => other.class === IN && same(other, one));
        const found = named.filter((record) => record.type === one.type);
        const equal =
          found.length === wanted.length && found.every((record) => wanted.some((w) => sameData(w, record)));
        if (!equal) return rcode.noSuchRecords;
      }
    }
    return undefined;
  }

  const zone: TestZone = {
    records: [],
    interfere: undefined,
    updates: [],
    query: (name, kind) => {
      const apex = apexes.find((one) => isWithin(name, one));
      if (apex === undefined) return Promise.resolve(message(rcode.refused, []));
      const found = zone.records.filter((record) => nameKey(record.name) === nameKey(name) && record.type === kind);
      const isApex = kind === type.SOA && nameKey(name) === nameKey(apex);
      return Promise.resolve(message(flag.authoritative, isApex ? [soa(apex)] : found, [soa(apex)]));
    },
    update: (change) => {
      zone.updates.push(change);
      const disturbed = zone.interfere?.();
      if (disturbed !== undefined) return Promise.resolve(disturbed);
      const flags = flagsOf(opcode.update);
      const code = failing(change.prerequisites);
      if (code !== undefined) return Promise.resolve(message(flags | code, []));
      for (const record of change.changes) {
        zone.records = zone.records.filter((one) => !(same(one, record) && sameData(one, record)));
        if (record.class === IN) zone.records.push(record);
      }
      return Promise.resolve(message(flags, []));
    },
  };
  return zone;
}

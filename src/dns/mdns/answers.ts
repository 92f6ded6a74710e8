/** Which records answer a question (RFC 6762 §6 and §7.1, RFC 6763 §12). Pure. */

import { ANY, IN, type Question, type ResourceRecord, type } from '../message.ts';
import { type DomainName, nameKey } from '../name.ts';
import { nothingElseRecord, sameData, targetOf } from '../records.ts';
import { type HeldRecord, HOST_TTL } from './claim.ts';

/** Of a question: an answer by unicast is welcome. Of a record: what else of its kind a cache has is to go. */
export const TOP_BIT = 0x8000;

/** Records by their names' keys. */
export type Holdings = ReadonlyMap<string, readonly HeldRecord[]>;

export function holdingsOf(held: readonly HeldRecord[]): Holdings {
  const map = new Map<string, HeldRecord[]>();
  for (const one of held) {
    const key = nameKey(one.record.name);
    const same = map.get(key);
    if (same === undefined) map.set(key, [one]);
    // Two services of a kind have one record of that kind in common.
    else if (!same.some(({ record }) => sameData(record, one.record))) same.push(one);
  }
  return map;
}

export const classOf = ({ class: given }: Question | ResourceRecord): number => given & ~TOP_BIT;

/** What answers a question, without what the asker knows already. A name of ours without such records: that there are none. */
export function answersTo(
  question: Question,
  holdings: Holdings,
  known: readonly ResourceRecord[],
): readonly HeldRecord[] {
  const asked = classOf(question);
  if (asked !== IN && asked !== ANY) return [];
  const here = holdings.get(nameKey(question.name)) ?? [];
  const fitting = here.filter(({ record }) => question.type === ANY || record.type === question.type);
  const answers = fitting.length > 0 ? fitting : denial(question.name, here);
  return answers.filter(({ record }) => !known.some((one) => suppresses(one, record)));
}

/** Only for as long as at least half of its life is left to what the asker knows (§7.1). */
function suppresses(known: ResourceRecord, record: ResourceRecord): boolean {
  return nameKey(known.name) === nameKey(record.name) && sameData(known, record) && known.ttl * 2 >= record.ttl;
}

/** A list of the types that there are, as long as nobody else can have records of that name. */
function denial(name: DomainName, here: readonly HeldRecord[]): readonly HeldRecord[] {
  if (here.length === 0 || here.some(({ unique }) => !unique)) return [];
  return [
    { record: nothingElseRecord(name, [...new Set(here.map(({ record }) => record.type))], HOST_TTL), unique: true },
  ];
}

/** What the asker will want to know next. */
export function additionalsTo(answers: readonly HeldRecord[], holdings: Holdings): readonly HeldRecord[] {
  const found: HeldRecord[] = [];
  const wants = (one: HeldRecord): void => {
    const isThere = ({ record }: HeldRecord) =>
      sameData(record, one.record) && nameKey(record.name) === nameKey(one.record.name);
    if (answers.some(isThere) || found.some(isThere)) return;
    found.push(one);
    follow(one);
  };
  const follow = ({ record }: HeldRecord): void => {
    if (record.type === type.A || record.type === type.AAAA) {
      const here = holdings.get(nameKey(record.name)) ?? [];
      const other = record.type === type.A ? type.AAAA : type.A;
      const others = here.filter((one) => one.record.type === other);
      for (const one of others.length > 0 ? others : denial(record.name, here)) wants(one);
    } else if (record.type === type.PTR && !nameKey(record.name).endsWith('.arpa')) {
      for (const one of holdings.get(nameKey(targetOf(record)!)) ?? []) if (one.unique) wants(one);
    } else if (record.type === type.SRV) {
      for (const [, here] of holdings) {
        for (const one of here) {
          const isAddress = one.record.type === type.A || one.record.type === type.AAAA;
          if (isAddress && endsWith(record.data, one.record)) wants(one);
        }
      }
    }
  };
  for (const one of answers) follow(one);
  return found;
}

/** Whether the name at the end of a service record is that of an address. */
function endsWith(data: Uint8Array, address: ResourceRecord): boolean {
  const target = targetOf({ ...address, data: data.subarray(6) });
  return target !== undefined && nameKey(target) === nameKey(address.name);
}

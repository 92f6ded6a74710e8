/**
 * The names of one owner at a DNS server: registered, corrected and taken back by dynamic updates, and nothing else touched.
 *
 * Beside each name `web.home.example` stands a TXT record `_berth.web.home.example`, which says whose the name is and which
 * addresses its owner has put there. Each update holds only if that record is still what it was when it was read, so two that
 * want the same name, or an update that was done although its answer was lost, do no harm.
 */

import { type Address, formatAddress, parseAddress, sameAddress } from '../model/address.ts';
import type { Reply } from './client.ts';
import { flag, has, IN, type Message, type ResourceRecord, rcode, rcodeOf, type } from './message.ts';
import { child, type DomainName, isWithin, parentOf, reverseName, sameName } from './name.ts';
import { addressRecord, pointerRecord, targetOf, textRecord, textsOf } from './records.ts';
import { add, isExactly, nameIsFree, noRecords, remove, type Update } from './update.ts';

/** The server, as far as it is asked here. */
export interface DnsServer {
  query(name: DomainName, type: number): Promise<Reply>;
  update(change: Update): Promise<Reply>;
}

export interface Registration {
  readonly name: DomainName;
  readonly addresses: readonly Address[];
  /** Seconds. */
  readonly ttl: number;
  /** By which what is ours is known again. */
  readonly owner: string;
  readonly reverse: 'auto' | 'none' | DomainName;
}

export type Outcome =
  /** What was wanted is so. `problem`: but for the names of the addresses, in a sentence. */
  | { readonly is: 'done'; readonly problem?: string }
  /** Somebody else has the name. */
  | { readonly is: 'conflict'; readonly problem: string }
  | { readonly is: 'failed'; readonly problem: string };

/** How often an update is tried whose prerequisites have just changed. */
const ATTEMPTS = 3;

/**
 * Makes a name have exactly these addresses of ours. Safe to repeat.
 *
 * @param before addresses of ours that the server may still have, besides those that it tells of itself.
 */
export async function register(
  server: DnsServer,
  wish: Registration,
  before: readonly Address[] = [],
): Promise<Outcome> {
  const zone = await findZone(server, wish.name);
  if ('problem' in zone) return { is: 'failed', problem: zone.problem };
  for (let attempt = 1; ; attempt++) {
    const found = await readMarker(server, wish);
    if (found.is === 'failed') return found;
    if (found.is === 'foreign') return taken(wish.name, 'another owner has it');
    const old = found.is === 'ours' ? distinct([...found.addresses, ...before]) : [];
    const stale = old.filter((address) => !wish.addresses.some((one) => sameAddress(one, address)));
    const marker = markerRecord(wish);
    const changes = [
      ...stale.map((address) => remove(addressRecord(wish.name, address, 0))),
      ...(found.is === 'ours' ? found.records.map(remove) : []),
      ...wish.addresses.map((address) => add(addressRecord(wish.name, address, wish.ttl))),
      add(marker),
    ];
    const prerequisites =
      found.is === 'ours' ? found.records.map(isExactly) : [nameIsFree(wish.name), noRecords(marker.name, type.TXT)];
    const answer = await send(server, { zone: zone.apex, prerequisites, changes });
    if ('problem' in answer) return { is: 'failed', problem: answer.problem };
    if (answer.code === rcode.noError) return reverses(server, wish, stale);
    if (found.is === 'absent' && answer.code === rcode.nameExists)
      return taken(wish.name, 'there are records of that name which Berth has not made');
    if (!isChanged(answer.code) || attempt === ATTEMPTS)
      return { is: 'failed', problem: refusal(answer.code, zone.apex) };
  }
}

/** Takes back what is ours under a name; what is not stays. Safe to repeat. */
export async function unregister(server: DnsServer, wish: Registration): Promise<Outcome> {
  const zone = await findZone(server, wish.name);
  if ('problem' in zone) return { is: 'failed', problem: zone.problem };
  for (let attempt = 1; ; attempt++) {
    const found = await readMarker(server, wish);
    if (found.is === 'failed') return found;
    if (found.is === 'foreign') return { is: 'done' };
    if (found.is === 'absent') return withdrawReverses(server, wish, wish.addresses);
    const addresses = distinct([...found.addresses, ...wish.addresses]);
    // The names of the addresses first: the marker is what tells of them.
    const withdrawn = await withdrawReverses(server, wish, addresses);
    if (withdrawn.is !== 'done') return withdrawn;
    const answer = await send(server, {
      zone: zone.apex,
      prerequisites: found.records.map(isExactly),
      changes: [
        ...addresses.map((address) => remove(addressRecord(wish.name, address, 0))),
        ...found.records.map(remove),
      ],
    });
    if ('problem' in answer) return { is: 'failed', problem: answer.problem };
    if (answer.code === rcode.noError) return { is: 'done' };
    if (!isChanged(answer.code) || attempt === ATTEMPTS)
      return { is: 'failed', problem: refusal(answer.code, zone.apex) };
  }
}

/** Whether the server would take updates of a zone from us: one that changes nothing, and is judged as any other. */
export async function mayUpdate(
  server: DnsServer,
  zone: DomainName,
): Promise<{ readonly problem: string } | undefined> {
  const apex = await findZone(server, zone);
  if ('problem' in apex) return apex;
  const trial = textRecord(child('_berth-doctor', zone) ?? zone, ['trial'], 1);
  const answer = await send(server, { zone: apex.apex, prerequisites: [], changes: [add(trial), remove(trial)] });
  if ('problem' in answer) return answer;
  return answer.code === rcode.noError ? undefined : { problem: refusal(answer.code, apex.apex) };
}

const taken = (name: DomainName, why: string): Outcome => ({ is: 'conflict', problem: `${name} is taken: ${why}` });

const isChanged = (code: number): boolean =>
  code === rcode.nameExists || code === rcode.recordsExist || code === rcode.noSuchRecords || code === rcode.noSuchName;

const distinct = (addresses: readonly Address[]): Address[] => [
  ...new Map(addresses.map((address) => [formatAddress(address), address])).values(),
];

function refusal(code: number, zone: DomainName): string {
  switch (code) {
    case rcode.refused:
      return `the DNS server refuses updates of the zone ${zone}: it does not allow them for this key, or for this host`;
    case rcode.notAuthoritative:
      return `the DNS server does not accept the key, or is not the one that keeps the zone ${zone}`;
    case rcode.notImplemented:
      return 'the DNS server knows no dynamic updates';
    default:
      return `the DNS server does not update the zone ${zone} (response code ${code})`;
  }
}

async function send(
  server: DnsServer,
  change: Update,
): Promise<{ readonly code: number } | { readonly problem: string }> {
  const reply = await server.update(change);
  return 'problem' in reply ? reply : { code: rcodeOf(reply.answer) };
}

/** The zone that a name is in, as the server itself says which of its zones that is. */
async function findZone(
  server: DnsServer,
  name: DomainName,
): Promise<{ readonly apex: DomainName } | { readonly problem: string }> {
  // Whether the name itself exists does not matter: the answer tells of the zone in either case.
  const reply = await server.query(name, type.SOA);
  if ('problem' in reply) return reply;
  const { answer } = reply;
  const start = soaOf(answer, name);
  if (start !== undefined && has(answer, flag.authoritative)) return { apex: start.name };
  // A name that is delegated away, or an alias, hides the zone above it.
  const above = parentOf(name);
  if (start === undefined && above !== undefined && has(answer, flag.authoritative)) return findZone(server, above);
  return { problem: `the DNS server is not authoritative for ${name}${codeText(answer)}` };
}

function codeText(answer: Message): string {
  const code = rcodeOf(answer);
  if (code === rcode.refused) return ': it refuses to answer for it';
  return code === rcode.serverFailure ? ': it fails to answer for it' : '';
}

function soaOf({ answers, authorities }: Message, name: DomainName): ResourceRecord | undefined {
  return [...answers, ...authorities].find((record) => record.type === type.SOA && isWithin(name, record.name));
}

type Marker =
  | { readonly is: 'absent' }
  | { readonly is: 'foreign' }
  | { readonly is: 'ours'; readonly records: readonly ResourceRecord[]; readonly addresses: readonly Address[] }
  | { readonly is: 'failed'; readonly problem: string };

const OWNER = 'owner=';
const ADDRESS = 'address=';

const markerName = (name: DomainName): DomainName => child('_berth', name) ?? name;

function markerRecord({ name, owner, addresses, ttl }: Registration): ResourceRecord {
  const told = addresses.map((address) => ADDRESS + formatAddress(address));
  return textRecord(markerName(name), [`${OWNER}${owner}`, ...told], ttl);
}

async function readMarker(server: DnsServer, { name, owner }: Registration): Promise<Marker> {
  const wanted = markerName(name);
  const reply = await server.query(wanted, type.TXT);
  if ('problem' in reply) return { is: 'failed', problem: reply.problem };
  const code = rcodeOf(reply.answer);
  if (code !== rcode.noError && code !== rcode.noSuchName) {
    return { is: 'failed', problem: `the DNS server does not answer for ${wanted} (response code ${code})` };
  }
  const records = reply.answer.answers.filter(
    (record) => record.type === type.TXT && record.class === IN && sameName(record.name, wanted),
  );
  if (records.length === 0) return { is: 'absent' };
  const texts = records.map((record) => textsOf(record) ?? []);
  if (texts.some(([first]) => first !== OWNER + owner)) return { is: 'foreign' };
  const addresses = texts.flat().flatMap((text) => {
    const address = text.startsWith(ADDRESS) ? parseAddress(text.slice(ADDRESS.length)) : undefined;
    return address ?? [];
  });
  return { is: 'ours', records, addresses };
}

/** The names of the addresses, once the name itself is ours. */
async function reverses(server: DnsServer, wish: Registration, stale: readonly Address[]): Promise<Outcome> {
  const withdrawn = await withdrawReverses(server, wish, stale);
  if (withdrawn.is !== 'done') return { is: 'done', problem: withdrawn.problem };
  for (const address of wish.addresses) {
    const problem = await registerReverse(server, wish, address);
    if (problem !== undefined) return { is: 'done', problem };
  }
  return { is: 'done' };
}

/** @returns what is in the way. */
async function registerReverse(
  server: DnsServer,
  { name, reverse, ttl }: Registration,
  address: Address,
): Promise<string | undefined> {
  const zone = await reverseZone(server, reverse, address);
  if (zone === undefined) return undefined;
  if ('problem' in zone) return zone.problem;
  const own = pointerRecord(reverseName(address), name, ttl);
  const reply = await server.query(own.name, type.PTR);
  if ('problem' in reply) return reply.problem;
  const pointers = reply.answer.answers.filter((record) => record.type === type.PTR && sameName(record.name, own.name));
  const targets = pointers.map(targetOf);
  if (targets.some((target) => target === undefined || !sameName(target, name))) {
    return `the address ${formatAddress(address)} has the name ${targets.join(', ')} already, which Berth has not given it`;
  }
  const prerequisites = pointers.length === 0 ? [noRecords(own.name, type.PTR)] : pointers.map(isExactly);
  const answer = await send(server, { zone: zone.apex, prerequisites, changes: [add(own)] });
  if ('problem' in answer) return answer.problem;
  return answer.code === rcode.noError ? undefined : refusal(answer.code, zone.apex);
}

/** What points from an address to this very name goes; nobody else would have put it there. */
async function withdrawReverses(
  server: DnsServer,
  { name, reverse }: Registration,
  addresses: readonly Address[],
): Promise<Exclude<Outcome, { is: 'conflict' }>> {
  for (const address of addresses) {
    const zone = await reverseZone(server, reverse, address);
    if (zone === undefined) continue;
    if ('problem' in zone) return { is: 'failed', problem: zone.problem };
    const change = remove(pointerRecord(reverseName(address), name, 0));
    const answer = await send(server, { zone: zone.apex, prerequisites: [], changes: [change] });
    if ('problem' in answer) return { is: 'failed', problem: answer.problem };
    if (answer.code !== rcode.noError) return { is: 'failed', problem: refusal(answer.code, zone.apex) };
  }
  return { is: 'done' };
}

/** Undefined where the names of addresses are not registered: nobody wants it, or this server does not keep them. */
async function reverseZone(
  server: DnsServer,
  reverse: Registration['reverse'],
  address: Address,
): Promise<{ readonly apex: DomainName } | { readonly problem: string } | undefined> {
  const name = reverseName(address);
  if (reverse === 'none' || (reverse !== 'auto' && !isWithin(name, reverse))) return undefined;
  if (reverse !== 'auto') return { apex: reverse };
  const reply = await server.query(name, type.SOA);
  if ('problem' in reply) return reply;
  const soa = has(reply.answer, flag.authoritative) ? soaOf(reply.answer, name) : undefined;
  return soa === undefined || isEmptyZone(soa) ? undefined : { apex: soa.name };
}

/**
 * Servers answer for private addresses that nobody has set up a zone for with an empty zone of their own, which cannot be
 * updated. Its primary server is the zone itself (RFC 6303 §3).
 */
function isEmptyZone(soa: ResourceRecord): boolean {
  const primary = targetOf(soa);
  return primary === undefined || sameName(primary, soa.name);
}

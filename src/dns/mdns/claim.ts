/** What a machine is called on its link, and the records that say so (RFC 6762, RFC 6763). Pure. */

import { type Address, formatAddress } from '../../model/address.ts';
import type { ResourceRecord } from '../message.ts';
import { child, type DomainName, parseName, reverseName } from '../name.ts';
import { addressRecord, pointerRecord, serviceRecord, textRecord } from '../records.ts';

export const LOCAL = parseName('local')!;

/** Seconds, of records with a host's name or address in them, and of all others (RFC 6762 §10). */
export const HOST_TTL = 120;
export const OTHER_TTL = 4500;

const LONGEST_LABEL = 63;

export interface Service {
  /** Such as `_http._tcp`. */
  readonly type: string;
  readonly port: number;
  /** `key=value` each (RFC 6763 §6). */
  readonly text: readonly string[];
}

/** That somebody wants a name on this link. */
export interface Claim {
  /** By which a claim is known again when it changes. */
  readonly id: string;
  /** The name without `.local`: one label. */
  readonly label: string;
  readonly addresses: readonly Address[];
  readonly services: readonly Service[];
}

export interface HeldRecord {
  readonly record: ResourceRecord;
  /** Nobody else may have a record of this name and type; that of a shared one anybody may. */
  readonly unique: boolean;
}

/** The label that is tried first, then with `-2`, `-3` and so on (RFC 6762 §9). */
export function candidate(label: string, number: number): string {
  if (number === 1) return label;
  const suffix = `-${number}`;
  return label.slice(0, LONGEST_LABEL - suffix.length) + suffix;
}

export const hostName = (label: string): DomainName => child(label, LOCAL)!;

/** All records of a claim under the label that it has got. */
export function recordsOf(claim: Claim, label: string): readonly HeldRecord[] {
  const name = hostName(label);
  const addresses = claim.addresses.flatMap((address): HeldRecord[] => [
    { record: addressRecord(name, address, HOST_TTL), unique: true },
    { record: pointerRecord(reverseName(address), name, HOST_TTL), unique: true },
  ]);
  const services = claim.services.flatMap(({ type, port, text }): HeldRecord[] => {
    const kind = serviceName(type);
    const instance = kind && child(label, kind);
    if (kind === undefined || instance === undefined) return [];
    return [
      { record: serviceRecord(instance, name, port, HOST_TTL), unique: true },
      { record: textRecord(instance, text, OTHER_TTL), unique: true },
      { record: pointerRecord(kind, instance, OTHER_TTL), unique: false },
      { record: pointerRecord(parseName('_services._dns-sd._udp.local')!, kind, OTHER_TTL), unique: false },
    ];
  });
  return [...addresses, ...services];
}

function serviceName(type: string): DomainName | undefined {
  return parseName(`${type}.local`);
}

/** Whether two claims want the same records. */
export function sameClaim(a: Claim, b: Claim): boolean {
  return text(a) === text(b);
}

const text = ({ label, addresses, services }: Claim): string =>
  JSON.stringify([label, addresses.map(formatAddress), services]);

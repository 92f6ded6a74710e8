/**
 * What a DHCPv6 server says, as values. A server's mistakes are met with what RFC 8415 says to do then, and an address that nobody
 * could use is no address.
 */

import { type Address, addressFromBytes, sameAddress } from '../../model/address.ts';
import { readSearchList, type Terms } from '../terms.ts';
import { code, decodeOptions, type Message, type Option, option, readNumber, statusCode } from './message.ts';

export interface Status {
  readonly code: number;
  /** As it may stand in a message to people. */
  readonly text: string;
}

export interface AnsweredAddress {
  readonly address: Address;
  /** Seconds; Infinity for ever. 0: it is not to be used any more. */
  readonly valid: number;
  readonly preferred: number;
}

export interface Answer {
  /** DUIDs. */
  readonly server: Uint8Array;
  readonly client: Uint8Array;
  /** Of the message, or of the identity association where that says more. */
  readonly status: Status;
  /** 0 to 255. */
  readonly preference: number;
  /** It is a grant already, and no offer (RFC 8415 §21.14). */
  readonly rapid: boolean;
  readonly addresses: readonly AnsweredAddress[];
  /** Seconds; 0: left to the client. */
  readonly renew: number;
  readonly rebind: number;
  readonly dns: readonly Address[];
  readonly search: readonly string[];
  /** Seconds: how long is waited at most between two attempts to find a server. */
  readonly solicitMaxTime?: number;
}

const FOR_EVER = 0xffffffff;
/** A lease that is shorter would be renewed without pause. */
const SHORTEST = 10;
/** Of one kind; more than this is an attack on our memory. */
const MOST = 64;
const SUCCESS: Status = { code: statusCode.success, text: '' };

/**
 * @param association the number of the identity association that was asked about.
 * @returns undefined when it does not say from whom and for whom it is.
 */
export function readAnswer({ options }: Message, association: number): Answer | undefined {
  const server = option(options, code.serverId);
  const client = option(options, code.clientId);
  if (server === undefined || server.length === 0 || client === undefined) return undefined;
  const own = readAssociation(options, association);
  const status = readStatus(options) ?? SUCCESS;
  const longest = readNumber(option(options, code.solicitMaxTime), 4);
  return {
    server,
    client,
    status: status.code === statusCode.success && own !== undefined ? own.status : status,
    preference: readNumber(option(options, code.preference), 1) ?? 0,
    rapid: option(options, code.rapidCommit) !== undefined,
    addresses: own?.addresses ?? [],
    renew: own?.renew ?? 0,
    rebind: own?.rebind ?? 0,
    dns: readAddresses(option(options, code.dns)),
    search: readSearchList(option(options, code.searchList)),
    // RFC 8415 §21.24: 60 to 86400; another value is as good as none.
    ...(longest === undefined || longest < 60 || longest > 86_400 ? {} : { solicitMaxTime: longest }),
  };
}

/**
 * What an answer grants.
 *
 * @param wanted only this address will do; absent: any.
 * @param server the address that the answer came from.
 * @returns undefined when it grants nothing that a host could use. The address has the length 128: DHCPv6 knows no other.
 */
export function termsOf(answer: Answer, server: Address, wanted?: Address): Terms | undefined {
  const found = answer.addresses.find(
    ({ address, valid }) => valid > 0 && (wanted === undefined || sameAddress(address, wanted)),
  );
  if (found === undefined || answer.status.code !== statusCode.success) return undefined;
  const lease = Math.max(found.valid, SHORTEST);
  return {
    address: { address: found.address, length: 128 },
    server,
    lease,
    ...timesOf(answer, found, lease),
    routes: [],
    dns: answer.dns,
    search: answer.search,
  };
}

/** RFC 8415 §21.4: where a server leaves T1 and T2 open, a half and four fifths of the time for which the address is preferred. */
function timesOf({ renew, rebind }: Answer, { preferred }: AnsweredAddress, lease: number) {
  const span = preferred > 0 ? Math.min(preferred, lease) : lease;
  const t2 = rebind > 0 && rebind <= lease ? rebind : span * 0.8;
  const t1 = renew > 0 && renew <= t2 ? renew : Math.min(span * 0.5, t2);
  return { renew: t1, rebind: t2 };
}

interface Association extends Pick<Answer, 'status' | 'addresses' | 'renew' | 'rebind'> {}

function readAssociation(options: readonly Option[], wanted: number): Association | undefined {
  for (const { code: kind, value } of options) {
    if (kind !== code.identityAssociation || value.length < 12) continue;
    if (readNumber(value.subarray(0, 4), 4) !== wanted) continue;
    const inner = decodeOptions(value.subarray(12));
    const renew = seconds(value.subarray(4, 8));
    const rebind = seconds(value.subarray(8, 12));
    // RFC 8415 §21.4: times that contradict each other make all of it invalid.
    if (inner === undefined || (renew > rebind && rebind > 0)) continue;
    const addresses = inner.filter((one) => one.code === code.address).slice(0, MOST);
    return {
      status: readStatus(inner) ?? SUCCESS,
      addresses: addresses.flatMap(({ value: one }) => readAddressOption(one) ?? []),
      renew,
      rebind,
    };
  }
  return undefined;
}

function readAddressOption(value: Uint8Array): AnsweredAddress | undefined {
  if (value.length < 24) return undefined;
  const address = addressFromBytes(value.subarray(0, 16));
  const preferred = seconds(value.subarray(16, 20));
  const valid = seconds(value.subarray(20, 24));
  const inner = decodeOptions(value.subarray(24));
  if (inner === undefined || preferred > valid || !isHost(address)) return undefined;
  const refused = (readStatus(inner) ?? SUCCESS).code !== statusCode.success;
  return { address, preferred: refused ? 0 : preferred, valid: refused ? 0 : valid };
}

function readStatus(options: readonly Option[]): Status | undefined {
  const value = option(options, code.status);
  if (value === undefined || value.length < 2) return undefined;
  const text = Buffer.from(value.subarray(2)).toString('latin1');
  return { code: readNumber(value.subarray(0, 2), 2)!, text: text.replaceAll(/[^\x20-\x7e]/g, '').slice(0, 100) };
}

function readAddresses(value: Uint8Array | undefined): readonly Address[] {
  if (value === undefined || value.length % 16 !== 0) return [];
  const count = Math.min(value.length / 16, MOST);
  return Array.from({ length: count }, (_, index) => addressFromBytes(value.subarray(index * 16, index * 16 + 16)));
}

function seconds(value: Uint8Array): number {
  const read = readNumber(value, 4)!;
  return read === FOR_EVER ? Infinity : read;
}

/** Whether a host may have this address: no group, nobody, loopback, link-local, nor an IPv4 address in disguise. */
function isHost({ value }: Address): boolean {
  const top = value >> 118n;
  return value > 1n && value >> 32n !== 0xffffn && top >> 2n !== 0xffn && top !== 0b1111111010n;
}

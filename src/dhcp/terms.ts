/**
 * What a DHCP server offers or grants, as values. A server's mistakes are met with what the RFCs say to do then, and an offer
 * that nobody could use is no offer.
 */

import { type Address, addressFromBytes } from '../model/address.ts';
import { type InterfaceAddress, type Prefix, prefixOf } from '../model/prefix.ts';
import { code, type Message, readAddress } from './message.ts';

export interface LeaseRoute {
  readonly destination: Prefix;
  /** Absent: the destination is on the link itself. */
  readonly via?: Address;
}

export interface Terms {
  readonly address: InterfaceAddress;
  /** Server identifier: whom to ask for renewal. */
  readonly server: Address;
  /** Seconds; Infinity for ever. */
  readonly lease: number;
  /** T1 and T2, seconds after the request was sent: 0 < renew <= rebind <= lease. */
  readonly renew: number;
  readonly rebind: number;
  readonly gateway?: Address;
  /** Routes besides the default one. */
  readonly routes: readonly LeaseRoute[];
  readonly mtu?: number;
  readonly dns: readonly Address[];
  readonly domain?: string;
  readonly search: readonly string[];
  /** The name that the server gives the client. */
  readonly hostName?: string;
}

/** Below the least MTU of IPv6 nothing works any more; routers of some makes say 576 to everybody. */
const LEAST_MTU = 1280;
const FOR_EVER = 0xffffffff;
/** A lease that is shorter would be renewed without pause. */
const SHORTEST = 10;
/** Of one kind; more than this is an attack on our memory. */
const MOST = 64;

/** @returns undefined when the message grants nothing that a host could use. */
export function readTerms(message: Message): Terms | undefined {
  const { yours, options } = message;
  const server = readAddress(options.get(code.server) ?? new Uint8Array());
  const leaseTime = readNumber(options.get(code.leaseTime), 4);
  if (yours === undefined || server === undefined || leaseTime === undefined) return undefined;
  const length = readMask(options.get(code.subnetMask)) ?? lengthByClass(yours);
  if (!isHost({ address: yours, length })) return undefined;
  const lease = leaseTime === FOR_EVER ? Infinity : Math.max(leaseTime, SHORTEST);
  const routing = readRouting(options);
  const mtu = readNumber(options.get(code.mtu), 2);
  const domain = readName(options.get(code.domain));
  const hostName = readName(options.get(code.hostName));
  return {
    address: { address: yours, length },
    server,
    lease,
    ...readTimes(options, lease),
    ...routing,
    ...(mtu === undefined || mtu < LEAST_MTU ? {} : { mtu }),
    dns: readAddresses(options.get(code.dns)),
    ...(domain === undefined ? {} : { domain }),
    search: readSearchList(options.get(code.searchList)),
    ...(hostName === undefined ? {} : { hostName }),
  };
}

/** RFC 2131 §4.4.5: without T1 and T2, or where they make no sense, a half and seven eighths of the lease. */
function readTimes(options: Message['options'], lease: number): Pick<Terms, 'renew' | 'rebind'> {
  const t2 = readNumber(options.get(code.rebindingTime), 4);
  const rebind = t2 !== undefined && t2 > 0 && t2 < lease ? t2 : lease * 0.875;
  const t1 = readNumber(options.get(code.renewalTime), 4);
  const renew = t1 !== undefined && t1 > 0 && t1 <= rebind ? t1 : Math.min(lease * 0.5, rebind);
  return { renew, rebind };
}

/** With classless routes the router option counts for nothing (RFC 3442, "DHCP Client Behavior"). */
function readRouting(options: Message['options']): Pick<Terms, 'gateway' | 'routes'> {
  const classless =
    readClasslessRoutes(options.get(code.classlessRoutes)) ??
    readClasslessRoutes(options.get(code.classlessRoutesMicrosoft));
  if (classless === undefined) {
    const [gateway] = readAddresses(options.get(code.router));
    return { ...(gateway === undefined ? {} : { gateway }), routes: [] };
  }
  const gateway = classless.find(({ destination, via }) => destination.length === 0 && via !== undefined)?.via;
  return {
    ...(gateway === undefined ? {} : { gateway }),
    routes: classless.filter(({ destination }) => destination.length > 0),
  };
}

/**
 * RFC 3442: a length, as many bytes of the destination as it needs, and the router; 0.0.0.0 as router is the link itself.
 *
 * @returns undefined when it is absent or cannot be read to its end.
 */
export function readClasslessRoutes(value: Uint8Array | undefined): readonly LeaseRoute[] | undefined {
  if (value === undefined) return undefined;
  const routes: LeaseRoute[] = [];
  for (let at = 0; at < value.length; ) {
    const length = value[at]!;
    const significant = Math.ceil(length / 8);
    const end = at + 1 + significant + 4;
    if (length > 32 || end > value.length || routes.length === MOST) return undefined;
    const bytes = new Uint8Array(4);
    bytes.set(value.subarray(at + 1, at + 1 + significant));
    const via = readAddress(value.subarray(end - 4, end));
    const destination = prefixOf({ address: addressFromBytes(bytes), length });
    routes.push({ destination, ...(via === undefined ? {} : { via }) });
    at = end;
  }
  return routes.length === 0 ? undefined : routes;
}

function readNumber(value: Uint8Array | undefined, bytes: 2 | 4): number | undefined {
  if (value?.length !== bytes) return undefined;
  const view = new DataView(value.buffer, value.byteOffset, bytes);
  return bytes === 2 ? view.getUint16(0) : view.getUint32(0);
}

function readAddresses(value: Uint8Array | undefined): readonly Address[] {
  if (value === undefined || value.length % 4 !== 0) return [];
  const count = Math.min(value.length / 4, MOST);
  return Array.from({ length: count }, (_, index) => readAddress(value.subarray(index * 4, index * 4 + 4))).filter(
    (address) => address !== undefined,
  );
}

/** @returns undefined for a mask with holes. */
function readMask(value: Uint8Array | undefined): number | undefined {
  const mask = readNumber(value, 4);
  if (mask === undefined || mask === 0) return undefined;
  const inverted = ~mask >>> 0;
  return (inverted & (inverted + 1)) === 0 ? Math.clz32(inverted) : undefined;
}

/** The mask from before CIDR, for servers that send none (RFC 2132 §3.3 leaves it to the client). */
function lengthByClass({ value }: Address): number {
  if (value >> 31n === 0n) return 8;
  return value >> 30n === 0b10n ? 16 : 24;
}

/** Whether a host may have this address: not of this host, loopback, multicast and up, nor its subnet's own two. */
function isHost({ address, length }: InterfaceAddress): boolean {
  const top = address.value >> 24n;
  if (top === 0n || top === 127n || top >= 224n) return false;
  if (length >= 31) return true;
  const host = address.value & ((1n << BigInt(32 - length)) - 1n);
  return host !== 0n && host !== (1n << BigInt(32 - length)) - 1n;
}

/** A name that may be shown and passed on: letters, digits, hyphens and dots; ends of text that some servers append are cut off. */
function readName(value: Uint8Array | undefined): string | undefined {
  if (value === undefined || value.length > 255) return undefined;
  const text = Buffer.from(value).toString('latin1').replace(/\0+$/, '').replace(/\.$/, '');
  return /^[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*$/.test(text) ? text : undefined;
}

/** RFC 3397: names as in DNS, with pointers into the option's own bytes, backwards only. DHCPv6 has the same without pointers. */
export function readSearchList(value: Uint8Array | undefined): readonly string[] {
  if (value === undefined) return [];
  const names: string[] = [];
  for (let at = 0; at < value.length && names.length < MOST; ) {
    const read = readDnsName(value, at);
    if (read === undefined) return [];
    const name = readName(Buffer.from(read.labels.join('.'), 'latin1'));
    if (name !== undefined) names.push(name);
    at = read.next;
  }
  return names;
}

function readDnsName(bytes: Uint8Array, start: number): { labels: readonly string[]; next: number } | undefined {
  const labels: string[] = [];
  let next: number | undefined;
  for (let at = start; labels.length < MOST; ) {
    const length = bytes[at];
    if (length === undefined) return undefined;
    if (length === 0) return { labels, next: next ?? at + 1 };
    if (length >= 0xc0) {
      const target = ((length & 0x3f) << 8) | (bytes[at + 1] ?? 0xff);
      if (target >= at) return undefined;
      next ??= at + 2;
      at = target;
      continue;
    }
    if (length > 63 || at + 1 + length > bytes.length) return undefined;
    labels.push(Buffer.from(bytes.subarray(at + 1, at + 1 + length)).toString('latin1'));
    at += 1 + length;
  }
  return undefined;
}

/**
 * Single values of a request: from the text that Docker sent to the type that Berth works with. Each throws a one-line
 * BerthError that begins with `where` (method and field) and shows the value.
 */

import { type Address, bits, type Family, formatAddress, parseAddress } from '../model/address.ts';
import { BerthError } from '../model/errors.ts';
import { type EndpointId, type NetworkId, type PoolId, parseEndpointId, parseNetworkId } from '../model/ids.ts';
import { type Mac, macFromBytes, parseMac } from '../model/mac.ts';
import {
  contains,
  formatPrefix,
  type InterfaceAddress,
  type Prefix,
  parseInterfaceAddress,
  parsePrefix,
  prefixOf,
} from '../model/prefix.ts';
import { shown } from './text.ts';

/** @throws BerthError BAD_REQUEST */
export function networkId(where: string, text: string): NetworkId {
  return parseNetworkId(text) ?? badRequest(where, text, 'is not an id (12 to 64 letters and digits)');
}

/** @throws BerthError BAD_REQUEST */
export function endpointId(where: string, text: string): EndpointId {
  return parseEndpointId(text) ?? badRequest(where, text, 'is not an id (12 to 64 letters and digits)');
}

const SEGMENT = /^[A-Za-z0-9_.:-]+$/;

/**
 * The id of a pool, ours or, after a change of IPAM driver, somebody else's: Docker keeps ids for years, and releasing an
 * unknown one must reach the driver to succeed. Only what could disturb a store key is refused.
 *
 * @throws BerthError BAD_REQUEST
 */
export function poolIdField(where: string, text: string): PoolId {
  const segments = text.split('/');
  const sane = segments.every((segment) => SEGMENT.test(segment) && segment !== '.' && segment !== '..');
  return sane && text.length <= 256 ? (text as PoolId) : badRequest(where, text, 'is not the id of a pool');
}

/** The name of an address space becomes a part of pool ids. @throws BerthError BAD_REQUEST */
export function addressSpace(where: string, text: string): string {
  return /^[A-Za-z0-9_-]{1,64}$/.test(text)
    ? text
    : badRequest(where, text, 'is not an address space (1 to 64 letters, digits, _ and -)');
}

/** A path of the host. @throws BerthError BAD_REQUEST */
export function absolutePath(where: string, text: string): string {
  const sane = /^\/[^\p{Cc}]+$/u.test(text) && text.length <= 4096 && !text.split('/').includes('..');
  return sane ? text : badRequest(where, text, 'is not an absolute path');
}

/** A container's name, informational; engines may put a slash in front. @throws BerthError BAD_REQUEST */
export function containerName(where: string, text: string): string {
  const name = text.startsWith('/') ? text.slice(1) : text;
  return /^[^/\p{Cc}]{1,255}$/u.test(name) ? name : badRequest(where, text, 'is not the name of a container');
}

/** Six octets in any case, with `:` or `-`. @throws BerthError BAD_REQUEST */
export function macField(where: string, text: string): Mac {
  return parseMac(text) ?? badRequest(where, text, 'is not the MAC address of one interface');
}

/** Go writes `[]byte` as base64; this is how the engine sends `--mac-address` in Options. @throws BerthError BAD_REQUEST */
export function macFromBase64(where: string, text: string): Mac {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length !== 6 || bytes.toString('base64') !== text)
    return badRequest(where, text, 'is not a MAC address in base64');
  return macField(where, macFromBytes(bytes));
}

/** An address that a host may hold, without a length. @throws BerthError BAD_ADDRESS */
export function hostAddress(where: string, text: string): Address {
  return forHosts(where, text, parseAddress(text) ?? badAddress(where, text, whyNotAddress(text)));
}

/**
 * An address of a pool. One that stands for a DHCP server has no subnet, and 0.0.0.0 in the place of its gateway.
 *
 * @throws BerthError BAD_ADDRESS
 */
export function addressOfPool(where: string, text: string, pool: PoolId): Address {
  return text === '0.0.0.0' && pool.startsWith('dhcp/') ? { family: 4, value: 0n } : hostAddress(where, text);
}

/** An address with a length, as an interface has it. @throws BerthError BAD_ADDRESS */
export function interfaceAddress(where: string, text: string, wanted: Family): InterfaceAddress {
  const parsed = parseInterfaceAddress(text);
  if (parsed === undefined) {
    const [address = '', length] = text.split('/');
    const read = parseAddress(address);
    if (read === undefined) return badAddress(where, text, whyNotAddress(address));
    if (length === undefined) return badAddress(where, text, 'lacks the length of its prefix');
    return badAddress(where, text, `has a length that is not a number from 0 to ${bits(read.family)}`);
  }
  if (parsed.address.family !== wanted) return badAddress(where, text, `is not IPv${wanted}`);
  forHosts(where, text, parsed.address);
  return parsed;
}

/**
 * An address that belongs to a subnet, with or without a length: engines send `10.1.0.5/24`, their documentation says
 * `10.1.0.5`.
 *
 * @throws BerthError BAD_ADDRESS, ADDRESS_OUTSIDE
 */
export function addressIn(where: string, text: string, subnet: Prefix): Address {
  const address = text.includes('/')
    ? interfaceAddress(where, text, subnet.address.family).address
    : hostAddress(where, text);
  if (!contains(subnet, address))
    throw new BerthError('ADDRESS_OUTSIDE', `${where} ${shown(text)} lies outside of ${formatPrefix(subnet)}`);
  return address;
}

/** A block of addresses without host bits. @throws BerthError BAD_SUBNET */
export function subnetField(where: string, text: string): Prefix {
  const prefix = parsePrefix(text);
  if (prefix !== undefined) return prefix;
  const aligned = parseInterfaceAddress(text);
  if (aligned !== undefined)
    return badSubnet(where, text, `has host bits set; the subnet is ${formatPrefix(prefixOf(aligned))}`);
  const [address = '', length] = text.split('/');
  const read = parseAddress(address);
  if (read === undefined) return badSubnet(where, text, whyNotAddress(address));
  if (length === undefined) return badSubnet(where, text, 'lacks the length of its prefix');
  return badSubnet(where, text, `has a length that is not a number from 0 to ${bits(read.family)}`);
}

function forHosts(where: string, text: string, address: Address): Address {
  const { family, value } = address;
  const top = value >> BigInt(bits(family) - 8);
  if (value === 0n) return badAddress(where, text, 'is the unspecified address');
  if (family === 4 ? top === 127n : value === 1n) return badAddress(where, text, 'is a loopback address');
  if (family === 4 ? top >= 224n : top === 0xffn)
    return badAddress(where, text, family === 4 ? 'is multicast, reserved or broadcast' : 'is a multicast address');
  return address;
}

function whyNotAddress(text: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(text);
  const v4 = mapped === null ? undefined : parseAddress(mapped[1]!);
  if (v4 !== undefined) return `is IPv4 written as IPv6; write ${formatAddress(v4)}`;
  if (text.includes('%')) return 'has a zone, which an address here cannot have';
  if (/^\d+(\.\d+){3}$/.test(text) && /(^|\.)0\d/.test(text))
    return 'has leading zeros, which some read as octal; write it without';
  return 'is not an IP address';
}

function badAddress(where: string, text: string, why: string): never {
  throw new BerthError('BAD_ADDRESS', `${where} ${text === '' ? 'is missing' : `${shown(text)} ${why}`}`);
}

function badSubnet(where: string, text: string, why: string): never {
  throw new BerthError('BAD_SUBNET', `${where} ${text === '' ? 'is missing' : `${shown(text)} ${why}`}`);
}

function badRequest(where: string, text: string, why: string): never {
  throw new BerthError('BAD_REQUEST', `${where} ${text === '' ? 'is missing' : `${shown(text)} ${why}`}`);
}

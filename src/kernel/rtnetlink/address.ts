/** Addresses on links: RTM_NEWADDR and its relatives (`struct ifaddrmsg`, linux/if_addr.h). */

import { addressBytes, addressFromBytes } from '../../model/address.ts';
import { type InterfaceAddress, lastAddress, prefixOf } from '../../model/prefix.ts';
import type { LinkAddress } from '../objects.ts';
import { getU32, readAttributes, readU32, type Writer } from './attributes.ts';
import {
  AF_INET,
  AF_INET6,
  IFA_ADDRESS,
  IFA_BROADCAST,
  IFA_CACHEINFO,
  IFA_F_NODAD,
  IFA_F_NOPREFIXROUTE,
  IFA_FLAGS,
  IFA_LOCAL,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  RT_SCOPE_HOST,
  RT_SCOPE_UNIVERSE,
  RTM_DELADDR,
  RTM_GETADDR,
  RTM_NEWADDR,
} from './constants.ts';
import { type Request, request } from './message.ts';

/** INFINITY_LIFE_TIME. */
const FOREVER = 0xffffffff;

export interface AddressRecord {
  readonly link: number;
  readonly address: InterfaceAddress;
  readonly scope: number;
  readonly noPrefixRoute: boolean;
  readonly validSeconds: number | undefined;
  readonly preferredSeconds: number | undefined;
}

function writeHeader(writer: Writer, { address, length }: InterfaceAddress, link: number): void {
  const loopback = address.family === 4 && address.value >> 24n === 127n;
  writer
    .u8(address.family === 4 ? AF_INET : AF_INET6)
    .u8(length)
    .u8(0)
    .u8(loopback ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE)
    .u32(link);
}

/**
 * Adds an address. IPv6 without duplicate address detection: Berth hands out each address once, and a tentative one
 * cannot be bound or answered for about a second.
 *
 * @param replace an address that is there gets new lifetimes (and, in IPv6, flags); without it that is EEXIST.
 */
export function newAddress(wanted: LinkAddress, link: number, replace: boolean): Request {
  const { address, length } = wanted.address;
  return request(RTM_NEWADDR, NLM_F_CREATE | (replace ? NLM_F_REPLACE : NLM_F_EXCL), (writer) => {
    writeHeader(writer, wanted.address, link);
    const bytes = addressBytes(address);
    writer.attribute(IFA_LOCAL, bytes).attribute(IFA_ADDRESS, bytes);
    if (address.family === 4 && length < 31) {
      writer.attribute(IFA_BROADCAST, addressBytes(lastAddress(prefixOf(wanted.address))));
    }
    const flags = (address.family === 6 ? IFA_F_NODAD : 0) | (wanted.noPrefixRoute === true ? IFA_F_NOPREFIXROUTE : 0);
    if (flags !== 0) writer.attributeU32(IFA_FLAGS, flags);
    const valid = wanted.validSeconds ?? FOREVER;
    const preferred = Math.min(wanted.preferredSeconds ?? FOREVER, valid);
    writer.attribute(IFA_CACHEINFO, new Uint8Array(Uint32Array.of(preferred, valid, 0, 0).buffer));
  });
}

export function deleteAddress(address: InterfaceAddress, link: number): Request {
  return request(RTM_DELADDR, 0, (writer) => {
    writeHeader(writer, address, link);
    const bytes = addressBytes(address.address);
    writer.attribute(IFA_LOCAL, bytes).attribute(IFA_ADDRESS, bytes);
  });
}

/** To be dumped. @param link only of this one, where the kernel can filter (4.20); 0: of all. */
export function getAddresses(link = 0): Request {
  return request(RTM_GETADDR, 0, (writer) => writer.u8(0).u8(0).u8(0).u8(0).u32(link));
}

/** Decodes RTM_NEWADDR or RTM_DELADDR; undefined when it is of neither IP family. */
export function readAddress({ body }: { readonly body: Uint8Array }): AddressRecord | undefined {
  if (body[0] !== AF_INET && body[0] !== AF_INET6) return undefined;
  const attributes = readAttributes(body.subarray(8));
  // On a point-to-point link IFA_ADDRESS is the other end; IPv6 leaves out IFA_LOCAL otherwise.
  const address = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS);
  if (address === undefined) return undefined;
  const cache = attributes.get(IFA_CACHEINFO);
  const seconds = (at: number) => {
    const value = cache === undefined || cache.length < 8 ? FOREVER : readU32(cache, at);
    return value === FOREVER ? undefined : value;
  };
  const flags = getU32(attributes, IFA_FLAGS) ?? body[2]!;
  return {
    link: readU32(body, 4),
    address: { address: addressFromBytes(address), length: body[1]! },
    scope: body[3]!,
    noPrefixRoute: (flags & IFA_F_NOPREFIXROUTE) !== 0,
    preferredSeconds: seconds(0),
    validSeconds: seconds(4),
  };
}

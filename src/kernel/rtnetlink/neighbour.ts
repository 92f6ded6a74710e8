/** Neighbours and forwarding entries: RTM_NEWNEIGH and its relatives (`struct ndmsg`, linux/neighbour.h). */

import { type Address, addressBytes, addressFromBytes } from '../../model/address.ts';
import { macBytes, macFromBytes } from '../../model/mac.ts';
import type { FdbEntry, Neighbour } from '../objects.ts';
import { getU16, readAttributes, readU16, readU32, type Writer } from './attributes.ts';
import {
  AF_BRIDGE,
  AF_INET,
  AF_INET6,
  NDA_DST,
  NDA_IFINDEX,
  NDA_LLADDR,
  NDA_VLAN,
  NLM_F_APPEND,
  NLM_F_CREATE,
  NLM_F_REPLACE,
  NTF_MASTER,
  NTF_PROXY,
  NTF_SELF,
  NUD_NOARP,
  NUD_PERMANENT,
  NUD_REACHABLE,
  RTM_DELNEIGH,
  RTM_GETNEIGH,
  RTM_NEWNEIGH,
} from './constants.ts';
import { type Request, request } from './message.ts';

/** The flood entry of a VXLAN device. */
export const FLOOD = '00:00:00:00:00:00';

export interface NeighbourRecord {
  readonly link: number;
  readonly address: Address;
  readonly mac: FdbEntry['mac'] | undefined;
  readonly proxy: boolean;
  readonly permanent: boolean;
  /** It has answered within about the last half minute (base_reachable_time). */
  readonly reachable: boolean;
}

export interface FdbRecord {
  readonly link: number;
  readonly mac: FdbEntry['mac'];
  readonly dst: Address | undefined;
  readonly vlan: number | undefined;
  /** Of the device itself (`self`), rather than of the bridge that it is a port of. */
  readonly self: boolean;
  /** Does not age: somebody put it there. */
  readonly fixed: boolean;
  /** A bridge's own address, which ends there. */
  readonly local: boolean;
}

interface Header {
  readonly family: number;
  readonly link: number;
  readonly state: number;
  readonly flags: number;
}

function writeHeader(writer: Writer, { family, link, state, flags }: Header): void {
  writer.u8(family).u8(0).u16(0).u32(link).u16(state).u8(flags).u8(0);
}

const familyOf = (address: Address): number => (address.family === 4 ? AF_INET : AF_INET6);

/** Adds a permanent or proxy entry, or makes a learnt one permanent. */
export function newNeighbour(neighbour: Neighbour, link: number): Request {
  const proxy = neighbour.proxy === true;
  return request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, (writer) => {
    const state = proxy ? 0 : NUD_PERMANENT;
    writeHeader(writer, { family: familyOf(neighbour.address), link, state, flags: proxy ? NTF_PROXY : 0 });
    writer.attribute(NDA_DST, addressBytes(neighbour.address));
    if (neighbour.mac !== undefined && !proxy) writer.attribute(NDA_LLADDR, macBytes(neighbour.mac));
  });
}

export function deleteNeighbour(neighbour: Neighbour, link: number): Request {
  return request(RTM_DELNEIGH, 0, (writer) => {
    const flags = neighbour.proxy === true ? NTF_PROXY : 0;
    writeHeader(writer, { family: familyOf(neighbour.address), link, state: 0, flags });
    writer.attribute(NDA_DST, addressBytes(neighbour.address));
  });
}

/** To be dumped. @param link only of this one, where the kernel can filter; 0: of all. */
export function getNeighbours(link: number, proxy: boolean): Request {
  return request(RTM_GETNEIGH, 0, (writer) => {
    writeHeader(writer, { family: 0, link: 0, state: 0, flags: proxy ? NTF_PROXY : 0 });
    if (link !== 0) writer.attributeU32(NDA_IFINDEX, link);
  });
}

/** Decodes RTM_NEWNEIGH or RTM_DELNEIGH of an IP family; undefined for others. */
export function readNeighbour({ body }: { readonly body: Uint8Array }): NeighbourRecord | undefined {
  if (body[0] !== AF_INET && body[0] !== AF_INET6) return undefined;
  const attributes = readAttributes(body.subarray(12));
  const address = attributes.get(NDA_DST);
  if (address === undefined) return undefined;
  const mac = attributes.get(NDA_LLADDR);
  return {
    link: readU32(body, 4),
    address: addressFromBytes(address),
    mac: mac?.length === 6 ? macFromBytes(mac) : undefined,
    proxy: (body[10]! & NTF_PROXY) !== 0,
    permanent: (readU16(body, 8) & NUD_PERMANENT) !== 0,
    reachable: (readU16(body, 8) & NUD_REACHABLE) !== 0,
  };
}

/**
 * Adds a forwarding entry.
 *
 * @param self of the device (VXLAN, a bridge's own address) rather than of its bridge.
 */
export function newFdbEntry(entry: FdbEntry, link: number, self: boolean): Request {
  // A VXLAN device has one remote for an address, but may have many for the flood entry: appending what is there is no
  // error, and replacing would leave one of them (vxlan_fdb_update).
  const flags = entry.mac === FLOOD ? NLM_F_CREATE | NLM_F_APPEND : NLM_F_CREATE | NLM_F_REPLACE;
  return request(RTM_NEWNEIGH, flags, (writer) => {
    writeFdb(writer, entry, link, self);
  });
}

export function deleteFdbEntry(entry: FdbEntry, link: number, self: boolean): Request {
  return request(RTM_DELNEIGH, 0, (writer) => writeFdb(writer, entry, link, self));
}

function writeFdb(writer: Writer, entry: FdbEntry, link: number, self: boolean): void {
  // In a bridge NUD_PERMANENT would mean an address of the host itself, and NUD_NOARP is a static one (br_fdb_add). Where
  // a device keeps its own, only a permanent one can be added or removed (ndo_dflt_fdb_del).
  const state = self ? NUD_PERMANENT | NUD_NOARP : NUD_NOARP;
  writeHeader(writer, { family: AF_BRIDGE, link, state, flags: self ? NTF_SELF : NTF_MASTER });
  writer.attribute(NDA_LLADDR, fdbMacBytes(entry.mac));
  if (entry.dst !== undefined) writer.attribute(NDA_DST, addressBytes(entry.dst));
  if (entry.vlan !== undefined) writer.attributeU16(NDA_VLAN, entry.vlan);
}

function fdbMacBytes(mac: FdbEntry['mac']): Uint8Array {
  return mac === FLOOD ? new Uint8Array(6) : macBytes(mac);
}

/** To be dumped: of one device, both its own entries and those of the bridge that point to it. */
export function getFdb(link: number): Request {
  return request(RTM_GETNEIGH, 0, (writer) => writeHeader(writer, { family: AF_BRIDGE, link, state: 0, flags: 0 }));
}

/** Decodes RTM_NEWNEIGH or RTM_DELNEIGH of family AF_BRIDGE; undefined for others. */
export function readFdbEntry({ body }: { readonly body: Uint8Array }): FdbRecord | undefined {
  if (body[0] !== AF_BRIDGE) return undefined;
  const attributes = readAttributes(body.subarray(12));
  const mac = attributes.get(NDA_LLADDR);
  if (mac?.length !== 6) return undefined;
  const dst = attributes.get(NDA_DST);
  const state = readU16(body, 8);
  const self = (body[10]! & NTF_SELF) !== 0;
  return {
    link: readU32(body, 4),
    mac: macFromBytes(mac),
    dst: dst === undefined ? undefined : addressFromBytes(dst),
    vlan: getU16(attributes, NDA_VLAN),
    self,
    fixed: (state & (NUD_NOARP | NUD_PERMANENT)) !== 0,
    local: !self && (state & NUD_PERMANENT) !== 0,
  };
}

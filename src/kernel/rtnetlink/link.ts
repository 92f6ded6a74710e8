/** Links: RTM_NEWLINK and its relatives (`struct ifinfomsg`, linux/if_link.h). */

import { type Mac, macBytes, macFromBytes } from '../../model/mac.ts';
import type { Link, MadeLink, PortFlag } from '../objects.ts';
import { getString, getU8, getU32, nestedAttributes, readAttributes, readU32, type Writer } from './attributes.ts';
import {
  AF_INET6,
  AF_UNSPEC,
  IFF_UP,
  IFLA_ADDRESS,
  IFLA_AF_SPEC,
  IFLA_BRPORT_ISOLATED,
  IFLA_BRPORT_LEARNING,
  IFLA_BRPORT_MODE,
  IFLA_BRPORT_NEIGH_SUPPRESS,
  IFLA_BRPORT_UNICAST_FLOOD,
  IFLA_EXT_MASK,
  IFLA_GROUP,
  IFLA_IFALIAS,
  IFLA_IFNAME,
  IFLA_INET6_ADDR_GEN_MODE,
  IFLA_INFO_DATA,
  IFLA_INFO_KIND,
  IFLA_INFO_SLAVE_DATA,
  IFLA_INFO_SLAVE_KIND,
  IFLA_LINK,
  IFLA_LINK_NETNSID,
  IFLA_LINKINFO,
  IFLA_MASTER,
  IFLA_MTU,
  IFLA_NET_NS_FD,
  IFLA_PARENT_DEV_NAME,
  IFLA_PROTO_DOWN,
  IN6_ADDR_GEN_MODE_EUI64,
  IN6_ADDR_GEN_MODE_NONE,
  NLM_F_CREATE,
  NLM_F_EXCL,
  RTEXT_FILTER_SKIP_STATS,
  RTM_DELLINK,
  RTM_GETLINK,
  RTM_NEWLINK,
  RTM_SETLINK,
} from './constants.ts';
import { type LinkDetails, readDetails, writeDetails } from './link-details.ts';
import { type Request, request } from './message.ts';

/** A link as the kernel describes it. */
export interface LinkRecord {
  readonly index: number;
  readonly name: string;
  /** IFLA_INFO_KIND; absent for a NIC. */
  readonly type: string | undefined;
  readonly flags: number;
  readonly mtu: number;
  readonly mac: Mac | undefined;
  readonly master: number | undefined;
  readonly link: number | undefined;
  /** Set when `link` is an index in another namespace. */
  readonly linkNamespace: number | undefined;
  readonly alias: string | undefined;
  /** IFLA_PARENT_DEV_NAME. */
  readonly device: string | undefined;
  readonly group: number;
  /** Absent where the link has no IPv6 (`ipv6.disable=1`, an MTU below 1280). */
  readonly addressGeneration: number | undefined;
  readonly details: LinkDetails | undefined;
  readonly port: PortRecord | undefined;
  readonly protoDown: boolean;
}

export type PortRecord = Readonly<Record<PortFlag, boolean>>;

const portFlags: Readonly<Record<PortFlag, number>> = {
  isolated: IFLA_BRPORT_ISOLATED,
  hairpin: IFLA_BRPORT_MODE,
  learning: IFLA_BRPORT_LEARNING,
  flood: IFLA_BRPORT_UNICAST_FLOOD,
  neighbourSuppression: IFLA_BRPORT_NEIGH_SUPPRESS,
};

export const PORT_FLAGS = Object.keys(portFlags) as readonly PortFlag[];

/** Indexes and descriptors for the names in a declared link. */
export interface LinkReferences {
  readonly master?: number;
  readonly parent?: number;
  /** An open descriptor of the namespace that a veth's peer is made in. */
  readonly peerNamespace?: number;
  /** An open descriptor of the namespace that the link itself is made in, while its parent is in ours. */
  readonly namespace?: number;
}

/** What can be set on a link that exists. */
export interface LinkChange {
  readonly mtu?: number;
  readonly mac?: Mac;
  readonly up?: boolean;
  readonly protoDown?: boolean;
  /** Index; 0: of none. */
  readonly master?: number;
  readonly alias?: string;
  readonly noLinkLocal?: boolean;
  readonly port?: Link['port'];
  readonly group?: number;
  /** Settings of the type, such as a bridge's; only what may be changed. */
  readonly details?: MadeLink;
}

interface Header {
  readonly index?: number;
  readonly flags?: number;
  readonly change?: number;
}

/** `struct ifinfomsg`. */
export function writeLinkHeader(writer: Writer, { index = 0, flags = 0, change = 0 }: Header): void {
  writer.u8(AF_UNSPEC).u8(0).u16(0).u32(index).u32(flags).u32(change);
}

/**
 * Creates a link, down. The kernel takes name, MTU, MAC, master and everything of the type here, but ignores alias and
 * IFLA_AF_SPEC on creation (rtnl_create_link), and sets IFF_UP before the master (rtnl_newlink_create): the rest follows
 * with `changeLink`, so that a port is isolated and an address mode set before the first packet. A bridge's MTU too: given
 * here, it would not outlast the first port (br_mtu_auto_adjust).
 */
export function createLink(link: MadeLink, references: LinkReferences): Request {
  return request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, (writer) => {
    writeLinkHeader(writer, {});
    writer.attributeString(IFLA_IFNAME, link.name);
    if (link.mtu !== undefined && link.type !== 'bridge') writer.attributeU32(IFLA_MTU, link.mtu);
    if (link.mac !== undefined) writer.attribute(IFLA_ADDRESS, macBytes(link.mac));
    if (references.master !== undefined) writer.attributeU32(IFLA_MASTER, references.master);
    if (references.parent !== undefined) writer.attributeU32(IFLA_LINK, references.parent);
    if (references.namespace !== undefined) writer.attributeU32(IFLA_NET_NS_FD, references.namespace);
    writer.nested(IFLA_LINKINFO, () => {
      writer.attributeString(IFLA_INFO_KIND, link.type);
      writer.nested(IFLA_INFO_DATA, () => writeDetails(writer, link, references));
    });
  });
}

/**
 * The requests that change a link, to be sent in this order: setting it up comes last.
 *
 * @param target its index, or its name when that is not known yet.
 */
export function changeLink(target: number | string, change: LinkChange): Request[] {
  const requests: Request[] = [];
  const header = (writer: Writer, extra: Header = {}) => {
    writeLinkHeader(writer, typeof target === 'number' ? { ...extra, index: target } : extra);
    if (typeof target === 'string') writer.attributeString(IFLA_IFNAME, target);
  };
  const { mtu, mac, master, alias, group, details, port, protoDown, up } = change;

  if (mtu !== undefined || mac !== undefined || master !== undefined || alias !== undefined || group !== undefined) {
    requests.push(
      request(RTM_SETLINK, 0, (writer) => {
        header(writer);
        if (mtu !== undefined) writer.attributeU32(IFLA_MTU, mtu);
        if (mac !== undefined) writer.attribute(IFLA_ADDRESS, macBytes(mac));
        if (group !== undefined) writer.attributeU32(IFLA_GROUP, group);
        if (alias !== undefined) writer.attributeString(IFLA_IFALIAS, alias);
        if (master !== undefined) writer.attributeU32(IFLA_MASTER, master);
      }),
    );
  }
  for (const part of details === undefined ? [] : inOrder(details)) {
    requests.push(
      request(RTM_NEWLINK, 0, (writer) => {
        header(writer);
        writer.nested(IFLA_LINKINFO, () => {
          writer.attributeString(IFLA_INFO_KIND, part.type);
          writer.nested(IFLA_INFO_DATA, () => writeDetails(writer, part, {}, true));
        });
      }),
    );
  }
  if (change.noLinkLocal !== undefined) requests.push(addressGeneration(header, change.noLinkLocal));
  if (port !== undefined) {
    requests.push(
      request(RTM_NEWLINK, 0, (writer) => {
        header(writer);
        writer.nested(IFLA_LINKINFO, () => {
          writer.attributeString(IFLA_INFO_SLAVE_KIND, 'bridge');
          writer.nested(IFLA_INFO_SLAVE_DATA, () => writePort(writer, port));
        });
      }),
    );
  }
  if (protoDown !== undefined) {
    requests.push(
      request(RTM_SETLINK, 0, (writer) => {
        header(writer);
        writer.attributeU8(IFLA_PROTO_DOWN, Number(protoDown));
      }),
    );
  }
  if (up !== undefined) {
    requests.push(request(RTM_SETLINK, 0, (writer) => header(writer, { flags: up ? IFF_UP : 0, change: IFF_UP })));
  }
  return requests;
}

/** The spanning tree bounds the forward delay, so it comes first: off before a delay of 0, on before a longer one. */
function inOrder(link: MadeLink): MadeLink[] {
  if (link.type !== 'bridge' || link.stp === undefined) return [link];
  const { stp, ...others } = link;
  return [{ kind: 'link', type: 'bridge', name: link.name, stp }, others];
}

function addressGeneration(header: (writer: Writer) => void, off: boolean): Request {
  return request(RTM_SETLINK, 0, (writer) => {
    header(writer);
    const mode = off ? IN6_ADDR_GEN_MODE_NONE : IN6_ADDR_GEN_MODE_EUI64;
    writer.nested(IFLA_AF_SPEC, () =>
      writer.nested(AF_INET6, () => writer.attributeU8(IFLA_INET6_ADDR_GEN_MODE, mode)),
    );
  });
}

/** Whether a request is the one of `changeLink` that fails where the kernel cannot take away the carrier of such a link. */
export function setsProtoDown(request: Request): boolean {
  return request.type === RTM_SETLINK && readAttributes(request.body.subarray(16)).has(IFLA_PROTO_DOWN);
}

/** Whether a request is the one of `changeLink` that fails, harmlessly, where the link has no IPv6. */
export function setsAddressGeneration(request: Request): boolean {
  return request.type === RTM_SETLINK && readAttributes(request.body.subarray(16)).has(IFLA_AF_SPEC);
}

function writePort(writer: Writer, port: NonNullable<Link['port']>): void {
  for (const flag of PORT_FLAGS) {
    const value = port[flag];
    if (value !== undefined) writer.attributeU8(portFlags[flag], Number(value));
  }
}

/** Renames a link, and moves it to another namespace when its descriptor is given. The kernel sets it down for that. */
export function moveLink(index: number, namespace: number | undefined, name: string): Request {
  return request(RTM_SETLINK, 0, (writer) => {
    writeLinkHeader(writer, { index });
    if (namespace !== undefined) writer.attributeU32(IFLA_NET_NS_FD, namespace);
    writer.attributeString(IFLA_IFNAME, name);
  });
}

export function deleteLink(index: number): Request {
  return request(RTM_DELLINK, 0, (writer) => writeLinkHeader(writer, { index }));
}

/** Deletes all links of a group at once: the waiting for readers (RCU) is then done once, not once for each. */
export function deleteLinkGroup(group: number): Request {
  return request(RTM_DELLINK, 0, (writer) => {
    writeLinkHeader(writer, {});
    writer.attributeU32(IFLA_GROUP, group);
  });
}

/** Asks for one link. Without statistics, which are most of a link's description. */
export function getLink(target: number | string): Request {
  return request(RTM_GETLINK, 0, (writer) => {
    writeLinkHeader(writer, typeof target === 'number' ? { index: target } : {});
    writer.attributeU32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    if (typeof target === 'string') writer.attributeString(IFLA_IFNAME, target);
  });
}

/** To be dumped. */
export function getLinks(): Request {
  return request(RTM_GETLINK, 0, (writer) => {
    writeLinkHeader(writer, {});
    writer.attributeU32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  });
}

/** Decodes an RTM_NEWLINK or RTM_DELLINK message of family AF_UNSPEC. */
export function readLink({ body }: { readonly body: Uint8Array }): LinkRecord {
  const attributes = readAttributes(body.subarray(16));
  const info = nestedAttributes(attributes, IFLA_LINKINFO);
  const type = getString(info, IFLA_INFO_KIND);
  const inet6 = nestedAttributes(nestedAttributes(attributes, IFLA_AF_SPEC), AF_INET6);
  const address = attributes.get(IFLA_ADDRESS);
  return {
    index: readU32(body, 4),
    name: getString(attributes, IFLA_IFNAME) ?? '',
    type,
    flags: readU32(body, 8),
    mtu: getU32(attributes, IFLA_MTU) ?? 0,
    // The loopback interface has six zeros, which are no address.
    mac: address?.length === 6 && address.some((byte) => byte !== 0) ? macFromBytes(address) : undefined,
    master: getU32(attributes, IFLA_MASTER),
    link: getU32(attributes, IFLA_LINK),
    linkNamespace: getU32(attributes, IFLA_LINK_NETNSID),
    alias: getString(attributes, IFLA_IFALIAS),
    device: getString(attributes, IFLA_PARENT_DEV_NAME),
    group: getU32(attributes, IFLA_GROUP) ?? 0,
    addressGeneration: getU8(inet6, IFLA_INET6_ADDR_GEN_MODE),
    details: readDetails(type, nestedAttributes(info, IFLA_INFO_DATA)),
    port: getString(info, IFLA_INFO_SLAVE_KIND) === 'bridge' ? readPort(info) : undefined,
    protoDown: getU8(attributes, IFLA_PROTO_DOWN) === 1,
  };
}

function readPort(info: ReturnType<typeof readAttributes>): PortRecord {
  const data = nestedAttributes(info, IFLA_INFO_SLAVE_DATA);
  return Object.fromEntries(PORT_FLAGS.map((flag) => [flag, getU8(data, portFlags[flag]) === 1])) as PortRecord;
}

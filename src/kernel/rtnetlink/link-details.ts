/** What each type of link has of its own: IFLA_INFO_DATA. */

import { type Address, addressBytes, addressFromBytes } from '../../model/address.ts';
import { macBytes } from '../../model/mac.ts';
import type { Link, MacvlanLink, MadeLink, VxlanLink } from '../objects.ts';
import { type Attributes, getU8, getU16, getU16BE, getU32, type Writer } from './attributes.ts';
import {
  AF_UNSPEC,
  IFLA_ADDRESS,
  IFLA_BR_FORWARD_DELAY,
  IFLA_BR_MCAST_SNOOPING,
  IFLA_BR_STP_STATE,
  IFLA_BR_VLAN_FILTERING,
  IFLA_IFNAME,
  IFLA_IPVLAN_MODE,
  IFLA_MACVLAN_MODE,
  IFLA_MTU,
  IFLA_NET_NS_FD,
  IFLA_VLAN_ID,
  IFLA_VXLAN_ID,
  IFLA_VXLAN_LEARNING,
  IFLA_VXLAN_LINK,
  IFLA_VXLAN_LOCAL,
  IFLA_VXLAN_LOCAL6,
  IFLA_VXLAN_PORT,
  IFLA_VXLAN_TTL,
  VETH_INFO_PEER,
} from './constants.ts';

/** RFC 7348 §5. Linux uses 8472 when not told: it had VXLAN before IANA gave it a port. */
export const VXLAN_PORT = 4789;

export type LinkDetails =
  | {
      readonly type: 'bridge';
      readonly stp: boolean;
      readonly forwardDelay: number;
      readonly vlanFiltering: boolean;
      readonly multicastSnooping: boolean;
    }
  | {
      readonly type: 'vxlan';
      readonly vni: number;
      readonly udpPort: number;
      readonly local: Address | undefined;
      readonly parent: number | undefined;
      readonly learning: boolean;
      readonly ttl: number;
    }
  | { readonly type: 'macvlan'; readonly mode: MacvlanLink['mode'] }
  | { readonly type: 'ipvlan'; readonly mode: 'l2' | 'l3' | 'l3s' }
  | { readonly type: 'vlan'; readonly vlan: number };

/** linux/if_link.h: MACVLAN_MODE_…, IPVLAN_MODE_… */
const macvlanModes = { private: 1, vepa: 2, bridge: 4, passthru: 8 } as const;
const ipvlanModes = ['l2', 'l3', 'l3s'] as const;

/**
 * @param changing the link exists: what may not be changed is left out, since the kernel refuses some of it even when it
 * is the same.
 */
export function writeDetails(
  writer: Writer,
  link: MadeLink,
  references: { readonly parent?: number; readonly peerNamespace?: number },
  changing = false,
): void {
  switch (link.type) {
    case 'veth':
      if (!changing) writePeer(writer, link.peer, references.peerNamespace);
      return;
    case 'bridge':
      if (link.forwardDelay !== undefined) writer.attributeU32(IFLA_BR_FORWARD_DELAY, link.forwardDelay);
      if (link.stp !== undefined) writer.attributeU32(IFLA_BR_STP_STATE, Number(link.stp));
      if (link.vlanFiltering !== undefined) writer.attributeU8(IFLA_BR_VLAN_FILTERING, Number(link.vlanFiltering));
      if (link.multicastSnooping !== undefined) {
        writer.attributeU8(IFLA_BR_MCAST_SNOOPING, Number(link.multicastSnooping));
      }
      return;
    case 'vxlan':
      writeVxlan(writer, link, references.parent, changing);
      return;
    case 'macvlan':
      writer.attributeU32(IFLA_MACVLAN_MODE, macvlanModes[link.mode]);
      return;
    case 'ipvlan':
      writer.attributeU16(IFLA_IPVLAN_MODE, ipvlanModes.indexOf(link.mode));
      return;
    case 'vlan':
      if (!changing) writer.attributeU16(IFLA_VLAN_ID, link.vlan);
      return;
    case 'ifb':
    case 'dummy':
      return;
  }
}

/** VETH_INFO_PEER holds a whole link message: `struct ifinfomsg` and attributes (drivers/net/veth.c). */
function writePeer(
  writer: Writer,
  peer: Extract<Link, { type: 'veth' }>['peer'],
  namespaceFd: number | undefined,
): void {
  writer.nested(VETH_INFO_PEER, () => {
    writer.u8(AF_UNSPEC).u8(0).u16(0).u32(0).u32(0).u32(0);
    writer.attributeString(IFLA_IFNAME, peer.name);
    if (peer.mtu !== undefined) writer.attributeU32(IFLA_MTU, peer.mtu);
    if (peer.mac !== undefined) writer.attribute(IFLA_ADDRESS, macBytes(peer.mac));
    if (namespaceFd !== undefined) writer.attributeU32(IFLA_NET_NS_FD, namespaceFd);
  });
}

function writeVxlan(writer: Writer, link: VxlanLink, parent: number | undefined, changing: boolean): void {
  if (!changing) {
    writer.attributeU32(IFLA_VXLAN_ID, link.vni);
    writer.attributeU16BE(IFLA_VXLAN_PORT, link.udpPort ?? VXLAN_PORT);
    if (parent !== undefined) writer.attributeU32(IFLA_VXLAN_LINK, parent);
  }
  if (link.local !== undefined) {
    writer.attribute(link.local.family === 4 ? IFLA_VXLAN_LOCAL : IFLA_VXLAN_LOCAL6, addressBytes(link.local));
  }
  if (link.learning !== undefined) writer.attributeU8(IFLA_VXLAN_LEARNING, Number(link.learning));
  if (link.ttl !== undefined) writer.attributeU8(IFLA_VXLAN_TTL, link.ttl);
}

export function readDetails(type: string | undefined, data: Attributes): LinkDetails | undefined {
  switch (type) {
    case 'bridge':
      return {
        type,
        stp: (getU32(data, IFLA_BR_STP_STATE) ?? 0) !== 0,
        forwardDelay: getU32(data, IFLA_BR_FORWARD_DELAY) ?? 0,
        vlanFiltering: getU8(data, IFLA_BR_VLAN_FILTERING) === 1,
        multicastSnooping: getU8(data, IFLA_BR_MCAST_SNOOPING) === 1,
      };
    case 'vxlan': {
      const local = data.get(IFLA_VXLAN_LOCAL) ?? data.get(IFLA_VXLAN_LOCAL6);
      const parent = getU32(data, IFLA_VXLAN_LINK);
      return {
        type,
        vni: getU32(data, IFLA_VXLAN_ID) ?? 0,
        udpPort: getU16BE(data, IFLA_VXLAN_PORT) ?? 0,
        local: local === undefined ? undefined : addressFromBytes(local),
        parent: parent === 0 ? undefined : parent,
        learning: getU8(data, IFLA_VXLAN_LEARNING) === 1,
        ttl: getU8(data, IFLA_VXLAN_TTL) ?? 0,
      };
    }
    case 'macvlan': {
      const number = getU32(data, IFLA_MACVLAN_MODE);
      const mode = Object.entries(macvlanModes).find(([, value]) => value === number)?.[0];
      return mode === undefined ? undefined : { type, mode: mode as MacvlanLink['mode'] };
    }
    case 'ipvlan': {
      const mode = ipvlanModes[getU16(data, IFLA_IPVLAN_MODE) ?? -1];
      return mode === undefined ? undefined : { type, mode };
    }
    case 'vlan':
      return { type, vlan: getU16(data, IFLA_VLAN_ID) ?? 0 };
    default:
      return undefined;
  }
}

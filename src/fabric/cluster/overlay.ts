/**
 * How the bridges of one network on several hosts become one segment: a VXLAN device (RFC 7348) as a port of each. Nothing is
 * learnt from packets: who is where stands in the store, and the kernel is told. So a container is reachable everywhere before its
 * first packet, and one that is gone is gone everywhere.
 */

import type { KernelObject, VxlanLink } from '../../kernel/objects.ts';
import type { Address } from '../../model/address.ts';
import type { Mac } from '../../model/mac.ts';

/** The segment, as this host takes part in it. */
export interface Overlay {
  readonly vni: number;
  /** Where this host sends from, and is sent to. */
  readonly vtep: Address;
  readonly udpPort: number;
  readonly bridge: string;
  /** Of what is within the tunnel. */
  readonly mtu: number;
}

/** A container of a network on another host, or that host itself. */
export interface RemoteEndpoint {
  readonly mac: Mac;
  readonly addresses: readonly Address[];
  /** Of its host. */
  readonly vtep: Address;
}

/** How much of a segment's traffic concerns every host. */
export interface Reach {
  /** Broadcast and multicast go to each host that has a container of the network. Else they stay on their host. */
  readonly broadcast: boolean;
  /** We answer for the containers of other hosts, rather than let them be asked. */
  readonly answers: boolean;
}

/** `bridge fdb` knows no name for it. */
const EVERYBODY = '00:00:00:00:00:00';

/**
 * Named by the VNI, which a host has once only (vxlan_vni_in_use, drivers/net/vxlan): where a network has just been removed and its VNI
 * is another's already, the device changes hands.
 */
export const overlayLink = (vni: number): string => `bx${vni}`;

/** What makes the bridge a part of the segment. */
export function tunnel({ vni, vtep, udpPort, bridge, mtu }: Overlay): VxlanLink {
  return {
    kind: 'link',
    type: 'vxlan',
    name: overlayLink(vni),
    vni,
    local: vtep,
    udpPort,
    learning: false,
    mtu,
    master: bridge,
    // Unknown addresses are nobody's: every container's is known. What is asked of the bridge itself, the gateway, and what a
    // container asks to find out whether an address is taken, does not travel either (br_do_proxy_suppress_arp, br_do_suppress_nd).
    port: { learning: false, flood: false, neighbourSuppression: true },
    noLinkLocal: true,
    alias: `berth vni ${vni}`,
    up: true,
  };
}

/**
 * The way to the containers of one host.
 *
 * A packet to a known container goes to its host only. ARP requests and neighbour solicitations for it are answered by our bridge,
 * and never travel (br_do_proxy_suppress_arp, net/bridge/br_arp_nd_proxy.c: it wants the neighbour on the bridge, and the
 * forwarding entry that leads to the suppressing port). What nobody can be asked for, broadcast and multicast, is copied to each
 * host that has a container of the network, and to no other.
 */
export function wayTo(
  vtep: Address,
  remotes: readonly RemoteEndpoint[],
  { vni, bridge }: Pick<Overlay, 'vni' | 'bridge'>,
  { broadcast, answers }: Reach,
): readonly KernelObject[] {
  const link = overlayLink(vni);
  const objects: KernelObject[] = broadcast ? [{ kind: 'fdb', link, mac: EVERYBODY, dst: vtep }] : [];
  for (const { mac, addresses } of remotes) {
    objects.push({ kind: 'fdb', link, mac, dst: vtep }, { kind: 'fdb', link, mac });
    if (!answers) continue;
    for (const address of addresses) objects.push({ kind: 'neighbour', link: bridge, address, mac });
  }
  return objects;
}

/**
 * How the bridges of one network on several hosts become one segment: a VXLAN device (RFC 7348) as a port of each. Nothing is
 * learnt from packets: who is where stands in the store, and the kernel is told. So a container is reachable everywhere before its
 * first packet, and one that is gone is gone everywhere.
 */

import type { FdbEntry, KernelObject } from '../../kernel/objects.ts';
import type { Address } from '../../model/address.ts';
import { formatAddress } from '../../model/address.ts';
import { linkName } from '../../model/ids.ts';
import type { Mac } from '../../model/mac.ts';

/** The segment, as this host takes part in it. */
export interface Overlay {
  readonly network: string;
  readonly vni: number;
  /** Where this host sends from, and is sent to. */
  readonly vtep: Address;
  /** Absent: the IANA port, 4789. */
  readonly udpPort?: number;
  readonly bridge: string;
  /** Of what is within the tunnel. */
  readonly mtu: number;
}

/** A container of this network on another host. */
export interface RemoteEndpoint {
  readonly mac: Mac;
  readonly addresses: readonly Address[];
  /** Of its host. */
  readonly vtep: Address;
}

/** `bridge fdb` knows no name for it. */
const EVERYBODY = '00:00:00:00:00:00';

export const overlayLink = (network: string): string => linkName('bx', network);

/**
 * What makes the bridge a part of the segment.
 *
 * A packet to a known container goes to its host only. ARP requests and neighbour solicitations for it are answered by our bridge,
 * and never travel (br_do_proxy_suppress_arp, net/bridge/br_arp_nd_proxy.c: it wants the neighbour on the bridge, and the
 * forwarding entry that leads to the suppressing port). What nobody can be asked for, broadcast and multicast, is copied to each
 * host that has a container of the network, and to no other.
 */
export function overlayObjects(overlay: Overlay, remotes: readonly RemoteEndpoint[]): readonly KernelObject[] {
  const { vni, vtep, udpPort, bridge, mtu } = overlay;
  const link = overlayLink(overlay.network);
  const hosts = new Map(remotes.map((remote) => [formatAddress(remote.vtep), remote.vtep]));
  return [
    {
      kind: 'link',
      type: 'vxlan',
      name: link,
      vni,
      local: vtep,
      ...(udpPort === undefined ? {} : { udpPort }),
      learning: false,
      mtu,
      master: bridge,
      // Unknown addresses are nobody's: every container's is known.
      port: { learning: false, flood: false, neighbourSuppression: true },
      noLinkLocal: true,
      alias: `berth vni ${vni}`,
      up: true,
    },
    ...[...hosts.values()].map((dst): FdbEntry => ({ kind: 'fdb', link, mac: EVERYBODY, dst })),
    ...remotes.flatMap((remote): KernelObject[] => [
      { kind: 'fdb', link, mac: remote.mac, dst: remote.vtep },
      { kind: 'fdb', link, mac: remote.mac },
      ...remote.addresses.map(
        (address): KernelObject => ({ kind: 'neighbour', link: bridge, address, mac: remote.mac }),
      ),
    ]),
  ];
}

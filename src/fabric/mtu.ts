/** The MTU of a network follows from what lies beneath it; nobody has to know a number. */

import type { HostView } from '../kernel/kernel.ts';

/** IPv6 needs 1280 on every link (RFC 8200 §5); IPv4 would do with 68 (RFC 791), which no stack is tested with. */
export const LEAST_MTU = 1280;
/** The largest that a veth takes (ETH_MAX_MTU). */
export const GREATEST_MTU = 65535;
/** Of a link that nothing lies beneath yet. */
export const ETHERNET_MTU = 1500;

/** What an encapsulation adds to each packet, in bytes, by the family of the outer address. */
export const overhead = {
  none: { 4: 0, 6: 0 },
  /** Outer IP 20 or 40, UDP 8, VXLAN 8, inner Ethernet 14 (RFC 7348 §5). */
  vxlan: { 4: 50, 6: 70 },
} as const;

/** A view is asked for each object that has an MTU, and a host may have thousands of links. */
const known = new WeakMap<HostView, number>();

/** The MTU of the link that the host's default route leaves by: the smallest, when there are several; 1500 without one. */
export function uplinkMtu(host: HostView): number {
  let mtu = known.get(host);
  if (mtu === undefined) {
    mtu = readUplinkMtu(host);
    known.set(host, mtu);
  }
  return mtu;
}

function readUplinkMtu(host: HostView): number {
  const uplinks = new Set(
    host.routes.filter((route) => route.table === 254 && route.destination.length === 0).map((route) => route.link),
  );
  const mtus = host.links.filter((link) => uplinks.has(link.name)).map((link) => link.mtu);
  return mtus.length === 0 ? ETHERNET_MTU : Math.min(...mtus);
}

export function linkMtu(host: HostView, name: string): number | undefined {
  return host.links.find((link) => link.name === name)?.mtu;
}

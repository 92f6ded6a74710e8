/** Which interfaces can become a port of a bridge that Berth makes from them. */

import type { HostLink, HostView } from '../../../kernel/kernel.ts';
import { BerthError } from '../../../model/errors.ts';

/** By which a bridge of ours is known again, should the note be lost. */
export const aliasOf = (parent: string) => `berth uplink ${parent}`;

/** Whether the interface is the port of this bridge already, which we made from it. */
export function isTaken(parent: string, bridge: string, host: HostView): boolean {
  return (
    host.links.some(({ name, master }) => name === parent && master === bridge) &&
    host.links.some((link) => link.name === bridge && link.type === 'bridge' && link.alias === aliasOf(parent))
  );
}

/**
 * Refuses an interface that cannot become a bridge port.
 *
 * @throws BerthError INTERFACE_UNKNOWN, INTERFACE_UNSUITABLE
 */
export function checkUplink(parent: string, bridge: string, host: HostView): void {
  if (isTaken(parent, bridge, host)) return;
  const link = host.links.find((candidate) => candidate.name === parent);
  if (link === undefined) throw new BerthError('INTERFACE_UNKNOWN', `there is no interface ${parent} on this host`);
  const why = whyUnsuitable(link, host);
  if (why !== undefined) throw new BerthError('INTERFACE_UNSUITABLE', why);
  if (host.links.some((candidate) => candidate.name === bridge)) {
    throw new BerthError(
      'INTERFACE_UNSUITABLE',
      `there is an interface ${bridge} already: choose another name with -o bridge=`,
    );
  }
}

/** A sentence; undefined when it can be a port. */
export function whyUnsuitable(link: HostLink, host: HostView): string | undefined {
  const { name } = link;
  if (link.loopback) return `the loopback interface ${name} cannot be a bridge port`;
  if (link.type === 'bridge') return `${name} is a bridge itself: use it with -o bridge=${name}`;
  if (link.master !== undefined) {
    const master = host.links.find((candidate) => candidate.name === link.master);
    if (master?.type === 'openvswitch') {
      return `${name} is a port of Open vSwitch: use its bridge there with -o mode=ovs -o bridge=`;
    }
    if (master?.type === 'vrf') {
      return `${name} is in the VRF ${link.master}, and a bridge port cannot be: use -o mode=macvlan or ipvlan, or make the bridge yourself and put that into the VRF`;
    }
    // A bond takes the frames of its ports, and is itself as good as a NIC.
    return master?.type === 'bridge' || master === undefined
      ? `${name} is already a port of ${link.master}: use that with -o bridge=${link.master}`
      : `${name} is already a port of ${link.master}, a ${master.type ?? 'device'}: use that with -o parent=${link.master}`;
  }
  if (link.mac === undefined) return `${name} has no Ethernet address`;
  // Both take the frames of a NIC before anybody else, and the kernel lets only one do so (netdev_rx_handler_register).
  const onIt = host.links.find(
    ({ type, linkIndex }) =>
      (type === 'macvlan' || type === 'macvtap' || type === 'ipvlan' || type === 'ipvtap') && linkIndex === link.index,
  );
  if (onIt !== undefined) {
    return `${name} carries the ${onIt.type} ${onIt.name}, so the kernel does not let it become a bridge port: remove that first, or use -o mode=${onIt.type?.startsWith('mac') ? 'macvlan' : 'ipvlan'}`;
  }
  return undefined;
}

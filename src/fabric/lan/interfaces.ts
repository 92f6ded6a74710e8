/** The host's interfaces that networks stand on: which can be used for what, said before anything is done. */

import type { HostLink, HostView } from '../../kernel/kernel.ts';
import { BerthError } from '../../model/errors.ts';

export const findLink = (host: HostView, name: string): HostLink | undefined =>
  host.links.find((link) => link.name === name);

/** @throws BerthError INTERFACE_UNKNOWN, INTERFACE_UNSUITABLE */
export function checkBridge(name: string, host: HostView): void {
  const link = findLink(host, name);
  if (link === undefined) {
    throw new BerthError(
      'INTERFACE_UNKNOWN',
      `there is no bridge ${name} on this host; name one with -o bridge=, have one made from a NIC with -o parent=, or have an empty one made with -o create=true`,
    );
  }
  if (link.type !== 'bridge') {
    throw new BerthError(
      'INTERFACE_UNSUITABLE',
      `${name} is not a bridge${link.type === undefined ? '' : ` but a ${link.type}`}; have one made from it with -o parent=${name}`,
    );
  }
}

/**
 * Refuses what containers' links cannot stand on (macvlan_common_newlink, ipvlan_link_new: an Ethernet device that nobody else
 * takes the frames of).
 *
 * @param kind `macvlan` or `ipvlan`: both on one interface is more than the kernel does.
 * @throws BerthError INTERFACE_UNKNOWN, INTERFACE_UNSUITABLE
 */
export function checkParent(name: string, kind: 'macvlan' | 'ipvlan', host: HostView): void {
  const link = findLink(host, name);
  if (link === undefined) throw new BerthError('INTERFACE_UNKNOWN', `there is no interface ${name} on this host`);
  if (link.loopback) {
    throw new BerthError('INTERFACE_UNSUITABLE', `the loopback interface ${name} leads to no other machine`);
  }
  if (link.master !== undefined) {
    throw new BerthError(
      'INTERFACE_UNSUITABLE',
      `${name} is a port of ${link.master}, which takes its frames: use -o mode=${kind} -o parent=${link.master}, or -o mode=bridge -o bridge=${link.master}`,
    );
  }
  if (link.type === 'macvlan' || link.type === 'ipvlan') {
    throw new BerthError(
      'INTERFACE_UNSUITABLE',
      `${name} is a ${link.type} itself: name the interface that it stands on`,
    );
  }
  const other = kind === 'macvlan' ? 'ipvlan' : 'macvlan';
  const taken = host.links.find(({ type, linkIndex }) => type === other && linkIndex === link.index);
  if (taken !== undefined) {
    throw new BerthError(
      'INTERFACE_UNSUITABLE',
      `${name} carries the ${other} ${taken.name} already, and the kernel has no ${kind} beside it: use -o mode=${other}`,
    );
  }
}

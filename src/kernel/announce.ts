/**
 * Tells the neighbours on a link where an address is now. Who has the address from before, with another MAC or behind another
 * port of the switch, would go on sending there for up to minutes (moby#30238); engines announce by themselves from 28 on.
 */

import { constants } from 'node:os';
import { type Address, formatAddress } from '../model/address.ts';
import { BerthError } from '../model/errors.ts';
import type { Mac } from '../model/mac.ts';
import type { Namespaces } from './namespace.ts';
import type { Netns } from './objects.ts';
import { arpAnnouncement } from './packet/arp.ts';
import { unsolicitedAdvertisement } from './packet/neighbour-discovery.ts';
import { linkAddress, openPacketSocket } from './packet/socket.ts';
import type { Syscalls } from './syscalls.ts';

export interface Announcement {
  readonly netns?: Netns;
  /** Index of the link in that namespace; it must be up. */
  readonly link: number;
  readonly mac: Mac;
  readonly addresses: readonly Address[];
}

/** @throws BerthError KERNEL_REFUSED, such as for a link that is down or gone. */
export function announce(
  { netns, link, mac, addresses }: Announcement,
  parts: { readonly syscalls: Syscalls; readonly namespaces: Namespaces },
): void {
  const { syscalls, namespaces } = parts;
  const [first] = addresses;
  if (first === undefined) return;
  const check = (result: number, address: Address): void => {
    if (result >= 0) return;
    const name = Object.entries(constants.errno).find(([, number]) => number === -result)?.[0] ?? -result;
    throw new BerthError('KERNEL_REFUSED', `cannot announce ${formatAddress(address)} on its link: ${name}`);
  };
  namespaces.within(netns, () => {
    // One for all addresses: closing it takes a grace period.
    const fd = openPacketSocket(syscalls);
    check(fd, first);
    try {
      check(syscalls.bind(fd, linkAddress(link, 0)), first);
      for (const address of addresses) {
        const frame = address.family === 4 ? arpAnnouncement(mac, address) : unsolicitedAdvertisement(mac, address);
        check(syscalls.send(fd, frame, frame.length, 0), address);
      }
    } finally {
      syscalls.closeElsewhere(fd);
    }
  });
}

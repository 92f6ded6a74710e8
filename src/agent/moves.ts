/**
 * Addresses that turn up elsewhere with another MAC, as after a `docker run --ip A --mac-address M` on another host. The containers
 * here remember the MAC of before, for up to a minute, and nobody tells them: what the new one announces on its own bridge does
 * not travel, because neighbours are answered at home (br_do_proxy_suppress_arp, net/bridge/br_arp_nd_proxy.c). So we announce it
 * on ours.
 */

import type { Neighbour } from '../fabric/fabric.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { type Address, formatAddress } from '../model/address.ts';
import type { Mac } from '../model/mac.ts';
import { announceTwice } from './announcing.ts';

export interface Moves {
  /** Somebody on a segment has gone. */
  left(segment: string, neighbour: Neighbour): void;
  /** Somebody has come to a segment: those here that remember another with an address of his are told, on this link of ours. */
  came(segment: string, link: string, neighbours: readonly Neighbour[]): Promise<void>;
  /** Nobody is left here who could remember. */
  forget(segment: string): void;
}

/** How many addresses are remembered of those that have gone from a segment; most come back with the MAC that they had, or not at all. */
const MOST = 1000;

export function createMoves(kernel: Pick<Kernel, 'announce' | 'view'>): Moves {
  /** By segment and address, those that went first coming first. */
  const departed = new Map<string, Map<string, Mac>>();

  return {
    left(segment, { mac, addresses }) {
      let gone = departed.get(segment);
      if (gone === undefined) {
        gone = new Map();
        departed.set(segment, gone);
      }
      for (const address of addresses) {
        const name = formatAddress(address);
        gone.delete(name);
        gone.set(name, mac);
        if (gone.size > MOST) gone.delete(gone.keys().next().value!);
      }
    },

    async came(segment, link, neighbours) {
      const gone = departed.get(segment);
      if (gone === undefined) return;
      const moved: { readonly mac: Mac; readonly addresses: readonly Address[] }[] = [];
      for (const { mac, addresses } of neighbours) {
        const other = addresses.filter((address) => (gone.get(formatAddress(address)) ?? mac) !== mac);
        for (const address of addresses) gone.delete(formatAddress(address));
        if (other.length > 0) moved.push({ mac, addresses: other });
      }
      if (moved.length === 0) return;
      // That they cannot be told is no failure: they find out later.
      const here = await kernel.view().catch(() => undefined);
      const index = here?.links.find(({ name }) => name === link)?.index;
      if (index === undefined) return;
      await Promise.all(moved.map((one) => announceTwice(kernel, { link: index, ...one })));
    },

    forget: (segment) => void departed.delete(segment),
  };
}

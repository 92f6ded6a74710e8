/** Multicast DNS on one link: through a raw port, which hears the LAN and nothing else, and with the programs of the host itself. */

import { GROUPS, readDatagram, writeDatagram } from '../../dns/mdns/frames.ts';
import { type HostSocket, openHostSocket } from '../../dns/mdns/host-socket.ts';
import type { Peer } from '../../dns/mdns/peer.ts';
import { MDNS_PORT, type Wire } from '../../dns/mdns/responder.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { type Address, type Family, formatAddress, sameAddress } from '../../model/address.ts';
import type { BerthError } from '../../model/errors.ts';
import type { Mac } from '../../model/mac.ts';

/** As whom something is said on a link: a container, when the host has no address there. */
export interface Speaker {
  readonly mac: Mac;
  readonly address: Address;
}

/** Of each family, in which something is said only if there is somebody. */
export type Speakers = Partial<Readonly<Record<Family, Speaker>>>;
/** The host's own addresses on a link, where it has any. */
export type HostAddresses = Partial<Readonly<Record<Family, readonly Address[]>>>;

export interface MdnsLink extends Wire {
  /** The containers on the link have changed, or the host's own addresses there. */
  update(speakers: Speakers, host: HostAddresses): Promise<void>;
  close(): void;
}

export interface MdnsLinkParts {
  readonly kernel: Pick<Kernel, 'packets'>;
  hear(message: Uint8Array, from: Peer): void;
  /** The link is gone. */
  ended(why: BerthError): void;
  /** The programs of this host are not reached. */
  deaf(why: string): void;
}

/** @throws BerthError as `Kernel.packets` */
export async function openMdnsLink(link: string, parts: MdnsLinkParts): Promise<MdnsLink> {
  const port = await parts.kernel.packets({ link, hears: ['mdns', 'mdns6'] });
  let speakers: Speakers = {};
  const sockets = new Map<Family, HostSocket>();
  const told = new Map<Family, string>();
  let closed = false;

  port.onFrame((frame) => {
    const datagram = readDatagram(frame);
    if (datagram === undefined) return;
    const { address, port: from, mac } = datagram.source;
    if (!sameAddress(datagram.destination.address, GROUPS[address.family].address)) return;
    parts.hear(datagram.data, { address, port: from, mac, key: `${formatAddress(address)} ${from}` });
  });
  port.onEnded(parts.ended);

  async function reopen(family: Family, addresses: readonly Address[]): Promise<void> {
    const before = sockets.get(family);
    const text = (all: readonly Address[]) => all.map(formatAddress).toSorted().join();
    if (text(before?.on.addresses ?? []) === text(addresses)) return;
    before?.close();
    sockets.delete(family);
    if (addresses.length === 0) return;
    try {
      const opened = await openHostSocket({ link, addresses }, parts.hear);
      if (closed) opened.close();
      else sockets.set(family, opened);
      told.delete(family);
    } catch (error) {
      const { message } = error as Error;
      if (told.get(family) !== message) parts.deaf(message);
      told.set(family, message);
    }
  }

  const say = (data: Uint8Array, to: { mac: Mac; address: Address; port: number }): void => {
    const speaker = speakers[to.address.family];
    if (speaker === undefined) return;
    port.send(writeDatagram({ source: { ...speaker, port: MDNS_PORT }, destination: to, data }));
  };

  return {
    async update(next, host) {
      // The last ones still say goodbye for themselves.
      speakers = { ...speakers, ...next };
      for (const family of [4, 6] as const) {
        // The host has IPv6 on nearly every link. It is spoken where a container has it.
        const wanted = family === 4 || speakers[6] !== undefined;
        await reopen(family, wanted ? (host[family] ?? []) : []);
      }
    },
    multicast(message) {
      for (const family of [4, 6] as const) {
        const socket = sockets.get(family);
        if (socket !== undefined) socket.multicast(message);
        else say(message, { ...GROUPS[family], port: MDNS_PORT });
      }
    },
    unicast(message, to) {
      const { family } = to.address;
      if (to.mac === undefined || speakers[family] === undefined) sockets.get(family)?.unicast(message, to);
      else say(message, { mac: to.mac, address: to.address, port: to.port });
    },
    close() {
      closed = true;
      port.close();
      for (const socket of sockets.values()) socket.close();
    },
  };
}

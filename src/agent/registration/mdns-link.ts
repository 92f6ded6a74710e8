/** Multicast DNS on one link: through a raw port, which hears the LAN and nothing else, and with the programs of the host itself. */

import { GROUP, GROUP_MAC, readDatagram, writeDatagram } from '../../dns/mdns/frames.ts';
import { type HostSocket, openHostSocket } from '../../dns/mdns/host-socket.ts';
import type { Peer } from '../../dns/mdns/peer.ts';
import { MDNS_PORT, type Wire } from '../../dns/mdns/responder.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { type Address, formatAddress, sameAddress } from '../../model/address.ts';
import type { BerthError } from '../../model/errors.ts';
import type { Mac } from '../../model/mac.ts';

/** As whom something is said on a link: a container, when the host has no address there. */
export interface Speaker {
  readonly mac: Mac;
  readonly address: Address;
}

export interface MdnsLink extends Wire {
  /** The containers on the link have changed, or the host's own address there. */
  update(speaker: Speaker | undefined, host: Address | undefined): Promise<void>;
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
  const port = await parts.kernel.packets({ link, hears: ['mdns'] });
  let speaker: Speaker | undefined;
  let socket: HostSocket | undefined;
  let told = '';
  let closed = false;

  port.onFrame((frame) => {
    const datagram = readDatagram(frame);
    if (datagram === undefined || !sameAddress(datagram.destination.address, GROUP)) return;
    const { address, port: from, mac } = datagram.source;
    parts.hear(datagram.data, { address, port: from, mac, key: `${formatAddress(address)} ${from}` });
  });
  port.onEnded(parts.ended);

  async function reopen(host: Address | undefined): Promise<void> {
    if (socket !== undefined && host !== undefined && sameAddress(socket.address, host)) return;
    socket?.close();
    socket = undefined;
    if (host === undefined) return;
    try {
      const opened = await openHostSocket(host, parts.hear);
      if (closed) opened.close();
      else socket = opened;
      told = '';
    } catch (error) {
      const { message } = error as Error;
      if (told !== message) parts.deaf(message);
      told = message;
    }
  }

  const say = (data: Uint8Array, to: { mac: Mac; address: Address; port: number }): void => {
    if (speaker === undefined) return;
    port.send(writeDatagram({ source: { ...speaker, port: MDNS_PORT }, destination: to, data }));
  };

  return {
    async update(next, host) {
      // The last one still says goodbye for itself.
      speaker = next ?? speaker;
      await reopen(host);
    },
    multicast(message) {
      if (socket !== undefined) socket.multicast(message);
      else say(message, { mac: GROUP_MAC, address: GROUP, port: MDNS_PORT });
    },
    unicast(message, to) {
      if (to.mac === undefined || speaker === undefined) socket?.unicast(message, to);
      else say(message, { mac: to.mac, address: to.address, port: to.port });
    },
    close() {
      closed = true;
      port.close();
      socket?.close();
    },
  };
}

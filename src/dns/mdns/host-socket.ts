/**
 * Multicast DNS with the programs of this host: what they ask does not come in over a link, and what is said on a link does not
 * reach them. Port 5353 is shared with whoever else answers or asks here, such as avahi or systemd-resolved (RFC 6762 §15).
 */

import { createSocket } from 'node:dgram';
import { type Address, formatAddress, parseAddress } from '../../model/address.ts';
import { GROUPS } from './frames.ts';
import type { Peer } from './peer.ts';
import { MDNS_PORT } from './responder.ts';

export interface HostSocket {
  readonly on: HostOnLink;
  /** To the link, and to the programs of this host. */
  multicast(message: Uint8Array): void;
  unicast(message: Uint8Array, to: Peer): void;
  close(): void;
}

/** This host on a link: there the messages go out, and only what it sends itself is heard. */
export interface HostOnLink {
  readonly link: string;
  /** Its own there, of one family; at least one. */
  readonly addresses: readonly Address[];
}

/** @throws what the system refuses, as when another program does not share the port. */
export async function openHostSocket(
  on: HostOnLink,
  hear: (message: Uint8Array, from: Peer) => void,
): Promise<HostSocket> {
  const { family } = on.addresses[0]!;
  const own = on.addresses.map(formatAddress);
  const plain = formatAddress(GROUPS[family].address);
  // Of IPv6 the group says on which link; of IPv4 the host's address does.
  const group = family === 4 ? plain : `${plain}%${on.link}`;
  const interfaceOf = family === 4 ? own[0]! : `::%${on.link}`;
  const socket = createSocket({ type: family === 4 ? 'udp4' : 'udp6', reuseAddr: true, ipv6Only: family === 6 });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once('error', reject);
  // Bound to the group: what is sent to this host alone is for others that have the port, who may be waiting for it.
  socket.bind({ port: MDNS_PORT, address: group, exclusive: true }, resolve);
  try {
    await promise;
    socket.addMembership(plain, interfaceOf);
    socket.setMulticastInterface(interfaceOf);
    socket.setMulticastLoopback(true);
    socket.setMulticastTTL(255);
    socket.setTTL(255);
  } catch (error) {
    socket.close();
    throw error;
  }
  socket.removeListener('error', reject);
  // What cannot be sent, as while the link is down, is lost, as it might be further on.
  socket.on('error', () => undefined);
  socket.on('message', (message, from) => {
    const [address, scope] = from.address.split('%');
    if (address !== undefined && own.includes(address))
      hear(message, {
        address: parseAddress(address)!,
        port: from.port,
        key: `host ${address} ${from.port}`,
        ...scoped(scope),
      });
  });
  return {
    on,
    multicast: (message) => socket.send(message, MDNS_PORT, group, () => undefined),
    unicast: (message, to) => socket.send(message, to.port, hostOf(to), () => undefined),
    close: () => socket.close(),
  };
}

const scoped = (scope: string | undefined): Pick<Peer, 'scope'> => (scope === undefined ? {} : { scope });
const hostOf = ({ address, scope }: Peer): string =>
  scope === undefined ? formatAddress(address) : `${formatAddress(address)}%${scope}`;

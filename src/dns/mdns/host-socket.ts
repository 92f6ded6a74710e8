/**
 * Multicast DNS with the programs of this host: what they ask does not come in over a link, and what is said on a link does not
 * reach them. Port 5353 is shared with whoever else answers or asks here, such as avahi or systemd-resolved (RFC 6762 §15).
 */

import { createSocket } from 'node:dgram';
import { type Address, formatAddress, parseAddress } from '../../model/address.ts';
import { GROUP } from './frames.ts';
import type { Peer } from './peer.ts';
import { MDNS_PORT } from './responder.ts';

export interface HostSocket {
  readonly address: Address;
  /** To the link, and to the programs of this host. */
  multicast(message: Uint8Array): void;
  unicast(message: Uint8Array, to: Peer): void;
  close(): void;
}

/**
 * @param address of this host on the link: there the messages go out, and only what it sends itself is heard.
 * @throws what the system refuses, as when another program does not share the port.
 */
export async function openHostSocket(
  address: Address,
  hear: (message: Uint8Array, from: Peer) => void,
): Promise<HostSocket> {
  const own = formatAddress(address);
  const group = formatAddress(GROUP);
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once('error', reject);
  // Bound to the group: what is sent to this host alone is for others that have the port, who may be waiting for it.
  socket.bind({ port: MDNS_PORT, address: group, exclusive: true }, resolve);
  try {
    await promise;
    socket.addMembership(group, own);
    socket.setMulticastInterface(own);
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
    if (from.address === own)
      hear(message, { address: parseAddress(from.address)!, port: from.port, key: `host ${from.port}` });
  });
  return {
    address,
    multicast: (message) => socket.send(message, MDNS_PORT, group, () => undefined),
    unicast: (message, to) => socket.send(message, to.port, formatAddress(to.address), () => undefined),
    close: () => socket.close(),
  };
}

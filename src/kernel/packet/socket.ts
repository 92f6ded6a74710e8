/** AF_PACKET sockets (packet(7)): linux/if_packet.h, asm-generic/socket.h. */

import { type Mac, macBytes } from '../../model/mac.ts';
import { littleEndian } from '../rtnetlink/attributes.ts';
import { SOCK_CLOEXEC, SOCK_RAW } from '../rtnetlink/constants.ts';
import type { Syscalls } from '../syscalls.ts';

const AF_PACKET = 17;
const SOL_PACKET = 263;
const PACKET_ADD_MEMBERSHIP = 1;
const PACKET_IGNORE_OUTGOING = 23;
const PACKET_MR_MULTICAST = 0;
const PACKET_MR_PROMISC = 1;

/** A raw socket in the thread's namespace, which hears nothing until it is bound to a protocol. Negative: the errno. */
export function openPacketSocket(syscalls: Syscalls): number {
  return syscalls.socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
}

/** `struct sockaddr_ll`, of which only family, protocol and link matter. */
export function linkAddress(link: number, protocol: number): Uint8Array {
  const address = new DataView(new ArrayBuffer(20));
  address.setUint16(0, AF_PACKET, littleEndian);
  address.setUint16(2, protocol, false);
  address.setInt32(4, link, littleEndian);
  return new Uint8Array(address.buffer);
}

/**
 * Spares the kernel to copy each frame that the link sends, only for the filter to refuse it. Linux before 4.20 does not
 * know it, and does that.
 */
export function ignoreOutgoing(syscalls: Syscalls, fd: number): void {
  syscalls.setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, new Uint8Array(Int32Array.of(1).buffer));
}

/** Has the link take in frames to this group, as long as the socket is open; `all`: frames to anybody. 0, or the errno. */
export function listenTo(syscalls: Syscalls, fd: number, link: number, whom: Mac | 'all'): number {
  // struct packet_mreq
  const request = new DataView(new ArrayBuffer(16));
  request.setInt32(0, link, littleEndian);
  request.setUint16(4, whom === 'all' ? PACKET_MR_PROMISC : PACKET_MR_MULTICAST, littleEndian);
  if (whom !== 'all') {
    request.setUint16(6, 6, littleEndian);
    new Uint8Array(request.buffer).set(macBytes(whom), 8);
  }
  return syscalls.setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, new Uint8Array(request.buffer));
}

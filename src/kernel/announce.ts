/**
 * Tells the neighbours on a link where an address is now. Who has the address from before, with another MAC or behind another
 * port of the switch, would go on sending there for up to minutes (moby#30238); engines announce by themselves from 28 on.
 */

import { constants } from 'node:os';
import { type Address, addressBytes, formatAddress } from '../model/address.ts';
import { BerthError } from '../model/errors.ts';
import { type Mac, macBytes } from '../model/mac.ts';
import type { Namespaces } from './namespace.ts';
import type { Netns } from './objects.ts';
import type { Syscalls } from './syscalls.ts';

export interface Announcement {
  readonly netns?: Netns;
  /** Index of the link in that namespace; it must be up. */
  readonly link: number;
  readonly mac: Mac;
  readonly addresses: readonly Address[];
}

// linux/if_ether.h, linux/if_packet.h
const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const ETH_P_IP = 0x0800;
const ETH_P_ARP = 0x0806;
const ETH_P_IPV6 = 0x86dd;
const IPPROTO_ICMPV6 = 58;

/** @throws BerthError KERNEL_REFUSED, such as for a link that is down or gone. */
export function announce(
  { netns, link, mac, addresses }: Announcement,
  parts: { readonly syscalls: Syscalls; readonly namespaces: Namespaces },
): void {
  const { syscalls, namespaces } = parts;
  const check = (result: number, address: Address): void => {
    if (result >= 0) return;
    const name = Object.entries(constants.errno).find(([, number]) => number === -result)?.[0] ?? -result;
    throw new BerthError('KERNEL_REFUSED', `cannot announce ${formatAddress(address)} on its link: ${name}`);
  };
  namespaces.within(netns, () => {
    for (const address of addresses) {
      // Protocol 0: it receives nothing.
      const fd = syscalls.socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
      check(fd, address);
      try {
        check(syscalls.bind(fd, linkAddress(link)), address);
        const frame = address.family === 4 ? arpAnnouncement(mac, address) : neighbourAdvertisement(mac, address);
        check(syscalls.send(fd, frame, frame.length, 0), address);
      } finally {
        syscalls.close(fd);
      }
    }
  });
}

/** `struct sockaddr_ll`, of which only the family and the link matter. */
function linkAddress(link: number): Uint8Array {
  const address = new DataView(new ArrayBuffer(20));
  const littleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
  address.setUint16(0, AF_PACKET, littleEndian);
  address.setInt32(4, link, littleEndian);
  return new Uint8Array(address.buffer);
}

const bytes16 = (value: number): number[] => [value >> 8, value & 255];

/** A question for its own address, to everybody (RFC 5227 §1.1, "ARP Announcement"). */
function arpAnnouncement(mac: Mac, address: Address): Uint8Array {
  const own = [...macBytes(mac), ...addressBytes(address)];
  const target = [0, 0, 0, 0, 0, 0, ...addressBytes(address)];
  const arp = [...bytes16(1), ...bytes16(ETH_P_IP), 6, 4, ...bytes16(1), ...own, ...target];
  return Uint8Array.from([...Array<number>(6).fill(0xff), ...macBytes(mac), ...bytes16(ETH_P_ARP), ...arp]);
}

/** An answer that nobody asked for, to all nodes, which overrides what they remember (RFC 4861 §4.4 and §7.2.6). */
function neighbourAdvertisement(mac: Mac, address: Address): Uint8Array {
  const source = [...addressBytes(address)];
  const allNodes = [0xff, 0x02, ...Array<number>(13).fill(0), 1];
  const targetLinkOption = [2, 1, ...macBytes(mac)];
  const message = (sum: number) => [136, 0, ...bytes16(sum), 0x20, 0, 0, 0, ...source, ...targetLinkOption];
  const length = message(0).length;
  const pseudoHeader = [...source, ...allNodes, 0, 0, ...bytes16(length), 0, 0, 0, IPPROTO_ICMPV6];
  const body = message(checksum([...pseudoHeader, ...message(0)]));
  const header = [0x60, 0, 0, 0, ...bytes16(length), IPPROTO_ICMPV6, 255, ...source, ...allNodes];
  return Uint8Array.from([0x33, 0x33, 0, 0, 0, 1, ...macBytes(mac), ...bytes16(ETH_P_IPV6), ...header, ...body]);
}

/** The Internet checksum (RFC 1071) of an even number of bytes. */
function checksum(bytes: readonly number[]): number {
  let sum = 0;
  for (let index = 0; index < bytes.length; index += 2) sum += (bytes[index]! << 8) | bytes[index + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

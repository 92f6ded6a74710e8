/**
 * Raw Ethernet as the layers above the kernel see it: a port on a link, through which whole frames go out and chosen ones
 * come in, whatever addresses the link has or lacks.
 */

import type { BerthError } from '../model/errors.ts';
import type { Mac } from '../model/mac.ts';
import type { Netns } from './objects.ts';

/**
 * What a port is to hear:
 * - `arp`: all of ARP.
 * - `neighbours`: IPv6 neighbour solicitations and advertisements.
 * - `router-advertisements`: those of IPv6 routers.
 * - `dhcp4`: IPv4 datagrams to a DHCP client (UDP port 68), no fragments.
 * - `dhcp6`: IPv6 datagrams to a DHCPv6 client (UDP port 546).
 * - `mdns`: multicast DNS over IPv4 (to 224.0.0.251, UDP port 5353), no fragments.
 * - `mdns6`: multicast DNS over IPv6 (to ff02::fb, UDP port 5353).
 */
export type Hearing = 'arp' | 'neighbours' | 'router-advertisements' | 'dhcp4' | 'dhcp6' | 'mdns' | 'mdns6';

export interface PacketRequest {
  readonly link: string;
  /**
   * The namespace that the link is in; absent: our own. An open port keeps its namespace alive, with all links in it, so one
   * in a container is to be closed soon.
   */
  readonly netns?: Netns;
  readonly hears: readonly Hearing[];
  /** Also frames to other MACs than the link's own, such as answers to a container's that is not there yet. */
  readonly promiscuous?: boolean;
}

/**
 * An open port. Frames begin with the destination MAC and end before the checksum of Ethernet; short ones may be padded.
 *
 * - What the link itself sends is not heard, nor what carries the tag of a VLAN: that belongs to another link.
 * - A frame that is heard may have a wrong UDP checksum: a sender on the same machine leaves it for a NIC to fill in, which
 *   a veth pair does not have (TP_STATUS_CSUMNOTREADY, packet(7)). So nobody may judge by it.
 * - While nobody takes the frames, or too many come, what does not fit into the socket's buffer is dropped.
 * - While the kernel's thread is started anew, which takes some milliseconds, nothing is sent or heard.
 */
export interface PacketPort {
  /** The link's, when the port was opened. */
  readonly mac: Mac;
  /** The link's, in its namespace. */
  readonly index: number;
  /** Sends a whole frame, soon. What the link does not take, as when it is down, is lost, as it might be further on. */
  send(frame: Uint8Array): void;
  /**
   * Resolves when what was sent before has gone out, and the listeners have been told of what had come in by then: the kernel's
   * thread may be busy with something else. At once when the port has ended.
   */
  flushed(): Promise<void>;
  /**
   * To be called before the next turn of the event loop, or frames are missed. The frame is the listeners' to keep.
   *
   * @returns what ends it.
   */
  onFrame(listener: (frame: Uint8Array) => void): () => void;
  /** Called once when the port has ended by itself: the link is gone, or the agent is stopping. Not after `close`. */
  onEnded(listener: (why: BerthError) => void): void;
  /** Gives up the port; nothing is heard from then on. May be repeated. */
  close(): void;
}

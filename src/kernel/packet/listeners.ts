/**
 * The kernel thread's end of packet ports. It reports frames in batches and then reads no more until the main thread has
 * taken them: what comes too fast is dropped by the kernel, which bounds each socket's buffer (net.core.rmem_default), and
 * costs nobody else anything.
 */

import { constants } from 'node:os';
import { BerthError } from '../../model/errors.ts';
import type { Mac } from '../../model/mac.ts';
import type { Namespaces } from '../namespace.ts';
import type { PacketRequest } from '../packets.ts';
import { Refusal, refusalAsError } from '../rtnetlink/errors.ts';
import { getLink, readLink } from '../rtnetlink/link.ts';
import { checked, openSocket } from '../rtnetlink/socket.ts';
import type { Syscalls } from '../syscalls.ts';
import { filterProgram } from './filter.ts';
import { ETH_P_ALL } from './numbers.ts';
import { ignoreOutgoing, linkAddress, listenTo, openPacketSocket } from './socket.ts';

export interface PacketListeners {
  /**
   * @param number by which the port is spoken of from now on.
   * @param index absent: whichever link has the name now; or the only link that will do.
   * @throws BerthError INTERFACE_UNKNOWN, INTERFACE_UNSUITABLE for a link without Ethernet, KERNEL_REFUSED, KERNEL_LACKS
   */
  open(number: number, request: PacketRequest, index?: number): { readonly mac: Mac; readonly index: number };
  /** What is not open is ignored, here and below: it may have ended a moment ago. */
  send(number: number, frame: Uint8Array): void;
  /** The frames that were reported have been taken. */
  resume(number: number): void;
  close(number: number): void;
  closeAll(): void;
}

export interface PacketReports {
  frames(number: number, frames: readonly Uint8Array[]): void;
  /** The port has been closed, because its link is gone. */
  ended(number: number, why: BerthError): void;
}

interface Port {
  readonly link: string;
  readonly fd: number;
  readonly index: number;
  /** Absent while the main thread has frames to take. */
  stopWatching?: (() => void) | undefined;
  /** Set while the link is down, as far as is known. */
  lookAgain?: NodeJS.Timeout;
}

/** The MAC of 224.0.0.251 (RFC 1112 §6.4). */
const MDNS_MAC = '01:00:5e:00:00:fb' as Mac;
/** Those of ff02::fb and ff02::1 (RFC 2464 §7). */
const MDNS6_MAC = '33:33:00:00:00:fb' as Mac;
const ALL_NODES = '33:33:00:00:00:01' as Mac;
const BATCH = 64;
/** What is heard fits in one page; a frame that does not is nobody's answer, and is cut off. */
const RECEIVE_BYTES = 9216;
const MSG_DONTWAIT = 0x40;
/** Milliseconds after which a link that went down is looked for: at first as one that is being deleted, then from time to time. */
const LOOK_SOON = 20;
const LOOK_AGAIN = 1000;

/** Whose frames, besides its own and what goes to all, the link must take in for a port. */
function wantedBy({ promiscuous, hears }: PacketRequest): readonly (Mac | 'all')[] {
  if (promiscuous === true) return ['all'];
  const groups: Mac[] = [];
  // Where the host itself has no IPv6, its NIC ignores what goes to all nodes.
  if (hears.includes('neighbours') || hears.includes('router-advertisements')) groups.push(ALL_NODES);
  if (hears.includes('mdns')) groups.push(MDNS_MAC);
  if (hears.includes('mdns6')) groups.push(MDNS6_MAC);
  return groups;
}

export function createPacketListeners(
  parts: { readonly syscalls: Syscalls; readonly namespaces: Namespaces },
  reports: PacketReports,
): PacketListeners {
  const { syscalls, namespaces } = parts;
  const ports = new Map<number, Port>();
  const buffer = new Uint8Array(RECEIVE_BYTES);

  /** In the namespace of the link. @throws Refusal */
  function openOn(request: PacketRequest, index: number): number {
    const fd = checked(openPacketSocket(syscalls));
    try {
      // Before it is bound, so that not a single frame slips through.
      checked(syscalls.attachFilter(fd, filterProgram(request.hears)));
      ignoreOutgoing(syscalls, fd);
      checked(syscalls.bind(fd, linkAddress(index, ETH_P_ALL)));
      for (const whom of wantedBy(request)) checked(listenTo(syscalls, fd, index, whom));
      return fd;
    } catch (error) {
      syscalls.closeElsewhere(fd);
      throw error;
    }
  }

  function watch(number: number, port: Port): void {
    port.stopWatching = syscalls.whenReadable(port.fd, () => drain(number, port));
  }

  function drain(number: number, port: Port): void {
    const frames: Uint8Array[] = [];
    let down = false;
    while (frames.length < BATCH) {
      const length = syscalls.recv(port.fd, buffer, MSG_DONTWAIT);
      if (length >= 0) {
        frames.push(buffer.slice(0, length));
      } else if (length !== -constants.errno.EINTR) {
        down = length === -constants.errno.ENETDOWN;
        break;
      }
    }
    if (down) look(number, port, LOOK_SOON);
    if (frames.length === 0) return;
    // What is heard is there.
    if (!down) clearTimeout(port.lookAgain);
    port.stopWatching?.();
    port.stopWatching = undefined;
    reports.frames(number, frames);
  }

  /**
   * Of a link that is deleted a socket is only told that it went down (packet_notifier), as of any other that may come up
   * again; then it can no longer be bound to it. Binding it to what it is bound to changes nothing.
   */
  function look(number: number, port: Port, wait: number): void {
    clearTimeout(port.lookAgain);
    port.lookAgain = setTimeout(() => {
      if (syscalls.bind(port.fd, linkAddress(port.index, ETH_P_ALL)) !== -constants.errno.ENODEV) {
        look(number, port, LOOK_AGAIN);
        return;
      }
      end(number);
      reports.ended(number, new BerthError('INTERFACE_UNKNOWN', `the interface ${port.link} is gone`));
    }, wait);
    port.lookAgain.unref();
  }

  function end(number: number): void {
    const port = ports.get(number);
    if (port === undefined) return;
    ports.delete(number);
    clearTimeout(port.lookAgain);
    port.stopWatching?.();
    syscalls.closeElsewhere(port.fd);
  }

  return {
    open(number, request, index) {
      try {
        return namespaces.within(request.netns, () => {
          const netlink = openSocket(syscalls);
          const link = netlink.get(getLink(request.link), readLink);
          netlink.close();
          if (link === undefined || (index !== undefined && link.index !== index))
            throw new BerthError('INTERFACE_UNKNOWN', `there is no interface ${request.link}`);
          if (link.mac === undefined)
            throw new BerthError('INTERFACE_UNSUITABLE', `the interface ${request.link} has no Ethernet address`);
          const port: Port = { link: request.link, fd: openOn(request, link.index), index: link.index };
          ports.set(number, port);
          watch(number, port);
          return { mac: link.mac, index: link.index };
        });
      } catch (error) {
        throw error instanceof Refusal ? refusalAsError(error, 'listen to', `the interface ${request.link}`) : error;
      }
    },

    send(number, frame) {
      const port = ports.get(number);
      if (port !== undefined) syscalls.send(port.fd, frame, frame.length, MSG_DONTWAIT);
    },

    resume(number) {
      const port = ports.get(number);
      if (port !== undefined && port.stopWatching === undefined) watch(number, port);
    },

    close: end,

    closeAll() {
      for (const number of ports.keys()) end(number);
    },
  };
}

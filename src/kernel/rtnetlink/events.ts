/**
 * What the kernel says of its own accord: links, addresses, routes, rules, neighbours, forwarding entries and traffic
 * control of one namespace that changed, whoever did it.
 *
 * The socket never blocks. `drain` empties it; `onReadable` calls back from the thread's event loop when there is something
 * to drain, so that neither a thread waits nor a timer polls.
 */

import { constants } from 'node:os';
import { openNamespaces } from '../namespace.ts';
import type { Netns } from '../objects.ts';
import { openSyscalls, type Syscalls } from '../syscalls.ts';
import * as rt from './constants.ts';
import { Refusal, refusalAsError } from './errors.ts';
import { createDecoder, type RtnetlinkEvent } from './event-decoder.ts';
import { getLinks, readLink } from './link.ts';
import { readMessages } from './message.ts';
import { checked, integer, openDescriptor, openSocket } from './socket.ts';

export type { LinkState, RtnetlinkEvent } from './event-decoder.ts';

export interface RtnetlinkEvents {
  readonly fd: number;
  /** What has happened since the last time. Never blocks. @throws BerthError when the socket is unusable. */
  drain(): RtnetlinkEvent[];
  /** Calls back when there is something to drain, until `close`. */
  onReadable(callback: () => void): void;
  close(): void;
}

const groups = [
  rt.RTNLGRP_LINK,
  rt.RTNLGRP_NEIGH,
  rt.RTNLGRP_TC,
  rt.RTNLGRP_IPV4_IFADDR,
  rt.RTNLGRP_IPV6_IFADDR,
  rt.RTNLGRP_IPV4_ROUTE,
  rt.RTNLGRP_IPV6_ROUTE,
  rt.RTNLGRP_IPV4_RULE,
  rt.RTNLGRP_IPV6_RULE,
];

/** Some thousand changes at once, such as a host with many containers that shuts down. */
const BUFFER_BYTES = 8 * 1024 * 1024;
/** A notification is far smaller than this. */
export const RECEIVE_BYTES = 64 * 1024;

/**
 * Listens in a namespace; absent: our own. It keeps the namespace alive.
 *
 * @throws BerthError
 */
export function openRtnetlinkEvents(
  options: { readonly netns?: Netns; readonly syscalls?: Syscalls } = {},
): RtnetlinkEvents {
  const { netns, syscalls = openSyscalls() } = options;
  const namespaces = openNamespaces(syscalls);
  try {
    return namespaces.within(netns, () => listen(syscalls));
  } catch (error) {
    if (error instanceof Refusal) throw refusalAsError(error, 'listen to', 'the changes of links and addresses');
    throw error;
  } finally {
    namespaces.close();
  }
}

/**
 * A socket that hears these groups in the namespace that the thread is in.
 *
 * @param prepare is called before it hears anything.
 * @throws Refusal
 */
export function joinGroups(syscalls: Syscalls, groups: readonly number[], prepare?: (fd: number) => void): number {
  const fd = checked(openDescriptor(syscalls));
  try {
    prepare?.(fd);
    syscalls.setsockopt(fd, rt.SOL_SOCKET, rt.SO_RCVBUFFORCE, integer(BUFFER_BYTES));
    // To a socket without a port of its own the kernel announces nothing (do_one_broadcast). `struct sockaddr_nl`, any port.
    checked(syscalls.bind(fd, new Uint8Array(Uint16Array.of(rt.AF_NETLINK, 0, 0, 0, 0, 0).buffer)));
    for (const group of groups) {
      checked(syscalls.setsockopt(fd, rt.SOL_NETLINK, rt.NETLINK_ADD_MEMBERSHIP, integer(group)));
    }
  } catch (error) {
    syscalls.close(fd);
    throw error;
  }
  return fd;
}

/**
 * The lengths of what a socket has received, one after the other, until nothing is left; `lost` where its buffer has run over.
 *
 * @param receive one receive that does not wait: the length, or an errno below zero.
 * @param what is listened to.
 * @throws BerthError when the socket is unusable.
 */
export function* received(receive: () => number, what: string): Generator<number | 'lost', undefined> {
  for (;;) {
    const length = receive();
    if (length >= 0) yield length;
    else if (length === -constants.errno.ENOBUFS) yield 'lost';
    else if (length === -constants.errno.EAGAIN) return;
    else if (length !== -constants.errno.EINTR) throw refusalAsError(new Refusal(-length), 'listen to', what);
  }
}

function listen(syscalls: Syscalls): RtnetlinkEvents {
  const fd = joinGroups(syscalls, groups);
  const buffer = new Uint8Array(RECEIVE_BYTES);
  const decoder = createDecoder(linkNames(syscalls));
  let stopWatching: (() => void) | undefined;

  return {
    fd,
    drain() {
      const events: RtnetlinkEvent[] = [];
      const receive = () => syscalls.recv(fd, buffer, rt.MSG_DONTWAIT);
      for (const length of received(receive, 'the changes of links and addresses')) {
        if (length === 'lost') events.push({ lost: true });
        else for (const message of readMessages(buffer.subarray(0, length))) events.push(...decoder.decode(message));
      }
      decoder.settle();
      return events;
    },
    onReadable(callback) {
      stopWatching?.();
      stopWatching = syscalls.whenReadable(fd, callback);
    },
    close() {
      stopWatching?.();
      syscalls.close(fd);
    },
  };
}

/** Names of what is there when listening begins; from then on the events tell. */
export function linkNames(syscalls: Syscalls): Map<number, string> {
  const socket = openSocket(syscalls);
  try {
    return new Map(socket.dump(getLinks(), readLink).map((record) => [record.index, record.name]));
  } finally {
    socket.close();
  }
}

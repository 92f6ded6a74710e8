/**
 * What the kernel says of its own accord about containers' namespaces: one socket in our own hears them all
 * (NETLINK_LISTEN_ALL_NSID). None of them is held by that: with a descriptor in it, a namespace would outlive its container,
 * and so would its links and what those stand on.
 *
 * The kernel announces to such a socket what happens in namespaces that have an id in ours (do_one_broadcast). A link that is
 * moved gives the namespace it goes to one (dev_change_net_namespace); the others are given one here.
 */

import { type Namespaces, openNamespaces } from '../namespace.ts';
import type { Netns } from '../objects.ts';
import { O_CLOEXEC, O_RDONLY, openSyscalls, type Syscalls } from '../syscalls.ts';
import { getString, getU32, readAttributes, readU32 } from './attributes.ts';
import * as rt from './constants.ts';
import { Refusal, refusalAsError } from './errors.ts';
import { createDecoder, type Decoder, type RtnetlinkEvent } from './event-decoder.ts';
import { joinGroups, linkNames, RECEIVE_BYTES, received } from './events.ts';
import { type Message, type Request, readMessages, request } from './message.ts';
import { checked, integer, type NetlinkSocket, openSocket } from './socket.ts';

export interface ContainerEvents {
  /** Listens to these namespaces from now on, until they are gone or not wanted any more. One that is gone is passed over. */
  follow(namespaces: Iterable<Netns>): void;
  /** What has happened since the last time. Never blocks. @throws BerthError when the socket is unusable. */
  drain(): Heard;
  /** Calls back when there is something to drain, until `close`. */
  onReadable(callback: () => void): void;
  close(): void;
}

export interface Heard {
  readonly events: readonly RtnetlinkEvent[];
  /** Links that have left our namespace and have been set up in another one, by the names that they had here. */
  readonly arrived: readonly string[];
}

/** Without neighbours: containers learn those all the time, and nobody declares any there. */
const groups = [
  rt.RTNLGRP_LINK,
  rt.RTNLGRP_TC,
  rt.RTNLGRP_IPV4_IFADDR,
  rt.RTNLGRP_IPV6_IFADDR,
  rt.RTNLGRP_IPV4_ROUTE,
  rt.RTNLGRP_IPV6_ROUTE,
  rt.RTNLGRP_IPV4_RULE,
  rt.RTNLGRP_IPV6_RULE,
  rt.RTNLGRP_NSID,
];

/** One `struct cmsghdr` with a number in it. */
const CONTROL_BYTES = 24;

/** The number of a namespace, as ours has it (linux/net_namespace.h). */
type NamespaceId = number;

interface Followed {
  readonly netns: Netns;
  readonly decoder: Decoder;
}

/**
 * @param options.wanted whether anything is still declared in a namespace.
 * @throws BerthError KERNEL_REFUSED without CAP_NET_BROADCAST
 */
export function openContainerEvents(options: {
  readonly wanted: (netns: Netns) => boolean;
  readonly syscalls?: Syscalls;
}): ContainerEvents {
  const { wanted, syscalls = openSyscalls() } = options;
  const namespaces = openNamespaces(syscalls);
  let fd: number;
  let socket: NetlinkSocket;
  try {
    // The membership comes last: what was said before could not be understood.
    fd = joinGroups(syscalls, groups, (descriptor) =>
      checked(syscalls.setsockopt(descriptor, rt.SOL_NETLINK, rt.NETLINK_LISTEN_ALL_NSID, integer(1))),
    );
    socket = openSocket(syscalls);
  } catch (error) {
    namespaces.close();
    throw error instanceof Refusal ? refusalAsError(error, 'listen to', 'the changes in containers') : error;
  }
  const buffer = new Uint8Array(RECEIVE_BYTES);
  const control = new Uint8Array(CONTROL_BYTES);
  const followed = new Map<NamespaceId, Followed>();
  /** Names that links had here which are on their way, by where they go. */
  const onTheirWay = new Map<NamespaceId, Map<number, string>>();
  let stopWatching: (() => void) | undefined;

  function ours(message: Message): void {
    if (message.type === rt.RTM_DELNSID) {
      const gone = getU32(readAttributes(message.body.subarray(4)), rt.NETNSA_NSID);
      followed.delete(gone!);
      onTheirWay.delete(gone!);
    }
    if (message.type !== rt.RTM_DELLINK || message.body[0] !== rt.AF_UNSPEC) return;
    const attributes = readAttributes(message.body.subarray(16));
    const to = getU32(attributes, rt.IFLA_NEW_NETNSID);
    const name = getString(attributes, rt.IFLA_IFNAME);
    if (to === undefined || name === undefined) return;
    const links = onTheirWay.get(to) ?? new Map<number, string>();
    onTheirWay.set(to, links.set(getU32(attributes, rt.IFLA_NEW_IFINDEX) ?? readU32(message.body, 4), name));
  }

  /** @returns the name here of a link that has just been set up there. */
  function arrival(id: NamespaceId, message: Message): string | undefined {
    const links = onTheirWay.get(id);
    if (links === undefined || message.body[0] !== rt.AF_UNSPEC) return undefined;
    const index = readU32(message.body, 4);
    const name = links.get(index);
    const isUp = message.type === rt.RTM_NEWLINK && (readU32(message.body, 8) & rt.IFF_UP) !== 0;
    if (name === undefined || (!isUp && message.type !== rt.RTM_DELLINK)) return undefined;
    links.delete(index);
    if (links.size === 0) onTheirWay.delete(id);
    return isUp ? name : undefined;
  }

  return {
    follow(all) {
      for (const netns of all) {
        const id = namespaceId(netns, syscalls, socket);
        if (id === undefined) continue;
        const names = namesIn(netns, syscalls, namespaces);
        if (names !== undefined) followed.set(id, { netns, decoder: createDecoder(names, netns) });
      }
    },

    drain() {
      const events: RtnetlinkEvent[] = [];
      const arrived: string[] = [];
      const touched = new Set<Decoder>();
      const receive = () => syscalls.recvWithControl(fd, buffer, control, rt.MSG_DONTWAIT);
      for (const length of received(receive, 'the changes in containers')) {
        if (length === 'lost') {
          events.push({ lost: true });
          continue;
        }
        const id = idOfSender(control);
        for (const message of readMessages(buffer.subarray(0, length))) {
          if (id === undefined) {
            ours(message);
            continue;
          }
          const name = arrival(id, message);
          if (name !== undefined) arrived.push(name);
          const there = followed.get(id);
          if (there === undefined) continue;
          if (wanted(there.netns)) {
            events.push(...there.decoder.decode(message));
            touched.add(there.decoder);
          } else followed.delete(id);
        }
      }
      for (const decoder of touched) decoder.settle();
      return { events, arrived };
    },

    onReadable(callback) {
      stopWatching?.();
      stopWatching = syscalls.whenReadable(fd, callback);
    },

    close() {
      stopWatching?.();
      syscalls.close(fd);
      socket.close();
      namespaces.close();
    },
  };
}

/** The kernel says it beside each message that is not from our own namespace (netlink_cmsg_listen_all_nsid). */
function idOfSender(control: Uint8Array): NamespaceId | undefined {
  const isId = readU32(control, 8) === rt.SOL_NETLINK && readU32(control, 12) === rt.NETLINK_LISTEN_ALL_NSID;
  return isId ? readU32(control, 16) : undefined;
}

/** @returns undefined when there is no such namespace. @throws Refusal */
function namespaceId(netns: Netns, syscalls: Syscalls, socket: NetlinkSocket): NamespaceId | undefined {
  const fd = syscalls.open(netns, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return undefined;
  try {
    // One that has an id keeps it (EEXIST); a plain file, which a namespace once was mounted on, is none (EINVAL).
    socket.request([aboutNamespace(rt.RTM_NEWNSID, fd)]);
    const id = socket.get(aboutNamespace(rt.RTM_GETNSID, fd), ({ body }) =>
      getU32(readAttributes(body.subarray(4)), rt.NETNSA_NSID),
    );
    return id === undefined || id === NOT_ASSIGNED ? undefined : id;
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    throw error;
  } finally {
    syscalls.close(fd);
  }
}

/** NETNSA_NSID_NOT_ASSIGNED, -1: "choose one" in a request. */
const NOT_ASSIGNED = 0xffffffff;

/** `struct rtgenmsg`, and what net/core/net_namespace.c takes with it. */
function aboutNamespace(type: number, fd: number): Request {
  return request(type, 0, (writer) => {
    writer.u32(rt.AF_UNSPEC);
    if (type === rt.RTM_NEWNSID) writer.attributeU32(rt.NETNSA_NSID, NOT_ASSIGNED);
    writer.attributeU32(rt.NETNSA_FD, fd);
  });
}

/** Names of what is there now; undefined when the namespace has gone meanwhile. */
function namesIn(netns: Netns, syscalls: Syscalls, namespaces: Namespaces): Map<number, string> | undefined {
  try {
    return namespaces.within(netns, () => linkNames(syscalls));
  } catch {
    return undefined;
  }
}

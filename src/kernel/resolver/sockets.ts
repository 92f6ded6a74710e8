/** Sockets at the address of the engine's resolver, in the namespace of a container. */

import { BerthError } from '../../model/errors.ts';
import type { Namespaces } from '../namespace.ts';
import type { Netns } from '../objects.ts';
import type { ResolverSockets } from '../resolver.ts';
import {
  AF_INET,
  AF_NETLINK,
  NLMSG_ERROR,
  SO_RCVTIMEO,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_SOCKET,
} from '../rtnetlink/constants.ts';
import { Refusal, refusalAsError } from '../rtnetlink/errors.ts';
import { readMessages, readOutcome } from '../rtnetlink/message.ts';
import { checked, integer } from '../rtnetlink/socket.ts';
import type { Syscalls } from '../syscalls.ts';
import { DNS_PORT, MARK, RESOLVER, tableBatch } from './table.ts';

const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SO_MARK = 36;
const NETLINK_NETFILTER = 12;
const EINPROGRESS = 115;
const BACKLOG = 64;
/** struct timeval: seconds that the kernel gets to answer. */
const PATIENCE = new Uint8Array(BigInt64Array.of(5n, 0n).buffer);

/**
 * @throws BerthError KERNEL_REFUSED when there is no such namespace (any more), or lo is down in it; KERNEL_LACKS before Linux 5.12.
 */
export function openResolverSockets(
  { syscalls, namespaces }: { readonly syscalls: Syscalls; readonly namespaces: Namespaces },
  netns: Netns,
): ResolverSockets {
  return refusing(netns, () =>
    namespaces.within(netns, () => {
      const opened: number[] = [];
      const open = (family: number, type: number, protocol = 0): number => {
        const fd = checked(syscalls.socket(family, type | SOCK_CLOEXEC, protocol));
        opened.push(fd);
        return fd;
      };
      try {
        const datagrams = open(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK);
        checked(syscalls.bind(datagrams, socketAddress(0)));
        const streams = open(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
        checked(syscalls.bind(streams, socketAddress(0)));
        checked(syscalls.listen(streams, BACKLOG));
        const onward = open(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK);
        checked(syscalls.setsockopt(onward, SOL_SOCKET, SO_MARK, integer(MARK)));
        const redirection = open(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
        makeTable(syscalls, redirection, {
          datagrams: portOf(syscalls, datagrams),
          streams: portOf(syscalls, streams),
        });
        return { datagrams, streams, onward, redirection };
      } catch (error) {
        for (const fd of opened) syscalls.close(fd);
        throw error;
      }
    }),
  );
}

/**
 * A stream to the engine's own resolver, which may still be about to be set up, or to be refused.
 *
 * @throws BerthError KERNEL_REFUSED
 */
export function openResolverStream(
  { syscalls, namespaces }: { readonly syscalls: Syscalls; readonly namespaces: Namespaces },
  netns: Netns,
): number {
  return refusing(netns, () =>
    namespaces.within(netns, () => {
      const fd = checked(syscalls.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      try {
        checked(syscalls.setsockopt(fd, SOL_SOCKET, SO_MARK, integer(MARK)));
        const begun = syscalls.connect(fd, socketAddress(DNS_PORT));
        if (begun !== -EINPROGRESS) checked(begun);
        return fd;
      } catch (error) {
        syscalls.close(fd);
        throw error;
      }
    }),
  );
}

/** The kernel has it when this returns. @throws Refusal */
function makeTable(syscalls: Syscalls, fd: number, ports: { datagrams: number; streams: number }): void {
  checked(syscalls.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, PATIENCE));
  const { bytes, last } = tableBatch(ports);
  checked(syscalls.send(fd, bytes, bytes.length, 0));
  const buffer = new Uint8Array(8192);
  for (;;) {
    const length = checked(syscalls.recv(fd, buffer, 0));
    for (const message of readMessages(buffer.subarray(0, length))) {
      if (message.type !== NLMSG_ERROR) continue;
      const { errno, message: reason } = readOutcome(message);
      if (errno !== 0) throw new Refusal(errno, reason);
      if (message.sequence === last) return;
    }
  }
}

/** `struct sockaddr_in` (linux/in.h). */
function socketAddress(port: number): Uint8Array {
  const address = new Uint8Array(16);
  address.set(new Uint8Array(Uint16Array.of(AF_INET).buffer));
  address.set([port >> 8, port & 255, ...RESOLVER], 2);
  return address;
}

function portOf(syscalls: Syscalls, fd: number): number {
  const address = new Uint8Array(16);
  checked(syscalls.getsockname(fd, address));
  return (address[2]! << 8) | address[3]!;
}

function refusing<T>(netns: Netns, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw asLack(refusalAsError(error, 'listen beside', `the resolver in the network namespace ${netns}`));
  }
}

/** Before Linux 5.12 a table's flags that are not known are refused as an invalid argument. */
function asLack(error: BerthError): BerthError {
  if (!error.message.includes('(EINVAL)')) return error;
  return new BerthError('KERNEL_LACKS', `${error.message}; tables with an owner came with Linux 5.12`, {
    cause: error,
  });
}

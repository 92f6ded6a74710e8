/** Sockets for echoes and datagrams, each connected to one address: ip(7), ipv6(7), raw(7), linux/in.h, linux/errqueue.h. */

import { constants } from 'node:os';
import { type Address, addressBytes, addressFromBytes, formatAddress } from '../../model/address.ts';
import { littleEndian } from '../rtnetlink/attributes.ts';
import { AF_INET, AF_INET6, SOCK_CLOEXEC, SOCK_RAW, SOL_SOCKET } from '../rtnetlink/constants.ts';
import { Refusal, refusalAsError } from '../rtnetlink/errors.ts';
import { checked, integer } from '../rtnetlink/socket.ts';
import type { Syscalls } from '../syscalls.ts';
import type { Obstacle } from './reach.ts';

const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const IPPROTO_IP = 0;
const IPPROTO_ICMP = 1;
const IPPROTO_IPV6 = 41;
const IPPROTO_ICMPV6 = 58;
const IP_MTU_DISCOVER = 10;
const IP_RECVERR = 11;
const IPV6_MTU_DISCOVER = 23;
const IPV6_RECVERR = 25;
/** Never cut up, and whatever was learnt about the path before does not count: of IPv4 and IPv6 alike. */
const PMTUDISC_PROBE = 3;
/** SO_TIMESTAMPNS_OLD (asm-generic/socket.h), and the type of the control message that it brings. */
const SO_TIMESTAMPNS = 35;
const MSG_DONTWAIT = 0x40;
const MSG_ERRQUEUE = 0x2000;
/** SO_EE_ORIGIN_LOCAL; above it are those that came as ICMP. */
const ORIGIN_LOCAL = 1;

const errnoNames = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));

/** `struct sockaddr_in` or `sockaddr_in6`. */
function socketAddress(address: Address, port: number): Uint8Array {
  const six = address.family === 6;
  const view = new DataView(new ArrayBuffer(six ? 28 : 16));
  view.setUint16(0, six ? AF_INET6 : AF_INET, littleEndian);
  view.setUint16(2, port, false);
  const bytes = new Uint8Array(view.buffer);
  bytes.set(addressBytes(address), six ? 8 : 4);
  return bytes;
}

/**
 * In the thread's namespace. Nothing that it sends is ever cut up on the way.
 *
 * @throws BerthError KERNEL_REFUSED, KERNEL_LACKS
 */
export function openEchoSocket(syscalls: Syscalls, { family }: Address): number {
  const protocol = family === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
  return openSocket(syscalls, family, SOCK_RAW, protocol);
}

/** @throws BerthError as above */
export function openDatagramSocket(syscalls: Syscalls, { family }: Address): number {
  return openSocket(syscalls, family, SOCK_DGRAM, 0);
}

function openSocket(syscalls: Syscalls, family: 4 | 6, type: number, protocol: number): number {
  const six = family === 6;
  let fd: number | undefined;
  try {
    fd = checked(syscalls.socket(six ? AF_INET6 : AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
    const [level, discover, errors] = six
      ? [IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_RECVERR]
      : [IPPROTO_IP, IP_MTU_DISCOVER, IP_RECVERR];
    checked(syscalls.setsockopt(fd, level, errors, integer(1)));
    if (type === SOCK_RAW) {
      checked(syscalls.setsockopt(fd, level, discover, integer(PMTUDISC_PROBE)));
      checked(syscalls.setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, integer(1)));
    }
    return fd;
  } catch (error) {
    if (fd !== undefined) syscalls.close(fd);
    throw error instanceof Refusal ? refusalAsError(error, 'open', 'a socket for echoes') : error;
  }
}

/** @returns what stands in the way, as when there is no route. */
export function connectTo(syscalls: Syscalls, fd: number, address: Address, port = 0): Obstacle | undefined {
  return asObstacle(syscalls.connect(fd, socketAddress(address, port)));
}

/** @param result of a system call. */
export function asObstacle(result: number): Obstacle | undefined {
  return result >= 0 ? undefined : { code: errnoNames.get(-result) ?? `errno ${-result}` };
}

/**
 * Takes the next packet, with when it came in, as the kernel saw it: this thread may come to it much later. Milliseconds of the wall
 * clock.
 */
export function receiveTimed(
  syscalls: Syscalls,
  fd: number,
  into: Uint8Array,
): { readonly length: number; readonly at: number } {
  const control = new Uint8Array(64);
  const length = syscalls.recvWithControl(fd, into, control, MSG_DONTWAIT);
  // struct cmsghdr, struct timespec.
  const view = new DataView(control.buffer);
  const stamped = view.getInt32(8, littleEndian) === SOL_SOCKET && view.getInt32(12, littleEndian) === SO_TIMESTAMPNS;
  const at = Number(view.getBigInt64(16, littleEndian)) * 1e3 + Number(view.getBigInt64(24, littleEndian)) / 1e6;
  return { length, at: stamped ? at : Number.NaN };
}

/** Takes the next error of the socket's own queue; undefined when there is none. */
export function nextObstacle(
  syscalls: Syscalls,
  fd: number,
): { readonly obstacle: Obstacle; readonly mtu?: number } | undefined {
  const [data, control] = [new Uint8Array(64), new Uint8Array(256)];
  if (syscalls.recvWithControl(fd, data, control, MSG_ERRQUEUE) < 0) return undefined;
  const start = errorIn(control);
  if (start === undefined) return { obstacle: { code: 'unknown' } };
  // struct sock_extended_err, and struct sockaddr of whom it came from.
  const view = new DataView(control.buffer, start);
  const code = errnoNames.get(view.getUint32(0, littleEndian)) ?? 'unknown';
  const origin = view.getUint8(4);
  const mtu = view.getUint32(8, littleEndian);
  const family = view.getUint16(16, littleEndian);
  const from =
    origin <= ORIGIN_LOCAL
      ? undefined
      : family === AF_INET
        ? addressFromBytes(control.slice(start + 20, start + 24))
        : family === AF_INET6
          ? addressFromBytes(control.slice(start + 24, start + 40))
          : undefined;
  return {
    obstacle: { code, ...(from === undefined ? {} : { from: formatAddress(from) }) },
    ...(code === 'EMSGSIZE' && mtu > 0 ? { mtu } : {}),
  };
}

/** Where what is said of the error begins, among all that comes with it (cmsg(3)). */
function errorIn(control: Uint8Array): number | undefined {
  const view = new DataView(control.buffer);
  let at = 0;
  while (at + 16 <= control.length) {
    const length = Number(view.getBigUint64(at, littleEndian));
    if (length < 16) return undefined;
    const [level, type] = [view.getInt32(at + 8, littleEndian), view.getInt32(at + 12, littleEndian)];
    if ((level === IPPROTO_IP && type === IP_RECVERR) || (level === IPPROTO_IPV6 && type === IPV6_RECVERR))
      return at + 16;
    at += Math.ceil(length / 8) * 8;
  }
  return undefined;
}

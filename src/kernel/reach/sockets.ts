/** Sockets for echoes and datagrams, each connected to one address: ip(7), ipv6(7), raw(7), linux/in.h, linux/errqueue.h. */

import { constants } from 'node:os';
import { type Address, addressBytes, addressFromBytes, formatAddress } from '../../model/address.ts';
import { Refusal, refusalAsError } from '../rtnetlink/errors.ts';
import { checked } from '../rtnetlink/socket.ts';
import type { Syscalls } from '../syscalls.ts';
import type { Obstacle } from './reach.ts';

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
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
const MSG_ERRQUEUE = 0x2000;
/** SO_EE_ORIGIN_LOCAL; above it are those that came as ICMP. */
const ORIGIN_LOCAL = 1;

const littleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
const int = (value: number): Uint8Array => new Uint8Array(Int32Array.of(value).buffer);
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
    checked(syscalls.setsockopt(fd, level, errors, int(1)));
    if (type === SOCK_RAW) checked(syscalls.setsockopt(fd, level, discover, int(PMTUDISC_PROBE)));
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

/** Takes the next error of the socket's own queue; undefined when there is none. */
export function nextObstacle(
  syscalls: Syscalls,
  fd: number,
): { readonly obstacle: Obstacle; readonly mtu?: number } | undefined {
  const [data, control] = [new Uint8Array(64), new Uint8Array(256)];
  if (syscalls.recvWithControl(fd, data, control, MSG_ERRQUEUE) < 0) return undefined;
  // struct cmsghdr, struct sock_extended_err, struct sockaddr of whom it came from.
  const view = new DataView(control.buffer, 16);
  const code = errnoNames.get(view.getUint32(0, littleEndian)) ?? 'unknown';
  const origin = view.getUint8(4);
  const mtu = view.getUint32(8, littleEndian);
  const family = view.getUint16(16, littleEndian);
  const from =
    origin <= ORIGIN_LOCAL
      ? undefined
      : family === AF_INET
        ? addressFromBytes(control.slice(36, 40))
        : family === AF_INET6
          ? addressFromBytes(control.slice(40, 56))
          : undefined;
  return {
    obstacle: { code, ...(from === undefined ? {} : { from: formatAddress(from) }) },
    ...(code === 'EMSGSIZE' && mtu > 0 ? { mtu } : {}),
  };
}

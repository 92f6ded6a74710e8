/** A stream socket on which the kernel thread may block, with a limit, as it does on its netlink sockets. */

import { constants } from 'node:os';
import { parseAddress } from '../../model/address.ts';
import type { DatabaseAddress } from '../../ovs/address.ts';
import { type BlockingStream, Disconnected, TimedOut } from '../../ovs/session.ts';
import { MSG_DONTWAIT, SO_RCVTIMEO, SO_SNDTIMEO, SOCK_CLOEXEC, SOL_SOCKET } from '../rtnetlink/constants.ts';
import { errnoName } from '../rtnetlink/errors.ts';
import type { Syscalls } from '../syscalls.ts';

/** linux/socket.h */
const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const MSG_NOSIGNAL = 0x4000;

const RECEIVE_BYTES = 64 * 1024;

const { EAGAIN, EINPROGRESS, EINTR, ENOENT, ECONNREFUSED, EACCES } = constants.errno;

/** @throws Disconnected, TimedOut */
export function connectStream(syscalls: Syscalls, address: DatabaseAddress, milliseconds: number): BlockingStream {
  const fd = syscalls.socket(familyOf(address), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new Disconnected(`a socket cannot be made: ${errnoName(-fd)}`);
  // It bounds connect(2) as well (socket(7)).
  syscalls.setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, timeval(milliseconds));
  const connected = syscalls.connect(fd, socketAddress(address));
  if (connected < 0) {
    syscalls.close(fd);
    throw failure(-connected, milliseconds);
  }
  const buffer = new Uint8Array(RECEIVE_BYTES);
  let stopWatching: (() => void) | undefined;
  let closed = false;

  return {
    write(bytes, limit) {
      syscalls.setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, timeval(limit));
      for (let rest = bytes; rest.length > 0; ) {
        const sent = syscalls.send(fd, rest, rest.length, MSG_NOSIGNAL);
        if (sent === -EINTR) continue;
        if (sent < 0) throw failure(-sent, limit);
        rest = rest.subarray(sent);
      }
    },
    read(limit) {
      if (limit > 0) syscalls.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, timeval(limit));
      const length = syscalls.recv(fd, buffer, limit > 0 ? 0 : MSG_DONTWAIT);
      if (length === -EAGAIN || length === -EINTR) return undefined;
      if (length < 0) throw failure(-length, limit);
      if (length === 0) throw new Disconnected('it closed the connection');
      return buffer.subarray(0, length);
    },
    whenReadable(callback) {
      stopWatching?.();
      stopWatching = syscalls.whenReadable(fd, callback);
    },
    close() {
      if (closed) return;
      closed = true;
      stopWatching?.();
      syscalls.close(fd);
    },
  };
}

function failure(errno: number, milliseconds: number): Disconnected | TimedOut {
  if (errno === EAGAIN || errno === EINPROGRESS) return new TimedOut(milliseconds);
  return new Disconnected(reasons.get(errno) ?? errnoName(errno));
}

const reasons = new Map([
  [ENOENT, 'there is no such socket'],
  [ECONNREFUSED, 'nobody listens there'],
  [EACCES, 'permission denied'],
]);

function familyOf(address: DatabaseAddress): number {
  if (address.kind === 'unix') return AF_UNIX;
  return address.host.includes(':') ? AF_INET6 : AF_INET;
}

/** struct sockaddr_un, sockaddr_in or sockaddr_in6 (unix(7), ip(7), ipv6(7)): the family is in the host's order, the rest is not. */
function socketAddress(address: DatabaseAddress): Uint8Array {
  const family = new Uint8Array(Uint16Array.of(familyOf(address)).buffer);
  if (address.kind === 'unix') return Buffer.concat([family, Buffer.from(address.path), Buffer.of(0)]);
  const port = Buffer.alloc(2);
  port.writeUInt16BE(address.port);
  const { family: version, value } = parseAddress(address.host)!;
  const host = Buffer.from(value.toString(16).padStart(version === 4 ? 8 : 32, '0'), 'hex');
  return version === 4
    ? Buffer.concat([family, port, host, Buffer.alloc(8)])
    : Buffer.concat([family, port, Buffer.alloc(4), host, Buffer.alloc(4)]);
}

/** struct timeval. No time at all would mean no limit. */
function timeval(milliseconds: number): Uint8Array {
  const micros = Math.max(1, Math.ceil(milliseconds * 1000));
  return new Uint8Array(BigInt64Array.of(BigInt(Math.floor(micros / 1e6)), BigInt(micros % 1e6)).buffer);
}

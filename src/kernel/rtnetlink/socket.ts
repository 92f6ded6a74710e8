/** A netlink socket of one network namespace: requests, batches of requests, and dumps. Everything blocks, with a limit. */

import { constants } from 'node:os';
import type { Syscalls } from '../syscalls.ts';
import { Writer } from './attributes.ts';
import {
  AF_NETLINK,
  MSG_TRUNC,
  NETLINK_EXT_ACK,
  NETLINK_GET_STRICT_CHK,
  NETLINK_ROUTE,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  SO_RCVBUFFORCE,
  SO_RCVTIMEO,
  SO_SNDBUFFORCE,
  SO_SNDTIMEO,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_NETLINK,
  SOL_SOCKET,
} from './constants.ts';
import { Refusal } from './errors.ts';
import { type Message, type Outcome, type Request, readMessages, readOutcome, writeMessage } from './message.ts';

export interface NetlinkSocket {
  /**
   * Sends requests in as few sends as they fit in. All are tried, whatever becomes of the others.
   *
   * @returns what became of each, in the same order.
   */
  request(requests: readonly Request[]): readonly Outcome[];
  /** One request. @throws Refusal */
  do(request: Request): void;
  /** Asks for one thing. Undefined when there is no such thing (ENODEV, ENOENT, ESRCH, ENXIO). @throws Refusal */
  get<T>(request: Request, decode: (message: Message) => T): T | undefined;
  /** Asks for everything of a kind; what `decode` answers undefined to is left out. @throws Refusal */
  dump<T>(request: Request, decode: (message: Message) => T | undefined): T[];
  /** What ethtool(8) sets: a command of linux/ethtool.h, and its value. @throws Refusal */
  ethtool(link: string, command: number, value: number): void;
  close(): void;
}

/** Docker is answered within 10 s whatever happens, so the kernel gets half of that. */
const TIMEOUT_SECONDS = 5;
/** The kernel puts at most 32 KiB of a dump into one datagram (netlink_dump); a single link with many VFs can be larger. */
const RECEIVE_BYTES = 256 * 1024;
const SOCKET_BUFFER_BYTES = 8 * 1024 * 1024;
/** Errors of one send must fit in the receive buffer, since nobody reads while the kernel works through it. */
const BATCH_MESSAGES = 256;
const BATCH_BYTES = 128 * 1024;
const DUMP_ATTEMPTS = 8;

// The thread is synchronous: no answer is still being read when the next one arrives.
let shared: Uint8Array | undefined;

/**
 * Opens a socket in the network namespace that the thread is in; it stays there when the thread leaves.
 *
 * The socket keeps its namespace alive, and with it the links in there: to be closed soon when it is somebody else's.
 *
 * @throws Refusal
 */
export function openSocket(syscalls: Syscalls): NetlinkSocket {
  return socketOn(syscalls, checked(openDescriptor(syscalls)));
}

/** An rtnetlink socket without any setting. */
export function openDescriptor(syscalls: Syscalls): number {
  return syscalls.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
}

export function checked(result: number): number {
  if (result < 0) throw new Refusal(-result);
  return result;
}

function socketOn(syscalls: Syscalls, fd: number): NetlinkSocket {
  syscalls.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, timeval(TIMEOUT_SECONDS));
  syscalls.setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, timeval(TIMEOUT_SECONDS));
  syscalls.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, integer(SOCKET_BUFFER_BYTES));
  syscalls.setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, integer(SOCKET_BUFFER_BYTES));
  // Older kernels do not know these two (4.12, 4.20): then errors have no sentence, and dumps are not filtered there.
  syscalls.setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, integer(1));
  syscalls.setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, integer(1));

  shared ??= new Uint8Array(RECEIVE_BYTES);
  const buffer = shared;
  const outgoing = new Writer(4096);
  let sequence = 0;

  function send(): void {
    const sent = syscalls.send(fd, outgoing.bytes, outgoing.length, 0);
    outgoing.length = 0;
    checked(sent);
  }

  function receive(): Uint8Array {
    let length = syscalls.recv(fd, buffer, MSG_TRUNC);
    // A receive with a time limit is not resumed after a signal (signal(7)).
    while (length === -constants.errno.EINTR) length = syscalls.recv(fd, buffer, MSG_TRUNC);
    checked(length);
    if (length > buffer.length) throw new Refusal(constants.errno.EMSGSIZE, 'an answer is larger than expected');
    return buffer.subarray(0, length);
  }

  function batch(requests: readonly Request[], outcomes: Outcome[]): void {
    const first = sequence + 1;
    for (const [position, request] of requests.entries()) {
      sequence += 1;
      // Without NLM_F_ACK only failures are answered, in order, so the last one's acknowledgement covers all of them.
      const last = position === requests.length - 1;
      writeMessage(outgoing, request, last ? NLM_F_REQUEST | NLM_F_ACK : NLM_F_REQUEST, sequence);
    }
    const last = sequence;
    const failed = new Map<number, Outcome>();
    send();
    for (let done = false; !done; ) {
      for (const message of readMessages(receive())) {
        if (message.type !== NLMSG_ERROR || message.sequence < first || message.sequence > last) continue;
        failed.set(message.sequence, readOutcome(message));
        done ||= message.sequence === last;
      }
    }
    for (let number = first; number <= last; number++) outcomes.push(failed.get(number) ?? { errno: 0 });
  }

  function dumpOnce<T>(request: Request, decode: (message: Message) => T | undefined): T[] | undefined {
    sequence += 1;
    writeMessage(outgoing, request, NLM_F_REQUEST | NLM_F_DUMP, sequence);
    send();
    const found: T[] = [];
    let interrupted = false;
    for (;;) {
      for (const message of readMessages(receive())) {
        if (message.sequence !== sequence) continue;
        if ((message.flags & NLM_F_DUMP_INTR) !== 0) interrupted = true;
        if (message.type === NLMSG_DONE || message.type === NLMSG_ERROR) {
          const outcome = readOutcome(message, message.type === NLMSG_DONE);
          if (outcome.errno !== 0) throw new Refusal(outcome.errno, outcome.message);
          return interrupted ? undefined : found;
        }
        const decoded = decode(message);
        if (decoded !== undefined) found.push(decoded);
      }
    }
  }

  const self: NetlinkSocket = {
    request(requests) {
      const outcomes: Outcome[] = [];
      let group: Request[] = [];
      let bytes = 0;
      for (const request of requests) {
        if (group.length === BATCH_MESSAGES || (group.length > 0 && bytes + request.body.length > BATCH_BYTES)) {
          batch(group, outcomes);
          group = [];
          bytes = 0;
        }
        group.push(request);
        bytes += request.body.length + 16;
      }
      if (group.length > 0) batch(group, outcomes);
      return outcomes;
    },

    do(request) {
      const outcome = self.request([request])[0]!;
      if (outcome.errno !== 0) throw new Refusal(outcome.errno, outcome.message);
    },

    get(request, decode) {
      sequence += 1;
      writeMessage(outgoing, request, NLM_F_REQUEST, sequence);
      send();
      for (;;) {
        for (const message of readMessages(receive())) {
          if (message.sequence !== sequence) continue;
          if (message.type !== NLMSG_ERROR) return decode(message);
          const outcome = readOutcome(message);
          if (absent.has(outcome.errno)) return undefined;
          throw new Refusal(outcome.errno, outcome.message);
        }
      }
    },

    dump(request, decode) {
      for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt++) {
        const found = dumpOnce(request, decode);
        // A dump during which something changed may lack what was there all the time (NLM_F_DUMP_INTR).
        if (found !== undefined) return found;
      }
      throw new Refusal(constants.errno.EAGAIN, 'it changes faster than it can be read');
    },

    ethtool(link, command, value) {
      checked(syscalls.ethtool(fd, link, command, value));
    },

    close() {
      syscalls.close(fd);
    },
  };
  return self;
}

const { ENODEV, ENOENT, ESRCH, ENXIO } = constants.errno;
const absent: ReadonlySet<number> = new Set([ENODEV, ENOENT, ESRCH, ENXIO]);

/** Whether an error means that the thing is not there. */
export function meansAbsent(errno: number): boolean {
  return absent.has(errno);
}

export function integer(value: number): Uint8Array {
  return new Uint8Array(Int32Array.of(value).buffer);
}

function timeval(seconds: number): Uint8Array {
  return new Uint8Array(BigInt64Array.of(BigInt(seconds), 0n).buffer);
}

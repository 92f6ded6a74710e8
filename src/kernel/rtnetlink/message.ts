/** Netlink messages: `struct nlmsghdr` (linux/netlink.h), a fixed header of the family, attributes. */

import { align4, getString, readAttributes, readU16, readU32, Writer } from './attributes.ts';
import { NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSGERR_ATTR_MSG } from './constants.ts';

export const HEADER_LENGTH = 16;

/** A request as the codec makes it; the socket numbers it when it is sent. */
export interface Request {
  readonly type: number;
  /** NLM_F_… without NLM_F_REQUEST and NLM_F_ACK, which the socket adds. */
  readonly flags: number;
  /** What follows the message header: the family's structure and the attributes. */
  readonly body: Uint8Array;
}

/** Writes a request's body; `content` writes the structure and then the attributes. */
export function request(type: number, flags: number, content: (writer: Writer) => void): Request {
  const writer = new Writer();
  content(writer);
  return { type, flags, body: writer.bytes };
}

export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** View of the receive buffer: valid until the next read. */
  readonly body: Uint8Array;
}

/** Appends one message to what is going to be sent. */
export function writeMessage(writer: Writer, request: Request, flags: number, sequence: number): void {
  writer
    .u32(HEADER_LENGTH + request.body.length)
    .u16(request.type)
    .u16(request.flags | flags)
    .u32(sequence)
    .u32(0)
    .raw(request.body)
    .align();
}

/** The messages of one datagram. A message whose length leaves the datagram ends it. */
export function* readMessages(datagram: Uint8Array): Generator<Message> {
  for (let at = 0; at + HEADER_LENGTH <= datagram.length; ) {
    const length = readU32(datagram, at);
    if (length < HEADER_LENGTH || at + length > datagram.length) return;
    yield {
      type: readU16(datagram, at + 4),
      flags: readU16(datagram, at + 6),
      sequence: readU32(datagram, at + 8),
      body: datagram.subarray(at + HEADER_LENGTH, at + length),
    };
    at += align4(length);
  }
}

/** How the kernel answered a request. */
export interface Outcome {
  /** 0: done. */
  readonly errno: number;
  /** The extended acknowledgement's sentence (NLMSGERR_ATTR_MSG). With errno 0 it is a warning. */
  readonly message?: string;
}

/** Decodes `struct nlmsgerr` and what follows it (NLMSG_ERROR), or the end of a dump (NLMSG_DONE). */
export function readOutcome(message: Message, dumpEnd = false): Outcome {
  if (message.body.length < 4) return { errno: 0 };
  const errno = -readU32(message.body, 0) | 0;
  if ((message.flags & NLM_F_ACK_TLVS) === 0) return { errno };
  let tail = 4;
  if (!dumpEnd) {
    // The request that failed is quoted: its header only when the kernel says that it was capped, as it always is on success.
    const quoted = (message.flags & NLM_F_CAPPED) !== 0 ? HEADER_LENGTH : align4(readU32(message.body, 4));
    tail += quoted;
  }
  const text = getString(readAttributes(message.body.subarray(tail)), NLMSGERR_ATTR_MSG);
  return text === undefined ? { errno } : { errno, message: text };
}

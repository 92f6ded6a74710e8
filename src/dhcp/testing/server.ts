/** Answers of a DHCP server, right and wrong ones, for tests. */

import { addressBytes, parseAddress } from '../../model/address.ts';
import { macFromBytes } from '../../model/mac.ts';
import { code, encodeMessage, type Message, messageType } from '../message.ts';
import { type Datagram, encodeFrame, everybody } from '../udp.ts';

export const SERVER = '192.168.7.1';
export const serverMac = macFromBytes(Uint8Array.of(0x0a, 0, 0, 0, 0, 1));

export interface Answer {
  readonly server?: string;
  readonly yours?: string;
  readonly lease?: number;
  /** More options, or other values; undefined leaves one out. */
  readonly options?: Readonly<Record<number, Uint8Array | undefined>>;
}

/** An address as an option's value. */
export const bytesOf = (address: string): Uint8Array => addressBytes(parseAddress(address)!);

export const seconds = (value: number): Uint8Array => {
  const bytes = new DataView(new ArrayBuffer(4));
  bytes.setUint32(0, value);
  return new Uint8Array(bytes.buffer);
};

/** What a server answers to a message. */
export function answer(to: Message, type: keyof typeof messageType, how: Answer = {}): Message {
  const options = new Map<number, Uint8Array>([
    [code.messageType, Uint8Array.of(messageType[type])],
    [code.server, bytesOf(how.server ?? SERVER)],
  ]);
  if (type !== 'nak') {
    options.set(code.subnetMask, bytesOf('255.255.255.0'));
    options.set(code.leaseTime, seconds(how.lease ?? 3600));
    options.set(code.router, bytesOf(SERVER));
  }
  for (const [option, value] of Object.entries(how.options ?? {})) {
    if (value === undefined) options.delete(Number(option));
    else options.set(Number(option), value);
  }
  return {
    op: 'reply',
    transaction: to.transaction,
    seconds: 0,
    broadcast: to.broadcast,
    ...(type === 'nak' ? {} : { yours: parseAddress(how.yours ?? '192.168.7.20')! }),
    mac: to.mac,
    options,
  };
}

/** A message as it comes over the wire. */
export function framed(message: Message, change: Partial<Datagram> = {}): Uint8Array {
  return encodeFrame({
    sourceMac: serverMac,
    source: parseAddress(SERVER)!,
    destination: everybody,
    sourcePort: 67,
    destinationPort: 68,
    data: encodeMessage(message),
    ...change,
  });
}

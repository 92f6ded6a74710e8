/** Answers of a DHCPv6 server, right and wrong ones, for tests. */

import { addressBytes, parseAddress } from '../../../model/address.ts';
import { macFromBytes } from '../../../model/mac.ts';
import {
  code,
  encodeMessage,
  encodeOptions,
  type Message,
  messageType,
  number,
  type Option,
  option,
} from '../message.ts';
import { linkLocalOf } from '../neighbour.ts';
import { encodeDatagram } from '../packet.ts';

export const SERVER = 'fe80::53';
export const serverMac = macFromBytes(Uint8Array.of(0x0a, 0, 0, 0, 0, 0x53));
export const serverDuid = Uint8Array.of(0, 3, 0, 1, 0x0a, 0, 0, 0, 0, 0x53);

export interface Answer {
  readonly type?: 'advertise' | 'reply';
  readonly server?: Uint8Array;
  /** Absent: 2001:db8:7::1000. */
  readonly addresses?: readonly string[];
  readonly preferred?: number;
  readonly valid?: number;
  readonly renew?: number;
  readonly rebind?: number;
  /** Of the identity association. */
  readonly status?: number;
  /** Of the message. */
  readonly messageStatus?: number;
  /** More options; those of the same code take the place of the usual ones. */
  readonly options?: readonly Option[];
}

export const status = (value: number, text = ''): Option => ({
  code: code.status,
  value: Uint8Array.of(...number(value, 2), ...Buffer.from(text)),
});

/** What a server answers to a message. */
export function answer(to: Message, how: Answer = {}): Message {
  const { addresses = ['2001:db8:7::1000'], preferred = 1800, valid = 3600, renew = 0, rebind = 0 } = how;
  const asked = option(to.options, code.identityAssociation);
  const inner: Option[] = addresses.map((address) => ({
    code: code.address,
    value: Uint8Array.of(...addressBytes(parseAddress(address)!), ...number(preferred, 4), ...number(valid, 4)),
  }));
  if (how.status !== undefined) inner.push(status(how.status));
  const usual: Option[] = [
    { code: code.clientId, value: option(to.options, code.clientId)! },
    { code: code.serverId, value: how.server ?? serverDuid },
  ];
  if (asked !== undefined) {
    const times = [...asked.subarray(0, 4), ...number(renew, 4), ...number(rebind, 4)];
    usual.push({ code: code.identityAssociation, value: Uint8Array.of(...times, ...encodeOptions(inner)) });
  }
  if (how.messageStatus !== undefined) usual.push(status(how.messageStatus));
  const own = how.options ?? [];
  return {
    type: messageType[how.type ?? (to.type === messageType.solicit ? 'advertise' : 'reply')],
    transaction: to.transaction,
    options: [...usual.filter((one) => own.every((other) => other.code !== one.code)), ...own],
  };
}

/** A message as it comes over the wire, to whoever has this DUID. */
export function framed(message: Message, port = 546): Uint8Array {
  const duid = option(message.options, code.clientId)!;
  return encodeDatagram({
    sourceMac: serverMac,
    destinationMac: macFromBytes(Uint8Array.of(2, 0, 0, 0, 0, 7)),
    source: parseAddress(SERVER)!,
    destination: linkLocalOf(duid),
    sourcePort: 547,
    destinationPort: port,
    data: encodeMessage(message),
  });
}

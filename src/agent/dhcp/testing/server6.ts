/** A router and a DHCPv6 server on the link of `stage.ts`: silent, until a test says otherwise. */

import { advertisementOf } from '../../../dhcp/testing/router.ts';
import {
  code,
  decodeMessage,
  decodeOptions,
  type Message,
  messageType,
  option,
  statusCode,
} from '../../../dhcp/v6/message.ts';
import { decodeDatagram, decodePacket, ICMPV6 } from '../../../dhcp/v6/packet.ts';
import { type Answer, answer, framed } from '../../../dhcp/v6/testing/server.ts';
import { addressFromBytes, formatAddress } from '../../../model/address.ts';

/** Addresses are leased to DUIDs in the order in which they ask. */
export interface FakeServer6 {
  /** What each message was. */
  readonly heard: string[];
  readonly leased: Map<string, string>;
  /** What the router advertises; absent: there is none. */
  router?: Parameters<typeof advertisementOf>[0];
  silent: boolean;
  /** Does what it is asked to, and its answers are lost. */
  unheard: boolean;
  /** Grants what is solicited without another word. */
  rapid: boolean;
  /** Of what it grants. */
  how: Answer;
  next: number;
}

export const openServer6 = (): FakeServer6 => ({
  heard: [],
  leased: new Map(),
  silent: true,
  unheard: false,
  rapid: false,
  how: {},
  next: 0x1000,
});

const names = Object.fromEntries(Object.entries(messageType).map(([name, type]) => [type, name]));

/** @returns the answers to a frame, one or none. */
export function serve6(server: FakeServer6, frame: Uint8Array): Uint8Array[] {
  if (decodePacket(frame, ICMPV6, 2)?.payload[0] === 133) return server.router ? [advertisementOf(server.router)] : [];
  const datagram = decodeDatagram(frame);
  const message = datagram && decodeMessage(datagram.data);
  if (message === undefined) return [];
  server.heard.push(names[message.type]!);
  if (server.silent) return [];
  const answered = framed(reply(server, message));
  return server.unheard ? [] : [answered];
}

function reply(server: FakeServer6, message: Message): Message {
  const duid = Buffer.from(option(message.options, code.clientId)!).toString('hex');
  const held = server.leased.get(duid);
  switch (message.type) {
    case messageType.release:
    case messageType.decline:
      server.leased.delete(duid);
      if (message.type === messageType.decline) server.next += 1;
      return answer(message, { addresses: [] });
    case messageType.renew:
    case messageType.rebind:
      if (held === undefined || held !== asked(message))
        return answer(message, { addresses: [], status: statusCode.noBinding });
      return answer(message, { ...server.how, addresses: [held] });
    case messageType.information:
    case messageType.confirm:
      return answer(message, server.how);
    default:
  }
  const address = held ?? `2001:db8:7::${server.next.toString(16)}`;
  const grants = server.rapid || message.type === messageType.request;
  if (grants && held === undefined && server.how.status === undefined) {
    server.leased.set(duid, address);
    server.next += 1;
  }
  const rapid = { code: code.rapidCommit, value: new Uint8Array() };
  const preferred = { code: code.preference, value: Uint8Array.of(255) };
  return answer(message, {
    addresses: [address],
    type: grants ? 'reply' : 'advertise',
    ...server.how,
    options: [...(server.how.options ?? []), ...(server.rapid ? [rapid] : [preferred])],
  });
}

function asked(message: Message): string | undefined {
  const association = option(message.options, code.identityAssociation);
  const inner = association && option(decodeOptions(association.subarray(12))!, code.address);
  return inner && formatAddress(addressFromBytes(inner.subarray(0, 16)));
}

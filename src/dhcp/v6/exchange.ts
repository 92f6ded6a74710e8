/** Has a DHCPv6 exchange over a link: the machine of `client.ts` in a dialogue. */

import type { Address } from '../../model/address.ts';
import type { Mac } from '../../model/mac.ts';
import type { Chance, Offer, Server } from '../client.ts';
import { converse, type Port } from '../dialogue.ts';
import { begin, type Exchange6, type Outcome6, type Purpose6, receive, type Step6, wake } from './client.ts';
import type { Client6 } from './identity.ts';
import { decodeMessage, encodeMessage, type Message } from './message.ts';
import { answerSolicitation, linkLocalOf, multicastReport } from './neighbour.ts';
import { decodeDatagram, encodeDatagram, groupMac } from './packet.ts';

export interface Exchange6Options {
  /** Milliseconds after which it is given up. */
  readonly patience: number;
  /** An offer was chosen: it is requested when this has resolved, so that a crash does not forget a lease. */
  readonly chosen?: (offer: Offer) => Promise<void>;
  /** An address from before was refused, and a new one is being asked for. */
  readonly refused?: (refusal: Extract<Outcome6, { kind: 'refused' }>) => void;
  /** Milliseconds of a clock that nobody sets. */
  readonly monotonic?: () => number;
  readonly chance?: Chance;
}

export type Ending6 =
  | Outcome6
  /** Nobody answered in time; `heard` tells whether an offer came that was not confirmed. */
  | { readonly kind: 'silent'; readonly heard: 'nothing' | 'offer' };

const SERVER_PORT = 547;
const CLIENT_PORT = 546;
/** All_DHCP_Relay_Agents_and_Servers, RFC 8415 §7.1. */
const SERVERS: Address = { family: 6, value: (0xff02n << 112n) | 0x10002n };

/**
 * One exchange, from its first message to an answer or the end of patience. As long as it lasts, whoever asks for the MAC of its link-local
 * address is answered.
 *
 * @param port hears DHCPv6 and neighbour solicitations.
 * @throws what the port or `chosen` throw.
 */
export async function exchange6(
  port: Port,
  mac: Mac,
  client: Client6,
  purpose: Purpose6,
  options: Exchange6Options,
): Promise<Ending6> {
  const { patience, chosen, refused, monotonic = () => performance.now(), chance = Math.random } = options;
  const own = linkLocalOf(client.duid);
  return await converse<Exchange6, Message, Offer, Ending6, Step6>(
    port,
    {
      greeting: multicastReport(own, mac),
      begin: (now) => begin(client, purpose, now, chance),
      wake: (at, now) => wake(at, now, chance),
      receive(at, frame, now) {
        const heard = hearMessage(frame);
        return heard && receive(at, heard.message, heard.from, now, chance);
      },
      reply: (frame) => answerSolicitation(frame, own, mac),
      encode: (message) =>
        encodeDatagram({
          sourceMac: mac,
          destinationMac: groupMac(SERVERS),
          source: own,
          destination: SERVERS,
          sourcePort: CLIENT_PORT,
          destinationPort: SERVER_PORT,
          data: encodeMessage(message),
        }),
      notice(step) {
        if (step.refused !== undefined) refused?.(step.refused);
      },
      giveUp,
    },
    { patience, monotonic, ...(chosen && { chosen }) },
  );
}

/** Who says that there is no address has answered. */
function giveUp(at: Exchange6 | undefined, offered: boolean): Ending6 {
  if (at?.phase !== 'soliciting' || at.refusal === undefined) {
    return { kind: 'silent', heard: offered ? 'offer' : 'nothing' };
  }
  return { kind: 'unavailable', server: at.refusal.server, reason: at.refusal.reason };
}

/** @returns undefined for anything but a message of a DHCPv6 server. */
function hearMessage(
  frame: Uint8Array,
): { readonly message: Message; readonly from: Pick<Server, 'address' | 'mac'> } | undefined {
  const datagram = decodeDatagram(frame);
  // A server answers from any port it likes (RFC 8415 §7.2).
  if (datagram?.destinationPort !== CLIENT_PORT) return undefined;
  const message = decodeMessage(datagram.data);
  return message && { message, from: { address: datagram.source, mac: datagram.sourceMac } };
}

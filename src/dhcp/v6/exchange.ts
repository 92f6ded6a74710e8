/** Has a DHCPv6 exchange over a link: the machine of `client.ts`, with a clock and a port to the link. */

import type { Address } from '../../model/address.ts';
import type { Mac } from '../../model/mac.ts';
import type { Chance, Offer, Server } from '../client.ts';
import type { Port } from '../exchange.ts';
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
/** Longest wait of a timer (2^31 - 1 ms); longer ones fire at once. */
const LONGEST = 0x7fffffff;

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
  const monotonic = options.monotonic ?? (() => performance.now());
  const chance = options.chance ?? Math.random;
  const own = linkLocalOf(client.duid);
  const { promise, resolve, reject } = Promise.withResolvers<Ending6>();
  const deadline = monotonic() + options.patience;
  let current: Step6;
  let timer: NodeJS.Timeout | undefined;
  let offered = false;
  let over = false;
  let sending = Promise.resolve();

  function take(step: Step6): void {
    current = step;
    if (step.refused !== undefined) options.refused?.(step.refused);
    if (step.outcome !== undefined) {
      finish(step.outcome);
      return;
    }
    clearTimeout(timer);
    timer = setTimeout(ring, Math.min(Math.max(0, Math.min(step.wakeAt, deadline) - monotonic()), LONGEST));
    const { send, chosen } = step;
    if (send === undefined) return;
    // One after the other: a repeated request must not overtake the writing down of what it asks for.
    sending = sending.then(() => transmit(send, chosen));
    sending.catch(fail);
  }

  async function transmit(send: Message, chosen: Offer | undefined): Promise<void> {
    if (chosen !== undefined) {
      offered = true;
      await options.chosen?.(chosen);
    }
    // Given up while it was written down: what is not asked for is not granted.
    if (!over) await port.send(frameOf(send));
  }

  function frameOf(message: Message): Uint8Array {
    return encodeDatagram({
      sourceMac: mac,
      destinationMac: groupMac(SERVERS),
      source: own,
      destination: SERVERS,
      sourcePort: CLIENT_PORT,
      destinationPort: SERVER_PORT,
      data: encodeMessage(message),
    });
  }

  function ring(): void {
    const now = monotonic();
    if (now >= deadline) finish(giveUp(current.exchange));
    else if (now < current.wakeAt) take({ exchange: current.exchange, wakeAt: current.wakeAt });
    else take(wake(current.exchange, now, chance));
  }

  /** Who says that there is no address has answered. */
  function giveUp({ phase, refusal }: Exchange6): Ending6 {
    if (phase !== 'soliciting' || refusal === undefined)
      return { kind: 'silent', heard: offered ? 'offer' : 'nothing' };
    return { kind: 'unavailable', server: refusal.server, reason: refusal.reason };
  }

  function hear(frame: Uint8Array): void {
    if (over) return;
    const answer = answerSolicitation(frame, own, mac);
    if (answer !== undefined) {
      void Promise.resolve(port.send(answer)).catch(fail);
      return;
    }
    const heard = hearMessage(frame);
    const step = heard && receive(current.exchange, heard.message, heard.from, monotonic(), chance);
    if (step !== undefined) take(step);
  }

  function finish(ending: Ending6): void {
    over = true;
    resolve(ending);
  }

  function fail(error: unknown): void {
    over = true;
    reject(error);
  }

  const deaf = port.onFrame(hear);
  try {
    await port.send(multicastReport(own, mac));
    take(begin(client, purpose, monotonic(), chance));
    return await promise;
  } finally {
    over = true;
    clearTimeout(timer);
    deaf();
  }
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

/** Has a DHCP exchange over a link: the machine of `client.ts` in a dialogue. */

import type { Mac } from '../model/mac.ts';
import {
  begin,
  type Client,
  type Exchange,
  type Offer,
  type Outcome,
  type Outgoing,
  type Purpose,
  receive,
  type Step,
  wake,
} from './client.ts';
import { converse, type Port } from './dialogue.ts';
import { decodeMessage, encodeMessage } from './message.ts';
import { type Datagram, decodeFrame, encodeFrame, everybody, unspecified } from './udp.ts';

export interface ExchangeOptions {
  /** Milliseconds after which it is given up. */
  readonly patience: number;
  /** An offer was chosen: it is requested when this has resolved, so that a crash does not forget a lease. */
  readonly chosen?: (offer: Offer) => Promise<void>;
  /** An address from before was refused, and a new one is being asked for. */
  readonly refused?: (refusal: Extract<Outcome, { kind: 'refused' }>) => void;
  readonly signal?: AbortSignal;
  /** Milliseconds of a clock that nobody sets. */
  readonly monotonic?: () => number;
  readonly chance?: () => number;
}

export type Ending =
  | Outcome
  /** Nobody answered in time; `heard` tells whether an offer came that was not confirmed. */
  | { readonly kind: 'silent'; readonly heard: 'nothing' | 'offer' };

const SERVER_PORT = 67;
const CLIENT_PORT = 68;

/**
 * One exchange, from its first message to an answer or the end of patience.
 *
 * @throws what the port or `chosen` throw.
 */
export async function exchange(
  port: Port,
  client: Client,
  purpose: Purpose,
  options: ExchangeOptions,
): Promise<Ending> {
  const { patience, chosen, refused, signal, monotonic = () => performance.now(), chance = Math.random } = options;
  return await converse<Exchange, Outgoing, Offer, Ending, Step>(
    port,
    {
      begin: (now) => begin(client, purpose, now, chance),
      wake: (at, now) => wake(at, now, chance),
      receive(at, frame, now) {
        const heard = hearMessage(frame);
        return heard && receive(at, heard.message, heard.from, now, chance);
      },
      encode: (outgoing) => frameOf(outgoing, client.mac),
      notice({ refusal }) {
        if (refusal !== undefined) refused?.(refusal);
      },
      giveUp: (_, offered) => ({ kind: 'silent', heard: offered ? 'offer' : 'nothing' }),
    },
    { patience, monotonic, ...(chosen && { chosen }), ...(signal && { signal }) },
  );
}

/** The frame of a message. */
export function frameOf({ message, source, to }: Outgoing, mac: Mac): Uint8Array {
  const datagram: Datagram = {
    sourceMac: mac,
    ...(to === undefined ? {} : { destinationMac: to.mac }),
    source: source ?? unspecified,
    destination: to?.address ?? everybody,
    sourcePort: CLIENT_PORT,
    destinationPort: SERVER_PORT,
    data: encodeMessage(message),
  };
  return encodeFrame(datagram);
}

/** @returns undefined for anything but a message of a DHCP server. */
function hearMessage(frame: Uint8Array) {
  const datagram = decodeFrame(frame);
  if (datagram?.sourcePort !== SERVER_PORT || datagram.destinationPort !== CLIENT_PORT) return undefined;
  const message = decodeMessage(datagram.data);
  return message === undefined ? undefined : { message, from: datagram.sourceMac };
}

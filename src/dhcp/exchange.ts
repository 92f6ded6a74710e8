/** Has a DHCP exchange over a link: the machine of `client.ts`, with a clock and a port to the link. */

import type { Mac } from '../model/mac.ts';
import {
  begin,
  type Client,
  type Offer,
  type Outcome,
  type Outgoing,
  type Purpose,
  receive,
  type Step,
  wake,
} from './client.ts';
import { decodeMessage, encodeMessage } from './message.ts';
import { type Datagram, decodeFrame, encodeFrame, everybody, unspecified } from './udp.ts';

/** Raw frames of one link, sent and heard. */
export interface Port {
  send(frame: Uint8Array): void | Promise<void>;
  /** @returns a function that ends it. */
  onFrame(listener: (frame: Uint8Array) => void): () => void;
}

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
/** Longest wait of a timer (2^31 - 1 ms); longer ones fire at once. */
const LONGEST = 0x7fffffff;

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
  const monotonic = options.monotonic ?? (() => performance.now());
  const chance = options.chance ?? Math.random;
  const { promise, resolve, reject } = Promise.withResolvers<Ending>();
  const deadline = monotonic() + options.patience;
  let current: Step;
  let timer: NodeJS.Timeout | undefined;
  let offered = false;
  let over = false;
  let sending = Promise.resolve();

  function take(step: Step): void {
    current = step;
    if (step.refusal !== undefined) options.refused?.(step.refusal);
    if (step.outcome !== undefined) {
      finish(step.outcome);
      return;
    }
    clearTimeout(timer);
    timer = setTimeout(ring, Math.min(Math.max(0, Math.min(step.wakeAt, deadline) - monotonic()), LONGEST));
    if (step.send === undefined) return;
    // One after the other: a repeated request must not overtake the writing down of what it asks for.
    sending = sending.then(() => transmit(step));
    sending.catch(fail);
  }

  async function transmit({ send, chosen }: Step): Promise<void> {
    if (chosen !== undefined) {
      offered = true;
      await options.chosen?.(chosen);
    }
    // Given up while it was written down: what is not asked for is not granted.
    if (!over) await port.send(frameOf(send!, client.mac));
  }

  function ring(): void {
    const now = monotonic();
    if (now >= deadline) finish({ kind: 'silent', heard: offered ? 'offer' : 'nothing' });
    else if (now < current.wakeAt) take({ ...withoutSend(current) });
    else take(wake(current.exchange, now, chance));
  }

  function hear(frame: Uint8Array): void {
    const heard = hearMessage(frame);
    if (heard === undefined || over) return;
    const step = receive(current.exchange, heard.message, heard.from, monotonic(), chance);
    if (step !== undefined) take(step);
  }

  function finish(ending: Ending): void {
    over = true;
    resolve(ending);
  }

  function fail(error: unknown): void {
    over = true;
    reject(error);
  }

  const deaf = port.onFrame(hear);
  const aborted = (): void => finish({ kind: 'silent', heard: offered ? 'offer' : 'nothing' });
  options.signal?.addEventListener('abort', aborted, { once: true });
  try {
    take(begin(client, purpose, monotonic(), chance));
    if (options.signal?.aborted === true) aborted();
    return await promise;
  } finally {
    over = true;
    clearTimeout(timer);
    deaf();
    options.signal?.removeEventListener('abort', aborted);
  }
}

function withoutSend({ exchange: at, wakeAt }: Step): Step {
  return { exchange: at, wakeAt };
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

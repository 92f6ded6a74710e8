/**
 * The client of RFC 8415 §18.2 for one address (IA_NA) as a function: of what it is at, what arrives and what time it is, to what it sends and
 * when it wants to be woken. It has no clock, no socket and no chance of its own, so every course of events can be tested.
 *
 * One `Exchange` is one conversation: for a new lease, for one that was held before, to keep one, to end one, or for no more than what there
 * is to know. It always speaks to all servers: one that offers unicast (RFC 8415 §21.12) takes multicast too.
 */

import { type Address, addressBytes, sameAddress } from '../../model/address.ts';
import type { Chance, Offer, Server } from '../client.ts';
import type { Terms } from '../terms.ts';
import { type Answer, readAnswer, termsOf } from './answer.ts';
import type { Client6 } from './identity.ts';
import { code, encodeOptions, type Message, messageType, number, type Option, statusCode } from './message.ts';
import { nextTimeout, timeouts } from './schedule.ts';

export type Purpose6 =
  /** A new lease, of a certain address if it can be had. */
  | { readonly kind: 'solicit'; readonly wish?: Address }
  /** The lease from before; when it cannot be had, a new one. */
  | { readonly kind: 'reboot'; readonly address: Address }
  /** To keep the address, from the server that gave it, or from any. */
  | { readonly kind: 'renew' | 'release' | 'decline'; readonly address: Address; readonly server: Server }
  | { readonly kind: 'rebind'; readonly address: Address }
  /** What there is to know, without an address. */
  | { readonly kind: 'inform' };

type Phase =
  | 'soliciting'
  | 'requesting'
  | 'rebooting'
  | 'confirming'
  | 'renewing'
  | 'rebinding'
  | 'restoring'
  | 'releasing'
  | 'declining'
  | 'informing';

export interface Exchange6 {
  readonly client: Client6;
  readonly purpose: Purpose6;
  readonly phase: Phase;
  readonly transaction: number;
  readonly began: number;
  /** Sent in this phase. */
  readonly attempts: number;
  /** The wait after the last of them. */
  readonly timeout?: number;
  /** When the phase's first message went out: a lease counts from then, whichever is answered. */
  readonly requestedAt: number;
  /** The best offer so far, or the one that is being requested. */
  readonly offer?: Offer & { readonly preference: number };
  /** Until when offers are compared. */
  readonly comparesUntil: number;
  /** What a server said that had no address. */
  readonly refusal?: Refusal;
  /** SOL_MAX_RT, milliseconds. */
  readonly longest: number;
}

export interface Refusal {
  readonly server: Address;
  /** RFC 8415 §21.13. */
  readonly status: number;
  readonly reason: string;
}

export type Outcome6 =
  | { readonly kind: 'granted'; readonly terms: Terms; readonly server: Server; readonly requestedAt: number }
  /** A server says that the address must not be used any more. */
  | { readonly kind: 'refused'; readonly server: Address; readonly reason: string }
  /** A server says that the address from before belongs on this link; whether it is still ours nobody said. */
  | { readonly kind: 'confirmed' }
  /** There are servers, and they have no address for us. */
  | { readonly kind: 'unavailable'; readonly server: Address; readonly reason: string }
  /** Of what was given back, declined or asked without an address. */
  | {
      readonly kind: 'answered';
      readonly server: Server;
      readonly dns: readonly Address[];
      readonly search: readonly string[];
    };

export interface Step6 {
  readonly exchange: Exchange6;
  readonly send?: Message;
  /** An offer was chosen and `send` requests it: whoever must not forget a lease writes it down before sending. */
  readonly chosen?: Offer;
  /** An address from before was refused, and a new one is being asked for. */
  readonly refused?: Extract<Outcome6, { kind: 'refused' }>;
  /** Milliseconds of the same clock as `now`; later calls of `receive` and `wake` tell anew. */
  readonly wakeAt: number;
  /** It is over. */
  readonly outcome?: Outcome6;
}

/**
 * For how long offers are compared. RFC 8415 §18.2.1 has a whole second, by which every start of a container would be longer; servers of
 * a LAN, and those behind a relay, answer within this.
 */
const COMPARES = 300;
const MOST_PREFERRED = 255;
/** A server that knows the client answers at once. Who does not answer twice is not there, or does not know it. */
const REBOOT_ATTEMPTS = 2;
const CONFIRM_ATTEMPTS = 1;
/** A request that is not answered is given up: the server that offered may have gone. */
const REQUEST_ATTEMPTS = 3;
/** How often all servers have to say that they have no address: another one may have been late. */
const UNAVAILABLE_ATTEMPTS = 2;
const WANTED = [code.dns, code.searchList, code.solicitMaxTime] as const;
/** The server is to enter the name of the address (RFC 4704 §4.1). */
const FQDN_SERVER_UPDATES = 1;

const phases = {
  solicit: 'soliciting',
  reboot: 'rebooting',
  renew: 'renewing',
  rebind: 'rebinding',
  release: 'releasing',
  decline: 'declining',
  inform: 'informing',
} as const;

const types = {
  soliciting: messageType.solicit,
  requesting: messageType.request,
  restoring: messageType.request,
  rebooting: messageType.rebind,
  confirming: messageType.confirm,
  renewing: messageType.renew,
  rebinding: messageType.rebind,
  releasing: messageType.release,
  declining: messageType.decline,
  informing: messageType.information,
} as const satisfies Record<Phase, number>;

/** At a start it is waited for, so not for the ten seconds of a renewal. */
const paces = {
  ...timeouts,
  restoring: timeouts.requesting,
  rebooting: timeouts.requesting,
  declining: timeouts.releasing,
} as const;

/** Begins an exchange: its first message is in the step. */
export function begin(client: Client6, purpose: Purpose6, now: number, chance: Chance): Step6 {
  const exchange: Exchange6 = {
    client,
    purpose,
    phase: phases[purpose.kind],
    transaction: newTransaction(chance),
    began: now,
    attempts: 0,
    requestedAt: now,
    comparesUntil: now + COMPARES,
    longest: timeouts.soliciting.most,
  };
  return transmit(exchange, now, chance);
}

/** Called at `wakeAt`, or later. */
export function wake(exchange: Exchange6, now: number, chance: Chance): Step6 {
  const { phase, attempts, refusal } = exchange;
  switch (phase) {
    case 'soliciting': {
      if (exchange.offer !== undefined) return request(exchange, now, chance);
      if (refusal === undefined || attempts < UNAVAILABLE_ATTEMPTS) return transmit(exchange, now, chance);
      const { server, reason } = refusal;
      return { exchange, wakeAt: Infinity, outcome: { kind: 'unavailable', server, reason } };
    }
    case 'requesting':
      return transmit(attempts < REQUEST_ATTEMPTS ? exchange : solicitAgain(exchange, now, chance), now, chance);
    case 'rebooting':
      return transmit(attempts < REBOOT_ATTEMPTS ? exchange : enter(exchange, 'confirming', now, chance), now, chance);
    case 'confirming':
      return transmit(attempts < CONFIRM_ATTEMPTS ? exchange : solicitAgain(exchange, now, chance), now, chance);
    default:
      return transmit(exchange, now, chance);
  }
}

/**
 * Called with every DHCPv6 message that is heard.
 *
 * @param from where it came from.
 * @returns undefined when it is none of this exchange's business.
 */
export function receive(
  exchange: Exchange6,
  message: Message,
  from: Pick<Server, 'address' | 'mac'>,
  now: number,
  chance: Chance,
): Step6 | undefined {
  const { client, phase, transaction } = exchange;
  if (message.transaction !== transaction) return undefined;
  const answer = readAnswer(message, client.association);
  if (answer === undefined || Buffer.compare(answer.client, client.duid) !== 0) return undefined;
  const heard: Heard = { answer, server: { ...from, duid: answer.server } };
  const told = answer.solicitMaxTime === undefined ? exchange : { ...exchange, longest: answer.solicitMaxTime * 1000 };
  if (message.type === messageType.advertise)
    return phase === 'soliciting' ? consider(told, heard, now, chance) : undefined;
  if (message.type !== messageType.reply) return undefined;
  switch (phase) {
    case 'soliciting':
      return granted(told, heard, now);
    case 'requesting':
      return requested(told, heard, now, chance);
    case 'confirming':
      return confirmed(told, heard, now, chance);
    case 'releasing':
    case 'declining':
      return isFromChosen(told, answer) ? answered(told, heard) : undefined;
    case 'informing':
      return answered(told, heard);
    default:
      return kept(told, heard, now, chance);
  }
}

interface Heard {
  readonly answer: Answer;
  readonly server: Server;
}

/** An offer: the one with the highest preference is taken, of several the first (RFC 8415 §18.2.9). */
function consider(exchange: Exchange6, { answer, server }: Heard, now: number, chance: Chance): Step6 {
  const { preference } = answer;
  const terms = termsOf(answer, server.address, wishOf(exchange, answer)) ?? termsOf(answer, server.address);
  if (terms === undefined) return { exchange: note(exchange, { answer, server }), wakeAt: wakeAtOf(exchange, now) };
  const better = exchange.offer === undefined || preference > exchange.offer.preference;
  const next: Exchange6 = better ? { ...exchange, offer: { terms, server, preference } } : exchange;
  if (preference === MOST_PREFERRED || now >= exchange.comparesUntil) return request(next, now, chance);
  return { exchange: next, wakeAt: wakeAtOf(next, now) };
}

/** A reply to a solicitation: without the option for that it is no answer (RFC 8415 §18.2.1), but it may say why there is none. */
function granted(exchange: Exchange6, heard: Heard, now: number): Step6 | undefined {
  const step = heard.answer.rapid ? grant(exchange, heard) : undefined;
  if (step !== undefined || heard.answer.status.code === statusCode.success) return step;
  return { exchange: note(exchange, heard), wakeAt: wakeAtOf(exchange, now) };
}

/** When more offers cannot come, or when the solicitation is to be repeated. */
function wakeAtOf({ offer, comparesUntil, requestedAt, timeout }: Exchange6, now: number): number {
  return offer === undefined ? Math.max(now, requestedAt + (timeout ?? 0)) : Math.max(now, comparesUntil);
}

function request(exchange: Exchange6, now: number, chance: Chance): Step6 {
  const { terms, server } = exchange.offer!;
  return { ...transmit(enter(exchange, 'requesting', now, chance), now, chance), chosen: { terms, server } };
}

function requested(exchange: Exchange6, heard: Heard, now: number, chance: Chance): Step6 | undefined {
  const { answer } = heard;
  if (!isFromChosen(exchange, answer)) return undefined;
  const step = grant(exchange, heard);
  if (step !== undefined) return step;
  // At the pace of lost messages: a server that offers and refuses must not be kept busy.
  const { status } = answer;
  if (status.code === statusCode.unspecified || status.code === statusCode.useMulticast) return undefined;
  const again = note(solicitAgain(exchange, now, chance, { forget: true }), heard);
  return { exchange: again, wakeAt: now + nextTimeout(timeouts.soliciting, undefined, chance) };
}

/** Of a renewal, and of what stands in its place at a start. */
function kept(exchange: Exchange6, heard: Heard, now: number, chance: Chance): Step6 | undefined {
  const { answer, server } = heard;
  const { phase } = exchange;
  if ((phase === 'renewing' || phase === 'restoring') && !isFromChosen(exchange, answer)) return undefined;
  const address = addressOf(exchange)!;
  const step = grant(exchange, heard, address);
  if (step !== undefined) return step;
  const { status } = answer;
  if (status.code === statusCode.unspecified || status.code === statusCode.useMulticast) return undefined;
  // RFC 8415 §18.2.10.1: who does not know the lease is asked for it.
  if (status.code === statusCode.noBinding && phase !== 'restoring') {
    const offer = { terms: { address: { address, length: 128 } } as Terms, server, preference: 0 };
    return transmit(enter({ ...exchange, offer }, 'restoring', now, chance), now, chance);
  }
  const told = answer.addresses.find((one) => sameAddress(one.address, address));
  // An address that is not mentioned is left as it is (RFC 8415 §18.2.10.1), unless another one stands in its place.
  if (status.code === statusCode.success && told === undefined && answer.addresses.length === 0) return undefined;
  const reason = status.text || reasonOf(status.code);
  const refused = { kind: 'refused', server: server.address, reason } as const;
  if (exchange.purpose.kind !== 'reboot') return { exchange, wakeAt: Infinity, outcome: refused };
  return { ...transmit(solicitAgain(exchange, now, chance, { forget: true }), now, chance), refused };
}

function confirmed(exchange: Exchange6, { answer, server }: Heard, now: number, chance: Chance): Step6 | undefined {
  const { status } = answer;
  if (status.code === statusCode.success) return { exchange, wakeAt: Infinity, outcome: { kind: 'confirmed' } };
  if (status.code !== statusCode.notOnLink) return undefined;
  const refused = { kind: 'refused', server: server.address, reason: status.text || reasonOf(status.code) } as const;
  return { ...transmit(solicitAgain(exchange, now, chance, { forget: true }), now, chance), refused };
}

function grant(exchange: Exchange6, { answer, server }: Heard, wanted?: Address): Step6 | undefined {
  const terms = termsOf(answer, server.address, wanted);
  if (terms === undefined) return undefined;
  const { requestedAt } = exchange;
  return { exchange, wakeAt: Infinity, outcome: { kind: 'granted', terms, server, requestedAt } };
}

function answered(exchange: Exchange6, { answer: { dns, search }, server }: Heard): Step6 {
  return { exchange, wakeAt: Infinity, outcome: { kind: 'answered', server, dns, search } };
}

function note(exchange: Exchange6, { answer: { status }, server }: Heard): Exchange6 {
  const reason = status.text || reasonOf(status.code);
  return { ...exchange, refusal: { server: server.address, status: status.code, reason } };
}

function reasonOf(status: number): string {
  switch (status) {
    case statusCode.noAddresses:
      return 'it has no free address';
    case statusCode.noBinding:
      return 'it does not know the lease';
    case statusCode.notOnLink:
      return 'the address does not belong on this link';
    case statusCode.success:
      return 'it gives no address that can be used';
    default:
      return `status ${status}`;
  }
}

/** The server that was spoken to. */
function isFromChosen({ offer, purpose }: Exchange6, { server }: Answer): boolean {
  const chosen = offer?.server ?? ('server' in purpose ? purpose.server : undefined);
  return chosen?.duid !== undefined && Buffer.compare(chosen.duid, server) === 0;
}

function wishOf({ purpose }: Exchange6, { addresses }: Answer): Address | undefined {
  const wish = purpose.kind === 'solicit' ? purpose.wish : undefined;
  return wish ?? addresses[0]?.address;
}

/** The address that is to be kept, confirmed or ended. */
function addressOf({ purpose }: Exchange6): Address | undefined {
  return 'address' in purpose ? purpose.address : undefined;
}

function solicitAgain(exchange: Exchange6, now: number, chance: Chance, how: { forget?: boolean } = {}): Exchange6 {
  const { purpose, offer: _given, refusal: _before, ...rest } = exchange;
  const wish = purpose.kind === 'solicit' ? purpose.wish : addressOf(exchange);
  const next: Purpose6 = { kind: 'solicit', ...(wish === undefined || how.forget === true ? {} : { wish }) };
  return { ...enter({ ...rest, purpose: next }, 'soliciting', now, chance), comparesUntil: now + COMPARES };
}

/** Every message of another kind begins a transaction (RFC 8415 §16.1). */
function enter(exchange: Exchange6, phase: Phase, now: number, chance: Chance): Exchange6 {
  const { timeout: _before, ...rest } = exchange;
  return { ...rest, phase, attempts: 0, requestedAt: now, transaction: newTransaction(chance) };
}

function transmit(exchange: Exchange6, now: number, chance: Chance): Step6 {
  const { phase, attempts } = exchange;
  const pace = paces[phase];
  const limits = phase === 'soliciting' ? { ...pace, most: exchange.longest } : pace;
  const timeout = nextTimeout(limits, exchange.timeout, chance);
  const send = { type: types[phase], transaction: exchange.transaction, options: optionsOf(exchange, now) };
  return { exchange: { ...exchange, attempts: attempts + 1, timeout }, send, wakeAt: now + timeout };
}

/** RFC 8415 §18.2.1 to §18.2.8, and appendix B for which options go into which message. */
function optionsOf(exchange: Exchange6, now: number): Option[] {
  const { client, phase, offer, purpose } = exchange;
  const options: Option[] = [{ code: code.clientId, value: client.duid }];
  const server = offer?.server ?? ('server' in purpose ? purpose.server : undefined);
  if (server?.duid !== undefined) options.push({ code: code.serverId, value: server.duid });
  if (phase !== 'informing') options.push(associationOption(exchange));
  // Hundredths of a second.
  const elapsed = Math.min(Math.floor((now - exchange.began) / 10), 0xffff);
  options.push({ code: code.elapsed, value: number(elapsed, 2) });
  if (phase === 'releasing' || phase === 'declining' || phase === 'confirming') return options;
  options.push({
    code: code.requested,
    value: Uint8Array.from(WANTED.flatMap((wanted) => [wanted >> 8, wanted & 255])),
  });
  if (phase === 'soliciting') options.push({ code: code.rapidCommit, value: new Uint8Array() });
  if (client.name !== undefined && phase !== 'informing') options.push({ code: code.fqdn, value: fqdnOf(client.name) });
  return options;
}

/** With the address, where there is one; for how long is wished for at most (RFC 8415 §21.6). */
function associationOption(exchange: Exchange6): Option {
  const { client, phase, offer, purpose } = exchange;
  const wish = purpose.kind === 'solicit' ? purpose.wish : addressOf(exchange);
  const address = phase === 'requesting' || phase === 'restoring' ? offer!.terms.address.address : wish;
  const lifetimes = number(client.leaseTime ?? 0, 4);
  const inner: Option[] =
    address === undefined
      ? []
      : [{ code: code.address, value: Uint8Array.of(...addressBytes(address), ...lifetimes, ...lifetimes) }];
  return {
    code: code.identityAssociation,
    value: Uint8Array.of(...number(client.association, 4), ...new Uint8Array(8), ...encodeOptions(inner)),
  };
}

/** A name without a domain is not ended (RFC 4704 §4.2). */
function fqdnOf({ text, whole }: NonNullable<Client6['name']>): Uint8Array {
  const labels = text.split('.').map((label) => Buffer.from(label, 'latin1').subarray(0, 63));
  const encoded = labels.flatMap((label) => [label.length, ...label]);
  return Uint8Array.of(FQDN_SERVER_UPDATES, ...encoded, ...(whole ? [0] : []));
}

function newTransaction(chance: Chance): number {
  return Math.floor(chance() * 0x100_0000);
}

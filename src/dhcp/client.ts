/**
 * The client of RFC 2131 §4.4 as a function: of what it is at, what arrives and what time it is, to what it sends and when it
 * wants to be woken. It has no clock, no socket and no chance of its own, so every course of events can be tested.
 *
 * One `Exchange` is one conversation: for a new lease (INIT, SELECTING, REQUESTING), for one that was held before
 * (INIT-REBOOT), or to keep one (RENEWING, REBINDING). When to have the next one follows from the lease; see `schedule.ts`.
 */

import { type Address, addressBytes, sameAddress } from '../model/address.ts';
import type { Mac } from '../model/mac.ts';
import { code, type Message, messageType, readAddress, typeOf } from './message.ts';
import { readTerms, type Terms } from './terms.ts';

/** As whom the client asks; servers know it again by this. */
export interface Client {
  readonly mac: Mac;
  /** Option 61, with its type byte. */
  readonly clientId: Uint8Array;
  /** Option 12. */
  readonly hostName?: string;
  /** Option 81, in the place of 12: a whole name that the server is asked to put into the DNS (RFC 4702). */
  readonly fqdn?: string;
  /** Option 51: how long the lease should last, in seconds. The server decides. */
  readonly leaseTime?: number;
  /** Option 60. */
  readonly vendorClass?: string;
}

export interface Server {
  readonly address: Address;
  /** Where its answer came from: itself, or the router that relayed it. */
  readonly mac: Mac;
  /** By which a DHCPv6 server is named (RFC 8415 §11); its address is the link-local one that it answered from. */
  readonly duid?: Uint8Array;
}

/** What a server proposed, or granted. */
export interface Offer {
  readonly terms: Terms;
  readonly server: Server;
}

export type Purpose =
  /** A new lease, of a certain address if it can be had. */
  | { readonly kind: 'discover'; readonly wish?: Address }
  /** The lease from before; when it cannot be had, or nobody answers, a new one. */
  | { readonly kind: 'reboot'; readonly address: Address }
  /** To keep the address that is in use, from the server that gave it, or from any. */
  | { readonly kind: 'renew'; readonly address: Address; readonly server: Server }
  | { readonly kind: 'rebind'; readonly address: Address }
  /** The same for an address that cannot be spoken from: asked for like after a reboot, but nothing else will do. */
  | { readonly kind: 'confirm'; readonly address: Address };

export interface Exchange {
  readonly client: Client;
  readonly purpose: Purpose;
  readonly phase: 'selecting' | 'requesting' | 'rebooting' | 'confirming' | 'renewing' | 'rebinding';
  /** The offer that is being requested. */
  readonly offer?: Terms;
  readonly transaction: number;
  readonly began: number;
  /** Sent in this phase. */
  readonly attempts: number;
  /** When the phase's first request went out: the lease counts from then (RFC 2131 §4.4.5), whichever is answered. */
  readonly requestedAt: number;
}

export interface Outgoing {
  readonly message: Message;
  readonly source?: Address;
  /** Absent: everybody. */
  readonly to?: Server;
}

export type Outcome =
  | { readonly kind: 'granted'; readonly terms: Terms; readonly server: Server; readonly requestedAt: number }
  /** A server says that the address must not be used (any more). Only for what was to be kept. */
  | { readonly kind: 'refused'; readonly server: Address; readonly reason: string };

export interface Step {
  readonly exchange: Exchange;
  readonly send?: Outgoing;
  /** An offer was chosen and `send` requests it: whoever must not forget a lease writes it down before sending. */
  readonly chosen?: Offer;
  /** An address from before was refused, and a new one is being asked for. */
  readonly refusal?: Extract<Outcome, { kind: 'refused' }>;
  /** Milliseconds of the same clock as `now`; later calls of `receive` and `wake` tell anew. */
  readonly wakeAt: number;
  /** It is over. */
  readonly outcome?: Outcome;
}

/** From 0 up to 1. */
export type Chance = () => number;

/** Until the next transmission. RFC 2131 §4.1 begins with 4 s, which Docker's patience has no room for. */
const WAITS = [500, 1000, 2000, 4000] as const;
/** Share by which a wait differs, so that clients that began together do not go on together. */
const JITTER = 0.2;
/** A server that knows the client answers at once; who does not answer twice is not there, or does not know it. */
const REBOOT_ATTEMPTS = 2;
/** A request that is not answered is given up for a new discovery: the server that offered may have gone. */
const REQUEST_ATTEMPTS = 4;
/** The classless routes first: RFC 3442 wants them before the router. */
const WANTED = [
  code.subnetMask,
  code.classlessRoutes,
  code.classlessRoutesMicrosoft,
  code.router,
  code.dns,
  code.hostName,
  code.domain,
  code.searchList,
  code.mtu,
  code.leaseTime,
  code.renewalTime,
  code.rebindingTime,
] as const;
/** What a link of 1500 bytes takes in one piece. */
const LARGEST = 1472;

const phases = {
  discover: 'selecting',
  reboot: 'rebooting',
  confirm: 'confirming',
  renew: 'renewing',
  rebind: 'rebinding',
} as const;

/** Begins an exchange: its first message is in the step. */
export function begin(client: Client, purpose: Purpose, now: number, chance: Chance): Step {
  const exchange: Exchange = {
    client,
    purpose,
    phase: phases[purpose.kind],
    transaction: newTransaction(chance),
    began: now,
    attempts: 0,
    requestedAt: now,
  };
  return transmit(exchange, now, chance);
}

/** Called at `wakeAt`, or later. */
export function wake(exchange: Exchange, now: number, chance: Chance): Step {
  const { phase, attempts } = exchange;
  const givenUp =
    (phase === 'rebooting' && attempts >= REBOOT_ATTEMPTS) || (phase === 'requesting' && attempts >= REQUEST_ATTEMPTS);
  return transmit(givenUp ? rediscover(exchange, chance) : exchange, now, chance);
}

/**
 * Called with every DHCP message that is heard.
 *
 * @param from the Ethernet source.
 * @returns undefined when it is none of this exchange's business.
 */
export function receive(
  exchange: Exchange,
  message: Message,
  from: Mac,
  now: number,
  chance: Chance,
): Step | undefined {
  if (!isAnswer(exchange, message)) return undefined;
  const type = typeOf(message);
  if (type === messageType.nak) return refuse(exchange, message, now, chance);
  const terms = readTerms(message);
  if (terms === undefined) return undefined;
  if (type === messageType.offer && exchange.phase === 'selecting') {
    const requesting: Exchange = { ...exchange, phase: 'requesting', offer: terms, attempts: 0, requestedAt: now };
    return { ...transmit(requesting, now, chance), chosen: { terms, server: { address: terms.server, mac: from } } };
  }
  if (type !== messageType.ack || !isExpected(exchange, terms)) return undefined;
  const server = { address: terms.server, mac: from };
  const outcome: Outcome = { kind: 'granted', terms, server, requestedAt: exchange.requestedAt };
  return { exchange, wakeAt: Infinity, outcome };
}

/** Gives an address back (RFC 2131 §4.4.6); no answer comes. */
export function release(client: Client, address: Address, server: Server, chance: Chance): Outgoing {
  const options = new Map<number, Uint8Array>([
    [code.messageType, Uint8Array.of(messageType.release)],
    [code.server, addressBytes(server.address)],
    [code.clientId, client.clientId],
  ]);
  return { message: request(client, newTransaction(chance), 0, options, address), source: address, to: server };
}

/** Says that somebody else uses an address that was just granted (RFC 2131 §4.4.4); no answer comes. */
export function decline(client: Client, address: Address, server: Address, chance: Chance): Outgoing {
  const options = new Map<number, Uint8Array>([
    [code.messageType, Uint8Array.of(messageType.decline)],
    [code.requestedAddress, addressBytes(address)],
    [code.server, addressBytes(server)],
    [code.clientId, client.clientId],
  ]);
  return { message: request(client, newTransaction(chance), 0, options) };
}

/** A server echoes the client id (RFC 6842); with another one the answer is for somebody else. */
function isAnswer({ client, transaction }: Exchange, message: Message): boolean {
  if (message.op !== 'reply' || message.transaction !== transaction || message.mac !== client.mac) return false;
  const echoed = message.options.get(code.clientId);
  return echoed === undefined || Buffer.compare(echoed, client.clientId) === 0;
}

/** Whether an acknowledgement is of what was asked for. */
function isExpected({ phase, purpose, offer }: Exchange, terms: Terms): boolean {
  if (phase === 'selecting') return false;
  if (phase === 'requesting') {
    return sameAddress(terms.server, offer!.server) && sameAddress(terms.address.address, offer!.address.address);
  }
  return purpose.kind !== 'discover' && sameAddress(terms.address.address, purpose.address);
}

function refuse(exchange: Exchange, message: Message, now: number, chance: Chance): Step | undefined {
  const server = readAddress(message.options.get(code.server) ?? new Uint8Array());
  if (server === undefined || exchange.phase === 'selecting') return undefined;
  const refusal = { kind: 'refused', server, reason: readText(message.options.get(code.text)) } as const;
  switch (exchange.phase) {
    case 'requesting': {
      if (!sameAddress(server, exchange.offer!.server)) return undefined;
      // At the pace of lost messages: a server that offers and refuses must not be kept busy.
      return { exchange: rediscover(exchange, chance), refusal, wakeAt: now + wait(0, chance) };
    }
    case 'rebooting':
      return { ...transmit(rediscover(exchange, chance, { forget: true }), now, chance), refusal };
    case 'renewing':
      if (exchange.purpose.kind === 'renew' && !sameAddress(server, exchange.purpose.server.address)) return undefined;
      return { exchange, wakeAt: Infinity, outcome: refusal };
    case 'confirming':
    case 'rebinding':
      return { exchange, wakeAt: Infinity, outcome: refusal };
  }
}

function rediscover(exchange: Exchange, chance: Chance, how: { forget?: boolean } = {}): Exchange {
  const { offer: _given, purpose, ...rest } = exchange;
  const wish = purpose.kind === 'discover' ? purpose.wish : purpose.address;
  return {
    ...rest,
    purpose: { kind: 'discover', ...(wish === undefined || how.forget === true ? {} : { wish }) },
    phase: 'selecting',
    attempts: 0,
    transaction: newTransaction(chance),
  };
}

function transmit(exchange: Exchange, now: number, chance: Chance): Step {
  return {
    exchange: { ...exchange, attempts: exchange.attempts + 1 },
    send: outgoing(exchange, now),
    wakeAt: now + wait(exchange.attempts, chance),
  };
}

function wait(attempts: number, chance: Chance): number {
  const base = WAITS[Math.min(attempts, WAITS.length - 1)]!;
  return base * (1 - JITTER / 2 + JITTER * chance());
}

/** RFC 2131 §4.4.1 table 5, and §4.3.6 table 4 for what distinguishes the four kinds of request. */
function outgoing(exchange: Exchange, now: number): Outgoing {
  const { client, purpose, phase, offer, transaction } = exchange;
  const type = phase === 'selecting' ? messageType.discover : messageType.request;
  const options = new Map<number, Uint8Array>([[code.messageType, Uint8Array.of(type)]]);
  const wanted = offer?.address.address ?? (purpose.kind === 'discover' ? purpose.wish : purpose.address);
  const keeps = phase === 'renewing' || phase === 'rebinding';
  if (wanted !== undefined && !keeps) options.set(code.requestedAddress, addressBytes(wanted));
  if (phase === 'requesting') options.set(code.server, addressBytes(offer!.server));
  options.set(code.clientId, client.clientId);
  options.set(code.largestMessage, Uint8Array.of(LARGEST >> 8, LARGEST & 255));
  if (client.leaseTime !== undefined) options.set(code.leaseTime, encodeSeconds(client.leaseTime));
  // Never both (RFC 4702 §3.1).
  if (client.fqdn !== undefined) options.set(code.fqdn, encodeFqdn(client.fqdn));
  else if (client.hostName !== undefined) options.set(code.hostName, Buffer.from(client.hostName, 'latin1'));
  if (client.vendorClass !== undefined) options.set(code.vendorClass, Buffer.from(client.vendorClass, 'latin1'));
  options.set(code.parameters, Uint8Array.from(WANTED));
  const seconds = Math.floor((now - exchange.began) / 1000);
  if (!keeps) return { message: request(client, transaction, seconds, options) };
  const message = request(client, transaction, seconds, options, wanted);
  return { message, source: wanted!, ...(purpose.kind === 'renew' ? { to: purpose.server } : {}) };
}

/** Without an address of its own a client asks for broadcast: nobody could receive a unicast for it yet. */
function request(
  client: Client,
  transaction: number,
  seconds: number,
  options: ReadonlyMap<number, Uint8Array>,
  current?: Address,
): Message {
  const { mac } = client;
  const common = { op: 'request', transaction, seconds, mac, options } as const;
  return current === undefined ? { ...common, broadcast: true } : { ...common, broadcast: false, current };
}

/** RFC 4702 §2: that the server is to make the address record (S), the name as in DNS messages (E), and two unused bytes. */
function encodeFqdn(name: string): Uint8Array {
  const labels = name.split('.').map((label) => Buffer.from(label, 'latin1'));
  return Uint8Array.of(0b0101, 0, 0, ...labels.flatMap((label) => [label.length, ...label]), 0);
}

function encodeSeconds(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

function newTransaction(chance: Chance): number {
  return Math.floor(chance() * 0x1_0000_0000);
}

/** As it may stand in a message to people. */
function readText(value: Uint8Array | undefined): string {
  const text = Buffer.from(value ?? new Uint8Array()).toString('latin1');
  return text.replaceAll(/[^\x20-\x7e]/g, '').slice(0, 100);
}

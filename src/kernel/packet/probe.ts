/**
 * Asks a segment whether anybody has an address: RFC 5227 §2.1 for IPv4, RFC 4862 §5.4 for IPv6. Both leave a second or more
 * between their questions and after the last one. Nobody wants to wait that long for a container, and a machine on the same
 * segment answers within a millisecond or two; so whoever asks says how long, and may go on listening afterwards.
 */

import { type Address, formatAddress, sameAddress } from '../../model/address.ts';
import type { Mac } from '../../model/mac.ts';
import type { PacketPort } from '../packets.ts';
import { arpProbe, readArp } from './arp.ts';
import { duplicateSolicitation, readNeighbourMessage } from './neighbour-discovery.ts';

/** Somebody on the segment has an address, or is about to take it. */
export interface Claim {
  readonly address: Address;
  readonly mac: Mac;
}

export interface ProbeOptions {
  /** For how long answers are waited for, from when the first question has gone out. Milliseconds. */
  readonly for: number;
  /** When it is asked, in milliseconds from then; 0: with that first one. Absent: three times, in the first two thirds of that time. */
  readonly asks?: readonly number[];
  /** Whether a claim is our own, and so none. The port's own MAC always is. */
  isOurs?(claim: Claim): boolean;
  /** Ends it early. */
  readonly signal?: AbortSignal;
}

/**
 * Asks with the port's own MAC, so that the answers come back to it. The port must hear `arp` and `neighbours`.
 *
 * @returns the first claim on each address, as soon as there is one on all of them, or when the time is over. That nobody has
 *   claimed an address may also mean that nobody could be asked.
 */
export function probe(
  port: PacketPort,
  addresses: readonly Address[],
  options: ProbeOptions,
): Promise<readonly Claim[]> {
  const { promise, resolve } = Promise.withResolvers<readonly Claim[]>();
  const claims = new Map<string, Claim>();
  const asks = options.asks ?? [0, options.for / 3, (options.for * 2) / 3];
  const timers: NodeJS.Timeout[] = [];
  let ended = false;
  const stopHearing = port.onFrame(hear);
  options.signal?.addEventListener('abort', end, { once: true });

  /** The time runs from when the first question has gone out, and what has come in by its end is heard. */
  async function run(): Promise<void> {
    if (asks.includes(0)) ask();
    await port.flushed();
    if (ended) return;
    for (const at of asks) if (at > 0) timers.push(setTimeout(ask, at));
    timers.push(setTimeout(() => void port.flushed().then(end), options.for));
  }

  function ask(): void {
    for (const address of addresses) {
      if (claims.has(formatAddress(address))) continue;
      port.send(address.family === 4 ? arpProbe(port.mac, address) : duplicateSolicitation(port.mac, address));
    }
  }

  function hear(frame: Uint8Array): void {
    const claim = claimOnce(frame);
    if (claim === undefined || claim.mac === port.mac) return;
    const about = addresses.find((address) => sameAddress(address, claim.address));
    if (about === undefined || claims.has(formatAddress(about)) || options.isOurs?.(claim) === true) return;
    claims.set(formatAddress(about), claim);
    if (claims.size === addresses.length) end();
  }

  function end(): void {
    ended = true;
    for (const timer of timers) clearTimeout(timer);
    stopHearing();
    options.signal?.removeEventListener('abort', end);
    resolve([...claims.values()]);
  }

  if (options.signal?.aborted === true) end();
  else void run();
  return promise;
}

/** Many may listen to one port at the same time, and a frame need not be read for each of them. */
const read = new WeakMap<Uint8Array, { readonly claim: Claim | undefined }>();

function claimOnce(frame: Uint8Array): Claim | undefined {
  const known = read.get(frame) ?? { claim: claimIn(frame) };
  read.set(frame, known);
  return known.claim;
}

/** Which address a frame shows to be somebody's. */
function claimIn(frame: Uint8Array): Claim | undefined {
  const arp = readArp(frame);
  if (arp !== undefined) {
    const { operation, sender, senderMac, target } = arp;
    if (sender.value !== 0n) return { address: sender, mac: senderMac };
    // Another one's probe: both of us must let go (RFC 5227 §2.1.1).
    return operation === 'request' ? { address: target, mac: senderMac } : undefined;
  }
  const message = readNeighbourMessage(frame);
  if (message === undefined) return undefined;
  const { type, source, from, target, mac = source } = message;
  if (type === 'advertisement') return { address: target, mac };
  // Without a sender it is another one's probe (RFC 4862 §5.4.3).
  return from.value === 0n ? { address: target, mac: source } : { address: from, mac };
}

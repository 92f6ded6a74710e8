/**
 * Keeps containers off addresses that other machines of the LAN have (RFC 5227, RFC 4862 §5.4). It never says that an address is
 * free, only that it is taken; and when nobody can be asked, the container starts all the same.
 */

import { fabricOf } from '../../fabric/fabrics.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Claim } from '../../kernel/packet/probe.ts';
import { type Address, formatAddress, sameAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import type { EndpointId, NetworkId } from '../../model/ids.ts';
import type { Mac } from '../../model/mac.ts';
import type { Endpoint, Network } from '../../model/network.ts';
import type { Events } from '../events.ts';
import type { HostFacts } from '../host.ts';
import type { Metrics } from '../metrics.ts';
import type { Names } from '../names.ts';
import type { State } from '../state.ts';
import { within } from '../within.ts';
import { createInquiries } from './inquiries.ts';
import { createWires } from './wires.ts';

export interface Conflict {
  readonly address: Address;
  readonly mac: Mac;
  /** Milliseconds of the wall clock. */
  readonly since: number;
}

/** An address that cannot be used, because somebody else has it. */
export class AddressConflict extends BerthError {
  readonly address: Address;

  constructor(address: Address, sentence: string) {
    super('ADDRESS_CONFLICT', sentence);
    this.address = address;
  }
}

export interface Conflicts {
  /**
   * Refuses what is known without asking: an address of the host itself.
   *
   * @throws AddressConflict
   */
  refuseOwn(network: Network, addresses: readonly Address[]): void;
  /** Begins to ask, so that the answer is there when it is needed. */
  begin(network: Network, addresses: readonly Address[]): void;
  /**
   * Waits for the answer, not longer than a moment, and goes on listening for some seconds when the container has started.
   *
   * @throws AddressConflict naming the address and the MAC that has it.
   */
  settle(network: Network, endpoint: Endpoint): Promise<void>;
  /** An endpoint that this agent found attached when it started, whose container is still there. */
  resume(endpoint: EndpointId): void;
  /** The endpoint has just let go of its addresses: for a while nobody waits for what comes of asking for them. */
  left(endpoint: Endpoint): void;
  /** Whether an address is not to be given out by itself: the host's own, or another's that was heard of lately. */
  avoids(network: Network, address: Address): boolean;
  /** Whether addresses of this network are to be asked for before they are given out. */
  screens(network: Network): boolean;
  /**
   * Who else has an address that is about to be given out, as far as is known after a part of the window.
   *
   * @param ahead those that will be given next: they are asked for at the same time.
   */
  claimOn(network: Network, address: Address, ahead: readonly Address[]): Promise<Claim | undefined>;
  /** What was found of a container that runs, for as long as it does. */
  of(endpoint: EndpointId): readonly Conflict[];
  all(): ReadonlyMap<EndpointId, readonly Conflict[]>;
  close(): void;
}

export interface ConflictsParts {
  readonly state: State;
  readonly kernel: Kernel;
  readonly host: HostFacts;
  readonly names: Names;
  readonly events: Events;
  readonly metrics: Pick<Metrics, 'addressConflict'>;
  /** Makes what a network stands on, for a while: the link that leads to its segment may be one of its own. */
  prepare(network: NetworkId): Promise<void>;
  now(): number;
  /** Milliseconds of a clock that nobody sets. */
  monotonic(): number;
}

/** How long an address that a container had is taken for ours. Neighbours remember it for about as long. */
const TRUSTED = 60_000;
/** How long an address that somebody was heard to have is not given out. */
const AVOIDED = 300_000;
/** An address that is given out waits so long for objections. The rest of the window passes while the engine goes on. */
const SCREENED = 100;
/** The same for an answer that nobody expects: a machine on the same segment needs less than one millisecond. */
const QUICK = 5;
/** How long the link that leads to a segment may take to be made. */
const PREPARED = 3000;
/** How often it is told that a link cannot be asked on. */
const TOLD = 60_000;

export function createConflicts(parts: ConflictsParts): Conflicts {
  const { state, host, events, names, monotonic } = parts;
  const wires = createWires(parts.kernel);
  const inquiries = createInquiries({ kernel: parts.kernel, wires, isOurs, unanswerable, monotonic });
  /** What containers have just let go of, and as whom they were known. */
  const trusted = new Map<string, { readonly at: number; readonly mac: Mac }>();
  const heard = new Map<string, number>();
  const told = new Map<string, number>();
  const found = new Map<EndpointId, Conflict[]>();
  /** Those whose containers are known to have had their addresses until now. */
  const live = new Set<EndpointId>();
  const preparing = new Map<NetworkId, Promise<void>>();

  const wireOf = (network: Network): string | undefined => fabricOf(network.fabric).wire?.(network);
  const keyOf = (link: string, address: Address): string => `${link} ${formatAddress(address)}`;
  const isLately = (at: number | undefined, span: number): boolean => at !== undefined && monotonic() - at < span;
  const isTrusted = (link: string, address: Address): boolean =>
    isLately(trusted.get(keyOf(link, address))?.at, TRUSTED);
  const screens = (network: Network): boolean =>
    wireOf(network) !== undefined && fabricOf(network.fabric).checksConflicts?.(network) === true;

  /**
   * A container's own voice, or that of one that is just being taken away. Of one that is not attached yet it cannot be: then
   * another host has a container with this address, which has got the same MAC with it.
   */
  function isOurs(link: string, { address, mac }: Claim): boolean {
    const shown = formatAddress(address);
    const left = trusted.get(keyOf(link, address));
    if (left?.mac === mac && isLately(left.at, TRUSTED)) return true;
    for (const id of state.networks.keys()) {
      const holder = state.holder(id, shown);
      if (holder?.mac === mac && holder.phase === 'attached') return true;
    }
    return false;
  }

  function hostLinkOf(address: Address): string | undefined {
    return host.current().addresses.find((own) => sameAddress(own.address.address, address))?.link;
  }

  function unanswerable(link: string, why: BerthError): void {
    if (isLately(told.get(link), TOLD)) return;
    told.set(link, monotonic());
    events.emit('address.unchecked', `cannot ask on ${link} whether addresses are free: ${why.message}`, { link });
  }

  /**
   * A link of the network itself, such as that of a VLAN, is there only while a container is.
   *
   * @returns whether it had to be made.
   */
  async function ready(network: Network, link: string): Promise<boolean> {
    if (host.current().links.some(({ name }) => name === link)) return preparing.has(network.id);
    const known = preparing.get(network.id);
    const prepared = known ?? parts.prepare(network.id).finally(() => preparing.delete(network.id));
    preparing.set(network.id, prepared);
    // Whatever is wrong is told when the container is attached.
    await within(PREPARED, prepared).catch(() => undefined);
    return true;
  }

  async function inquire(
    how: 'ask' | 'answer',
    network: Network,
    link: string,
    address: Address,
    patience?: number,
  ): Promise<Claim | undefined> {
    const isNew = await ready(network, link);
    const claim = await inquiries[how]({ name: link, isNew }, address, patience);
    if (claim === undefined) return undefined;
    for (const [key, at] of heard) if (!isLately(at, AVOIDED)) heard.delete(key);
    heard.set(keyOf(link, address), monotonic());
    return claim;
  }

  /** Of an address that would be given out next. */
  async function screen(network: Network, link: string, address: Address): Promise<Claim | undefined> {
    if (isTrusted(link, address)) return undefined;
    const isNews = !isLately(heard.get(keyOf(link, address)), AVOIDED);
    const asked = inquire('ask', network, link, address);
    const claim = (await inquiries.remembered(link, address)) ?? (await asked);
    if (claim !== undefined) heard.set(keyOf(link, address), monotonic());
    if (claim !== undefined && isNews) tell('avoided', network, claim, 'it is not given out for some minutes');
    return claim;
  }

  function tell(
    outcome: Parameters<Metrics['addressConflict']>[0],
    network: Network,
    { address, mac }: Claim,
    consequence: string,
    endpoint?: EndpointId,
  ): void {
    parts.metrics.addressConflict(outcome);
    const shown = formatAddress(address);
    const whose = endpoint === undefined ? shown : `${shown} of ${names.describe(endpoint)}`;
    events.emit(
      'address.conflict',
      `another machine on the LAN has the address ${whose}, with the MAC address ${mac}: ${consequence}`,
      {
        network: network.id,
        ...(endpoint === undefined ? {} : { endpoint }),
        address: shown,
        mac,
        outcome,
      },
    );
  }

  /** The container runs: what is found now can only be told. */
  async function follow(network: Network, link: string, endpoint: Endpoint, address: Address): Promise<void> {
    const claim = await inquiries.follow(link, address);
    if (claim === undefined || state.holder(network.id, formatAddress(address))?.id !== endpoint.id) return;
    for (const id of found.keys()) if (!state.endpoints.has(id)) found.delete(id);
    found.set(endpoint.id, [...(found.get(endpoint.id) ?? []), { ...claim, since: parts.now() }]);
    tell('found', network, claim, 'neither is reached reliably', endpoint.id);
  }

  function refuseOwn(network: Network, addresses: readonly Address[]): void {
    if (wireOf(network) === undefined) return;
    for (const address of addresses) {
      const link = hostLinkOf(address);
      if (link === undefined) continue;
      parts.metrics.addressConflict('refused');
      throw new AddressConflict(address, `the address ${formatAddress(address)} is this host's own, on ${link}`);
    }
  }

  return {
    refuseOwn,
    screens,

    begin(network, addresses) {
      const link = wireOf(network);
      if (link === undefined || !screens(network)) return;
      for (const address of addresses) void inquire('ask', network, link, address);
    },

    async settle(network, endpoint) {
      const addresses = endpoint.addresses.map(({ address }) => address);
      refuseOwn(network, addresses);
      const link = wireOf(network);
      if (link === undefined || !screens(network)) return;
      // Hardly anybody waits for an address that was ours until now.
      const claims = await Promise.all(
        addresses.map((address) =>
          inquire('answer', network, link, address, isTrusted(link, address) ? QUICK : undefined),
        ),
      );
      const claim = claims.find((one) => one !== undefined);
      if (claim !== undefined) {
        tell('refused', network, claim, 'the container was not started', endpoint.id);
        throw new AddressConflict(
          claim.address,
          `another machine on the LAN has the address ${formatAddress(claim.address)}: its MAC address is ${claim.mac}`,
        );
      }
      // An engine that was killed says nothing of its last containers.
      if (live.size > 2 * state.endpoints.size) for (const id of live) if (!state.endpoints.has(id)) live.delete(id);
      live.add(endpoint.id);
      for (const address of addresses) void follow(network, link, endpoint, address);
    },

    resume: (id) => void live.add(id),

    left(endpoint) {
      if (!live.delete(endpoint.id)) return;
      const network = state.networks.get(endpoint.network);
      const link = network === undefined ? undefined : wireOf(network);
      if (link === undefined) return;
      for (const [key, { at }] of trusted) if (!isLately(at, TRUSTED)) trusted.delete(key);
      for (const { address } of endpoint.addresses) {
        trusted.set(keyOf(link, address), { at: monotonic(), mac: endpoint.mac });
      }
    },

    avoids(network, address) {
      if (wireOf(network) === undefined) return false;
      if (hostLinkOf(address) !== undefined) return true;
      return screens(network) && isLately(heard.get(keyOf(wireOf(network)!, address)), AVOIDED);
    },

    async claimOn(network, address, ahead) {
      const link = wireOf(network);
      if (link === undefined) return undefined;
      // Where containers come and go at the same address, the next ones are not needed soon: the LAN is spared the questions.
      if (isTrusted(link, address)) return undefined;
      for (const next of ahead) void screen(network, link, next);
      return within(SCREENED, screen(network, link, address));
    },

    of: (id) => (state.endpoints.has(id) ? (found.get(id) ?? []) : []),
    all: () => new Map([...found].filter(([id]) => state.endpoints.has(id))),

    close() {
      inquiries.close();
      wires.close();
    },
  };
}

/**
 * DHCP as the source of addresses: decides for whom an address is asked, gets it before the container starts, has it renewed
 * while the container runs, keeps it while the container exists, and gives it back when the container or the network is gone.
 */

import type { CreateEndpoint } from '../../docker/driver.ts';
import type { EngineNetwork } from '../../docker/engine.ts';
import type { DhcpSource, FabricContext } from '../../fabric/fabric.ts';
import { fabricOf } from '../../fabric/fabrics.ts';
import { type Address, formatAddress, sameAddress } from '../../model/address.ts';
import { asBerthError, BerthError } from '../../model/errors.ts';
import type { EndpointId, NetworkId, PoolId } from '../../model/ids.ts';
import type { Network } from '../../model/network.ts';
import type { InterfaceAddress } from '../../model/prefix.ts';
import { keyedMutex } from '../mutex.ts';
import type { State } from '../state.ts';
import { type ConversationParts, createConversation } from './conversation.ts';
import { createKeeper, type KeeperParts } from './keeper.ts';
import { type Applicant, type Leased, leased, leaseFor } from './lease-for.ts';
import { isOf, readPoolId } from './pool-id.ts';
import type { DhcpLease, Grant } from './record.ts';
import { takeUp } from './take-up.ts';
import { createObserver, type ObserverParts } from './who.ts';

export interface LeaseSight extends DhcpLease {
  /** Milliseconds since the epoch. */
  readonly next?: { readonly what: string; readonly at: number };
}

export interface Dhcp {
  /** Whether a network's addresses come from a DHCP server. */
  serves(network: Network): boolean;
  /**
   * An address for an endpoint that is about to be made. Its lease is safe from being given back until `settled` is called.
   *
   * @throws BerthError DHCP_NO_ANSWER, DHCP_REFUSED, MAC_IN_USE, INTERFACE_UNKNOWN, …
   */
  acquire(network: Network, request: CreateEndpoint): Promise<Leased>;
  /**
   * An address for a container whose endpoint comes later, as our IPAM is asked for it; and for the endpoint, when it comes.
   * An address that is not claimed within a minute is given back.
   *
   * @param wish.address which it must be.
   * @throws BerthError ADDRESS_TAKEN, and as `acquire`.
   */
  reserve(network: Network, wish: { readonly name?: string; readonly address?: Address }): Promise<InterfaceAddress>;
  claim(network: Network, request: CreateEndpoint): Promise<Leased | undefined>;
  /** Addresses of this pool are going to be asked for, for a network that is about to be made. */
  expect(pool: PoolId): Promise<void>;
  /** It comes no more. */
  unclaimed(address: Address): void;
  /** The length that an address of ours is to be told with again. */
  find(address: Address): InterfaceAddress | undefined;
  /** The endpoint stands in the records, or its making has failed. */
  settled(endpoint: EndpointId): void;
  /** Another machine has the endpoint's address: the next start is to get another one. */
  conflicted(endpoint: EndpointId): Promise<void>;
  /** The endpoint's container is about to run. */
  attached(endpoint: EndpointId): void;
  /** A network goes: its leases are given back, as long as the link to the server is there. Never rejects. */
  networkGoes(network: NetworkId): Promise<void>;
  /** What containers there are has changed. */
  containersChanged(): void;
  /** What the engine has now, asked for after `containersChanged` was last called. */
  learn(networks: readonly EngineNetwork[]): Promise<void>;
  leases(): readonly LeaseSight[];
  /** What is wrong with them, a sentence each. */
  problems(): readonly string[];
  /** Goes on where the process before left off. */
  start(): void;
  close(): Promise<void>;
}

export interface DhcpParts
  extends Omit<ConversationParts, 'isTaken'>,
    Omit<KeeperParts, 'conversation' | 'mutex'>,
    Omit<ObserverParts, 'isUsed' | 'networks'> {
  readonly state: State;
  readonly hostKey: string;
  /** A new engine process says nothing of the endpoints of the one before. */
  engineIsNew(): boolean;
  /** Whether a container's network namespace may still have processes in it. */
  readonly occupied: (sandbox: string) => boolean;
  context(): FabricContext;
  /** Milliseconds within which CreateEndpoint is answered: the engine gets an error after 10 s. A renewal has as long. */
  readonly patience: number;
}

/** Routers answer within half a second (RFC 4861 §10). */
const PATIENCE_FOR_ROUTER = 2000;
/** How long an address waits for its endpoint. */
const PATIENCE_FOR_CLAIM = 60_000;
/** How long a network's removal is held up by its leases: nobody answers when they are given back. */
const PATIENCE_FOR_RELEASE = 2000;

export function createDhcp(parts: DhcpParts): Dhcp {
  const { book, state, events } = parts;
  const mutex = keyedMutex();
  /** Leases of endpoints that are not in the records yet, by key. */
  const pending = new Map<string, EndpointId | undefined>();
  const background = new Set<Promise<void>>();
  const startedAt = parts.now();
  /** Endpoints of a process before this one whose containers were seen to be there still. */
  const seen = new Set<EndpointId>();
  /** Pools that were asked for since the last look at what is in use. */
  const expected = new Set<string>();

  let adopting = false;

  const conversation = createConversation({ ...parts, isTaken });
  const observer = createObserver({ ...parts, isUsed, networks });
  const keeper = createKeeper({ ...parts, conversation, mutex });

  function sourceOf(network: Network, options: Readonly<Record<string, string>>): DhcpSource | undefined {
    return fabricOf(network.fabric).dhcp?.(network, { options }, parts.context());
  }

  const serves = (network: Network): boolean => sourceOf(network, {}) !== undefined;

  function networks(): NetworkId[] {
    const pools = [...book.pools].flatMap((id) => readPoolId(id) ?? []);
    return [...state.networks.values()]
      .filter((network) => serves(network) || pools.some((pool) => isOf(network, pool)))
      .map(({ id }) => id);
  }

  function isLive(lease: DhcpLease): boolean {
    if (pending.has(lease.key)) return true;
    const endpoint = lease.endpoint === undefined ? undefined : state.endpoints.get(lease.endpoint);
    return endpoint !== undefined && endpoint.phase !== 'removing';
  }

  /**
   * Whether a container uses it, in truth. An engine that was killed, or a host that lost its power, has left endpoints behind
   * of containers that are gone.
   */
  function isUsed(lease: DhcpLease): boolean {
    if (!isLive(lease)) return false;
    const endpoint = lease.endpoint === undefined ? undefined : state.endpoints.get(lease.endpoint);
    const doubtful = parts.engineIsNew() || (endpoint !== undefined && endpoint.createdAt < startedAt);
    if (pending.has(lease.key) || endpoint?.sandbox === undefined || !doubtful || seen.has(endpoint.id)) return true;
    if (!parts.occupied(endpoint.sandbox)) return false;
    if (!parts.engineIsNew()) seen.add(endpoint.id);
    return true;
  }

  function byAddress(address: Address, link: string | undefined): (DhcpLease & { granted: Grant }) | undefined {
    for (const lease of book.all()) {
      const { granted } = lease;
      if (link !== undefined && lease.link !== link) continue;
      if (granted !== undefined && sameAddress(granted.terms.address.address, address)) return { ...lease, granted };
    }
    return undefined;
  }

  function isTaken(lease: DhcpLease, { address }: Grant['terms']): boolean {
    return book
      .all()
      .some(
        (other) =>
          other.key !== lease.key &&
          other.link === lease.link &&
          other.granted !== undefined &&
          other.lost === undefined &&
          isLive(other) &&
          sameAddress(other.granted.terms.address.address, address.address),
      );
  }

  interface Wish extends Pick<Applicant, 'endpoint' | 'mac'>, Pick<CreateEndpoint, 'exposes'> {
    readonly name?: string;
    readonly address?: Address;
  }

  async function obtain(network: Network, source: DhcpSource, wish: Wish): Promise<DhcpLease & { granted: Grant }> {
    const began = parts.monotonic();
    const who = await observer.identify(network, source, wish);
    const sharedMac = fabricOf(network.fabric).sharedMac?.(network, parts.context());
    const applicant = { network, source, who, ...wish, ...(sharedMac === undefined ? {} : { sharedMac }) };
    const lease = leaseFor(applicant, { ...parts, pending, isUsed, marks: observer.marks });
    pending.set(lease.key, wish.endpoint);
    try {
      const kept = await mutex.run(lease.key, () => {
        // What was kept, or given back, while this waited.
        const { granted: _old, requested: _older, lost: _gone, ...rest } = lease;
        const now = book.get(lease.key);
        const before = now?.client.mac === lease.client.mac ? now.granted : undefined;
        const left = Math.max(parts.patience - (parts.monotonic() - began), 500);
        return conversation.obtain(
          { ...rest, ...(before === undefined ? {} : { granted: before }) },
          left,
          wish.address,
        );
      });
      const { terms } = kept.granted;
      if (who.unsure) {
        events.emit(
          'dhcp.unsure',
          `several containers start at once, and it cannot be told which of them ${lease.identity} is: it has an address of its own for this time; name it with the option identity`,
          { link: lease.link },
        );
      }
      events.emit('dhcp.leased', `${lease.identity} has the address ${formatAddress(terms.address.address)}`, {
        link: lease.link,
        address: formatAddress(terms.address.address),
        server: formatAddress(terms.server),
        mac: lease.client.mac,
      });
      return kept;
    } catch (error) {
      if (pending.get(lease.key) === wish.endpoint) pending.delete(lease.key);
      throw error;
    }
  }

  /** In the background: nobody's look at the engine waits for a server that is not there. */
  function adopt(): void {
    if (adopting) return;
    adopting = true;
    const work = takeUp({ ...parts, conversation, sourceOf: (network) => sourceOf(network, {}) })
      .then((keys) => {
        for (const key of keys) keeper.watch(key);
      })
      .finally(() => {
        adopting = false;
      });
    void later(work, 'take over DHCP leases');
  }

  /** Gives back what nobody needs any more. */
  async function sweep(): Promise<void> {
    for (const lease of book.all()) {
      if (isNeeded(lease)) continue;
      await mutex.run(lease.key, async () => {
        const now = book.get(lease.key);
        if (now !== undefined && !isNeeded(now)) await conversation.giveBack(now);
      });
      keeper.watch(lease.key);
    }
  }

  function isNeeded(lease: DhcpLease): boolean {
    if (isLive(lease)) return true;
    const { container, network } = lease;
    if (container === undefined || !state.networks.has(network) || !observer.isOn(container, network)) return false;
    // It has another one: who it was could not be told when it started.
    return !book.all().some((other) => other.container === container && other.network === network && isLive(other));
  }

  /** Those whose network has gone, or was never made. */
  async function forgetPools(): Promise<void> {
    for (const id of book.pools) {
      const pool = readPoolId(id);
      const used = pool !== undefined && [...state.networks.values()].some((network) => isOf(network, pool));
      if (!used && !expected.has(id)) await book.deletePool(id);
    }
    expected.clear();
  }

  /** Whose endpoint is whose, once the engine tells: for the next start. */
  async function pair(networks: readonly EngineNetwork[]): Promise<void> {
    for (const { endpoints } of networks) {
      for (const { id, container } of endpoints) {
        const lease = book.of(id);
        if (lease === undefined || container.length !== 64) continue;
        const marks = observer.marks(container);
        if (lease.container === container && (lease.root !== undefined || marks === undefined)) continue;
        await mutex.run(lease.key, async () => {
          const now = book.get(lease.key);
          if (now?.endpoint !== id) return;
          const { root: _its, exposes: _too, ...rest } = now;
          await book.put({ ...rest, container, ...marks });
        });
      }
    }
  }

  const active = (): boolean => book.all().length > 0 || book.pools.size > 0 || networks().length > 0;

  function later(work: Promise<void>, what: string): Promise<void> {
    const guarded = work.catch((error: unknown) => {
      const { code, message } = asBerthError(error);
      if (code !== 'ENGINE_UNREACHABLE' && code !== 'SHUTTING_DOWN')
        events.emit('dhcp.failed', `cannot ${what}: ${message}`);
    });
    background.add(guarded);
    void guarded.then(() => background.delete(guarded));
    return guarded;
  }

  return {
    serves,
    async acquire(network, { endpoint, mac, options, exposes }) {
      const began = parts.monotonic();
      const source = sourceOf(network, options)!;
      const lease = await obtain(network, source, {
        endpoint,
        ...(mac === undefined ? {} : { mac }),
        ...(exposes === undefined ? {} : { exposes }),
      });
      const got = leased(lease);
      if (source.ipv6 !== 'slaac') return got;
      const own = await conversation.autoconfigure(
        lease,
        // The engine gets an error 2 s after the patience with servers.
        Math.min(PATIENCE_FOR_ROUTER, parts.patience + 1500 - (parts.monotonic() - began)),
      );
      return own === undefined ? got : { ...got, addresses: [...got.addresses, own] };
    },
    async reserve(network, wish) {
      const link = fabricOf(network.fabric).wire?.(network);
      if (link === undefined) throw new BerthError('BAD_OPTION', 'there is no DHCP server on a network of this driver');
      const { key, granted } = await obtain(network, { link, clientId: 'mac' }, wish);
      const { address } = granted.terms;
      if (wish.address !== undefined && !sameAddress(address.address, wish.address)) {
        pending.delete(key);
        const [given, wanted] = [address.address, wish.address].map(formatAddress);
        throw new BerthError('ADDRESS_TAKEN', `the DHCP server on ${link} gives ${given}, and not ${wanted}`);
      }
      setTimeout(() => {
        if (pending.get(key) === undefined) pending.delete(key);
      }, PATIENCE_FOR_CLAIM).unref();
      return address;
    },
    async claim(network, request) {
      const link = fabricOf(network.fabric).wire?.(network);
      const lease = request.addresses.map(({ address }) => byAddress(address, link)).find((one) => one !== undefined);
      if (link === undefined || lease === undefined) return undefined;
      const waits = pending.has(lease.key) && pending.get(lease.key) === undefined;
      if (!waits && isUsed(lease) && lease.endpoint !== request.endpoint) return undefined;
      pending.set(lease.key, request.endpoint);
      const kept = { ...lease, network: network.id, endpoint: request.endpoint };
      await mutex.run(lease.key, () => book.put(kept));
      return { ...leased(kept), ...(request.mac === undefined ? {} : { mac: request.mac }) };
    },
    expect(pool) {
      expected.add(pool);
      return book.putPool(pool);
    },
    unclaimed(address) {
      const lease = byAddress(address, undefined);
      if (lease !== undefined && pending.get(lease.key) === undefined) pending.delete(lease.key);
    },
    find: (address) => byAddress(address, undefined)?.granted.terms.address,
    settled(endpoint) {
      for (const [key, id] of pending) if (id === endpoint) pending.delete(key);
    },
    async conflicted(endpoint) {
      const lease = book.of(endpoint);
      if (lease === undefined) return;
      await later(
        mutex.run(lease.key, () => conversation.refuse(lease, 'another machine has it')),
        'decline a DHCP lease',
      );
    },
    attached(endpoint) {
      const lease = book.of(endpoint);
      if (lease !== undefined) keeper.watch(lease.key);
    },
    async networkGoes(network) {
      const leases = book.all().filter((one) => one.network === network);
      const released = leases.map((lease) =>
        later(
          mutex.run(lease.key, async () => {
            const now = book.get(lease.key);
            if (now !== undefined && now.network === network && !pending.has(now.key)) await conversation.giveBack(now);
          }),
          'give a DHCP lease back',
        ),
      );
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, PATIENCE_FOR_RELEASE);
      await Promise.race([Promise.all(released), promise]);
      clearTimeout(timer);
    },
    containersChanged() {
      if (active()) void later(observer.look(), 'ask the engine for its containers');
    },
    async learn(networks) {
      if (!active()) return;
      await observer.look();
      adopt();
      await pair(networks);
      for (const id of seen) if (!state.endpoints.has(id)) seen.delete(id);
      await forgetPools();
      await sweep();
    },
    leases: () =>
      book.all().map((lease) => {
        const next = keeper.due(lease.key);
        return { ...lease, ...(next === undefined ? {} : { next }) };
      }),
    problems: () =>
      book
        .all()
        .flatMap(({ identity, lost }) =>
          lost === undefined
            ? []
            : [`${identity} has lost its address ${lost.address.replace(/\/.*/, '')}: ${lost.reason}`],
        ),
    start() {
      for (const { key } of book.all()) keeper.watch(key);
    },
    async close() {
      keeper.close();
      while (background.size > 0) await Promise.all(background);
      parts.ports.close();
    },
  };
}

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
import { within } from '../within.ts';
import { byFamily, type ConversationParts, createConversation } from './conversation.ts';
import { createConversation6 } from './conversation6.ts';
import { ipv6LeaseOf, ipv6Of } from './ipv6.ts';
import { createKeeper, type KeeperParts } from './keeper.ts';
import { type Applicant, isSameClient, type Leased, leased, leaseFor } from './lease-for.ts';
import { isOf, readPoolId } from './pool-id.ts';
import type { DhcpLease, Grant } from './record.ts';
import { createRouters } from './routers.ts';
import { takeUp } from './take-up.ts';
import { createUsage, type UsageParts } from './usage.ts';
import { createObserver, type ObserverParts, type Who } from './who.ts';

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
   * @throws BerthError DHCP_NO_ANSWER, DHCP_REFUSED, ADDRESS_TAKEN, MAC_IN_USE, INTERFACE_UNKNOWN, …
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
  /** Another machine has an address of the endpoint: the next start is to get another one. */
  conflicted(endpoint: EndpointId, address: Address): Promise<void>;
  /** The endpoint's container is about to run, or where its interface is has become known. */
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
    Omit<ObserverParts, 'isUsed' | 'networks'>,
    Omit<UsageParts, 'pending' | 'startedAt'> {
  readonly state: State;
  readonly hostKey: string;
  context(): FabricContext;
  /** Milliseconds within which CreateEndpoint is answered: the engine gets an error after 10 s. A renewal has as long. */
  readonly patience: number;
}

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
  const { isLive, isUsed, isTaken, forget } = createUsage({ ...parts, pending, startedAt: parts.now() });
  /** Pools that were asked for since the last look at what is in use. */
  const expected = new Set<string>();

  let adopting = false;
  /** Endpoints whose leases are not in the store, and cannot be taken over. */
  const unconfirmed = new Map<string, string>();

  const routers = createRouters(parts);
  const conversation4 = createConversation({ ...parts, isTaken });
  const conversation6 = createConversation6({ ...parts, isTaken, routers });
  const conversation = byFamily(conversation4, conversation6);
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

  function byAddress(address: Address, link: string | undefined): (DhcpLease & { granted: Grant }) | undefined {
    for (const lease of book.all()) {
      const { granted } = lease;
      if (link !== undefined && lease.link !== link) continue;
      if (granted !== undefined && sameAddress(granted.terms.address.address, address)) return { ...lease, granted };
    }
    return undefined;
  }

  interface Wish extends Pick<Applicant, 'endpoint' | 'mac'>, Pick<CreateEndpoint, 'exposes'> {
    readonly name?: string;
    readonly address?: Address;
  }

  /** Who asks, and the lease that is to be his. */
  async function apply(
    network: Network,
    source: DhcpSource,
    wish: Wish,
  ): Promise<{ readonly who: Who; readonly lease: DhcpLease; readonly until: number }> {
    const until = parts.monotonic() + parts.patience;
    const who = await observer.identify(network, source, wish);
    const sharedMac = fabricOf(network.fabric).sharedMac?.(network, parts.context());
    const applicant: Applicant = {
      network,
      source,
      who,
      ...wish,
      ...(sharedMac === undefined ? {} : { sharedMac }),
      ...(source.ipv4 === 'none' ? { family: 6 } : {}),
    };
    const lease = leaseFor(applicant, { ...parts, pending, isUsed, marks: observer.marks });
    // At once: the next one who asks must not be taken for the same.
    pending.set(lease.key, wish.endpoint);
    return { who, until, lease };
  }

  async function obtain(
    { who, lease, until }: Awaited<ReturnType<typeof apply>>,
    wish: Wish,
  ): Promise<DhcpLease & { granted: Grant }> {
    try {
      const kept = await mutex.run(lease.key, async () => {
        // What was kept, or given back, while this waited.
        const { granted: _old, requested: _older, lost: _gone, ...rest } = lease;
        const now = book.get(lease.key);
        const same = now !== undefined && isSameClient(now.client, lease.client);
        // The server would keep it for a client that never comes again.
        if (now?.granted !== undefined && !same) await conversation.giveBack(now);
        const before = same && now.stateless === undefined ? now.granted : undefined;
        const left = Math.max(until - parts.monotonic(), 500);
        return conversation.obtain(
          { ...rest, ...(before === undefined ? {} : { granted: before }) },
          left,
          wish.address,
        );
      });
      const { terms } = kept.granted;
      if (wish.address !== undefined && !sameAddress(terms.address.address, wish.address)) {
        await mutex.run(lease.key, () => conversation.giveBack(kept));
        const [given, wanted] = [terms.address.address, wish.address].map(formatAddress);
        throw new BerthError('ADDRESS_TAKEN', `the DHCP server on ${lease.link} gives ${given}, and not ${wanted}`);
      }
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

  /** As `obtain`, over IPv6, in the way that the network has it. */
  function obtain6(
    source: DhcpSource,
    applied: Awaited<ReturnType<typeof apply>>,
    wish: Wish,
  ): Promise<InterfaceAddress | undefined> {
    const lease = applied.lease.family === 6 ? applied.lease : ipv6LeaseOf(applied.lease, book);
    pending.set(lease.key, wish.endpoint);
    const patience = applied.until - parts.monotonic();
    // The address that is wished for is one of IPv4.
    const { address: _other, ...rest } = wish;
    return ipv6Of(
      { source, lease, patience, obtain: () => obtain({ ...applied, lease }, rest) },
      { ...parts, conversation: conversation6, routers },
    );
  }

  /** In the background: nobody's look at the engine waits for a server that is not there. */
  function adopt(networks: readonly EngineNetwork[]): void {
    if (adopting) return;
    adopting = true;
    const owners = new Map(networks.flatMap(({ endpoints }) => endpoints.map(({ id, container }) => [id, container])));
    const work = takeUp({
      ...parts,
      conversation,
      sourceOf: (network) => sourceOf(network, {}),
      unconfirmed,
      ownerOf: (id) => owners.get(id),
      container: observer.container,
      marks: observer.marks,
      sharedMac: (network) => fabricOf(network.fabric).sharedMac?.(network, parts.context()),
    })
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
    const sameKind = (other: DhcpLease) => other.network === network && other.family === lease.family;
    return !book.all().some((other) => other.container === container && sameKind(other) && isLive(other));
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
        if (container.length !== 64) continue;
        const seen = observer.marks(container);
        const { hostName: _asked, ...marks } = seen ?? {};
        for (const lease of book.of(id)) {
          if (lease.container === container && (lease.root !== undefined || seen === undefined)) continue;
          await mutex.run(lease.key, async () => {
            const now = book.get(lease.key);
            if (now?.endpoint !== id) return;
            const { root: _its, exposes: _too, ...rest } = now;
            await book.put({ ...rest, container, ...marks });
          });
        }
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
      const source = sourceOf(network, options)!;
      const wish: Wish = {
        endpoint,
        ...(mac === undefined ? {} : { mac }),
        ...(exposes === undefined ? {} : { exposes }),
        ...(source.address === undefined ? {} : { address: source.address }),
      };
      const applied = await apply(network, source, wish);
      // Both at the same time, and both to their end: what one has got is kept for the next attempt when the other fails.
      const [four, six] = await Promise.allSettled([
        source.ipv4 === 'none' ? undefined : obtain(applied, wish),
        (source.ipv6 ?? 'none') === 'none' ? undefined : obtain6(source, applied, wish),
      ]);
      if (four.status === 'rejected') throw four.reason;
      if (six.status === 'rejected') throw six.reason;
      const own = six.value === undefined ? [] : [six.value];
      if (four.value === undefined) return { mac: applied.lease.client.mac, addresses: own, gateways: [], routes: [] };
      const got = leased(four.value);
      return { ...got, addresses: [...got.addresses, ...own] };
    },
    async reserve(network, wish) {
      const link = fabricOf(network.fabric).wire?.(network);
      if (link === undefined) throw new BerthError('BAD_OPTION', 'there is no DHCP server on a network of this driver');
      const { key, granted } = await obtain(await apply(network, { link, clientId: 'mac' }, wish), wish);
      setTimeout(() => {
        if (pending.get(key) === undefined) pending.delete(key);
      }, PATIENCE_FOR_CLAIM).unref();
      return granted.terms.address;
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
    async conflicted(endpoint, address) {
      for (const lease of book.of(endpoint)) {
        const { granted } = lease;
        if (granted === undefined || !sameAddress(granted.terms.address.address, address)) continue;
        await later(
          mutex.run(lease.key, () => conversation.refuse(lease, 'another machine has it')),
          'decline a DHCP lease',
        );
      }
    },
    attached(endpoint) {
      for (const { key } of book.of(endpoint)) keeper.watch(key);
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
      await within(PATIENCE_FOR_RELEASE, Promise.all(released));
    },
    containersChanged() {
      if (active()) void later(observer.look(), 'ask the engine for its containers');
    },
    async learn(networks) {
      if (!active()) return;
      await observer.look();
      adopt(networks);
      await pair(networks);
      forget();
      for (const key of unconfirmed.keys())
        if (!state.endpoints.has(key.slice(0, key.indexOf(' ')) as EndpointId)) unconfirmed.delete(key);
      await forgetPools();
      await sweep();
    },
    leases: () =>
      book.all().map((lease) => {
        const next = keeper.due(lease.key);
        return { ...lease, ...(next === undefined ? {} : { next }) };
      }),
    problems: () => [
      ...book
        .all()
        .flatMap(({ identity, lost }) =>
          lost === undefined
            ? []
            : [`${identity} has lost its address ${lost.address.replace(/\/.*/, '')}: ${lost.reason}`],
        ),
      ...unconfirmed.values(),
    ],
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

/**
 * DHCP as the source of addresses: decides for whom an address is asked, gets it before the container starts, has it renewed
 * while the container runs, keeps it while the container exists, and gives it back when the container or the network is gone.
 */

import type { CreateEndpoint } from '../../docker/driver.ts';
import type { Engine, EngineNetwork, ListedContainer } from '../../docker/engine.ts';
import type { DhcpSource, FabricContext } from '../../fabric/fabric.ts';
import { fabricOf } from '../../fabric/fabrics.ts';
import { formatAddress, sameAddress } from '../../model/address.ts';
import { asBerthError, BerthError } from '../../model/errors.ts';
import type { EndpointId, NetworkId } from '../../model/ids.ts';
import type { Endpoint, Network } from '../../model/network.ts';
import { contains, prefixOf } from '../../model/prefix.ts';
import { keyedMutex } from '../mutex.ts';
import type { Names } from '../names.ts';
import type { State } from '../state.ts';
import type { Book } from './book.ts';
import { candidates, choose, identityOf } from './containers.ts';
import { type ConversationParts, createConversation } from './conversation.ts';
import { clientOf, describeIdentity, type Identity, leaseKey } from './identity.ts';
import { createKeeper, type KeeperParts } from './keeper.ts';
import type { DhcpLease, Grant } from './record.ts';

/** What an endpoint gets from a lease. */
export type Leased = Required<Pick<Endpoint, 'mac' | 'addresses' | 'gateways' | 'routes'>> & Pick<Endpoint, 'mtu'>;

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
  /** The endpoint stands in the records, or its making has failed. */
  settled(endpoint: EndpointId): void;
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

export interface DhcpParts extends Omit<ConversationParts, 'isTaken'>, Omit<KeeperParts, 'conversation' | 'mutex'> {
  readonly engine: Pick<Engine, 'containers'>;
  readonly book: Book;
  readonly state: State;
  readonly names: Names;
  readonly hostKey: string;
  /** A new engine process says nothing of the endpoints of the one before. */
  engineIsNew(): boolean;
  /** Whether a container's network namespace may still have processes in it. */
  readonly occupied: (sandbox: string) => boolean;
  context(): FabricContext;
  /** Milliseconds within which CreateEndpoint is answered: the engine gets an error after 10 s. A renewal has as long. */
  readonly patience: number;
}

/** How long is waited for the engine to tell what containers there are, when it has been asked. */
const PATIENCE_FOR_NAMES = 300;
/** How long a network's removal is held up by its leases: nobody answers when they are given back. */
const PATIENCE_FOR_RELEASE = 2000;

export function createDhcp(parts: DhcpParts): Dhcp {
  const { book, state, names, events } = parts;
  const mutex = keyedMutex();
  /** Leases of endpoints that are not in the records yet, by key. */
  const pending = new Map<string, EndpointId>();
  const background = new Set<Promise<void>>();
  let containers: readonly ListedContainer[] = [];
  let listing: Promise<void> | undefined;
  let again = false;

  const conversation = createConversation({ ...parts, isTaken });
  const keeper = createKeeper({ ...parts, conversation, mutex });

  function sourceOf(network: Network, options: Readonly<Record<string, string>>): DhcpSource | undefined {
    return fabricOf(network.fabric).dhcp?.(network, { options }, parts.context());
  }

  const serves = (network: Network): boolean => sourceOf(network, {}) !== undefined;

  function isLive(lease: DhcpLease): boolean {
    if (pending.has(lease.key)) return true;
    const endpoint = lease.endpoint === undefined ? undefined : state.endpoints.get(lease.endpoint);
    return endpoint !== undefined && endpoint.phase !== 'removing';
  }

  /** Whether a container uses it, in truth. An engine that was killed has left endpoints behind of containers that are gone. */
  function isUsed(lease: DhcpLease): boolean {
    if (!isLive(lease)) return false;
    const sandbox = lease.endpoint && state.endpoints.get(lease.endpoint)?.sandbox;
    return pending.has(lease.key) || sandbox === undefined || !parts.engineIsNew() || parts.occupied(sandbox);
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

  /** The containers of a network that have an endpoint already, or had one, as far as is known. */
  function containersOf(network: NetworkId, used: boolean): ReadonlySet<string> {
    const leases = book.all().filter((lease) => lease.network === network && isUsed(lease) === used);
    return new Set(leases.flatMap(({ container }) => container ?? []));
  }

  interface Who {
    readonly identity: Identity;
    readonly container?: ListedContainer;
  }

  async function whoIs(network: Network, source: DhcpSource, request: CreateEndpoint): Promise<Who> {
    if (listing !== undefined) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, PATIENCE_FOR_NAMES);
      await Promise.race([listing, promise]);
      clearTimeout(timer);
    }
    const { id } = network;
    const waiting = candidates(containers, id, names.network(id), containersOf(id, true), containersOf(id, false));
    const container = choose(waiting);
    const known = container === undefined ? {} : { container };
    if (source.identity !== undefined) return { identity: { kind: 'name', name: source.identity }, ...known };
    if (request.mac !== undefined) return { identity: { kind: 'mac', mac: request.mac }, ...known };
    if (container === undefined) return { identity: { kind: 'endpoint', id: request.endpoint.slice(0, 12) } };
    return { identity: identityOf(container), ...known };
  }

  /** A container's own lease, or one for a new identity; the second of an identity is told from the first by a number. */
  function leaseFor(network: Network, source: DhcpSource, request: CreateEndpoint, who: Who): DhcpLease {
    const remembered = book
      .all()
      .find(
        (lease) =>
          lease.container !== undefined && lease.container === who.container?.id && lease.network === network.id,
      );
    const byName = who.identity.kind === 'container' || who.identity.kind === 'compose';
    const common = {
      network: network.id,
      endpoint: request.endpoint,
      ...(who.container === undefined ? {} : { container: who.container.id }),
    };
    if (byName && remembered !== undefined && !isUsed(remembered)) return { ...remembered, ...common };
    const sharedMac = fabricOf(network.fabric).sharedMac?.(network, parts.context());
    const name = describeIdentity(who.identity);
    for (let number = 1; ; number += 1) {
      const identity = number === 1 ? name : `${name} #${number}`;
      const key = leaseKey(source.link, identity);
      const known = book.get(key);
      const taken = known === undefined ? pending.has(key) : isUsed(known);
      const own = pending.get(key) === request.endpoint || known?.endpoint === request.endpoint;
      if (taken && !own) {
        if (who.identity.kind !== 'mac') continue;
        throw new BerthError(
          'MAC_IN_USE',
          `the MAC address ${request.mac} is held by another container on ${source.link}`,
        );
      }
      const mac = sharedMac ?? request.mac;
      const hostName = source.hostName ?? who.container?.name;
      const client = clientOf({
        identity,
        hostKey: parts.hostKey,
        link: source.link,
        ...(mac === undefined ? {} : { mac }),
        // Those that share a MAC can be told apart by nothing else.
        clientId: sharedMac === undefined ? source.clientId : 'identity',
        ...(hostName === undefined ? {} : { hostName }),
        ...(source.vendorClass === undefined ? {} : { vendorClass: source.vendorClass }),
      });
      const same = known?.client.mac === client.mac;
      return { ...(same ? known : {}), key, identity, link: source.link, client, ...common };
    }
  }

  async function acquire(network: Network, request: CreateEndpoint): Promise<Leased> {
    const began = parts.monotonic();
    const source = sourceOf(network, request.options)!;
    const who = await whoIs(network, source, request);
    const lease = leaseFor(network, source, request, who);
    pending.set(lease.key, request.endpoint);
    try {
      const kept = await mutex.run(lease.key, () => {
        // What was kept, or given back, while this waited.
        const { granted: _old, requested: _older, lost: _gone, ...rest } = lease;
        const now = book.get(lease.key);
        const before = now?.client.mac === lease.client.mac ? now.granted : undefined;
        const left = Math.max(parts.patience - (parts.monotonic() - began), 500);
        return conversation.obtain({ ...rest, ...(before === undefined ? {} : { granted: before }) }, left);
      });
      const { terms } = kept.granted;
      events.emit('dhcp.leased', `${lease.identity} has the address ${formatAddress(terms.address.address)}`, {
        link: lease.link,
        address: formatAddress(terms.address.address),
        server: formatAddress(terms.server),
        mac: lease.client.mac,
      });
      return leased(kept);
    } catch (error) {
      if (pending.get(lease.key) === request.endpoint) pending.delete(lease.key);
      throw error;
    }
  }

  /** Gives back what nobody needs any more. */
  async function sweep(): Promise<void> {
    const existing = new Set(containers.map(({ id }) => id));
    for (const lease of book.all()) {
      if (isNeeded(lease, existing)) continue;
      await mutex.run(lease.key, async () => {
        const now = book.get(lease.key);
        if (now !== undefined && !isNeeded(now, existing)) await conversation.giveBack(now);
      });
      keeper.watch(lease.key);
    }
  }

  function isNeeded(lease: DhcpLease, existing: ReadonlySet<string>): boolean {
    if (isLive(lease)) return true;
    if (!state.networks.has(lease.network)) return false;
    return lease.container !== undefined && existing.has(lease.container);
  }

  /** Whose endpoint is whose, once the engine tells: for the next start. */
  async function pair(networks: readonly EngineNetwork[]): Promise<void> {
    for (const { endpoints } of networks) {
      for (const { id, container } of endpoints) {
        const lease = book.of(id);
        if (lease === undefined || lease.container === container || container.length !== 64) continue;
        await mutex.run(lease.key, async () => {
          const now = book.get(lease.key);
          if (now?.endpoint === id) await book.put({ ...now, container });
        });
      }
    }
  }

  const active = (): boolean => book.all().length > 0 || [...state.networks.values()].some(serves);

  /** Asks the engine, and once more when there is news meanwhile. Never within a plugin call. */
  function list(): Promise<void> {
    if (listing !== undefined) {
      again = true;
      return listing;
    }
    listing = (async () => {
      do {
        again = false;
        containers = await parts.engine.containers();
      } while (again);
    })().finally(() => {
      listing = undefined;
    });
    return listing;
  }

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
    acquire,
    settled(endpoint) {
      for (const [key, id] of pending) if (id === endpoint) pending.delete(key);
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
      if (active()) void later(list(), 'ask the engine for its containers');
    },
    async learn(networks) {
      if (!active()) return;
      await list();
      await pair(networks);
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

/** What Docker is told of a lease. */
export function leased({ client, granted }: DhcpLease & { readonly granted: Grant }): Leased {
  const { address, gateway, routes, mtu } = granted.terms;
  const usable = gateway !== undefined && !sameAddress(gateway, address.address) ? gateway : undefined;
  // A gateway beyond the subnet has to be reached on the link first (RFC 3442 foresees it; the engine refuses it else).
  const reach =
    usable === undefined || contains(prefixOf(address), usable)
      ? []
      : [{ destination: { address: usable, length: 32 } }];
  return {
    mac: client.mac,
    addresses: [address],
    gateways: usable === undefined ? [] : [usable],
    routes: [...reach, ...routes],
    ...(mtu === undefined ? {} : { mtu }),
  };
}

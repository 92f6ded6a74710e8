/**
 * Docker's IPAM calls, and what the rest of the agent needs of leases. The allocation itself is in `ipam/`; here stands what
 * follows from how engines behave: repeated requests after a restart, gateways that are released too early, a LAN's router.
 */

import type { IpamDriver } from '../docker/driver.ts';
import type { EngineNetwork, EngineSubnet } from '../docker/engine.ts';
import { type ClusterMember, clusterOf } from '../fabric/cluster/settings.ts';
import { sameLease } from '../ipam/codec.ts';
import type { Ipam } from '../ipam/ipam.ts';
import type { PoolRequest } from '../ipam/pools.ts';
import type { Reservations } from '../ipam/reservations.ts';
import type { Address } from '../model/address.ts';
import { asBerthError, BerthError } from '../model/errors.ts';
import type { EndpointId, NetworkId, PoolId } from '../model/ids.ts';
import type { Mac } from '../model/mac.ts';
import type { Endpoint, Network, Subnet } from '../model/network.ts';
import { SWARM_TENANT } from '../model/objects/tenant.ts';
import { type Lease, type LeaseHolder, networkOfPool, type Pool, poolId, readPoolId } from '../model/pool.ts';
import { contains, hostRange, type Prefix, samePrefix } from '../model/prefix.ts';
import { type ClusterSource, createClusterAddresses } from './cluster/addresses.ts';
import { memberOf, withClusterPools } from './cluster/pools.ts';
import type { PluginConfig } from './config.ts';
import type { Conflicts } from './conflicts/conflicts.ts';
import type { Events } from './events.ts';
import { createGranting, holderOf } from './granting.ts';
import type { HostFacts } from './host.ts';
import type { Names } from './names.ts';
import type { State } from './state.ts';

const SPACES = { local: 'berth', global: 'berth-global' } as const;

export interface Leases {
  readonly driver: IpamDriver;
  /** Ties the leases of an endpoint's addresses to it. Addresses of Docker's own IPAM are not ours and are passed over. */
  claim(network: Network, endpoint: Endpoint): Promise<void>;
  /**
   * Leases an address of a network's subnet for an endpoint that no engine asks for: the given one, or the lowest free one.
   *
   * @returns undefined when the subnet is not one of our pools.
   * @throws BerthError ADDRESS_TAKEN, ADDRESS_RESERVED, POOL_EXHAUSTED
   */
  hold(network: Network, subnet: Prefix, endpoint: Endpoint['id'], wanted: HeldAddress): Promise<Address | undefined>;
  /** Ties the reserved addresses of a network (`--aux-address`) to its pools. */
  reserve(subnets: readonly Subnet[], network: Placed): Promise<void>;
  /**
   * A network is being made: the pools that were asked for it. `undo`: it was not made. Docker does not name the pool: of several
   * ranges of a subnet it is one whose gateway and reserved addresses are the network's, and of these the one asked for first. `match`
   * knows better, a moment later.
   */
  settle(subnets: readonly Subnet[]): { readonly pools: readonly PoolId[]; undo(): void };
  /** The endpoint that a lease of ours on this address belongs to. */
  holder(network: Network, subnet: Prefix, address: Address): EndpointId | undefined;
  /** Whether addresses of this subnet are ours to give, to a network or to any of this host. */
  serves(subnet: Prefix, network?: Placed): boolean;
  /** The pools of a network of the cluster. */
  poolsOf(subnets: readonly Subnet[], network: Placed): readonly PoolId[];
  /** CreateEndpoint refused an address that another endpoint holds: the engine is about to release it, and must not. */
  refused(network: Network, subnet: Prefix, address: Address): void;
  /** Follows what other hosts lease, until the signal aborts. Without it everything is right as well, but slower. Never rejects. */
  follow(signal: AbortSignal): Promise<void>;
  /** Whether other hosts have leases, and networks on our pools, that this one knows nothing of. */
  readonly isShared: boolean;
  /** Whether it is of a container of this host. */
  isOwn(lease: Lease): boolean;
  /** Pools that the engine gave back, and that no network uses any more, go; and what is left of those of a network that has gone stays. */
  freeReleased(gone?: Network): Promise<void>;
  /**
   * The engine has forgotten a network whose pools it did not give back. Hosts that still have networks on them open them again; if
   * none has, nobody else would ever remove them.
   */
  freePoolsOf(gone: Network): Promise<void>;
  /** The engine has forgotten an endpoint: its addresses are free. */
  endpointGone(endpoint: Pick<Endpoint, 'id'>): Promise<void>;
  /** Frees a lease that nobody uses. @returns false when the address is somebody else's by now, of this host too: then it stays. */
  free(lease: Lease): Promise<boolean>;
  freePool(pool: Pool): Promise<void>;
  /** The pools of a network are those of the ranges that the engine tells of, whatever they were taken for when it was made. */
  match(seen: EngineNetwork): Promise<void>;
  /** Takes up the pools and addresses of a network that only the engine knows, as they are in use. */
  adopt(seen: EngineNetwork, subnets: readonly EngineSubnet[]): Promise<readonly PoolId[]>;
  /** What we give as the gateway of an empty subnet to a network of that plugin. */
  usualGateway(plugin: string, subnet: Prefix): Address;
  /** Whether the engine gave the pools of a network back, and then asked for them anew: it is done with the network. */
  givenBack(network: NetworkId): boolean;
  /** When the engine last asked for a pool or an address: what it asks for again is not garbage, however old. Milliseconds of `monotonic`. */
  askedAt(pool: PoolId, address?: Address): number;
  readonly reservations: Reservations;
  /** The lease on an address of a subnet, in whichever pool. @param network of those of this network of the cluster. */
  leaseOf(subnet: Prefix, address: Address, network?: string): Lease | undefined;
  pools(): readonly Pool[];
  all(): readonly Lease[];
  of(pool: PoolId): readonly Lease[];
  count(): number;
  /** What networks the engine has: automatic subnets stay clear of theirs. */
  learnEngine(networks: readonly EngineNetwork[]): void;
  /** A new engine process will ask for what it remembers; until the records have been compared, that is granted again. */
  engineStarted(): void;
  reconciled(): void;
  /** Between the two. */
  engineIsNew(): boolean;
}

export interface HeldAddress {
  readonly address?: Address | undefined;
  /** Of the container. */
  readonly name: string;
  readonly mac?: Mac | undefined;
}

/** What tells of a network which one of the cluster it is, if any. */
export type Placed = Pick<Network, 'fabric' | 'settings'>;

export interface LeasesParts {
  readonly ipam: Ipam;
  readonly state: State;
  readonly host: HostFacts;
  readonly names: Names;
  readonly plugins: ReadonlyMap<string, PluginConfig>;
  readonly conflicts: Pick<Conflicts, 'screens' | 'avoids' | 'claimOn'>;
  /** Absent: this host shares no store with others. */
  readonly cluster?: (ClusterSource & { readonly host: string; readonly events: Pick<Events, 'emit'> }) | undefined;
  engineId(): string | undefined;
  /** Milliseconds of a clock that nobody sets. */
  monotonic(): number;
}

export function createLeases(parts: LeasesParts): Leases {
  const { ipam, state, host, plugins } = parts;
  const givenBack = new Set<NetworkId>();
  /** Whose network is not known for certain, until the engine tells: they were opened at the same time. */
  const unsure = new Set<PoolId>();
  /** How many of a pool's networks are on their way out: it was given back for them, and they are still there. */
  const leaving = new Map<PoolId, number>();
  let engineSubnets: readonly Prefix[] = [];
  /** From the start, too: the agent may have been started in the middle of the engine's repetitions. */
  let repeating = true;

  const isOn = (pool: Pool, { leased, pools, subnets }: Network): boolean =>
    pools?.includes(pool.id) ?? (leased && subnets.some(({ prefix }) => samePrefix(prefix, pool.subnet)));
  const networksOn = (pool: Pool): Network[] => [...state.networks.values()].filter((network) => isOn(pool, network));
  const inUse = (pool: Pool): boolean => networksOn(pool).length > 0;

  /** What an automatic subnet must stay clear of. */
  const taken = (): Prefix[] => [
    ...host
      .current()
      .routes.filter(({ destination }) => destination.length > 0)
      .map(({ destination }) => destination),
    ...[...state.networks.values()].flatMap((network) => network.subnets.map(({ prefix }) => prefix)),
    ...engineSubnets,
  ];

  /** On a LAN the gateway is the router that the host itself uses, when it is in the subnet. */
  function lanGateway(plugin: string, subnet: Prefix): Address | undefined {
    if (plugins.get(plugin)?.fabric !== 'lan') return undefined;
    return host
      .current()
      .routes.find(({ destination, via }) => destination.length === 0 && via !== undefined && contains(subnet, via))
      ?.via;
  }

  const granting = createGranting({ ...parts, networksOn, repeating: () => repeating, hostName: parts.cluster?.host });
  const { engine } = granting;
  const ofCluster = parts.cluster && createClusterAddresses({ ...parts.cluster, ipam, granting });

  /** The pools of a subnet that a network's addresses may be of: in the cluster, several tenants may have the same subnet. */
  const poolsFor = (subnet: Prefix, network: Placed | undefined): Pool[] => {
    const of = network && clusterOf(network)?.network;
    return ipam.pools().filter((pool) => samePrefix(pool.subnet, subnet) && networkOfPool(pool) === of);
  };

  const claimOne = async (
    member: ClusterMember | undefined,
    subnet: Prefix,
    address: Address,
    holder: LeaseHolder,
    mac: Mac | undefined,
  ): Promise<void> => {
    const lease = await ipam.claim(subnet, address, holder, mac, member?.network);
    // Docker's own IPAM knows nothing of other hosts, but a swarm's leader does; ours may have been asked in another life.
    if (lease !== undefined || member === undefined || member.network.startsWith(`${SWARM_TENANT}:`)) return;
    const request = { address, holder, ...(mac && { mac }) };
    await ofCluster?.lease({ ...member, pool: poolId(member.network, subnet) }, request);
  };

  /** Another host has removed a pool that a network of ours is still on: it is opened again, with what the network has of it. */
  const openAgain = async (id: PoolId): Promise<Pool> => {
    const [given, on] = [readPoolId(id), [...state.networks.values()].filter(({ pools }) => pools?.includes(id))];
    if (given === undefined || on.length === 0)
      throw new BerthError('POOL_UNKNOWN', `the pool ${id.slice(0, 64)} is not known to Berth`);
    const of = (holder: LeaseHolder, address: Address | undefined): Omit<Lease, 'pool' | 'createdAt'>[] =>
      address === undefined || !contains(given.subnet, address) ? [] : [{ address, holder, engine: engine() }];
    const leases = on.flatMap((network) => [
      ...network.subnets.flatMap(({ gateway, auxiliary }) => [
        ...of({ kind: 'gateway' }, gateway),
        ...Object.values(auxiliary).flatMap((address) => of({ kind: 'auxiliary' }, address)),
      ]),
      ...state
        .endpointsOf(network.id)
        .flatMap((endpoint) =>
          endpoint.addresses.flatMap(({ address }) =>
            of({ kind: 'endpoint', endpoint: endpoint.id, network: network.id }, address),
          ),
        ),
    ]);
    return await openInUse({ ...given, family: given.subnet.address.family, options: {}, taken: [] }, leases);
  };

  const openInUse = async (
    request: Omit<PoolRequest, 'leases'>,
    leases: readonly Omit<Lease, 'pool' | 'createdAt'>[],
  ): Promise<Pool> => {
    const distinct = [...new Map(leases.map((lease) => [lease.address.value, lease])).values()];
    const pool = await ipam.openPool({ ...request, leases: distinct });
    for (const lease of distinct)
      if (ipam.find(pool.id, lease.address) === undefined) await ipam.lease({ ...lease, pool: pool.id });
    return pool;
  };

  const ownPools: IpamDriver = {
    addressSpaces: () => SPACES,

    async requestPool(request) {
      const { subnet } = request;
      // A route that was made a moment ago is not known yet, and an automatic subnet must not cut it off.
      if (subnet === undefined) await host.refresh();
      const released =
        subnet !== undefined && ipam.pools().some((pool) => pool.released && samePrefix(pool.subnet, subnet));
      const pool = await ipam.openPool({ ...request, taken: taken(), replay: repeating });
      // Of several that share it, one has gone; which is not known.
      const [only, ...others] = networksOn(pool);
      if (released && only !== undefined && others.length === 0 && !unsure.has(pool.id)) givenBack.add(only.id);
      granting.note(pool.id);
      return { id: pool.id, subnet: pool.subnet };
    },

    async releasePool(id) {
      const pool = ipam.pool(id);
      if (pool === undefined) return;
      await ipam.releasePool(id, { inUse: inUse(pool) });
      if (ipam.pool(id)?.released === true) leaving.set(id, (leaving.get(id) ?? 0) + 1);
    },

    async requestAddress(request, call) {
      const pool = ipam.pool(request.pool) ?? (await openAgain(request.pool));
      const gateway = request.purpose === 'gateway';
      const address = request.address ?? (gateway ? lanGateway(call.plugin, pool.subnet) : undefined);
      const lease = await granting.grant({
        pool: pool.id,
        ...(gateway ? { holder: { kind: 'gateway' } } : holderOf(request)),
        ...(address === undefined ? {} : { address }),
        ...(request.mac === undefined ? {} : { mac: request.mac }),
      });
      return { address: lease.address, length: pool.subnet.length };
    },

    releaseAddress: (id, address) => granting.release(id, address),
  };

  const self: Leases = {
    driver: withClusterPools(ownPools, { addresses: ofCluster, granting }),
    givenBack: (network) => givenBack.has(network),
    askedAt: granting.notedAt,
    reservations: ipam.reservations,
    leaseOf: (subnet, address, network) =>
      ipam
        .pools()
        .filter((pool) => samePrefix(pool.subnet, subnet) && (network ?? networkOfPool(pool)) === networkOfPool(pool))
        .map(({ id }) => ipam.find(id, address))
        .find((lease) => lease !== undefined),
    pools: () => ipam.pools(),
    all: () => ipam.leases(),
    of: (pool) => ipam.leasesOf(pool),
    count: () => ipam.count(),

    async claim(network, endpoint) {
      const holder = { kind: 'endpoint', endpoint: endpoint.id, network: network.id } as const;
      await Promise.all(
        endpoint.addresses.map(async ({ address }) => {
          const subnet = network.subnets.find(({ prefix }) => contains(prefix, address))?.prefix;
          if (subnet !== undefined) await claimOne(clusterOf(network), subnet, address, holder, endpoint.mac);
        }),
      );
    },

    async hold(network, subnet, endpoint, { address, name, mac }) {
      const holder = { kind: 'endpoint', endpoint, network: network.id, name } as const;
      const request = { holder, ...(address && { address }), ...(mac && { mac }) };
      const member = clusterOf(network);
      if (member !== undefined)
        return (await ofCluster?.lease({ ...member, pool: poolId(member.network, subnet) }, request))?.address;
      const pools = poolsFor(subnet, network);
      const pool = pools.find(({ id }) => network.pools?.includes(id)) ?? pools[0];
      if (pool === undefined) return undefined;
      try {
        return (await ipam.lease({ ...request, pool: pool.id, engine: engine() })).address;
      } catch (error) {
        throw granting.named(error, pool.id, address);
      }
    },

    settle(subnets) {
      const settled = subnets.flatMap(({ prefix, gateway, auxiliary }) => {
        const own = [...(gateway === undefined ? [] : [gateway]), ...Object.values(auxiliary)];
        return ipam.settlePool(prefix, (id) => own.every((on) => granting.notedAt(id, on) >= 0)) ?? [];
      });
      for (const { pool, rivals } of settled)
        if (rivals.length > 0) for (const one of [pool, ...rivals]) unsure.add(one);
      return {
        pools: settled.map(({ pool }) => pool),
        undo() {
          for (const { undo } of settled) undo();
        },
      };
    },

    async match({ id, scope, subnets }) {
      const space = scope === 'local' ? SPACES.local : SPACES.global;
      const pools = subnets.map(({ subnet, range }) => poolId(space, subnet, range));
      const network = state.networks.get(id);
      if (network !== undefined && clusterOf(network) !== undefined) return;
      if (network?.pools === undefined || pools.some((pool) => ipam.pool(pool) === undefined)) return;
      for (const pool of pools) unsure.delete(pool);
      if (network.pools.join() === pools.join()) return;
      await state.putNetwork({ ...network, pools });
      // What it was taken to have may be nobody's, and given back by now.
      await self.freeReleased();
    },

    async reserve(subnets, network) {
      const of = clusterOf(network)?.network;
      for (const { prefix, auxiliary } of subnets) {
        for (const address of Object.values(auxiliary))
          await ipam.claim(prefix, address, { kind: 'auxiliary' }, undefined, of);
      }
    },

    holder(network, subnet, address) {
      const leased = poolsFor(subnet, network).map(({ id }) => ipam.find(id, address)?.holder);
      return leased.find((holder) => holder?.kind === 'endpoint')?.endpoint;
    },

    serves: (subnet, network) => poolsFor(subnet, network).length > 0,
    poolsOf: (subnets, network) => subnets.flatMap(({ prefix }) => poolsFor(prefix, network).map(({ id }) => id)),

    refused(network, subnet, address) {
      for (const { id } of poolsFor(subnet, network))
        if (ipam.find(id, address) !== undefined) granting.refused(id, address);
    },

    async freeReleased(gone) {
      for (const pool of ipam.pools().filter(({ released }) => released)) {
        const wasIts = gone !== undefined && isOn(pool, gone);
        const others = (leaving.get(pool.id) ?? 0) - (wasIts ? 1 : 0);
        if (others > 0) leaving.set(pool.id, others);
        else leaving.delete(pool.id);
        if (!inUse(pool)) await ipam.releasePool(pool.id, { inUse: false });
        // The network that gave it back has gone: those that are left want it.
        else if (wasIts && others <= 0) await ipam.keepPool(pool.id);
      }
    },

    async follow(signal) {
      if (parts.cluster === undefined) return;
      const { events } = parts.cluster;
      await ipam.follow(signal).catch((error: unknown) => {
        if (signal.aborted) return;
        events.emit('cluster.failed', `cannot follow the leases of other hosts: ${asBerthError(error).message}`);
      });
    },

    isShared: parts.cluster !== undefined,
    isOwn: granting.owns,

    async freePoolsOf(gone) {
      for (const pool of ipam.pools())
        if (networkOfPool(pool) === undefined && isOn(pool, gone) && !inUse(pool)) await ipam.removePool(pool.id);
    },

    endpointGone: (endpoint) => ipam.releaseEndpoint(endpoint.id),
    async free(lease) {
      const { pool, address } = lease;
      const isIt = (found: Lease) => granting.owns(found) && sameLease(found, lease);
      const now = ipam.find(pool, address);
      if (now === undefined || !isIt(now)) return false;
      granting.forget(pool, address);
      await ipam.release(pool, address, isIt);
      return true;
    },
    freePool(pool) {
      granting.forget(pool.id);
      return ipam.removePool(pool.id);
    },

    usualGateway: (plugin, subnet) =>
      lanGateway(plugin, subnet) ?? { family: subnet.address.family, value: hostRange(subnet).first },

    async adopt(seen, subnets) {
      const member = memberOf(seen.ipamOptions);
      if (member !== undefined) {
        for (const { subnet } of subnets)
          for (const { id, addresses, name, mac } of seen.endpoints) {
            const holder = { kind: 'endpoint', endpoint: id, network: seen.id, name } as const;
            for (const { address } of addresses)
              if (contains(subnet, address)) await claimOne(member, subnet, address, holder, mac);
          }
        return subnets.map(({ subnet }) => poolId(member.network, subnet));
      }
      const ofOurs = plugins.has(seen.driver);
      const pools: PoolId[] = [];
      for (const { subnet, range, gateway, auxiliary } of subnets) {
        const leases: Omit<Lease, 'pool' | 'createdAt'>[] = Object.values(auxiliary).map((address) => ({
          address,
          holder: { kind: 'auxiliary' },
          engine: engine(),
        }));
        if (gateway !== undefined) leases.push({ address: gateway, holder: { kind: 'gateway' }, engine: engine() });
        for (const { id, addresses, name, mac } of seen.endpoints) {
          const holder: LeaseHolder = ofOurs
            ? { kind: 'endpoint', endpoint: id, network: seen.id, name }
            : { kind: 'request', name };
          for (const { address } of addresses)
            if (contains(subnet, address)) leases.push({ address, holder, engine: engine(), ...(mac && { mac }) });
        }
        const space = seen.scope === 'local' ? SPACES.local : SPACES.global;
        const request = { space, subnet, family: subnet.address.family, options: {}, taken: [] };
        pools.push((await openInUse({ ...request, ...(range && { range }) }, leases)).id);
      }
      return pools;
    },

    learnEngine(networks) {
      // Those that have to do with us stand in our own records, which are never behind.
      engineSubnets = networks
        .filter(({ driver, ipamDriver }) => !plugins.has(driver) && !plugins.has(ipamDriver))
        .flatMap((network) => network.subnets.map(({ subnet }) => subnet));
    },
    engineIsNew: () => repeating,
    engineStarted() {
      repeating = true;
    },
    reconciled() {
      repeating = false;
    },
  };
  return self;
}

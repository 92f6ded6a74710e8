/**
 * Docker's IPAM calls, and what the rest of the agent needs of leases. The allocation itself is in `ipam/`; here stands what
 * follows from how engines behave: repeated requests after a restart, gateways that are released too early, a LAN's router.
 */

import type { IpamDriver } from '../docker/driver.ts';
import type { EngineNetwork, EngineSubnet } from '../docker/engine.ts';
import type { Ipam } from '../ipam/ipam.ts';
import type { LeaseRequest } from '../ipam/leases.ts';
import type { Reservations } from '../ipam/reservations.ts';
import { type Address, formatAddress, sameAddress } from '../model/address.ts';
import { BerthError } from '../model/errors.ts';
import type { EndpointId, NetworkId, PoolId } from '../model/ids.ts';
import type { Mac } from '../model/mac.ts';
import type { Endpoint, Network, Subnet } from '../model/network.ts';
import { type Lease, type LeaseHolder, type Pool, poolId } from '../model/pool.ts';
import { contains, hostRange, type Prefix, samePrefix } from '../model/prefix.ts';
import type { PluginConfig } from './config.ts';
import type { Conflicts } from './conflicts/conflicts.ts';
import type { HostFacts } from './host.ts';
import type { Names } from './names.ts';
import type { State } from './state.ts';

/** How many addresses beyond the one that is given out are asked for. */
const AHEAD = 7;
/** After so many that others have it is no accident: a router answers for all of them. */
const ATTEMPTS = 32;

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
  reserve(subnets: readonly Subnet[]): Promise<void>;
  /**
   * A network is being made: the pools that were asked for it. `undo`: it was not made. Docker does not name the pool: of several
   * ranges of a subnet it is one whose gateway and reserved addresses are the network's, and of these the one asked for first. `match`
   * knows better, a moment later.
   */
  settle(subnets: readonly Subnet[]): { readonly pools: readonly PoolId[]; undo(): void };
  /** The endpoint that a lease of ours on this address belongs to. */
  holder(subnet: Prefix, address: Address): EndpointId | undefined;
  /** Whether addresses of this subnet are ours to give. */
  serves(subnet: Prefix): boolean;
  /** CreateEndpoint refused an address that another endpoint holds: the engine is about to release it, and must not. */
  refused(address: Address, subnet: Prefix): void;
  /** Pools that the engine gave back, and that no network uses any more, go; and what is left of those of a network that has gone stays. */
  freeReleased(gone?: Network): Promise<void>;
  /** The engine has forgotten an endpoint: its addresses are free. */
  endpointGone(endpoint: Pick<Endpoint, 'id'>): Promise<void>;
  free(lease: Lease): Promise<void>;
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
  /** The lease on an address of a subnet, in whichever pool. */
  leaseOf(subnet: Prefix, address: Address): Lease | undefined;
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

export interface LeasesParts {
  readonly ipam: Ipam;
  readonly state: State;
  readonly host: HostFacts;
  readonly names: Names;
  readonly plugins: ReadonlyMap<string, PluginConfig>;
  readonly conflicts: Pick<Conflicts, 'screens' | 'avoids' | 'claimOn'>;
  engineId(): string | undefined;
  /** Milliseconds of a clock that nobody sets. */
  monotonic(): number;
}

export function createLeases(parts: LeasesParts): Leases {
  const { ipam, state, host, names, plugins, conflicts } = parts;
  /** Addresses whose next release is the undoing of a refusal, as `pool address`. */
  const refusals = new Set<string>();
  const givenBack = new Set<NetworkId>();
  /** Whose network is not known for certain, until the engine tells: they were opened at the same time. */
  const unsure = new Set<PoolId>();
  /** How many of a pool's networks are on their way out: it was given back for them, and they are still there. */
  const leaving = new Map<PoolId, number>();
  /** As `pool`, or `pool address`. */
  const asked = new Map<string, number>();
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

  /** Says who holds an address by the container's name, where the lease knows only an id. */
  function named(error: unknown, address: Address | undefined): unknown {
    if (!(error instanceof BerthError) || error.code !== 'ADDRESS_TAKEN' || address === undefined) return error;
    const holder = [...state.networks.values()]
      .map(({ id }) => state.holder(id, formatAddress(address)))
      .find((endpoint) => endpoint !== undefined);
    return holder === undefined
      ? error
      : new BerthError(
          'ADDRESS_TAKEN',
          `the address ${formatAddress(address)} is held by ${names.describe(holder.id)}`,
        );
  }

  /**
   * A lease; of an address that is not asked for by its number, one that no other machine of the LAN has, as far as is known.
   * Networks are served one request at a time by the engine, so the next ones are asked for at the same time.
   */
  async function leaseFree(request: LeaseRequest): Promise<Lease> {
    const pool = ipam.pool(request.pool);
    const automatic = request.address === undefined && request.holder.kind === 'request';
    const network = pool === undefined || !automatic ? undefined : networksOn(pool)[0];
    if (network === undefined) return ipam.lease(request);
    const avoid = (address: Address): boolean => conflicts.avoids(network, address);
    let lease = await ipam.lease({ ...request, avoid });
    if (!conflicts.screens(network)) return lease;
    for (let attempt = 1; ; attempt++) {
      const { address } = lease;
      const claim = await conflicts.claimOn(network, address, ipam.lowestFree(request.pool, AHEAD, avoid));
      if (claim === undefined) return lease;
      await ipam.release(request.pool, address);
      lease = await ipam.lease({ ...request, avoid });
      // The same again: it is reserved for this container.
      if (attempt < ATTEMPTS && !sameAddress(lease.address, address)) continue;
      await ipam.release(request.pool, lease.address);
      const last = attempt < ATTEMPTS ? '' : `the last of ${ATTEMPTS} that were tried is `;
      throw new BerthError(
        'ADDRESS_CONFLICT',
        `another machine on the LAN has the address ${formatAddress(address)}: ${last}its MAC address is ${claim.mac}`,
      );
    }
  }

  const engine = (): string => parts.engineId() ?? 'unknown';

  const driver: IpamDriver = {
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
      asked.set(pool.id, parts.monotonic());
      return { id: pool.id, subnet: pool.subnet };
    },

    async releasePool(id) {
      const pool = ipam.pool(id);
      if (pool === undefined) return;
      await ipam.releasePool(id, { inUse: inUse(pool) });
      if (ipam.pool(id)?.released === true) leaving.set(id, (leaving.get(id) ?? 0) + 1);
    },

    async requestAddress(request, call) {
      const pool = ipam.pool(request.pool);
      if (pool === undefined)
        throw new BerthError('POOL_UNKNOWN', `the pool ${request.pool.slice(0, 64)} is not known to Berth`);
      const gateway = request.purpose === 'gateway';
      const address = request.address ?? (gateway ? lanGateway(call.plugin, pool.subnet) : undefined);
      try {
        const lease = await leaseFree({
          pool: pool.id,
          holder: gateway
            ? { kind: 'gateway' }
            : { kind: 'request', ...(request.name === undefined ? {} : { name: request.name }) },
          engine: engine(),
          replay: repeating,
          ...(address === undefined ? {} : { address }),
          ...(request.mac === undefined ? {} : { mac: request.mac }),
        });
        asked.set(`${pool.id} ${formatAddress(lease.address)}`, parts.monotonic());
        return { address: lease.address, length: pool.subnet.length };
      } catch (error) {
        throw named(error, address);
      }
    },

    async releaseAddress(id, address) {
      const key = `${id} ${formatAddress(address)}`;
      if (refusals.delete(key)) return;
      asked.delete(key);
      await ipam.release(id, address);
    },
  };

  const self: Leases = {
    driver,
    givenBack: (network) => givenBack.has(network),
    askedAt: (pool, address) =>
      asked.get(address === undefined ? pool : `${pool} ${formatAddress(address)}`) ?? Number.NEGATIVE_INFINITY,
    reservations: ipam.reservations,
    leaseOf: (subnet, address) =>
      ipam
        .pools()
        .filter((pool) => samePrefix(pool.subnet, subnet))
        .map(({ id }) => ipam.find(id, address))
        .find((lease) => lease !== undefined),
    pools: () => ipam.pools(),
    all: () => ipam.leases(),
    of: (pool) => ipam.leasesOf(pool),
    count: () => ipam.count(),

    async claim(network, endpoint) {
      await Promise.all(
        endpoint.addresses.map(async ({ address }) => {
          const subnet = network.subnets.find(({ prefix }) => contains(prefix, address))?.prefix;
          if (subnet === undefined) return undefined;
          return ipam.claim(
            subnet,
            address,
            { kind: 'endpoint', endpoint: endpoint.id, network: network.id },
            endpoint.mac,
          );
        }),
      );
    },

    async hold(network, subnet, endpoint, { address, name, mac }) {
      const pools = ipam.pools().filter((pool) => samePrefix(pool.subnet, subnet));
      const pool = pools.find(({ id }) => network.pools?.includes(id)) ?? pools[0];
      if (pool === undefined) return undefined;
      try {
        const lease = await ipam.lease({
          pool: pool.id,
          holder: { kind: 'endpoint', endpoint, network: network.id, name },
          engine: engine(),
          ...(address === undefined ? {} : { address }),
          ...(mac === undefined ? {} : { mac }),
        });
        return lease.address;
      } catch (error) {
        throw named(error, address);
      }
    },

    settle(subnets) {
      const settled = subnets.flatMap(({ prefix, gateway, auxiliary }) => {
        const own = [...(gateway === undefined ? [] : [gateway]), ...Object.values(auxiliary)];
        return ipam.settlePool(prefix, (id) => own.every((on) => asked.has(`${id} ${formatAddress(on)}`))) ?? [];
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
      if (network?.pools === undefined || pools.some((pool) => ipam.pool(pool) === undefined)) return;
      for (const pool of pools) unsure.delete(pool);
      if (network.pools.join() === pools.join()) return;
      await state.putNetwork({ ...network, pools });
      // What it was taken to have may be nobody's, and given back by now.
      await self.freeReleased();
    },

    async reserve(subnets) {
      for (const { prefix, auxiliary } of subnets) {
        for (const address of Object.values(auxiliary)) await ipam.claim(prefix, address, { kind: 'auxiliary' });
      }
    },

    holder(subnet, address) {
      const leased = ipam
        .pools()
        .flatMap((pool) => (samePrefix(pool.subnet, subnet) ? [ipam.find(pool.id, address)?.holder] : []));
      return leased.find((holder) => holder?.kind === 'endpoint')?.endpoint;
    },

    serves: (subnet) => ipam.pools().some((pool) => samePrefix(pool.subnet, subnet)),

    refused(address, subnet) {
      for (const pool of ipam.pools()) {
        if (samePrefix(pool.subnet, subnet) && ipam.find(pool.id, address) !== undefined)
          refusals.add(`${pool.id} ${formatAddress(address)}`);
      }
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

    endpointGone: (endpoint) => ipam.releaseEndpoint(endpoint.id),
    free(lease) {
      asked.delete(`${lease.pool} ${formatAddress(lease.address)}`);
      return ipam.release(lease.pool, lease.address);
    },
    freePool(pool) {
      asked.delete(pool.id);
      return ipam.removePool(pool.id);
    },

    usualGateway: (plugin, subnet) =>
      lanGateway(plugin, subnet) ?? { family: subnet.address.family, value: hostRange(subnet).first },

    async adopt(seen, subnets) {
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
        const pool = await ipam.openPool({
          space: seen.scope === 'local' ? SPACES.local : SPACES.global,
          subnet,
          family: subnet.address.family,
          options: {},
          taken: [],
          leases,
          ...(range === undefined ? {} : { range }),
        });
        for (const lease of leases) {
          if (ipam.find(pool.id, lease.address) === undefined) await ipam.lease({ ...lease, pool: pool.id });
        }
        pools.push(pool.id);
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

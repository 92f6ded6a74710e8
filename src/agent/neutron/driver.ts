/**
 * Docker's calls for networks of Neutron. Unlike the other fabrics, whose addresses are leased in our store, here Neutron is asked; so
 * everything that may wait for it is in this folder, and has the time that Docker gives.
 */

import type { Call, IpamDriver, Join, NetworkDriver } from '../../docker/driver.ts';
import { chosenMac, planContainer } from '../../fabric/container-options.ts';
import { checkBinding } from '../../fabric/neutron/binding.ts';
import { planVirtualFunction } from '../../fabric/neutron/bindings/virtual-function.ts';
import type { Book } from '../../fabric/neutron/book.ts';
import { wishesOf } from '../../fabric/neutron/describe.ts';
import type { Networks } from '../../fabric/neutron/networks.ts';
import { readPortWishes } from '../../fabric/neutron/options.ts';
import type { Outside } from '../../fabric/neutron/outside.ts';
import type { Pools } from '../../fabric/neutron/pools.ts';
import type { HeldPort } from '../../fabric/neutron/port-state.ts';
import { checkPort, type WishResolver } from '../../fabric/neutron/port-wishes.ts';
import type { Place, Ports } from '../../fabric/neutron/ports.ts';
import type { PoolRecord } from '../../fabric/neutron/records.ts';
import { type NetworkSettings, networkSettings } from '../../fabric/neutron/settings.ts';
import { checkWarmPorts } from '../../fabric/neutron/warm.ts';
import { formatAddress, parseAddress, sameAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import type { NetworkId, PoolId } from '../../model/ids.ts';
import type { Endpoint, Json, Network, Subnet } from '../../model/network.ts';
import type { InterfaceAddress } from '../../model/prefix.ts';
import type { Bounds } from '../../openstack/bounds.ts';
import type { Lifecycle } from '../lifecycle.ts';
import type { State } from '../state.ts';
import type { Following } from './following.ts';
import type { Nested } from './nested.ts';
import type { Plugging } from './plugging.ts';
import { claimPool } from './takeover.ts';

/** Docker waits for 10 s; what is left is for the answer. Milliseconds. */
const PATIENCE = 9000;
/** Neutron has only networks of its own: no overlap with other spaces is looked for (moby `libnetwork/ipams/remote`). */
const SPACE = 'neutron';

/** Its leader gives addresses for all nodes, before anybody knows on which node their ports are to be. */
const noSwarm = (): BerthError =>
  new BerthError(
    'BAD_OPTION',
    'networks of Neutron cannot be networks of a swarm: make them on each host, with the same neutron.net.uuid',
  );

export interface NeutronDriverParts {
  readonly state: State;
  readonly lifecycle: Lifecycle;
  readonly book: Book;
  readonly pools: Pools;
  readonly networks: Networks;
  readonly ports: Ports;
  readonly following: Following;
  readonly outside: Outside;
  /** `binding:host_id`. */
  readonly host: string;
  /** Of Neutron on this host, for a message: `Open vSwitch agent (alive)`. */
  agents(bounds: Bounds): Promise<readonly string[]>;
  readonly resolve: WishResolver;
  readonly plugging: Plugging;
  /** Who chooses MAC addresses. */
  readonly macs: 'engine' | 'neutron';
  /** Absent: this host is no virtual machine of Neutron's. */
  readonly nested: Nested | undefined;
  /** Whether there is a program that wires ports of this type. */
  hasProgram(type: string): boolean;
  /** What is the same for all fabrics. */
  readonly base: NetworkDriver;
  now(): number;
}

export function createNeutronDriver(parts: NeutronDriverParts): {
  readonly network: NetworkDriver;
  readonly ipam: IpamDriver;
} {
  const { state, lifecycle, book, pools, networks, ports, outside, plugging, nested, base } = parts;
  const within = (signal: AbortSignal): Bounds => ({ signal, until: performance.now() + PATIENCE });

  /** Where engines share their networks, another host may have asked for it. */
  async function poolOf(id: PoolId, call: Call): Promise<PoolRecord> {
    const known = book.pools.get(id) ?? (await claimPool(book, id));
    const isWhole = known !== undefined && (known.network === undefined || state.networks.has(known.network));
    if (isWhole) return known;
    if (isShared(call)) {
      const pool = await parts.following.pool(id, call.plugin, within(call.signal));
      if (pool !== undefined) return pool;
    }
    throw new BerthError('POOL_UNKNOWN', `the pool ${id.slice(0, 64)} is not known to Berth`);
  }

  const isShared = (call: Call): boolean => base.scope(call) === 'global';

  function placeOf(id: NetworkId): Place {
    const network = state.networks.get(id);
    if (network?.fabric === 'neutron') return { network: id, settings: networkSettings(network) };
    throw new BerthError('NETWORK_UNKNOWN', `the network ${id.slice(0, 12)} is not known to Berth`);
  }

  /** A gateway that the user left open is Neutron's; one that was given is the user's, whatever Neutron calls its own. */
  function subnetAsMade(subnet: Subnet, pool: PoolRecord, { subnets }: NetworkSettings): Subnet {
    if (pool.gateway?.chosen !== true) return subnet;
    const { gateway: _guessed, ...rest } = subnet;
    const gateway = parseAddress(subnets.find((one) => one.pool === pool.id)?.gateway ?? '');
    return gateway === undefined ? rest : { ...rest, gateway };
  }

  async function checked({ binding }: HeldPort, bounds: Bounds): Promise<void> {
    const hasProgram = parts.hasProgram(binding.type);
    try {
      checkBinding(binding, parts.host, hasProgram, []);
    } catch (error) {
      if (!(error instanceof BerthError) || error.code !== 'PORT_UNBOUND') throw error;
      checkBinding(binding, parts.host, hasProgram, await parts.agents(bounds).catch(() => []));
    }
  }

  const ipam: IpamDriver = {
    // The port is made with it, and by it the two requests of a container with two addresses are known to be one's.
    requiresMac: parts.macs === 'engine' && nested?.driver !== 'ipvlan',
    // A pool's id is the pool: an engine that asked for it again would get another.
    replays: false,
    addressSpaces: () => ({ local: SPACE, global: SPACE }),

    async requestPool(request, { signal }) {
      const { id, subnet } = await pools.open(request, within(signal));
      return { id, subnet };
    },

    releasePool: (id) => pools.release(id),

    async requestAddress({ pool: id, purpose, address, mac, name, swarm }, call) {
      if (swarm === true) throw noSwarm();
      const { signal } = call;
      const pool = await poolOf(id, call);
      if (purpose === 'gateway' || pool.network === undefined) {
        const kept = await pools.keep(pool, address, purpose === 'gateway' ? 'gateway' : 'auxiliary');
        return { address: kept, length: pool.subnet.length };
      }
      const wanted = { ...(address && { address }), ...(mac && { mac }), ...(name && { name }) };
      return await ports.acquire(placeOf(pool.network), pool.as ?? id, wanted, within(signal));
    },

    async releaseAddress(id, address) {
      const pool = book.pools.get(id) ?? (await claimPool(book, id, formatAddress(address)));
      await ports.release(pool?.as ?? id, address);
    },
  };

  /** With the join rather than with the endpoint: the engine makes endpoints one after the other, and joins them all at once. */
  const openOutside = ({ endpoint: id, published = [], exposed = [] }: Join, bounds: Bounds): Promise<void> =>
    lifecycle.serialise(id, async () => {
      const endpoint = state.endpoints.get(id);
      if (endpoint === undefined || endpoint.phase === 'removing') return;
      const { internal } = state.networks.get(endpoint.network)!;
      const { wishes: options } = readPortWishes(endpoint.options);
      const ownGroups = ports.of(id)?.fastened?.by !== 'pairs';
      const place = placeOf(endpoint.network);
      const wanted = { endpoint: id, place, internal, ownGroups, options, published, exposed };
      const reached = await outside.open(wanted, bounds);
      if (reached === undefined) return;
      const settings = { ...(endpoint.settings as object), outside: { ...reached } };
      await lifecycle.addEndpoint({ ...endpoint, settings });
    });

  const network: NetworkDriver = {
    ...base,

    allocateNetwork: () => Promise.reject(noSwarm()),

    async deleteNetwork(id, call) {
      if (isShared(call)) await networks.withdraw(id);
      await base.deleteNetwork(id, call);
    },

    createNetwork: (request, call) =>
      lifecycle.serialise(request.id, async () => {
        const { plugin, signal } = call;
        if (state.networks.has(request.id)) return;
        const subnets = request.subnets.filter(({ prefix }) => prefix.length > 0);
        if (subnets.length === 0)
          throw new BerthError('BAD_SUBNET', `a network of Neutron needs a subnet: --ipam-driver ${plugin}`);
        const { id, internal, options } = request;
        const plan = { id, plugin, subnets, internal, options };
        const own = pools.settle(id, subnets);
        const isWarm = { enabled: parts.macs === 'neutron', shared: isShared(call), nested: nested !== undefined };
        checkWarmPorts(wishesOf(plan, own), isWarm);
        const settings = await networks.open(plan, own, within(signal), isShared(call));
        const made: Network = {
          ...plan,
          fabric: 'neutron',
          subnets: subnets.map((subnet, index) => subnetAsMade(subnet, own[index]!, settings)),
          leased: true,
          pools: own.map((pool) => pool.id),
          settings,
          createdAt: parts.now(),
        };
        try {
          await lifecycle.addNetwork(made);
          if (isShared(call)) await networks.handOver(id);
        } catch (error) {
          await networks.close(id);
          throw error;
        }
        ports.warm.replenish(placeOf(id), 0);
      }),

    createEndpoint: (request, call) =>
      lifecycle.serialise(request.endpoint, async () => {
        const { signal } = call;
        if (!state.networks.has(request.network) && isShared(call))
          await parts.following.network(request.network, call.plugin, within(signal));
        const place = placeOf(request.network);
        const on = state.networks.get(request.network)!;
        const known = state.endpoints.get(request.endpoint);
        const sharedMac = nested?.sharedMac(lifecycle.context().host.links);
        // The engine would set it, which a link that shares its parent's refuses.
        const answer = (endpoint: Endpoint) =>
          request.mac === undefined && sharedMac === undefined
            ? { addresses: [], mac: endpoint.mac }
            : { addresses: [] };
        if (known !== undefined && known.phase !== 'removing') return answer(known);
        const { wishes, rest } = readPortWishes(request.options);
        const container = planContainer(on, rest);
        const bounds = within(signal);
        const mac = request.mac ?? chosenMac({ settings: container });
        if (sharedMac !== undefined && mac !== undefined)
          throw new BerthError(
            'BAD_OPTION',
            `all containers here have the MAC address ${sharedMac} of the machine's card`,
          );
        const port = await ports.bind(place, request.endpoint, request.addresses, mac, bounds);
        try {
          // Without a MAC address, nobody can tell that two requests for addresses are one container's.
          const isIts = ({ address }: InterfaceAddress) =>
            port.addresses.some(({ on }) => sameAddress(on.address, address));
          if (sharedMac !== undefined && !request.addresses.every(isIts))
            throw new BerthError('BAD_OPTION', 'with ipvlan in a virtual machine a network has subnets of one family');
          checkPort(wishes.port, port.port);
          if (nested === undefined) await checked(port, bounds);
          await ports.amend(port, await parts.resolve(wishes, bounds), bounds);
          const links = lifecycle.context().host.links;
          const lent = port.binding.type === 'hw_veb' ? await planVirtualFunction(port.binding, links) : undefined;
          const inside = await nested?.fasten(port, place.settings, links, bounds);
          const endpoint: Endpoint = {
            id: request.endpoint,
            network: request.network,
            phase: 'created',
            addresses: request.addresses,
            mac: sharedMac ?? port.mac,
            publishes: request.publishes,
            options: request.options,
            settings: {
              ...(container as object),
              port: port.port,
              vif: port.binding as unknown as Json,
              ...(inside && { nested: { ...inside } }),
              ...(lent && { virtualFunction: lent as unknown as Json }),
            },
            createdAt: parts.now(),
          };
          await lifecycle.addEndpoint(endpoint);
          return answer(endpoint);
        } catch (error) {
          // Docker gives the addresses back, and says nothing more of the endpoint.
          await ports.endpointGone(request.endpoint);
          throw error;
        }
      }),

    async join(request, call) {
      const bounds = within(call.signal);
      const { network: id, endpoint } = request;
      await openOutside(request, bounds);
      const joined = await base.join(request, call);
      try {
        await plugging.plugged(endpoint, placeOf(id).settings.network, bounds);
      } catch (error) {
        await lifecycle.serialise(endpoint, async () => {
          await plugging.unplugging(endpoint, bounds);
          await lifecycle.unplug(endpoint);
        });
        throw error;
      }
      return joined;
    },

    async leave(id, endpoint, call) {
      await plugging.unplugging(endpoint, within(call.signal));
      await base.leave(id, endpoint, call);
    },

    async deleteEndpoint(id, endpoint, call) {
      await plugging.unplugging(endpoint, within(call.signal));
      await lifecycle.serialise(endpoint, () => outside.close(endpoint));
      await base.deleteEndpoint(id, endpoint, call);
    },
  };
  return { network, ipam };
}

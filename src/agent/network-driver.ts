/** Docker's network driver calls, answered from the records. */

import type { CreateEndpoint, CreateNetwork, NetworkDriver } from '../docker/driver.ts';
import { chosenMac } from '../fabric/container-options.ts';
import { fabricOf } from '../fabric/fabrics.ts';
import { type Address, formatAddress, sameAddress } from '../model/address.ts';
import { BerthError } from '../model/errors.ts';
import type { EndpointId, NetworkId } from '../model/ids.ts';
import { type Mac, macFromAddress, macFromIdentity } from '../model/mac.ts';
import type { Endpoint, Json, Network, Subnet } from '../model/network.ts';
import { contains, formatPrefix, overlaps } from '../model/prefix.ts';
import type { PluginConfig } from './config.ts';
import { AddressConflict, type Conflicts } from './conflicts/conflicts.ts';
import type { Leased } from './dhcp/lease-for.ts';
import type { Dhcp } from './dhcp/manager.ts';
import type { HostFacts } from './host.ts';
import type { Leases } from './leases.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { Names } from './names.ts';
import type { State } from './state.ts';

export interface NetworkDriverParts {
  readonly state: State;
  readonly lifecycle: Lifecycle;
  readonly leases: Leases;
  readonly names: Names;
  readonly dhcp: Dhcp;
  readonly conflicts: Pick<Conflicts, 'refuseOwn' | 'begin' | 'settle' | 'left'>;
  readonly host: HostFacts;
  readonly plugins: ReadonlyMap<string, PluginConfig>;
  now(): number;
  /** Whether a container's network namespace may still have processes in it. */
  readonly occupied: (sandbox: string) => boolean;
}

const isRequested = (address: Address, request: CreateEndpoint): boolean =>
  request.addresses.some((on) => sameAddress(on.address, address));

/** Whether an address on one network is the same on the other: on networks of two tenants of a cluster it is not. */
function shareAddresses(network: Network, other: Network): boolean {
  return fabricOf(network.fabric).segment?.(network) === fabricOf(other.fabric).segment?.(other);
}

export function createNetworkDriver(parts: NetworkDriverParts): NetworkDriver {
  const { state, lifecycle, leases, names, conflicts, dhcp } = parts;

  /** @throws BerthError NETWORK_UNKNOWN */
  function networkOf(request: { network: Network['id'] }): Network {
    const network = state.networks.get(request.network);
    if (network !== undefined) return network;
    throw new BerthError('NETWORK_UNKNOWN', `the network ${request.network.slice(0, 12)} is not known to Berth`);
  }

  async function createNetwork(request: CreateNetwork, plugin: PluginConfig): Promise<void> {
    if (state.networks.has(request.id)) return;
    // Docker's null IPAM says 0.0.0.0/0: no addresses at all.
    const subnets = request.subnets.filter(({ prefix }) => prefix.length > 0);
    const fabric = fabricOf(plugin.fabric);
    const plan = { id: request.id, plugin: plugin.name, subnets, internal: request.internal, options: request.options };
    // Its pools are the cluster's, and what others have in the way of its subnets is told by the fabric.
    const ofCluster = fabric.kind === 'cluster' && request.options.network !== undefined;
    const leased = !ofCluster && subnets.some(({ prefix }) => leases.serves(prefix));
    for (const id of ofCluster ? [] : forgotten(subnets, leased)) await lifecycle.removeNetwork(id);
    // Whoever makes a network has often made its interface a moment ago.
    await parts.host.refresh();
    const settings = await fabric.planNetwork(plan, lifecycle.context());
    const placed = { fabric: fabric.kind, settings };
    if (leased || ofCluster) await leases.reserve(subnets, placed);
    const { pools, undo } = ofCluster
      ? { pools: leases.poolsOf(subnets, placed), undo: () => {} }
      : leases.settle(subnets);
    const from = ofCluster
      ? { leased: pools.length > 0, pools }
      : { leased, ...(leased && pools.length > 0 && { pools }) };
    try {
      await lifecycle.addNetwork({ ...plan, ...placed, ...from, createdAt: parts.now() });
    } catch (error) {
      undo();
      throw error;
    }
  }

  /**
   * Networks that stand in the way of new subnets although the engine is done with them: it could not tell us when it removed
   * them. It gave their pool back, in our IPAM; or its own IPAM, which refuses an overlap, has given the subnet out again.
   */
  function forgotten(subnets: readonly Subnet[], leased: boolean): readonly NetworkId[] {
    return [...state.networks.values()]
      .filter((other) => other.subnets.some((old) => subnets.some(({ prefix }) => overlaps(prefix, old.prefix))))
      .filter((other) => other.adHoc === undefined)
      .filter((other) => (leased ? leases.givenBack(other.id) : !other.leased) && !isLive(other))
      .map(({ id }) => id);
  }

  /** Whether a container runs on a network: then, whatever it looks like, the engine is not done with it. */
  function isLive(network: Network): boolean {
    return state
      .endpointsOf(network.id)
      .some(({ phase, sandbox }) => phase === 'attached' && (sandbox === undefined || parts.occupied(sandbox)));
  }

  /** What is not there may be on its way: a NIC that the container had until a moment ago. */
  async function planEndpoint(network: Network, { options }: CreateEndpoint): Promise<Json> {
    const fabric = fabricOf(network.fabric);
    try {
      return fabric.planEndpoint(network, { options }, lifecycle.context());
    } catch (error) {
      if (!(error instanceof BerthError) || !error.code.startsWith('INTERFACE')) throw error;
      await lifecycle.settled();
      await parts.host.refresh();
      return fabric.planEndpoint(network, { options }, lifecycle.context());
    }
  }

  async function createEndpoint(request: CreateEndpoint): Promise<Endpoint> {
    const network = networkOf(request);
    const fabric = fabricOf(network.fabric);
    const sharedMac = fabric.sharedMac?.(network, lifecycle.context());
    if (sharedMac !== undefined && request.mac !== undefined && request.mac !== sharedMac) {
      throw new BerthError(
        'BAD_OPTION',
        `all containers on this network have the MAC address ${sharedMac} of the interface it stands on, and none of its own`,
      );
    }
    const settings = await planEndpoint(network, request);
    const mac = request.mac ?? chosenMac({ settings });
    const wanted = { ...request, ...(mac === undefined ? {} : { mac }) };
    if (dhcp.serves(network))
      return createLeasedEndpoint(wanted, settings, sharedMac, () => dhcp.acquire(network, wanted));
    const leased = await dhcp.claim(network, wanted);
    if (leased !== undefined) return createLeasedEndpoint(wanted, settings, sharedMac, () => Promise.resolve(leased));
    const { stale, outdated } = checkAddresses(
      network,
      { ...request, ...(mac === undefined ? {} : { mac }) },
      sharedMac !== undefined,
    );
    const addresses = request.addresses.map(({ address }) => address);
    conflicts.refuseOwn(network, addresses);
    for (const id of stale) {
      // Until a moment ago the address was ours.
      const holder = state.endpoints.get(id);
      if (holder !== undefined) conflicts.left(holder);
      await lifecycle.serialise(id, () => lifecycle.removeEndpoint(id));
    }
    conflicts.begin(network, addresses);
    for (const id of outdated) {
      await lifecycle.serialise(id, async () => {
        const holder = state.endpoints.get(id);
        if (holder === undefined) return;
        const addresses = holder.addresses.filter((held) => !isRequested(held.address, request));
        await state.putEndpoint({ ...holder, addresses });
      });
    }
    const endpoint: Endpoint = {
      id: request.endpoint,
      network: network.id,
      phase: 'created',
      addresses: request.addresses,
      mac: sharedMac ?? mac ?? fabric.defaultMac?.(network, settings) ?? generateMac(network, request),
      publishes: request.publishes,
      options: request.options,
      settings,
      createdAt: parts.now(),
    };
    // One commit of the store for both; should a crash let through only one of them, the garbage collector sees the other.
    const [added, claimed] = await Promise.allSettled([
      lifecycle.addEndpoint(endpoint),
      leases.claim(network, endpoint),
    ]);
    if (added.status === 'rejected') throw added.reason;
    if (claimed.status === 'rejected') {
      await state.deleteEndpoint(endpoint.id);
      throw claimed.reason;
    }
    return endpoint;
  }

  /** One whose address the LAN's DHCP server gives. */
  async function createLeasedEndpoint(
    request: CreateEndpoint,
    settings: Json,
    sharedMac: Mac | undefined,
    lease: () => Promise<Leased>,
  ): Promise<Endpoint> {
    const { network } = request;
    const holder = sharedMac === undefined && request.mac ? state.macHolder(network, request.mac) : undefined;
    if (holder !== undefined && holder.id !== request.endpoint && !leases.engineIsNew()) {
      throw new BerthError(
        'MAC_IN_USE',
        `the MAC address ${request.mac} is held by ${names.describe(holder.id)} on this network`,
      );
    }
    try {
      const endpoint: Endpoint = {
        id: request.endpoint,
        network,
        phase: 'created',
        ...(await lease()),
        publishes: request.publishes,
        options: request.options,
        settings,
        createdAt: parts.now(),
      };
      conflicts.begin(
        networkOf(request),
        endpoint.addresses.map(({ address }) => address),
      );
      await lifecycle.addEndpoint(endpoint);
      return endpoint;
    } finally {
      dhcp.settled(request.endpoint);
    }
  }

  /**
   * Whether an endpoint can have its addresses. Who gave them knows best whether they are free: the engine, with its own IPAM,
   * or our leases. An endpoint that holds none of its addresses on anybody's account was forgotten by an engine that was killed;
   * one that holds some has given back the other (engines from 28 on do, where IPv6 turns out to be off in the container).
   *
   * @returns the endpoints that are to go, and those that have an address less.
   * @throws BerthError ADDRESS_OUTSIDE, ADDRESS_TAKEN, MAC_IN_USE
   */
  function checkAddresses(
    network: Network,
    request: CreateEndpoint,
    sharesMac: boolean,
  ): { stale: ReadonlySet<EndpointId>; outdated: ReadonlySet<EndpointId> } {
    const stale = new Set<EndpointId>();
    const outdated = new Set<EndpointId>();
    for (const on of request.addresses) {
      const shown = formatAddress(on.address);
      const subnet = network.subnets.find((candidate) => contains(candidate.prefix, on.address));
      if (subnet === undefined) {
        const known = network.subnets.map(({ prefix }) => formatPrefix(prefix)).join(', ');
        throw new BerthError(
          'ADDRESS_OUTSIDE',
          `the address ${shown} is not within the network's ${known || 'subnets: it has none'}`,
        );
      }
      if (subnet.gateway !== undefined && sameAddress(subnet.gateway, on.address)) {
        throw new BerthError('ADDRESS_TAKEN', `the address ${shown} is the gateway of the network`);
      }
      const sharing = [...state.networks.values()].filter(
        (other) => shareAddresses(network, other) && other.subnets.some(({ prefix }) => contains(prefix, on.address)),
      );
      for (const other of sharing) {
        const holder = state.holder(other.id, shown);
        if (holder === undefined || holder.id === request.endpoint) continue;
        // The engine knows nothing of an attachment's address, and gives it away.
        if (holder.attachment === undefined && leases.holder(network, subnet.prefix, on.address) !== holder.id) {
          (holdsNothing(holder, request) ? stale : outdated).add(holder.id);
          continue;
        }
        leases.refused(network, subnet.prefix, on.address);
        throw new BerthError('ADDRESS_TAKEN', `the address ${shown} is held by ${names.describe(holder.id)}`);
      }
    }
    // A new engine process says nothing of the endpoints of the one that was killed: their MACs are no reason to refuse.
    if (request.mac === undefined || sharesMac || leases.engineIsNew()) return { stale, outdated };
    const holder = state.macHolder(network.id, request.mac);
    if (holder !== undefined && holder.id !== request.endpoint && !stale.has(holder.id)) {
      throw new BerthError(
        'MAC_IN_USE',
        `the MAC address ${request.mac} is held by ${names.describe(holder.id)} on this network`,
      );
    }
    return { stale, outdated };
  }

  /** Whether each address of an endpoint is another's now: the one that asks for it, or nobody's in a pool of ours. */
  function holdsNothing(holder: Endpoint, request: CreateEndpoint): boolean {
    const network = state.networks.get(holder.network);
    return holder.addresses.every(({ address }) => {
      if (isRequested(address, request)) return true;
      const subnet = network?.subnets.find(({ prefix }) => contains(prefix, address))?.prefix;
      if (network === undefined || subnet === undefined) return false;
      return leases.serves(subnet, network) && leases.holder(network, subnet, address) !== holder.id;
    });
  }

  /** From the address, so that the same address always has the same MAC; from the endpoint's id where that is taken. */
  function generateMac(network: Network, request: CreateEndpoint): Mac {
    const first = request.addresses.find(({ address }) => address.family === 4) ?? request.addresses[0];
    if (first !== undefined) {
      const mac =
        fabricOf(network.fabric).macFor?.(network, first.address, lifecycle.context()) ?? macFromAddress(first.address);
      const holder = state.macHolder(network.id, mac);
      if (holder === undefined || holder.id === request.endpoint) return mac;
    }
    return macFromIdentity(request.endpoint);
  }

  const isSame = (endpoint: Endpoint, request: CreateEndpoint): boolean =>
    endpoint.network === request.network &&
    (request.addresses.length === 0 ||
      endpoint.addresses.map(formatPrefix).join() === request.addresses.map(formatPrefix).join()) &&
    (request.mac === undefined || request.mac === endpoint.mac);

  return {
    scope: (call) => parts.plugins.get(call.plugin)?.scope ?? 'local',

    createNetwork: (request, call) =>
      lifecycle.serialise(request.id, () => createNetwork(request, parts.plugins.get(call.plugin)!)),

    deleteNetwork: (id) =>
      lifecycle.serialise(`delete ${id}`, async () => {
        const network = state.networks.get(id);
        await dhcp.networkGoes(id);
        await lifecycle.removeNetwork(id);
        await leases.freeReleased(network);
      }),

    createEndpoint: (request) =>
      lifecycle.serialise(request.endpoint, async () => {
        const known = state.endpoints.get(request.endpoint);
        if (known !== undefined && known.phase !== 'removing' && !isSame(known, request)) {
          throw new BerthError(
            'ENDPOINT_EXISTS',
            `the endpoint ${request.endpoint.slice(0, 12)} exists already, with other addresses`,
          );
        }
        const endpoint = known !== undefined && known.phase !== 'removing' ? known : await createEndpoint(request);
        // The engine would set it, which a link that shares its parent's refuses.
        const shares =
          fabricOf(networkOf(request).fabric).sharedMac?.(networkOf(request), lifecycle.context()) !== undefined;
        // Only what the engine left open is told.
        const addresses = request.addresses.length === 0 ? endpoint.addresses : [];
        return request.mac === undefined && !shares ? { addresses, mac: endpoint.mac } : { addresses };
      }),

    deleteEndpoint: (_network, id: EndpointId) => lifecycle.serialise(id, () => lifecycle.removeEndpoint(id)),

    join: (request) =>
      lifecycle.serialise(request.endpoint, async () => {
        const network = networkOf(request);
        const endpoint = state.endpoints.get(request.endpoint);
        if (endpoint === undefined || endpoint.phase === 'removing' || endpoint.network !== network.id) {
          throw new BerthError(
            'ENDPOINT_UNKNOWN',
            `the endpoint ${request.endpoint.slice(0, 12)} is not known to Berth`,
          );
        }
        try {
          await conflicts.settle(network, endpoint);
        } catch (error) {
          if (error instanceof AddressConflict) await dhcp.conflicted(endpoint.id, error.address);
          throw error;
        }
        const { isolated, ...answer } = await lifecycle.attach(
          endpoint.id,
          request.sandbox,
          endpoint.publishes || request.publishes,
        );
        dhcp.attached(endpoint.id);
        return { ...answer, disableGatewayService: isolated };
      }),

    leave: (_network, id) =>
      lifecycle.serialise(id, async () => {
        const endpoint = state.endpoints.get(id);
        if (endpoint?.sandbox === undefined) return;
        conflicts.left(endpoint);
        await lifecycle.detach(id, { ended: !parts.occupied(endpoint.sandbox) });
      }),
  };
}

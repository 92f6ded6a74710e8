/** Takes up a network that the engine has and the store does not: its definition stands in the engine. */

import type { EngineEndpoint, EngineNetwork, EngineSubnet } from '../docker/engine.ts';
import { fabricOf } from '../fabric/fabrics.ts';
import { allocatable } from '../ipam/subnet-rules.ts';
import { macFromAddress } from '../model/mac.ts';
import type { Endpoint, Network } from '../model/network.ts';
import { contains } from '../model/prefix.ts';
import { memberOf } from './cluster/pools.ts';
import type { PluginConfig } from './config.ts';
import type { HostFacts } from './host.ts';
import type { Leases } from './leases.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { Takeover } from './neutron/takeover.ts';
import type { State } from './state.ts';

export interface AdoptionParts {
  readonly state: Pick<State, 'networks'>;
  readonly lifecycle: Pick<Lifecycle, 'serialise' | 'context' | 'adopt'>;
  readonly leases: Pick<Leases, 'serves' | 'usualGateway' | 'adopt'>;
  readonly host: Pick<HostFacts, 'refresh'>;
  readonly plugins: ReadonlyMap<string, PluginConfig>;
  /** Absent: no plugin is for Neutron. */
  readonly neutron?: Takeover | undefined;
  now(): number;
}

export interface Adoption {
  /** Whether there is something of a network that is not in our records. */
  isUnknown(seen: EngineNetwork): boolean;
  /**
   * Makes the records of a network: its pools with the addresses that are in use, and, when its driver is ours, the network and
   * the endpoints that run on it. Says only what the kernel must have; an audit looks whether it has. Safe to repeat. What the
   * network needs must still be there (the bridge of a LAN network, say); it rejects like a `docker network create` otherwise.
   */
  adopt(seen: EngineNetwork): Promise<void>;
}

export function createAdoption({ state, lifecycle, leases, host, plugins, neutron, now }: AdoptionParts): Adoption {
  /** The gateway as it is: as the engine tells, or as the kernel shows, or else as it was chosen before. */
  function withGateway(seen: EngineNetwork, plugin: PluginConfig | undefined, of: EngineSubnet): EngineSubnet {
    if (of.gateway !== undefined) return of;
    const found = plugin && fabricOf(plugin.fabric).findGateways?.(seen.id, lifecycle.context());
    const shown = found?.find((address) => contains(of.subnet, address));
    if (shown !== undefined) return { ...of, gateway: shown };
    if (plugins.has(seen.ipamDriver)) return { ...of, gateway: leases.usualGateway(seen.driver, of.subnet) };
    // The engine's own IPAM takes the first address of the range.
    const { first } = allocatable(of.subnet, of.range);
    return { ...of, gateway: { family: of.subnet.address.family, value: first } };
  }

  function endpointOf(network: Network, { id, addresses, mac }: EngineEndpoint): Endpoint[] {
    const [first] = addresses;
    const known = mac ?? (first && macFromAddress(first.address));
    if (known === undefined) return [];
    const settings = fabricOf(network.fabric).planEndpoint(network, { options: {} }, lifecycle.context());
    return [
      {
        id,
        network: network.id,
        phase: 'attached',
        addresses,
        mac: known,
        publishes: false,
        options: {},
        settings,
        createdAt: now(),
      },
    ];
  }

  return {
    isUnknown(seen) {
      const [driver, ipam] = [plugins.get(seen.driver), plugins.get(seen.ipamDriver)];
      if (driver?.fabric === 'neutron') return neutron?.isUnknown(seen.id) === true;
      // Managers of a swarm, and engines with a cluster store, list the networks of all hosts. Which of them this host needs, its own
      // containers say; one that another host is just making is not known to the cluster yet, and is not ours to take up.
      if (seen.scope !== 'local' && !seen.endpoints.some(isHere)) return false;
      // Neutron gives no addresses to networks of others.
      if (driver === undefined && ipam?.fabric === 'neutron') return false;
      if (plugins.has(seen.driver)) return !state.networks.has(seen.id);
      if (memberOf(seen.ipamOptions) !== undefined) return false;
      return plugins.has(seen.ipamDriver) && seen.subnets.some(({ subnet }) => !leases.serves(subnet));
    },

    async adopt(seen) {
      const plugin = plugins.get(seen.driver);
      if (plugin?.fabric === 'neutron')
        return await lifecycle.serialise(
          seen.id,
          async () => await neutron?.adopt(seen, plugin.name, plugin.scope === 'global'),
        );
      await host.refresh();
      const subnets = seen.subnets
        // Docker's null IPAM says 0.0.0.0/0: no addresses at all.
        .filter(({ subnet }) => subnet.length > 0)
        .map((subnet) => withGateway(seen, plugin, subnet));
      const leased = plugins.has(seen.ipamDriver);
      const on = leased ? { pools: await leases.adopt(seen, subnets) } : {};
      if (plugin === undefined) return;
      const fabric = fabricOf(plugin.fabric);
      const plan = {
        id: seen.id,
        plugin: plugin.name,
        subnets: subnets.map(({ subnet, gateway, auxiliary }) => ({ prefix: subnet, gateway: gateway!, auxiliary })),
        internal: seen.internal,
        options: seen.options,
      };
      const settings = await fabric.planNetwork(plan, lifecycle.context());
      const network: Network = { ...plan, fabric: fabric.kind, leased, ...on, settings, createdAt: now() };
      await lifecycle.adopt(
        network,
        seen.endpoints.filter(isHere).flatMap((endpoint) => endpointOf(network, endpoint)),
      );
    },
  };
}

/**
 * With a cluster store an engine lists the endpoints of all hosts, and calls those of no container of its own `ep-…`
 * (moby `api/server/router/network/network_routes.go`).
 */
function isHere({ container }: EngineEndpoint): boolean {
  return !container.startsWith('ep-');
}

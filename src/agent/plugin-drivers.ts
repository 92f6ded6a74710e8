/** What each plugin name answers with: the driver of its fabric, and what the agent does besides when Docker calls. */

import type { IpamDriver, NetworkDriver } from '../docker/driver.ts';
import type { Ipam } from '../ipam/ipam.ts';
import type { Attachments } from './attachments.ts';
import type { Cluster } from './cluster/cluster.ts';
import type { Collector } from './collector.ts';
import type { PluginConfig } from './config.ts';
import type { Dhcp } from './dhcp/manager.ts';
import { withDhcpPools } from './dhcp/pools.ts';
import type { ClusterFollowing } from './engine-networks/follow-cluster.ts';
import type { Leases } from './leases.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { NeutronService } from './neutron/service.ts';
import type { Sandboxes } from './sandboxes.ts';
import type { State } from './state.ts';
import { withSwarm } from './swarm/ipam.ts';
import type { SwarmNetworks } from './swarm/networks.ts';

export interface PluginDriversParts {
  readonly state: State;
  readonly lifecycle: Lifecycle;
  readonly networkDriver: NetworkDriver;
  readonly leases: Leases;
  readonly ipam: Ipam;
  readonly dhcp: Dhcp;
  readonly attachments: Pick<Attachments, 'networkGoes'>;
  readonly sandboxes: Pick<Sandboxes, 'watch'>;
  readonly swarmNetworks: SwarmNetworks;
  readonly engineNetworks: Pick<ClusterFollowing, 'network' | 'ipam'>;
  readonly collector: Pick<Collector, 'whileAsked'>;
  readonly cluster: Pick<Cluster, 'told'> | undefined;
  readonly neutron: NeutronService | undefined;
  readonly plugins: ReadonlyMap<string, PluginConfig>;
  /** The bridge that LAN networks stand on, see `Config`. */
  readonly bridge: string;
  /** This agent is a managed plugin. */
  readonly managed: boolean;
}

export interface Drivers {
  readonly network: NetworkDriver;
  readonly ipam: IpamDriver;
}

export function createPluginDrivers(parts: PluginDriversParts): (plugin: PluginConfig) => Drivers {
  const { networkDriver, leases, swarmNetworks, engineNetworks, cluster, managed } = parts;
  const swarmIpam = withSwarm(leases.driver, { ipam: parts.ipam, plugins: parts.plugins, managed });
  const ownIpam = withDhcpPools(engineNetworks.ipam(swarmIpam), parts);

  /** Of every fabric. */
  const watched: NetworkDriver = {
    ...networkDriver,
    deleteNetwork: async (id, call) => {
      await parts.attachments.networkGoes(id);
      await networkDriver.deleteNetwork(id, call);
    },
    join: async (request, call) => {
      const joined = await networkDriver.join(request, call);
      parts.sandboxes.watch(request.endpoint, joined.sourceName);
      return joined;
    },
  };
  const ofNeutron = parts.neutron?.drivers({ lifecycle: parts.lifecycle, base: watched });

  /** The collector is not to take for forgotten what the engine is still waiting for. */
  const answering = (network: NetworkDriver): NetworkDriver => ({
    ...network,
    createEndpoint: (request, call) =>
      parts.collector.whileAsked(request.endpoint, () => network.createEndpoint(request, call)),
  });

  return (plugin) => {
    if (plugin.fabric === 'neutron') return { ...ofNeutron!, network: answering(ofNeutron!.network) };
    const network = engineNetworks.network({
      ...watched,
      allocateNetwork: swarmNetworks.allocate,
      freeNetwork: (id, call) => swarmNetworks.free(id, call.signal),
      createNetwork: async (request, call) => {
        if (plugin.scope === 'global') await swarmNetworks.heardOf(request.options, call.signal);
        await networkDriver.createNetwork(request, call);
      },
      deleteEndpoint: async (network, id, call) => {
        await networkDriver.deleteEndpoint(network, id, call);
        await cluster?.told();
        // What a node of a swarm gives back it gives back to the leader.
        if (managed && plugin.scope === 'global') await leases.endpointGone({ id });
      },
    });
    return { network: answering(network), ipam: ownIpam };
  };
}

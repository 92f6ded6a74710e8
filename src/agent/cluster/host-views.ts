/** The cluster and its hosts as the agent's API shows them: all text. */

import { clusterOf } from '../../fabric/cluster/settings.ts';
import { formatAddress } from '../../model/address.ts';
import { formatPrefix } from '../../model/prefix.ts';
import { formatStoreLocation } from '../../store/location.ts';
import type { ClusterNetworkView, ClusterStatusView, HostView } from '../api.ts';
import type { Config } from '../config.ts';
import type { State } from '../state.ts';
import type { Cluster } from './cluster.ts';
import type { ClusterHost } from './hosts.ts';

export function hostView(host: ClusterHost, own: string): HostView {
  const { name, vtep, heard, gone, since, berth, engine } = host;
  return {
    name,
    here: name === own,
    ...(vtep === undefined ? {} : { vtep: formatAddress(vtep) }),
    state: heard ? 'heard' : gone ? 'gone' : 'silent',
    since: new Date(since).toISOString(),
    version: berth,
    ...(engine === undefined ? {} : { engine }),
  };
}

/** The networks that this host carries now, and how many containers are on them, here and in all. */
function carriedNetworks(cluster: Cluster, state: State): ClusterNetworkView[] {
  const here = new Map<string, number>();
  for (const endpoint of state.endpoints.values()) {
    const network = state.networks.get(endpoint.network);
    const member = network === undefined ? undefined : clusterOf(network);
    if (member !== undefined) here.set(member.network, (here.get(member.network) ?? 0) + 1);
  }
  return [...here]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, count]) => {
      const network = cluster.view.network(name);
      return {
        name,
        ...(network === undefined
          ? {}
          : {
              encapsulation: network.encapsulation,
              tag: network.tag,
              subnets: network.subnets.map(({ prefix }) => formatPrefix(prefix)),
            }),
        here: count,
        all: cluster.endpointsOn(name).length,
      };
    });
}

export function clusterStatus(cluster: Cluster, config: Pick<Config, 'store'>, state: State): ClusterStatusView {
  const { vtep } = cluster.view;
  return {
    host: cluster.host,
    ...(vtep === undefined ? {} : { vtep: formatAddress(vtep) }),
    store: formatStoreLocation(config.store),
    hosts: cluster.hosts().map((host) => hostView(host, cluster.host)),
    networks: carriedNetworks(cluster, state),
  };
}

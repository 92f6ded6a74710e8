/** The engine's Docker networks follow the cluster's objects. */

import type { Cluster } from '../cluster/cluster.ts';
import type { PluginConfig } from '../config.ts';
import { createEngineNetworks, type EngineNetworks, type EngineNetworksParts } from './engine-networks.ts';

export interface FollowClusterParts extends Pick<EngineNetworksParts, 'engine' | 'events' | 'interval' | 'monotonic'> {
  readonly cluster: Cluster | undefined;
  readonly plugins: readonly PluginConfig[];
  engineNow(): { readonly reachable: boolean; readonly strange: boolean };
}

/** Undefined where there is no cluster, or no plugin of ours for its networks. */
export function followCluster(parts: FollowClusterParts): EngineNetworks | undefined {
  const { cluster, plugins, engineNow } = parts;
  const ours = plugins.filter(({ fabric }) => fabric === 'cluster');
  const plugin = ours.find(({ scope }) => scope === 'local') ?? ours[0];
  if (cluster === undefined || plugin === undefined) return undefined;
  const networks = createEngineNetworks({
    ...parts,
    driver: plugin.name,
    objects: cluster.objects,
    ready() {
      const { reachable, strange } = engineNow();
      return reachable && !strange;
    },
  });
  cluster.onObjects(networks.look);
  return networks;
}

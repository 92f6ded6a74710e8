/** The Docker networks that an engine is to have: one for each network of the cluster, and one for each group on it. */

import type { NewNetwork } from '../../docker/engine.ts';
import { type ClusterNetwork, clusterNetwork } from '../../fabric/cluster/view.ts';
import { type ClusterObject, type Objects, text } from '../../model/objects/kind.ts';
import { SWARM_TENANT } from '../../model/objects/tenant.ts';

/** Labels of the Docker networks that we make: what has none of them was made by a user, and is never removed or changed. */
export const labels = {
  /** `TENANT:NETWORK` */
  network: 'net.berth.cluster',
  /** `TENANT:GROUP` */
  group: 'net.berth.cluster.group',
  /** When the object was made: one that was deleted and made anew under the same name is another one. */
  made: 'net.berth.cluster.made',
} as const;

export interface WantedNetwork extends NewNetwork {
  /** `network TENANT:NETWORK` or `group TENANT:GROUP`: what it stands for, for users and as a key. */
  readonly key: string;
  readonly object: Pick<ClusterObject, 'kind' | 'key' | 'createdAt'>;
}

/**
 * All that an engine is to have, by what it stands for.
 *
 * @param driver the name of our plugin, as driver and as IPAM driver.
 */
export function wantedNetworks(objects: Objects, driver: string): ReadonlyMap<string, WantedNetwork> {
  const wanted = new Map<string, WantedNetwork>();
  for (const kind of ['network', 'endpointGroup'] as const) {
    for (const object of objects.list(kind)) {
      const found = clusterNetwork(objects, object.key);
      if (found === undefined || found.tenant === SWARM_TENANT) continue;
      const one = wantedNetwork(object, found, driver);
      wanted.set(one.key, one);
    }
  }
  return wanted;
}

function wantedNetwork(object: ClusterObject, found: ClusterNetwork, driver: string): WantedNetwork {
  const { tenant, name, group } = found;
  const options = { tenant, network: name, ...(group === undefined ? {} : { group }) };
  return {
    key: group === undefined ? `network ${found.key}` : `group ${object.key}`,
    object,
    name: dockerName(object, tenant, group ?? name),
    driver,
    ipamDriver: driver,
    subnets: found.subnets.map(({ prefix, gateway }) =>
      gateway === undefined ? { subnet: prefix } : { subnet: prefix, gateway },
    ),
    options,
    ipamOptions: options,
    labels: {
      [labels.network]: found.key,
      ...(group === undefined ? {} : { [labels.group]: object.key }),
      [labels.made]: String(object.createdAt),
    },
  };
}

/** As Contiv's netmaster called them. */
function dockerName({ config }: ClusterObject, tenant: string, name: string): string {
  const chosen = text(config, 'cfgdTag');
  if (chosen !== '') return chosen;
  return tenant === 'default' ? name : `${name}/${tenant}`;
}

/**
 * What stands for a Docker network in Neutron, when we have no record of it: another host has made it, or kuryr-libnetwork has, or we
 * have and our store is lost.
 */

import { BerthError } from '../../model/errors.ts';
import type { NetworkId, PoolId } from '../../model/ids.ts';
import type { Bounds } from '../../openstack/bounds.ts';
import type { Neutron } from '../../openstack/neutron/neutron.ts';
import type { Network, Port, Subnet } from '../../openstack/neutron/objects.ts';
import { kuryrMarks, networkOfPool, poolMark } from './marks.ts';
import { markOf } from './networks.ts';
import { tagOf } from './tags.ts';

export interface Found {
  readonly id: NetworkId;
  readonly network: Network;
  /** All that the network has, whatever Docker knows of them. */
  readonly subnets: readonly Subnet[];
}

export interface Finding {
  /** @throws BerthError NEUTRON_AMBIGUOUS, OPENSTACK_… */
  byPool(pool: PoolId, bounds: Bounds): Promise<Found | undefined>;
  byNetwork(id: NetworkId, bounds: Bounds): Promise<Found | undefined>;
  portsOn(network: Network, bounds: Bounds): Promise<readonly Port[]>;
}

export function createFinding(neutron: Pick<Neutron, 'networks' | 'subnets' | 'ports'>, host: string): Finding {
  const withSubnets = async (id: NetworkId, network: Network, bounds: Bounds): Promise<Found> => ({
    id,
    network,
    subnets: await neutron.subnets.list({ network_id: network.id }, bounds),
  });

  return {
    async byPool(pool, bounds) {
      const mark = poolMark(pool);
      if (mark === undefined) return undefined;
      const [subnet, ...others] = await neutron.subnets.list({ tags: [mark] }, bounds);
      if (subnet === undefined) return undefined;
      if (others.length > 0)
        throw new BerthError(
          'NEUTRON_AMBIGUOUS',
          `the pool ${pool} is that of several subnets in Neutron: ${[subnet, ...others].map(({ id }) => id).join(', ')}`,
        );
      const network = await neutron.networks.get(subnet.network_id, bounds);
      const id = network && networkOfPool(pool, subnet.tags ?? [], network.tags ?? []);
      return id === undefined ? undefined : await withSubnets(id, network!, bounds);
    },

    async byNetwork(id, bounds) {
      const mark = markOf(host, id);
      // Kuryr without the extension for tags calls a network by Docker's id.
      for (const filter of [
        { tags: [...kuryrMarks(id)] },
        { description: mark },
        { tags: [tagOf(mark)] },
        { name: id },
      ]) {
        const [network, ...others] = await neutron.networks.list(filter, bounds);
        if (others.length > 0)
          throw new BerthError(
            'NEUTRON_AMBIGUOUS',
            `several networks in Neutron are marked as Docker's ${id.slice(0, 12)}: ${[network!, ...others].map((one) => one.id).join(', ')}`,
          );
        if (network !== undefined) return await withSubnets(id, network, bounds);
      }
      return undefined;
    },

    portsOn: (network, bounds) => neutron.ports.list({ network_id: network.id }, bounds),
  };
}

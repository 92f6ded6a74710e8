/** What a user names for a network, looked up in Neutron: also what is given as a UUID, so that a mistake is told before a container starts. */

import type { Bounds } from '../../openstack/bounds.ts';
import type { Neutron } from '../../openstack/neutron/neutron.ts';
import { findOne } from './find.ts';
import type { Reference, Wishes } from './options.ts';
import type { PoolRecord } from './records.ts';

type Kinds = Pick<Neutron, 'securityGroups' | 'qosPolicies' | 'subnetPools'>;

/** Each throws BerthError NEUTRON_NOT_FOUND and NEUTRON_AMBIGUOUS, and asks nothing where nothing is named. */
export interface NetworkWishes {
  groups(groups: readonly Reference[] | undefined, bounds: Bounds): Promise<readonly string[] | undefined>;
  policy(wishes: Wishes, bounds: Bounds): Promise<string | undefined>;
  /** The same pools, each with the subnet pool that it is to be cut from. */
  cutFrom(pools: readonly PoolRecord[], wishes: Wishes, bounds: Bounds): Promise<readonly PoolRecord[]>;
}

export function createNetworkWishes(neutron: Kinds): NetworkWishes {
  return {
    groups: async (groups, bounds) =>
      groups === undefined
        ? undefined
        : await Promise.all(
            groups.map(async (group) => (await findOne(neutron.securityGroups, 'security group', group, bounds)).id),
          ),

    policy: async ({ qosPolicy }, bounds) =>
      qosPolicy === undefined ? undefined : (await findOne(neutron.qosPolicies, 'QoS policy', qosPolicy, bounds)).id,

    cutFrom: (pools, wishes, bounds) =>
      Promise.all(
        pools.map(async (pool) => {
          const wanted = wishes.pools[pool.subnet.address.family];
          // Docker has asked for the pool with the same wish, and without a subnet.
          if (wanted === undefined || pool.subnetPool !== undefined) return pool;
          return { ...pool, subnetPool: (await findOne(neutron.subnetPools, 'subnet pool', wanted, bounds)).id };
        }),
      ),
  };
}

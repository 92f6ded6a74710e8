/**
 * A Docker network that has become the cluster's keeps the pool that Docker was told of when it was made; its addresses come from the
 * cluster's pool from then on.
 */

import type { IpamDriver } from '../../docker/driver.ts';
import { clusterOf } from '../../fabric/cluster/settings.ts';
import type { PoolId } from '../../model/ids.ts';
import type { Network } from '../../model/network.ts';
import { poolId } from '../../model/pool.ts';
import type { SharedNetwork } from './shared-networks.ts';

export interface AdoptedPoolsParts {
  readonly state: { readonly networks: ReadonlyMap<string, Network> };
  shared(): ReadonlyMap<string, SharedNetwork> | undefined;
}

type Told = Pick<Network, 'subnets'> & { readonly pools?: readonly string[] };

export function withAdoptedPools(driver: IpamDriver, { state, shared }: AdoptedPoolsParts): IpamDriver {
  function ofCluster(told: PoolId): PoolId {
    // The network's own record first: it is never behind.
    for (const network of state.networks.values()) {
      const member = network.pools?.includes(told) === true ? clusterOf(network) : undefined;
      if (member !== undefined) return poolOf(network, told, member.network);
    }
    for (const record of shared()?.values() ?? [])
      if (record.network !== undefined && record.pools.includes(told)) return poolOf(record, told, record.network);
    return told;
  }

  /** Pools are in the order of subnets. */
  function poolOf({ pools = [], subnets }: Told, told: PoolId, key: string): PoolId {
    const subnet = subnets[pools.indexOf(told)];
    return subnet === undefined ? told : poolId(key, subnet.prefix);
  }

  return {
    ...driver,
    requestAddress: (request, call) => driver.requestAddress({ ...request, pool: ofCluster(request.pool) }, call),
    releaseAddress: (pool, address, call) => driver.releaseAddress(ofCluster(pool), address, call),
  };
}

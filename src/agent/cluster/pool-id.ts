/** Pools of the cluster as Docker knows them: those of its networks, and of a network's groups. */

import type { PoolId } from '../../model/ids.ts';

export interface ClusterPool {
  /** The pool that addresses are leased from. */
  readonly pool: PoolId;
  /** `TENANT:NETWORK` */
  readonly network: string;
  /** `TENANT:GROUP` */
  readonly group?: string;
}

/** A function of what it is: Docker keeps it, and sends it back for years. */
export function clusterPoolId({ pool, group }: Pick<ClusterPool, 'pool' | 'group'>): PoolId {
  return (group === undefined ? pool : `${pool}/${nameOf(group)}`) as PoolId;
}

/** Undefined for a pool that is none of the cluster's: no other's address space has a colon. */
export function readClusterPoolId(id: string): ClusterPool | undefined {
  const [network, subnet, group, ...more] = id.split('/');
  if (network === undefined || !network.includes(':') || subnet === undefined || more.length > 0) return undefined;
  const pool = `${network}/${subnet}` as PoolId;
  const tenant = network.slice(0, network.indexOf(':'));
  return { pool, network, ...(group === undefined ? {} : { group: `${tenant}:${group}` }) };
}

/** The length of the subnet that a pool is on. */
export function lengthOf(pool: PoolId): number {
  return Number(pool.slice(pool.lastIndexOf('-') + 1));
}

/** `TENANT:NAME` without the tenant. */
export function nameOf(key: string): string {
  return key.slice(key.indexOf(':') + 1);
}

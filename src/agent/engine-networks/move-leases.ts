/** The addresses that containers of a network have on this host, given to them in the cluster too, when the network becomes the cluster's. */

import type { Ipam } from '../../ipam/ipam.ts';
import { BerthError } from '../../model/errors.ts';
import type { Network } from '../../model/network.ts';
import { type Lease, type Pool, poolId } from '../../model/pool.ts';
import { contains } from '../../model/prefix.ts';
import { gateOpen } from '../../objects/gate.ts';

export interface MoveLeasesParts {
  readonly ipam: Pick<Ipam, 'leasesOf' | 'lease' | 'release' | 'find' | 'pool' | 'refreshPool'>;
  /** Whether a lease is this host's. */
  isOwn(lease: Lease): boolean;
}

/**
 * All or none. Safe to repeat.
 *
 * @param key `TENANT:NETWORK`, whose pools are there.
 * @throws BerthError ADDRESS_TAKEN when another host was faster, STORE_UNAVAILABLE
 */
export async function moveLeases({ ipam, isOwn }: MoveLeasesParts, network: Network, key: string): Promise<void> {
  const mine = (network.pools ?? [])
    .flatMap((id) => ipam.leasesOf(id))
    .filter((lease) => isOwn(lease) && (lease.holder.kind === 'request' || lease.holder.kind === 'endpoint'));
  if (mine.length === 0) return;
  const pools: Pool[] = [];
  for (const { prefix } of network.subnets) {
    const id = poolId(key, prefix);
    const pool = ipam.pool(id) ?? (await ipam.refreshPool(id));
    if (pool === undefined) throw new BerthError('POOL_UNKNOWN', `the network ${key} has no pool ${id}`);
    pools.push(pool);
  }
  const moved: Lease[] = [];
  try {
    for (const lease of mine) {
      const { address, holder, engine, mac } = lease;
      const pool = pools.find(({ subnet }) => contains(subnet, address))!.id;
      if (isSame(ipam.find(pool, address), lease)) continue;
      const request = { pool, address, holder, engine, ...(mac === undefined ? {} : { mac }) };
      moved.push(await ipam.lease({ ...request, conditions: gateOpen(key) }));
    }
  } catch (error) {
    for (const { pool, address } of moved) await ipam.release(pool, address);
    throw error;
  }
  for (const { pool, address } of mine) await ipam.release(pool, address);
}

/** Whether a lease is for the same container, as an earlier attempt made it, or an agent that has lost its state since. */
function isSame(found: Lease | undefined, { engine, holder }: Lease): boolean {
  if (found?.engine !== engine) return false;
  const [there, here] = [found.holder, holder];
  if (there.kind === 'endpoint' && here.kind === 'endpoint') return there.endpoint === here.endpoint;
  return there.kind === 'request' || here.kind === 'request';
}

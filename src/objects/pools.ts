/**
 * The pools that the addresses of networks are leased from. Their records stand and fall with the network's object, in the same
 * transactions: agents lease from them, and neither make nor remove them.
 */

import { decodeLease, encodePool } from '../ipam/codec.ts';
import { BerthError } from '../model/errors.ts';
import type { PoolId } from '../model/ids.ts';
import { keys } from '../model/keys.ts';
import type { ClusterObject } from '../model/objects/kind.ts';
import { networkPrefixes, networkSubnet } from '../model/objects/network.ts';
import { poolId } from '../model/pool.ts';
import type { Prefix } from '../model/prefix.ts';
import type { Entry, Operation, Store } from '../store/store.ts';

/** Leases that are removed at once: etcd takes 128 operations. */
const CHUNK = 100;

export interface NetworkPool {
  readonly id: PoolId;
  readonly subnet: Prefix;
}

/** The pool that the IPv4 addresses of a network are leased from. */
export function networkPool(network: ClusterObject): PoolId {
  return poolId(network.key, networkSubnet(network).prefix);
}

/** The pools of a network: that of its IPv4 subnet, and that of its IPv6 subnet when it has one. */
export function networkPools(network: ClusterObject): readonly NetworkPool[] {
  return networkPrefixes(network).map((subnet) => ({ id: poolId(network.key, subnet), subnet }));
}

/** Makes the records of a new network's pools. */
export function openPools(network: ClusterObject): Operation[] {
  return networkPools(network).map(({ id, subnet }) => ({
    do: 'put',
    key: keys.pool(id),
    value: encodePool({ id, space: network.key, subnet, released: false, options: {}, createdAt: network.createdAt }),
  }));
}

/** Removes them with the network. */
export function closePools(network: ClusterObject): Operation[] {
  return networkPools(network).map(({ id }) => ({ do: 'delete', key: keys.pool(id) }));
}

/**
 * With the gate closed: no container has an address of the network, whether its host has told of it or not yet.
 *
 * @throws BerthError OBJECT_IN_USE, and those of the store
 */
export async function checkNotLeased(store: Store, network: ClusterObject): Promise<void> {
  for (const { key, value } of await leasesOf(store, network)) {
    const { kind } = decodeLease(key, value).holder;
    if (kind !== 'request' && kind !== 'endpoint') continue;
    throw new BerthError('OBJECT_IN_USE', 'Error: Network has active endpoints');
  }
}

/**
 * Removes what is leased of a network that does not exist: addresses that no container had, and what a crash has left of such.
 *
 * @throws BerthError of the store
 */
export async function sweepLeases(store: Store, network: ClusterObject): Promise<void> {
  const left = await leasesOf(store, network);
  for (let from = 0; from < left.length; from += CHUNK) {
    const { committed } = await store.transact({
      if: [{ key: keys.object(network.kind, network.key), is: 'absent' }],
      then: left.slice(from, from + CHUNK).map(({ key }): Operation => ({ do: 'delete', key })),
    });
    // Somebody has made it anew; what is leased now is leased.
    if (!committed) return;
  }
}

async function leasesOf(store: Store, network: ClusterObject): Promise<readonly Entry[]> {
  const listings = await Promise.all(networkPools(network).map(({ id }) => store.list(keys.poolLeases(id))));
  return listings.flatMap(({ entries }) => entries);
}

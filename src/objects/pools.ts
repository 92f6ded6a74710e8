/**
 * The pools that the addresses of networks are leased from. Their records stand and fall with the network's object, in the same
 * transactions: agents lease from them, and neither make nor remove them.
 */

import { decodeLease, encodePool } from '../ipam/codec.ts';
import { parseAddress } from '../model/address.ts';
import { BerthError } from '../model/errors.ts';
import type { PoolId } from '../model/ids.ts';
import { keys } from '../model/keys.ts';
import { type ClusterObject, type Objects, text } from '../model/objects/kind.ts';
import { networkPrefixes, networkSubnet } from '../model/objects/network.ts';
import { parseAddressRange } from '../model/objects/ranges.ts';
import { type PoolLayout, poolId } from '../model/pool.ts';
import { hostRange, type Prefix } from '../model/prefix.ts';
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

/** Writes the records of a network's pools as they are to be with these groups on it. */
export function putPools(network: ClusterObject, groups: readonly ClusterObject[]): Operation[] {
  return networkPools(network).map(({ id, subnet }) => ({
    do: 'put',
    key: keys.pool(id),
    value: encodePool({
      id,
      space: network.key,
      subnet,
      released: false,
      options: {},
      layout: subnet.address.family === 4 ? layout4(network, groups) : layout6(network, subnet),
      createdAt: network.createdAt,
    }),
  }));
}

function layout4(network: ClusterObject, groups: readonly ClusterObject[]): PoolLayout {
  const { hosts } = networkSubnet(network);
  const gateway = parseAddress(text(network.config, 'gateway'));
  return {
    ...(hosts === undefined ? {} : { hosts }),
    ...(gateway === undefined ? {} : { gateway }),
    groups: Object.fromEntries(
      groups.flatMap(({ config }) => {
        const range = parseAddressRange(text(config, 'ipPool'));
        return range === undefined ? [] : [[text(config, 'groupName'), range]];
      }),
    ),
  };
}

function layout6(network: ClusterObject, subnet: Prefix): PoolLayout {
  const gateway = parseAddress(text(network.config, 'ipv6Gateway'));
  return { hosts: hostRange(subnet), ...(gateway === undefined ? {} : { gateway }), groups: {} };
}

/** The groups of a network. */
function groupsOf({ config }: ClusterObject, objects: Objects): ClusterObject[] {
  const groups = objects.ofTenant('endpointGroup', text(config, 'tenantName'));
  return groups.filter((group) => group.config.networkName === config.networkName);
}

/** What becomes of pools when a group comes, or goes, that has a range of its network for itself. */
export function regroup(
  change: { readonly come?: ClusterObject; readonly gone?: ClusterObject },
  objects: Objects,
): Operation[] {
  const { config, kind, key } = (change.come ?? change.gone)!;
  if (kind !== 'endpointGroup' || config.ipPool === '') return [];
  const network = objects.get('network', `${text(config, 'tenantName')}:${text(config, 'networkName')}`);
  if (network === undefined) return [];
  const others = groupsOf(network, objects).filter((group) => group.key !== key);
  return putPools(network, [...others, ...(change.come === undefined ? [] : [change.come])]);
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

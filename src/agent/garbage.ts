/** What the engine has forgotten, found by comparing records. Pure: the collector acts on what this returns. */

import type { EngineNetwork } from '../docker/engine.ts';
import { clusterOf } from '../fabric/cluster/settings.ts';
import { type Address, formatAddress } from '../model/address.ts';
import type { Endpoint, Network } from '../model/network.ts';
import { type Lease, networkOfPool, type Pool } from '../model/pool.ts';
import { contains, formatPrefix, samePrefix } from '../model/prefix.ts';
import { memberOf } from './cluster/pools.ts';

export type Garbage =
  | { readonly kind: 'endpoint'; readonly endpoint: Endpoint; readonly reason: string }
  | { readonly kind: 'network'; readonly network: Network; readonly reason: string }
  | { readonly kind: 'lease'; readonly lease: Lease; readonly reason: string }
  | { readonly kind: 'pool'; readonly pool: Pool; readonly reason: string };

export interface Records {
  readonly networks: readonly Network[];
  readonly endpoints: readonly Endpoint[];
  readonly pools: readonly Pool[];
  /** Those of this host. */
  readonly leases: readonly Lease[];
  /** Other hosts may have networks on the pools. */
  readonly poolsAreShared?: boolean;
}

/** A name for one piece of garbage that stays the same from one look to the next. */
export function garbageId(garbage: Garbage): string {
  switch (garbage.kind) {
    case 'endpoint':
      return garbage.endpoint.id;
    case 'network':
      return garbage.network.id;
    case 'lease':
      // With the time: the same address leased anew is something else.
      return `${garbage.lease.pool} ${formatAddress(garbage.lease.address)} ${garbage.lease.createdAt}`;
    case 'pool':
      return garbage.pool.id;
  }
}

/**
 * Everything that no network of the engine accounts for. A single look proves nothing: the engine lists an endpoint only when
 * its container runs, and a network only when it is made; the caller waits and looks again before it frees anything.
 *
 * @param engine all networks of the engine that one of our plugins serves, as driver or as IPAM driver.
 */
export function findGarbage(
  records: Records,
  engine: readonly EngineNetwork[],
  ipamDrivers: ReadonlySet<string>,
): readonly Garbage[] {
  const found: Garbage[] = [];
  const networks = new Map(engine.map((network) => [network.id, network]));
  const alive = new Set(engine.flatMap((network) => network.endpoints.map((endpoint) => endpoint.id)));

  for (const endpoint of records.endpoints) {
    // An attachment is the user's doing: the engine never knew of it.
    if (alive.has(endpoint.id) || endpoint.phase === 'removing' || endpoint.attachment !== undefined) continue;
    const reason = networks.has(endpoint.network)
      ? 'the engine has no container on this endpoint'
      : 'the engine has no such network';
    found.push({ kind: 'endpoint', endpoint, reason });
  }
  for (const network of records.networks) {
    if (!networks.has(network.id) && network.adHoc === undefined)
      found.push({ kind: 'network', network, reason: 'the engine has no such network' });
  }

  const served = engine.filter((network) => ipamDrivers.has(network.ipamDriver));
  const ours = new Set(records.endpoints.map((endpoint) => endpoint.id));
  const recorded = new Map(records.networks.map((network) => [network.id, network]));
  /** Of two tenants of a cluster, the same address is not the same. */
  const placeOf = (cluster: string | undefined, address: Address) => `${cluster ?? ''} ${formatAddress(address)}`;
  const plugged = new Set(
    records.endpoints.flatMap(({ network, addresses }) => {
      const on = recorded.get(network);
      return addresses.map(({ address }) => placeOf(on && clusterOf(on)?.network, address));
    }),
  );
  const held = new Set<string>();
  for (const network of served) {
    const cluster = memberOf(network.ipamOptions)?.network;
    for (const { subnet, gateway } of network.subnets)
      if (gateway !== undefined) held.add(`${formatPrefix(subnet)} ${placeOf(cluster, gateway)}`);
    for (const { addresses } of network.endpoints) {
      for (const on of addresses) {
        const subnet = network.subnets.find((candidate) => contains(candidate.subnet, on.address));
        if (subnet !== undefined) held.add(`${formatPrefix(subnet.subnet)} ${placeOf(cluster, on.address)}`);
      }
    }
  }
  const pools = new Map(records.pools.map((pool) => [pool.id, pool]));
  for (const lease of records.leases) {
    const pool = pools.get(lease.pool);
    if (pool === undefined || ['gateway', 'auxiliary', 'swarm'].includes(lease.holder.kind)) continue;
    if (lease.holder.kind === 'endpoint' && ours.has(lease.holder.endpoint)) continue;
    const place = placeOf(networkOfPool(pool), lease.address);
    if (held.has(`${formatPrefix(pool.subnet)} ${place}`) || plugged.has(place)) continue;
    found.push({ kind: 'lease', lease, reason: 'the engine has no container with this address' });
  }
  for (const pool of records.pools) {
    // That of a network of the cluster goes with the network.
    if (records.poolsAreShared || networkOfPool(pool) !== undefined) continue;
    const used =
      served.some((network) => network.subnets.some(({ subnet }) => samePrefix(subnet, pool.subnet))) ||
      records.networks.some((network) => network.subnets.some(({ prefix }) => samePrefix(prefix, pool.subnet)));
    if (!used) found.push({ kind: 'pool', pool, reason: 'the engine has no network on this pool' });
  }
  return found;
}

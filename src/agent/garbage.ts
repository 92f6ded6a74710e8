/** What the engine has forgotten, found by comparing records. Pure: the collector acts on what this returns. */

import type { EngineNetwork } from '../docker/engine.ts';
import { formatAddress } from '../model/address.ts';
import type { Endpoint, Network } from '../model/network.ts';
import type { Lease, Pool } from '../model/pool.ts';
import { contains, formatPrefix, samePrefix } from '../model/prefix.ts';

export type Garbage =
  | { readonly kind: 'endpoint'; readonly endpoint: Endpoint; readonly reason: string }
  | { readonly kind: 'network'; readonly network: Network; readonly reason: string }
  | { readonly kind: 'lease'; readonly lease: Lease; readonly reason: string }
  | { readonly kind: 'pool'; readonly pool: Pool; readonly reason: string };

export interface Records {
  readonly networks: readonly Network[];
  readonly endpoints: readonly Endpoint[];
  readonly pools: readonly Pool[];
  readonly leases: readonly Lease[];
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
  const plugged = new Set(
    records.endpoints.flatMap(({ addresses }) => addresses.map(({ address }) => formatAddress(address))),
  );
  const held = new Set<string>();
  for (const network of served) {
    for (const { subnet, gateway } of network.subnets)
      if (gateway !== undefined) held.add(`${formatPrefix(subnet)} ${formatAddress(gateway)}`);
    for (const { addresses } of network.endpoints) {
      for (const on of addresses) {
        const subnet = network.subnets.find((candidate) => contains(candidate.subnet, on.address));
        if (subnet !== undefined) held.add(`${formatPrefix(subnet.subnet)} ${formatAddress(on.address)}`);
      }
    }
  }
  const pools = new Map(records.pools.map((pool) => [pool.id, pool]));
  for (const lease of records.leases) {
    const pool = pools.get(lease.pool);
    if (pool === undefined || lease.holder.kind === 'gateway' || lease.holder.kind === 'auxiliary') continue;
    if (lease.holder.kind === 'endpoint' && ours.has(lease.holder.endpoint)) continue;
    const shown = formatAddress(lease.address);
    if (held.has(`${formatPrefix(pool.subnet)} ${shown}`) || plugged.has(shown)) continue;
    found.push({ kind: 'lease', lease, reason: 'the engine has no container with this address' });
  }
  for (const pool of records.pools) {
    const used =
      served.some((network) => network.subnets.some(({ subnet }) => samePrefix(subnet, pool.subnet))) ||
      records.networks.some((network) => network.subnets.some(({ prefix }) => samePrefix(prefix, pool.subnet)));
    if (!used) found.push({ kind: 'pool', pool, reason: 'the engine has no network on this pool' });
  }
  return found;
}

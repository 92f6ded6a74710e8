/**
 * Routing between the networks of a tenant, where the cluster is set to forward so (`fwdMode: routing`). The host on which a packet
 * starts is its router: it puts it into the segment that it is for, so it takes part in all of the tenant's segments.
 */

import { type Address, sameAddress } from '../../model/address.ts';
import type { Network } from '../../model/network.ts';
import type { FabricContext } from '../fabric.ts';
import { clusterKey, isRouted, settingsOf } from './settings.ts';

/** Whether it exchanges packets with the other networks of its tenant. */
function routes(network: Network): boolean {
  const { cluster } = settingsOf(network);
  return cluster?.forwarding === 'routing' && isRouted(cluster) && !network.internal;
}

/** The other segments that a network exchanges packets with: their bridges. */
export function routedWith(network: Network, { networks }: Pick<FabricContext, 'networks'>): readonly string[] {
  const { bridge, cluster } = settingsOf(network);
  if (!routes(network)) return [];
  const bridges = networks
    .filter(
      (other) => other.fabric === 'cluster' && settingsOf(other).cluster?.tenant === cluster!.tenant && routes(other),
    )
    .map((other) => settingsOf(other).bridge);
  return [...new Set(bridges)].filter((other) => other !== bridge);
}

/** The addresses that this host itself has in a network. */
export const ownAddresses = (key: string, { cluster }: Pick<FabricContext, 'cluster'>): readonly Address[] =>
  cluster?.hostAddresses?.(key).map(({ address }) => address) ?? [];

/**
 * What the host says it is to containers on a network in which it has no address of its own: the address that it has in a network of
 * the tenant for hosts, once it is there (fib_valid_prefsrc, net/ipv4/fib_semantics.c). From the gateway's, which every host has, no
 * answer would come back.
 */
export function hostSource(network: Network, family: 4 | 6, context: FabricContext): Address | undefined {
  if (!routes(network)) return undefined;
  const { cluster } = settingsOf(network);
  for (const other of context.networks) {
    if (other.fabric !== 'cluster' || settingsOf(other).cluster?.tenant !== cluster!.tenant || !routes(other)) continue;
    const found = ownAddresses(clusterKey(other)!, context).find(
      (address) => address.family === family && isThere(address, context),
    );
    if (found !== undefined) return found;
  }
  return undefined;
}

const isThere = (wanted: Address, { host }: FabricContext): boolean =>
  host.addresses.some(({ address }) => sameAddress(address.address, wanted));

const active = new WeakMap<FabricContext, ReadonlySet<string>>();

/** The tenants of whose routed networks this host has something: a container, or an address of its own. */
function activeTenants(context: FabricContext): ReadonlySet<string> {
  const before = active.get(context);
  if (before !== undefined) return before;
  const tenants = new Set<string>();
  for (const network of context.networks) {
    if (network.fabric !== 'cluster' || !routes(network)) continue;
    const { tenant } = settingsOf(network).cluster!;
    if (tenants.has(tenant)) continue;
    const carries = context.endpointsOf(network.id).some(({ phase }) => phase === 'attached');
    if (carries || ownAddresses(clusterKey(network)!, context).length > 0) tenants.add(tenant);
  }
  active.set(context, tenants);
  return tenants;
}

/** Whether a network is needed without a container on it: the host is in it itself, or routes into it. */
export function isNeeded(network: Network, context: FabricContext): boolean {
  const { cluster } = settingsOf(network);
  if (cluster === undefined) return false;
  if (cluster.kind === 'infra' && ownAddresses(clusterKey(network)!, context).length > 0) return true;
  return routes(network) && activeTenants(context).has(cluster.tenant);
}

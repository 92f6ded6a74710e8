/** What stands on an interface within a container, where no engine sets it. */

import type { KernelObject } from '../kernel/objects.ts';
import type { Address } from '../model/address.ts';
import type { Endpoint, Network } from '../model/network.ts';
import { contains, parsePrefix, prefixOf } from '../model/prefix.ts';
import { containerSettings } from './container-options.ts';
import { fabricOf } from './fabrics.ts';
import { gatewaysFor } from './gateways.ts';

const DEFAULT_ROUTE = { 4: parsePrefix('0.0.0.0/0')!, 6: parsePrefix('::/0')! } as const;
/** RTPROT_BOOT, as `ip route` and the engine have it. */
const BOOT = 3;

/**
 * The interface set up, its addresses and the default routes, as the engine sets them when it plugs a container in. Nothing as
 * long as it is not known where that is.
 */
export function pluggedObjects(network: Network, endpoint: Endpoint): readonly KernelObject[] {
  const { sandbox: netns, sandboxInterface: link } = endpoint;
  if (netns === undefined || link === undefined) return [];
  const byLink = fabricOf(network.fabric).routesByLink?.(network) === true;
  return [
    { kind: 'link', type: 'adopted', netns, name: link, up: true },
    // Engines switch IPv6 off in containers that they gave no IPv6 address.
    ...(endpoint.addresses.some(({ address }) => address.family === 6)
      ? [{ kind: 'sysctl', netns, path: `net/ipv6/conf/${link}/disable_ipv6`, value: '0' } as const]
      : []),
    ...endpoint.addresses.map((address): KernelObject => ({ kind: 'address', netns, link, address })),
    ...gateways(network, endpoint).map((via): KernelObject => {
      if (byLink) return { kind: 'route', netns, link, destination: DEFAULT_ROUTE[via.family], protocol: BOOT };
      // A gateway elsewhere, as some hosters have it for single addresses.
      const onlink = !endpoint.addresses.some((on) => contains(prefixOf(on), via));
      const destination = DEFAULT_ROUTE[via.family];
      return { kind: 'route', netns, link, destination, via, protocol: BOOT, ...(onlink ? { onlink } : {}) };
    }),
    ...(byLink ? [] : (endpoint.routes ?? [])).map(({ destination, via }): KernelObject => {
      return { kind: 'route', netns, link, destination, protocol: BOOT, ...(via === undefined ? {} : { via }) };
    }),
  ];
}

function gateways(network: Network, endpoint: Endpoint): readonly Address[] {
  if (endpoint.attachment !== undefined) return endpoint.attachment.gateways;
  if (endpoint.publishes || network.internal || !containerSettings(endpoint).defaultRoute) return [];
  const { gateway4, gateway6 } = gatewaysFor(network, endpoint);
  return [gateway4, gateway6].filter((gateway) => gateway !== undefined);
}

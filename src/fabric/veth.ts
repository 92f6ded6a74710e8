/** The pair that plugs a container into a bridge: one end is a port, the other the engine moves into the container. */

import type { MacvlanLink, VethLink } from '../kernel/objects.ts';
import { linkName } from '../model/ids.ts';
import type { Endpoint } from '../model/network.ts';

/** The end that stays on the host. */
export function hostLink(endpoint: Pick<Endpoint, 'id'>): string {
  return linkName('bv', endpoint.id);
}

/** The end that goes into the container, as it is called before the engine renames it. */
export function containerLink(endpoint: Pick<Endpoint, 'id'>): string {
  return linkName('bp', endpoint.id);
}

/** By which an endpoint's link is known, wherever it is. */
export function endpointAlias(endpoint: Pick<Endpoint, 'id'>): string {
  return `berth endpoint ${endpoint.id.slice(0, 12)}`;
}

/** Where the link of an endpoint is that has only one end, which the engine moves into the container. */
export function pluggedAt({ sandbox, sandboxInterface }: Endpoint): NonNullable<MacvlanLink['plugged']> {
  return sandbox === undefined || sandboxInterface === undefined
    ? 'somewhere'
    : { netns: sandbox, name: sandboxInterface };
}

/**
 * The pair of one endpoint. Once its place in the container is known, a pair that has to be made anew is put there at once:
 * the engine plugs a container only when it starts it.
 *
 * @param bridge that the end on the host is a port of; absent: whose port it is, is said otherwise.
 */
export function vethPair(endpoint: Endpoint, bridge: string | undefined, mtu: number | undefined): VethLink {
  const plugged = endpoint.sandbox !== undefined && endpoint.sandboxInterface !== undefined;
  return {
    kind: 'link',
    type: 'veth',
    name: hostLink(endpoint),
    ...(mtu === undefined ? {} : { mtu }),
    up: true,
    ...(bridge === undefined ? {} : { master: bridge }),
    noLinkLocal: true,
    alias: endpointAlias(endpoint),
    peer: {
      name: plugged ? endpoint.sandboxInterface : containerLink(endpoint),
      mac: endpoint.mac,
      ...(mtu === undefined ? {} : { mtu }),
      ...(plugged ? { netns: endpoint.sandbox } : {}),
    },
  };
}

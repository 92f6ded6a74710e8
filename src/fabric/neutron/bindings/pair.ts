/**
 * The pair of links that most ports are wired with. The names are those by which Neutron's agents know what is theirs to serve
 * (nova's, and so kuryr's).
 */

import type { VethLink } from '../../../kernel/objects.ts';
import type { Endpoint, Network } from '../../../model/network.ts';
import { endpointAlias } from '../../veth.ts';
import { type EndpointSettings, endpointSettings, networkSettings } from '../settings.ts';

/** IFNAMSIZ leaves 14 with a prefix of three; agents look for eleven of the id. */
const ID_LENGTH = 11;

type Port = Pick<EndpointSettings, 'port'>;

/** `tap`, `qbr` and others, of one port. */
export const portLink = (prefix: string, { port }: Port): string => `${prefix}${port.slice(0, ID_LENGTH)}`;
/** The end on the host: the Linux bridge agent serves all links with this prefix (TAP_DEVICE_PREFIX, neutron_lib/constants.py). */
export const tapName = (port: Port): string => portLink('tap', port);
/** The end that goes into the container. */
export const containerEnd = (port: Port): string => portLink('t_c', port);
/** As the Linux bridge agent calls the bridge of a network (BRIDGE_NAME_PREFIX). */
export const bridgeName = (network: string): string => `brq${network.slice(0, ID_LENGTH)}`;

/** Both ends, joined to nothing yet. */
export function pair(network: Network, endpoint: Endpoint): VethLink {
  const settings = endpointSettings(endpoint);
  const { mtu } = networkSettings(network);
  const { sandbox, sandboxInterface } = endpoint;
  const plugged = sandbox !== undefined && sandboxInterface !== undefined;
  return {
    kind: 'link',
    type: 'veth',
    name: tapName(settings),
    mtu,
    up: true,
    noLinkLocal: true,
    alias: endpointAlias(endpoint),
    peer: {
      name: plugged ? sandboxInterface : containerEnd(settings),
      mac: endpoint.mac,
      mtu,
      ...(plugged ? { netns: sandbox } : {}),
    },
  };
}

/** For the wirings whose container gets an end of the pair. */
export const pairSource = (endpoint: Endpoint): string => containerEnd(endpointSettings(endpoint));

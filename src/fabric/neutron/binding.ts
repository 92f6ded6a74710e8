/**
 * How a container's pair is wired into Neutron's switch on this host: as the port's `binding:vif_type` says. The names are those by
 * which Neutron's agents know what is theirs to serve (nova's, and so kuryr's).
 */

import type { BridgeLink, KernelObject, VethLink } from '../../kernel/objects.ts';
import { BerthError } from '../../model/errors.ts';
import type { Endpoint, Network } from '../../model/network.ts';
import { endpointAlias } from '../veth.ts';
import type { Binding } from './records.ts';
import { type EndpointSettings, endpointSettings, networkSettings } from './settings.ts';

/** IFNAMSIZ leaves 14 for both; agents look for eleven of the id. */
const ID_LENGTH = 11;

/** The end on the host: the Linux bridge agent serves all links with this prefix (TAP_DEVICE_PREFIX, neutron_lib/constants.py). */
export const tapName = ({ port }: Pick<EndpointSettings, 'port'>): string => `tap${port.slice(0, ID_LENGTH)}`;
/** The end that goes into the container. */
export const containerEnd = ({ port }: Pick<EndpointSettings, 'port'>): string => `t_c${port.slice(0, ID_LENGTH)}`;
/** As the Linux bridge agent calls the bridge of a network (BRIDGE_NAME_PREFIX). */
export const bridgeName = (network: string): string => `brq${network.slice(0, ID_LENGTH)}`;

interface Wiring {
  network(network: Network): readonly KernelObject[];
  endpoint(network: Network, endpoint: Endpoint): readonly KernelObject[];
}

const none: Wiring['network'] = () => [];

const wirings: Readonly<Record<string, Wiring>> = {
  bridge: {
    network: (network) => [sharedBridge(network)],
    endpoint: (network, endpoint) => [{ ...pair(network, endpoint), master: sharedBridge(network).name }],
  },
  // Whoever watches for such links routes or bridges them itself.
  tap: { network: none, endpoint: (network, endpoint) => [pair(network, endpoint)] },
};

function sharedBridge(network: Network): BridgeLink {
  const settings = networkSettings(network);
  return {
    kind: 'link',
    type: 'bridge',
    name: bridgeName(settings.network),
    common: true,
    mtu: settings.mtu,
    up: true,
    stp: false,
    forwardDelay: 0,
    noLinkLocal: true,
    alias: `berth network of neutron ${settings.network}`,
  };
}

function pair(network: Network, endpoint: Endpoint): VethLink {
  const settings = endpointSettings(endpoint);
  const mtu = networkSettings(network).mtu;
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

const wiringOf = (endpoint: Endpoint): Wiring => wirings[endpointSettings(endpoint).vif.type] ?? wirings.tap!;

/** What a network needs for the endpoints on it. */
export function networkWiring(network: Network, endpoints: readonly Endpoint[]): readonly KernelObject[] {
  const types = new Map(endpoints.map((endpoint) => [endpointSettings(endpoint).vif.type, wiringOf(endpoint)]));
  return [...types.values()].flatMap((wiring) => wiring.network(network));
}

export function endpointWiring(network: Network, endpoint: Endpoint): readonly KernelObject[] {
  return wiringOf(endpoint).endpoint(network, endpoint);
}

/**
 * That a port is bound as we can wire it.
 *
 * @param agents of Neutron on this host, as far as we may see them: whether each is alive.
 * @throws BerthError PORT_UNBOUND, PORT_UNSUPPORTED
 */
export function checkBinding({ type, nic }: Binding, host: string, agents: readonly string[]): void {
  if (wirings[type] !== undefined) return;
  if (type !== 'unbound' && type !== 'binding_failed')
    throw new BerthError(
      'PORT_UNSUPPORTED',
      `Neutron binds the port as '${type}' (${nic}), which Berth cannot wire; it can: ${Object.keys(wirings).join(', ')}`,
    );
  const known = agents.length === 0 ? 'Neutron tells of no agent there' : `of its agents there: ${agents.join(', ')}`;
  throw new BerthError('PORT_UNBOUND', `Neutron does not bind the port on the host '${host}' (${type}); ${known}`);
}

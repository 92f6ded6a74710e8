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
  ovs: { network: none, endpoint: switchPort },
  // Whoever watches for such links routes or bridges them itself.
  tap: { network: none, endpoint: (network, endpoint) => [pair(network, endpoint)] },
};

/** Where the agent has not been told of another (neutron.conf.agent.ovs_conf, integration_bridge). */
const INTEGRATION_BRIDGE = 'br-int';

/**
 * A port of the agent's Open vSwitch, by whose `iface-id` the agent (or ovn-controller) knows it, and gives it a VLAN. Where the agent
 * filters with iptables, that needs a Linux bridge in between: `qbr`, joined to the switch by the pair `qvb` and `qvo`.
 */
function switchPort(network: Network, endpoint: Endpoint): readonly KernelObject[] {
  const settings = endpointSettings(endpoint);
  const { details } = settings.vif;
  const { mtu } = networkSettings(network);
  const own = pair(network, endpoint);
  const named = (prefix: string) => `${prefix}${settings.port.slice(0, ID_LENGTH)}`;
  const port = (name: string): KernelObject => ({
    kind: 'ovs-port',
    name,
    bridge:
      typeof details.bridge_name === 'string' && details.bridge_name !== '' ? details.bridge_name : INTEGRATION_BRIDGE,
    externalIds: {
      'berth-endpoint': endpoint.id,
      'iface-id': settings.port,
      'iface-status': 'active',
      'attached-mac': endpoint.mac,
      'vm-uuid': endpoint.id,
    },
  });
  // The datapath in user space takes packets as they are, with checksums that nobody has computed.
  const inUserSpace = details.datapath_type === 'netdev';
  if (details.ovs_hybrid_plug !== true)
    return [{ ...own, peer: { ...own.peer, ...(inUserSpace ? { txChecksum: false as const } : {}) } }, port(own.name)];
  const common = { kind: 'link', mtu, up: true, noLinkLocal: true } as const;
  const alias = endpointAlias(endpoint);
  return [
    { ...common, type: 'bridge', name: named('qbr'), stp: false, forwardDelay: 0, multicastSnooping: false, alias },
    { ...common, type: 'veth', name: named('qvb'), master: named('qbr'), alias, peer: { name: named('qvo'), mtu } },
    // Made with the pair, and goes with it.
    { ...common, type: 'adopted', name: named('qvo') },
    { ...own, master: named('qbr') },
    port(named('qvo')),
  ];
}

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

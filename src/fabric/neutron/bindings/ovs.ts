/**
 * `ovs`: a port of the agent's Open vSwitch, by whose `iface-id` the Open vSwitch agent, or ovn-controller, knows it. What they set on
 * the port (a VLAN tag, their marks) is theirs, and none of it is declared here.
 */

import type { KernelObject, OvsPort, VethLink } from '../../../kernel/objects.ts';
import type { Endpoint, Network } from '../../../model/network.ts';
import { endpointAlias } from '../../veth.ts';
import { type EndpointSettings, endpointSettings, networkSettings } from '../settings.ts';
import { pair, pairSource, portLink } from './pair.ts';
import type { Wiring } from './wiring.ts';

/** Where the agent has not been told of another (neutron.conf.agent.ovs_conf, integration_bridge). */
const INTEGRATION_BRIDGE = 'br-int';

export const ovs: Wiring = {
  endpoint(network, endpoint) {
    const settings = endpointSettings(endpoint);
    const { details } = settings.vif;
    // The datapath in user space takes packets as they are, with checksums that nobody has computed.
    const own = details.datapath_type === 'netdev' ? withChecksums(pair(network, endpoint)) : pair(network, endpoint);
    return details.ovs_hybrid_plug === true
      ? hybrid(network, endpoint, settings, own)
      : [own, switchPort(own.name, endpoint, settings)];
  },
  sourceLink: pairSource,
};

const withChecksums = (own: VethLink): VethLink => ({ ...own, peer: { ...own.peer, txChecksum: false } });

/**
 * Where the agent filters with iptables, that needs a Linux bridge in between: `qbr`, joined to the switch by the pair `qvb` and
 * `qvo` (os-vif, `vif_plug_ovs`).
 */
function hybrid(
  network: Network,
  endpoint: Endpoint,
  settings: EndpointSettings,
  own: VethLink,
): readonly KernelObject[] {
  const { mtu } = networkSettings(network);
  const [qbr, qvb, qvo] = ['qbr', 'qvb', 'qvo'].map((prefix) => portLink(prefix, settings)) as [string, string, string];
  const common = { kind: 'link', mtu, up: true, noLinkLocal: true } as const;
  const alias = endpointAlias(endpoint);
  return [
    // Without snooping nothing is held back that another bridge has asked for.
    { ...common, type: 'bridge', name: qbr, stp: false, forwardDelay: 0, multicastSnooping: false, alias },
    { ...common, type: 'veth', name: qvb, master: qbr, alias, peer: { name: qvo, mtu } },
    // Made with the pair, and goes with it.
    { ...common, type: 'adopted', name: qvo },
    { ...own, master: qbr },
    switchPort(qvo, endpoint, settings),
  ];
}

function switchPort(name: string, endpoint: Endpoint, { port, vif }: EndpointSettings): OvsPort {
  const { bridge_name: named } = vif.details;
  return {
    kind: 'ovs-port',
    name,
    bridge: typeof named === 'string' && named !== '' ? named : INTEGRATION_BRIDGE,
    externalIds: {
      'berth-endpoint': endpoint.id,
      'iface-id': port,
      'iface-status': 'active',
      'attached-mac': endpoint.mac,
      'vm-uuid': endpoint.id,
    },
  };
}

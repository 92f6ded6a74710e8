/**
 * Within a virtual machine, whose card is the port that is wired: containers get links that stand on it. With macvlan and ipvlan
 * their addresses are let through at the machine's port, whose network theirs must be; with vlan each is a subport of the machine's
 * trunk, on any network.
 */

import type { Link } from '../../../kernel/objects.ts';
import type { Endpoint } from '../../../model/network.ts';
import { endpointAlias, pluggedAt } from '../../veth.ts';
import { endpointSettings, networkSettings } from '../settings.ts';
import { containerEnd } from './pair.ts';
import type { Wiring } from './wiring.ts';

export const nested: Wiring = {
  endpoint: (network, endpoint) => [link(endpoint, networkSettings(network).mtu)],
  sourceLink: (endpoint) => containerEnd(endpointSettings(endpoint)),
};

function link(endpoint: Endpoint, carried: number): Link {
  const settings = endpointSettings(endpoint);
  const { driver, parent, vlan, mtu } = settings.nested!;
  const common = {
    kind: 'link',
    name: containerEnd(settings),
    parent,
    mtu: Math.min(mtu, carried),
    alias: endpointAlias(endpoint),
    plugged: pluggedAt(endpoint),
  } as const;
  switch (driver) {
    case 'macvlan':
      return { ...common, type: 'macvlan', mode: 'bridge', mac: endpoint.mac };
    case 'ipvlan':
      return { ...common, type: 'ipvlan', mode: 'l2' };
    case 'vlan':
      return { ...common, type: 'vlan', vlan: vlan!, mac: endpoint.mac };
  }
}

/**
 * ipvlan: containers share the MAC of the host's interface and are told apart by their addresses, for switches and access
 * points that accept only one MAC (Documentation/networking/ipvlan.rst).
 */

import { BerthError } from '../../../model/errors.ts';
import { linkMtu } from '../../mtu.ts';
import { booleanOption, choiceOption } from '../../options.ts';
import { containerLink, endpointAlias, pluggedAt } from '../../veth.ts';
import { checkParent, findLink } from '../interfaces.ts';
import type { LanMode } from '../mode.ts';
import { readCommon, requiredParent } from '../options.ts';
import type { IpvlanSettings } from '../settings.ts';
import { shimEndpointObjects, shimObjects } from '../shim.ts';
import { parentWithVlan, vlanObjects } from '../vlan.ts';
import { checkStanding, hostAccessOption } from './on-parent.ts';

export const ipvlan: LanMode<IpvlanSettings> = {
  name: 'ipvlan',
  options: [
    {
      name: 'ipvlan_mode',
      values: 'l2, l3, l3s',
      default: 'l2',
      help: 'l2: containers are on the LAN like machines. l3: the host routes for them, and the LAN needs a route to them; no broadcasts. l3s: as l3, with the connection tracking of the host.',
    },
    hostAccessOption,
  ],

  plan({ options, host }) {
    const { name, vlan } = parentWithVlan(requiredParent(options, 'ipvlan'), options, host);
    if (vlan === undefined) checkParent(name, 'ipvlan', host);
    const variant = choiceOption(options, 'ipvlan_mode', ['l2', 'l3', 'l3s'], 'l2');
    if (variant !== 'l2' && booleanOption(options, 'dhcp', false))
      throw new BerthError(
        'BAD_OPTION',
        `dhcp=true goes with ipvlan_mode=l2: in ${variant} nobody on the LAN would find an address that its DHCP server gave, as there are no broadcasts`,
      );
    return {
      ...readCommon(options),
      mode: 'ipvlan',
      parent: name,
      ...(vlan === undefined ? {} : { vlan }),
      variant,
      hostAccess: booleanOption(options, 'host_access', true),
    };
  },

  wire: ({ parent }) => parent,
  check: (settings, host) => checkStanding(settings, host),
  mtu: ({ parent, vlan }, host) => linkMtu(host, parent) ?? (vlan && linkMtu(host, vlan.base)),
  sharedMac: ({ parent, vlan }, host) => findLink(host, vlan?.base ?? parent)?.mac,

  network: ({ network, settings }, context) => [
    ...(settings.vlan === undefined ? [] : vlanObjects(settings.vlan)),
    ...shimObjects(settings, network, context.host),
  ],

  endpoint: ({ settings }, endpoint, context) => [
    {
      kind: 'link',
      type: 'ipvlan',
      name: containerLink(endpoint),
      parent: settings.parent,
      mode: settings.variant,
      ...(settings.mtu === undefined ? {} : { mtu: settings.mtu }),
      alias: endpointAlias(endpoint),
      plugged: pluggedAt(endpoint),
    },
    ...shimEndpointObjects(settings, endpoint, context.host),
  ],
};

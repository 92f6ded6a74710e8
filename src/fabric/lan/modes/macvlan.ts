/** macvlan: each container has a MAC of its own on the host's interface, without a bridge in between (drivers/net/macvlan.c). */

import { BerthError } from '../../../model/errors.ts';
import { heldBack } from '../../container-objects.ts';
import { linkMtu } from '../../mtu.ts';
import { booleanOption, choiceOption } from '../../options.ts';
import { containerLink, endpointAlias, pluggedAt } from '../../veth.ts';
import { checkParent } from '../interfaces.ts';
import type { LanMode } from '../mode.ts';
import { readCommon, requiredParent } from '../options.ts';
import { type MacvlanSettings, settingsOf } from '../settings.ts';
import { shimEndpointObjects, shimObjects } from '../shim.ts';
import { parentWithVlan, vlanObjects } from '../vlan.ts';
import { checkStanding, hostAccessOption } from './on-parent.ts';

export const macvlan: LanMode<MacvlanSettings> = {
  name: 'macvlan',
  options: [
    {
      name: 'macvlan_mode',
      values: 'bridge, private, vepa, passthru',
      default: 'bridge',
      help: 'Whether containers on the same parent reach each other: directly (bridge), never (private), by way of a switch that sends back what it gets (vepa). passthru gives the whole interface to a single container.',
    },
    hostAccessOption,
  ],

  plan({ options, host }) {
    const { name, vlan } = parentWithVlan(requiredParent(options, 'macvlan'), options, host);
    if (vlan === undefined) checkParent(name, 'macvlan', host);
    const variant = choiceOption(options, 'macvlan_mode', ['bridge', 'private', 'vepa', 'passthru'], 'bridge');
    return {
      ...readCommon(options),
      mode: 'macvlan',
      parent: name,
      ...(vlan === undefined ? {} : { vlan }),
      variant,
      // Only links of the mode `bridge` hear each other, and beside a passthru there is room for nobody.
      hostAccess: variant === 'bridge' && booleanOption(options, 'host_access', true),
    };
  },

  planEndpoint({ settings }, context) {
    const others = context.networks.filter((other) => {
      const theirs = other.fabric === 'lan' ? settingsOf(other) : undefined;
      return theirs?.mode === 'macvlan' && theirs.parent === settings.parent;
    });
    // The kernel says EINVAL, and no more.
    if (settings.variant === 'passthru' && others.some(({ id }) => context.endpointsOf(id).length > 0)) {
      throw new BerthError(
        'INTERFACE_UNSUITABLE',
        `${settings.parent} is passed through as a whole (macvlan_mode=passthru), and another container has it`,
      );
    }
    return {};
  },

  wire: ({ parent }) => parent,
  check: (settings, host) => checkStanding(settings, host),
  mtu: ({ parent, vlan }, host) => linkMtu(host, parent) ?? (vlan && linkMtu(host, vlan.base)),

  network: ({ network, settings }, context) => [
    ...(settings.vlan === undefined ? [] : vlanObjects(settings.vlan)),
    ...shimObjects(settings, network, context.host),
  ],

  endpoint: ({ settings }, endpoint, context) => [
    {
      kind: 'link',
      type: 'macvlan',
      name: containerLink(endpoint),
      parent: settings.parent,
      mode: settings.variant,
      ...(settings.mtu === undefined ? {} : { mtu: settings.mtu }),
      mac: endpoint.mac,
      alias: endpointAlias(endpoint),
      plugged: pluggedAt(endpoint),
      ...heldBack(endpoint),
    },
    ...shimEndpointObjects(settings, endpoint, context.host),
  ],
};

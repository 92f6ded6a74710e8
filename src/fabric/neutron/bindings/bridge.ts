/** `bridge`: a port of the network's Linux bridge, which the Linux bridge agent makes and joins to the wire, or finds made by us. */

import type { BridgeLink } from '../../../kernel/objects.ts';
import type { Network } from '../../../model/network.ts';
import { networkSettings } from '../settings.ts';
import { bridgeName, pair, pairSource } from './pair.ts';
import type { Wiring } from './wiring.ts';

export const bridge: Wiring = {
  network: (network) => [sharedBridge(network)],
  endpoint: (network, endpoint) => [{ ...pair(network, endpoint), master: sharedBridge(network).name }],
  sourceLink: pairSource,
};

/** The agent, and virtual machines beside us, use the same one: it goes when nobody does any more. */
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

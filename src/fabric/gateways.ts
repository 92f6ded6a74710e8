/** Which gateways an endpoint is told of. */

import { type Address, sameAddress } from '../model/address.ts';
import type { Endpoint, Network } from '../model/network.ts';
import { contains } from '../model/prefix.ts';

/** The gateway of each family in which the endpoint has an address: what it was told itself, or else its network's. */
export function gatewaysFor(network: Network, endpoint: Endpoint): { gateway4?: Address; gateway6?: Address } {
  const gateways: { gateway4?: Address; gateway6?: Address } = {};
  for (const { address } of endpoint.addresses) {
    const told = endpoint.gateways?.find(({ family }) => family === address.family);
    if (told !== undefined) {
      gateways[told.family === 4 ? 'gateway4' : 'gateway6'] = told;
      continue;
    }
    const subnet = network.subnets.find((candidate) => contains(candidate.prefix, address));
    const gateway = subnet?.gateway;
    if (gateway === undefined || sameAddress(gateway, address)) continue;
    gateways[gateway.family === 4 ? 'gateway4' : 'gateway6'] = gateway;
  }
  return gateways;
}

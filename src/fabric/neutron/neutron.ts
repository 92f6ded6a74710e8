/**
 * Networks of OpenStack's Neutron. It gives the addresses and says how ports are wired; here is what that means in kernel objects.
 * Who asks Neutron is the agent, with `networks.ts` and `ports.ts`.
 */

import { parseAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import type { Endpoint, Json, Network } from '../../model/network.ts';
import { contains, parsePrefix } from '../../model/prefix.ts';
import { containerObjects, staticRoutes } from '../container-objects.ts';
import { containerSettings, interfacePrefix } from '../container-options.ts';
import type { Fabric, JoinAnswer } from '../fabric.ts';
import { gatewaysFor } from '../gateways.ts';
import { endpointWiring, networkWiring, sourceLink } from './binding.ts';
import { endpointOptions, networkOptions } from './options.ts';
import { endpointSettings, networkSettings } from './settings.ts';

/** The agent asks Neutron first, and plans with what it was told. */
function planned(): never {
  throw new BerthError('INTERNAL', 'networks and endpoints of Neutron are planned by their driver');
}

/** For a container that has chosen an MTU: no more than the network carries. */
function withOwnMtu(network: Network, endpoint: Endpoint): Network {
  const { mtu } = containerSettings(endpoint);
  const settings = networkSettings(network);
  return mtu === undefined || mtu >= settings.mtu ? network : { ...network, settings: { ...settings, mtu } as Json };
}

export const neutron: Fabric = {
  kind: 'neutron',
  networkOptions,
  endpointOptions,

  planNetwork: () => Promise.resolve().then(planned),
  planEndpoint: planned,

  async closeNetwork(network, { neutron: view }) {
    await view?.close(network.id);
  },

  desiredShared: () => [],
  desiredNetwork: (network, { endpointsOf }) =>
    networkWiring(
      network,
      endpointsOf(network.id).filter(({ phase }) => phase !== 'removing'),
    ),
  desiredEndpoint(network, endpoint) {
    const objects = endpointWiring(withOwnMtu(network, endpoint), endpoint);
    return [...objects, ...containerObjects(endpoint, objects)];
  },

  join(network, endpoint, context): JoinAnswer {
    const { defaultRoute } = containerSettings(endpoint);
    const { subnets, interfacePrefix: prefix, publish } = networkSettings(network);
    // Packets to ports that Neutron lets in come back by Neutron's router.
    const publishes = endpoint.publishes && publish === undefined;
    const shut = context.engineRefusesGateway || publishes || network.internal || !defaultRoute;
    // Those of the subnets that it has an address on, and no others: the next hop would be out of reach.
    const own = subnets.filter((subnet) =>
      endpoint.addresses.some(({ address }) => contains(parsePrefix(subnet.prefix)!, address)),
    );
    const told = own.flatMap(({ routes }) =>
      routes.map(({ destination, via }) => ({ destination: parsePrefix(destination)!, via: parseAddress(via)! })),
    );
    return {
      sourceName: sourceLink(endpoint),
      destinationPrefix: interfacePrefix(endpoint, prefix),
      ...(shut ? {} : gatewaysFor(network, endpoint)),
      routes: [...told, ...staticRoutes(endpoint)],
      isolated: !publishes,
    };
  },

  details(endpoint) {
    const { port, outside } = endpointSettings(endpoint);
    return { port, ...outside };
  },
};

/**
 * Virtual networks: each a bridge, closed to all other networks. One of this host alone has its gateway on it, is routed by the host,
 * and masqueraded. One of the cluster reaches the other hosts by a VXLAN or a VLAN, which is a port of its bridge.
 */

import type { KernelObject } from '../../kernel/objects.ts';
import { linkName } from '../../model/ids.ts';
import { type Mac, macFromAddress, macFromIdentity } from '../../model/mac.ts';
import type { Network } from '../../model/network.ts';
import { containerObjects, staticRoutes } from '../container-objects.ts';
import { containerOptions, containerSettings, interfacePrefix, planContainer } from '../container-options.ts';
import type { Fabric, JoinAnswer } from '../fabric.ts';
import { gatewaysFor } from '../gateways.ts';
import { containerLink, vethPair } from '../veth.ts';
import { BRIDGE } from './bridge.ts';
import { sharedOfDomains } from './domain.ts';
import { bridgeElements, engineElements, firewall } from './firewall.ts';
import { containerMac } from './macs.ts';
import { networkOptions, planVirtual } from './plan.ts';
import { segmentObjects, segmentRemotes, segmentWays } from './segment.ts';
import { clusterKey, isRouted, settingsOf, subnetsOf } from './settings.ts';
import { isNeeded } from './tenant.ts';
import { checkTrunk, leaveOldUplinks } from './trunk.ts';
import { mtuOf } from './underlay.ts';

/**
 * A bridge without a MAC of its own takes the lowest of its ports, and so changes it as containers come and go, while others
 * still remember the old one as their gateway's (br_stp_recalculate_bridge_id, net/bridge/br_stp_if.c).
 */
function bridgeMac(network: Network): Mac {
  const gateway = network.subnets.find((subnet) => subnet.gateway !== undefined)?.gateway;
  if (gateway !== undefined) return macFromAddress(gateway);
  return macFromIdentity(network.id);
}

/** Whether this host forwards packets into it and out of it. */
function leadsOut(network: Network): boolean {
  const { cluster: membership } = settingsOf(network);
  return !network.internal && (membership === undefined || isRouted(membership));
}

export const cluster: Fabric = {
  kind: 'cluster',
  networkOptions,
  endpointOptions: containerOptions,

  planNetwork: (request, context) => Promise.resolve().then(() => planVirtual(request, context)),

  findGateways(network, { host }) {
    const bridge = linkName(BRIDGE, network);
    return host.addresses
      .filter(({ link, scope }) => link === bridge && scope === 'global')
      .map(({ address }) => address.address);
  },

  planEndpoint(network, request, context) {
    checkTrunk(network, context);
    return planContainer(network, request.options);
  },

  desiredShared(networks, context): readonly KernelObject[] {
    const routed = networks.filter(leadsOut);
    const objects: KernelObject[] = [firewall, ...sharedOfDomains(networks), ...engineElements(context.engineBridges)];
    for (const family of [4, 6] as const) {
      if (routed.some((network) => network.subnets.some((subnet) => subnet.prefix.address.family === family))) {
        const path = family === 4 ? 'net/ipv4/ip_forward' : 'net/ipv6/conf/all/forwarding';
        objects.push({ kind: 'sysctl', path, value: '1' });
      }
      // For every network, whatever its subnets: where br_netfilter is on, packets within a network pass the engine's FORWARD
      // chain too, whose policy is drop. What may not pass has been dropped by our own table before.
      objects.push(
        { kind: 'forward-accept', family, input: `${BRIDGE}+` },
        { kind: 'forward-accept', family, output: `${BRIDGE}+` },
      );
    }
    return objects;
  },

  desiredNetwork(network, context): readonly KernelObject[] {
    if (clusterKey(network) !== undefined) return segmentObjects(network, context);
    const of = settingsOf(network);
    const hasV6 = network.subnets.some((subnet) => subnet.prefix.address.family === 6);
    const objects: KernelObject[] = [
      ...bridgeElements(network, of.bridge, of.masquerade),
      {
        kind: 'link',
        type: 'bridge',
        name: of.bridge,
        mac: bridgeMac(network),
        mtu: mtuOf(network, context),
        up: true,
        stp: false,
        forwardDelay: 0,
        noLinkLocal: !hasV6,
        alias: `berth network ${network.id.slice(0, 12)}`,
      },
    ];
    // The kernel makes this entry with the bridge; declared, because a flush of the bridge's table takes it away, and then no
    // packet for the gateway reaches the host.
    objects.push({ kind: 'fdb', link: of.bridge, mac: bridgeMac(network) });
    if (hasV6) objects.push({ kind: 'sysctl', path: `net/ipv6/conf/${of.bridge}/accept_ra`, value: '0' });
    for (const { prefix, gateway } of network.subnets) {
      if (gateway === undefined) continue;
      objects.push({ kind: 'address', link: of.bridge, address: { address: gateway, length: prefix.length } });
    }
    return objects;
  },

  desiredEndpoint(network, endpoint, context) {
    const mtu = containerSettings(endpoint).mtu ?? mtuOf(network, context);
    const pair = vethPair(endpoint, settingsOf(network).bridge, mtu);
    return [pair, ...containerObjects(endpoint, [pair])];
  },

  async maintain(context) {
    await leaveOldUplinks(context);
    return undefined;
  },

  segment: clusterKey,
  needed: isNeeded,
  desiredRemotes: (network, context) =>
    clusterKey(network) === undefined ? new Map() : segmentRemotes(network, context),
  foundRemotes: (network, context) => (clusterKey(network) === undefined ? undefined : segmentWays(network, context)),
  // A network that a user makes on a host of a cluster becomes the cluster's a moment later, and the address must keep its MAC then.
  macFor: (network, address, { cluster: view }) =>
    clusterKey(network) === undefined && view === undefined ? undefined : containerMac(address),

  join(network, endpoint, context): JoinAnswer {
    const { defaultRoute } = containerSettings(endpoint);
    const subnets = subnetsOf(network);
    const shut = context.engineRefusesGateway || endpoint.publishes || network.internal || !defaultRoute;
    const gateways = shut ? {} : gatewaysFor({ ...network, subnets }, endpoint);
    // Without a gateway of their own, containers on a network of the cluster have Docker's, as with Contiv.
    const closed = clusterKey(network) === undefined && subnets.every((subnet) => subnet.gateway === undefined);
    return {
      sourceName: containerLink(endpoint),
      destinationPrefix: interfacePrefix(endpoint, settingsOf(network).interfacePrefix),
      ...gateways,
      routes: staticRoutes(endpoint),
      isolated: !defaultRoute || (!network.internal && !endpoint.publishes && closed),
    };
  },
};

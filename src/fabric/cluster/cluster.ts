/**
 * Virtual networks. In this form, one host: each network is a bridge of its own, with the network's gateway on it, routed
 * and masqueraded by the host, and closed to all other networks.
 */

import * as z from 'zod';
import type { HostView } from '../../kernel/kernel.ts';
import type { KernelObject } from '../../kernel/objects.ts';
import { BerthError } from '../../model/errors.ts';
import { linkName } from '../../model/ids.ts';
import { type Mac, macFromAddress, macFromIdentity } from '../../model/mac.ts';
import type { Network } from '../../model/network.ts';
import { contains, formatPrefix, overlaps } from '../../model/prefix.ts';
import { containerObjects, staticRoutes } from '../container-objects.ts';
import {
  checkContainerOptions,
  containerOptions,
  containerSettings,
  interfacePrefix,
  networkContainerOptions,
  planContainer,
} from '../container-options.ts';
import type { Fabric, FabricContext, JoinAnswer, NetworkRequest, OptionSpec } from '../fabric.ts';
import { gatewaysFor } from '../gateways.ts';
import { LEAST_MTU, overhead, uplinkMtu } from '../mtu.ts';
import { booleanOption, integerOption, linkOption, readOptions } from '../options.ts';
import { containerLink, vethPair } from '../veth.ts';
import { engineElements, firewall, networkElements } from './firewall.ts';

/** Bridges of virtual networks begin with this; rules for all of them match `bt+`. */
const BRIDGE = 'bt';

const Settings = z.object({
  bridge: z.string(),
  masquerade: z.boolean(),
  /** As the user set it; absent: computed from the uplink whenever it is needed. */
  mtu: z.number().optional(),
  interfacePrefix: z.string(),
});
type Settings = z.infer<typeof Settings>;

const networkOptions: readonly OptionSpec[] = [
  {
    name: 'mtu',
    aliases: ['com.docker.network.driver.mtu'],
    values: '1280 to 65535',
    default: "the uplink's MTU less the encapsulation",
    help: 'MTU of every interface of the network.',
  },
  {
    name: 'masquerade',
    aliases: ['com.docker.network.bridge.enable_ip_masquerade'],
    values: 'true, false',
    default: 'true',
    help: "Hide the network behind the host's address. With false the network is routed: the routers outside must know the way to it.",
  },
  {
    name: 'interface_prefix',
    aliases: ['com.docker.network.container_iface_prefix'],
    values: 'up to 12 characters',
    default: 'eth',
    help: 'What the interface is called in the container; the engine appends a number.',
  },
  ...networkContainerOptions,
];

function settings(network: Network): Settings {
  return Settings.parse(network.settings);
}

function mtu(of: Settings, host: HostView): number {
  return of.mtu ?? Math.max(LEAST_MTU, uplinkMtu(host) - overhead.none[4]);
}

/**
 * A bridge without a MAC of its own takes the lowest of its ports, and so changes it as containers come and go, while others
 * still remember the old one as their gateway's (br_stp_recalculate_bridge_id, net/bridge/br_stp_if.c).
 */
function bridgeMac(network: Network): Mac {
  const gateway = network.subnets.find((subnet) => subnet.gateway !== undefined)?.gateway;
  if (gateway !== undefined) return macFromAddress(gateway);
  return macFromIdentity(network.id);
}

/** Refuses a subnet that would take the place of something the host reaches now. */
function checkSubnets(request: NetworkRequest, context: FabricContext): void {
  for (const { prefix, gateway } of request.subnets) {
    const shown = formatPrefix(prefix);
    if (gateway !== undefined && !contains(prefix, gateway)) {
      throw new BerthError('ADDRESS_OUTSIDE', `the gateway of ${shown} is not within that subnet`);
    }
    for (const other of context.networks) {
      const hit = other.subnets.find((subnet) => overlaps(subnet.prefix, prefix));
      if (hit !== undefined) {
        throw new BerthError(
          'SUBNET_OVERLAP',
          `the subnet ${shown} overlaps ${formatPrefix(hit.prefix)} of the network ${other.id.slice(0, 12)} (${other.plugin})`,
        );
      }
    }
    const route = context.host.routes.find(
      (candidate) =>
        candidate.table === 254 &&
        candidate.destination.length > 0 &&
        candidate.via === undefined &&
        candidate.type === 'unicast' &&
        candidate.link?.startsWith(BRIDGE) !== true &&
        overlaps(candidate.destination, prefix),
    );
    if (route !== undefined) {
      throw new BerthError(
        'SUBNET_OVERLAP',
        `the subnet ${shown} overlaps ${formatPrefix(route.destination)}, which this host reaches by its interface ${route.link ?? '(none)'}`,
      );
    }
  }
}

export const cluster: Fabric = {
  kind: 'cluster',
  networkOptions,
  endpointOptions: containerOptions,

  planNetwork(request, context) {
    const options = readOptions(request.options, networkOptions);
    checkContainerOptions(options);
    checkSubnets(request, context);
    const planned: Settings = {
      bridge: linkName(BRIDGE, request.id),
      masquerade: booleanOption(options, 'masquerade', true),
      interfacePrefix: linkOption(options, 'interface_prefix', 12) ?? 'eth',
    };
    const chosen = integerOption(options, 'mtu', LEAST_MTU, 65535);
    return Promise.resolve(chosen === undefined ? planned : { ...planned, mtu: chosen });
  },

  findGateways(network, { host }) {
    const bridge = linkName(BRIDGE, network);
    return host.addresses
      .filter(({ link, scope }) => link === bridge && scope === 'global')
      .map(({ address }) => address.address);
  },

  planEndpoint: (network, request) => planContainer(network, request.options),

  desiredShared(networks, context): readonly KernelObject[] {
    const routed = networks.filter((network) => !network.internal);
    const objects: KernelObject[] = [firewall, ...engineElements(context.engineBridges)];
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
    const of = settings(network);
    const hasV6 = network.subnets.some((subnet) => subnet.prefix.address.family === 6);
    const objects: KernelObject[] = [
      ...networkElements(network, of.bridge, of.masquerade),
      {
        kind: 'link',
        type: 'bridge',
        name: of.bridge,
        mac: bridgeMac(network),
        mtu: mtu(of, context.host),
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
    const of = settings(network);
    const pair = vethPair(endpoint, of.bridge, containerSettings(endpoint).mtu ?? mtu(of, context.host));
    return [pair, ...containerObjects(endpoint, [pair])];
  },

  join(network, endpoint, context): JoinAnswer {
    const { defaultRoute } = containerSettings(endpoint);
    const shut = context.engineRefusesGateway || endpoint.publishes || network.internal || !defaultRoute;
    const gateways = shut ? {} : gatewaysFor(network, endpoint);
    return {
      sourceName: containerLink(endpoint),
      destinationPrefix: interfacePrefix(endpoint, settings(network).interfacePrefix),
      ...gateways,
      routes: staticRoutes(endpoint),
      isolated:
        !defaultRoute ||
        (!network.internal && !endpoint.publishes && network.subnets.every((subnet) => subnet.gateway === undefined)),
    };
  },
};

/** A new virtual network, checked and decided. */

import { formatAddress, sameAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import { linkName } from '../../model/ids.ts';
import type { Network, Subnet } from '../../model/network.ts';
import { contains, formatPrefix, overlaps, samePrefix } from '../../model/prefix.ts';
import { checkContainerOptions, networkContainerOptions } from '../container-options.ts';
import type { FabricContext, NetworkRequest, OptionSpec } from '../fabric.ts';
import { GREATEST_MTU, LEAST_MTU } from '../mtu.ts';
import { booleanOption, integerOption, linkOption, type OptionValues, printable, readOptions } from '../options.ts';
import { BRIDGE } from './bridge.ts';
import { domainFor } from './domain.ts';
import { segmentBridge } from './segment.ts';
import { clusterKey, gatewayOf, isRouted, type Membership, type Settings, settingsOf } from './settings.ts';
import { greatestMtu } from './underlay.ts';
import type { ClusterNetwork, ClusterView } from './view.ts';

export const networkOptions: readonly OptionSpec[] = [
  {
    name: 'network',
    values: 'a network of the cluster',
    default: 'none: a network of this host alone',
    help: 'The network of the cluster that the Docker network stands for. Subnets and gateways are those of that network. The agent makes such Docker networks by itself.',
  },
  {
    name: 'tenant',
    values: 'a tenant of the cluster',
    default: 'default',
    help: "Whose network it is. Without `network`: the new network is the tenant's, and is made known to the other hosts.",
  },
  {
    name: 'group',
    values: 'a group of the tenant',
    default: 'none',
    help: 'With `network`: the group on that network that containers belong to. They are on one segment with those of the network and of its other groups.',
  },
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
    help: "Hide the network behind the host's address. With false the network is routed: the routers outside must know the way to it. Networks on a VLAN have their gateway there, and are never hidden.",
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

/**
 * @throws BerthError BAD_OPTION, CLUSTER_ABSENT, OBJECT_UNKNOWN when the cluster has no such network or group, ADDRESS_OUTSIDE,
 *   SUBNET_OVERLAP
 */
export function planVirtual(request: NetworkRequest, context: FabricContext): Settings {
  const options = readOptions(request.options, networkOptions);
  checkContainerOptions(options);
  const found = findNetwork(options, context.cluster);
  const cluster = found === undefined ? undefined : join(found, request);
  const routed = cluster === undefined || isRouted(cluster);
  const domain = cluster && domainFor(cluster.tenant, context.networks);
  checkNetworks(request, { cluster, domain, routed }, context);
  if (routed) checkRoutes(request, context);
  const key = cluster && `${cluster.tenant}:${cluster.network}`;
  const mtu = integerOption(options, 'mtu', LEAST_MTU, GREATEST_MTU);
  checkMtu(mtu, cluster, context);
  if (cluster?.encapsulation === 'vlan' && options.has('masquerade')) {
    throw new BerthError(
      'BAD_OPTION',
      "the option 'masquerade' is not for a network on a VLAN: its gateway is not this host",
    );
  }
  const planned: Settings = {
    bridge: key === undefined ? linkName(BRIDGE, request.id) : segmentBridge(key),
    masquerade: cluster?.encapsulation !== 'vlan' && booleanOption(options, 'masquerade', true),
    interfacePrefix: linkOption(options, 'interface_prefix', 12) ?? 'eth',
    ...(mtu === undefined ? {} : { mtu }),
    ...(cluster === undefined ? {} : { cluster }),
    ...(domain === undefined ? {} : { domain }),
  };
  if (cluster !== undefined) checkSiblings(request, planned, context);
  return planned;
}

/** The network of the cluster that the options name; undefined when they name none. */
function findNetwork(options: OptionValues, view: ClusterView | undefined): ClusterNetwork | undefined {
  const name = options.get('network');
  const group = options.get('group');
  if (name === undefined) {
    // With a tenant alone it is to become a network of the cluster: the agent makes it known to the others.
    const odd = (view === undefined ? ['group', 'tenant'] : ['group']).find((option) => options.has(option));
    if (odd === undefined) return undefined;
    throw new BerthError('BAD_OPTION', `the option '${odd}' is given without 'network'`);
  }
  const tenant = options.get('tenant') ?? 'default';
  const key = `${tenant}:${name}`;
  if (view === undefined) {
    throw new BerthError(
      'CLUSTER_ABSENT',
      `there is no network ${printable(key)}: the agent of this host shares no store with others`,
    );
  }
  const found = view.network(group === undefined ? key : `${tenant}:${group}`);
  if (found?.key === key && found.group === group) return found;
  const what = group === undefined ? '' : `group ${printable(group)} on a `;
  throw new BerthError('OBJECT_UNKNOWN', `the cluster has no ${what}network ${printable(key)}`);
}

/** @throws BerthError BAD_OPTION when Docker was told of another subnet or gateway. */
function join(found: ClusterNetwork, request: NetworkRequest): Membership {
  const theirs = found.subnets.map(({ prefix }) => formatPrefix(prefix)).join(' and ');
  if (request.subnets.length === 0) {
    throw new BerthError('BAD_OPTION', `the network ${found.key} has the subnet ${theirs}: give it with --subnet`);
  }
  for (const { prefix, gateway } of request.subnets) {
    const subnet = found.subnets.find((candidate) => samePrefix(candidate.prefix, prefix));
    if (subnet === undefined) {
      throw new BerthError(
        'BAD_OPTION',
        `the network ${found.key} has the subnet ${theirs}, not ${formatPrefix(prefix)}`,
      );
    }
    if (subnet.gateway === undefined) continue;
    if (gateway === undefined || !sameAddress(gateway, subnet.gateway)) {
      const given = gateway === undefined ? 'none' : formatAddress(gateway);
      throw new BerthError(
        'BAD_OPTION',
        `the network ${found.key} has the gateway ${formatAddress(subnet.gateway)}, not ${given}`,
      );
    }
  }
  const { tenant, name, group, encapsulation, tag, kind, forwarding, subnets } = found;
  const gateways = subnets.flatMap(({ gateway }) => (gateway === undefined ? [] : [formatAddress(gateway)]));
  return {
    tenant,
    network: name,
    ...(group === undefined ? {} : { group }),
    encapsulation,
    tag,
    kind,
    forwarding,
    gateways,
  };
}

interface Place {
  readonly cluster: Membership | undefined;
  readonly domain: number | undefined;
  readonly routed: boolean;
}

/**
 * Refuses a subnet that another network has, if this host has addresses in both, and both are in one routing domain; or are in two, where
 * one and the same address would have to be the host's and a container's. Networks that are only bridged are in nobody's way.
 */
function checkNetworks(request: NetworkRequest, place: Place, context: FabricContext): void {
  const { cluster, domain, routed } = place;
  const key = cluster && `${cluster.tenant}:${cluster.network}`;
  for (const subnet of request.subnets) {
    const { prefix, gateway } = subnet;
    const shown = formatPrefix(prefix);
    if (cluster === undefined && gateway !== undefined && !contains(prefix, gateway)) {
      throw new BerthError('ADDRESS_OUTSIDE', `the gateway of ${shown} is not within that subnet`);
    }
    for (const other of context.networks) {
      const theirs = membershipOf(other);
      const theirKey = theirs && `${theirs.tenant}:${theirs.network}`;
      if (key !== undefined && key === theirKey) continue;
      if ((cluster !== undefined || theirs !== undefined) && !(routed && isHere(other))) continue;
      const hit = other.subnets.find((candidate) => overlaps(candidate.prefix, prefix));
      if (hit === undefined) continue;
      const apart = other.fabric === 'cluster' && domain !== settingsOf(other).domain;
      const why = apart ? whyNotBoth(place, subnet, other, hit) : '';
      if (why === undefined) continue;
      const whose = theirKey ?? `${other.id.slice(0, 12)} (${other.plugin})`;
      throw new BerthError(
        'SUBNET_OVERLAP',
        `the subnet ${shown} overlaps ${formatPrefix(hit.prefix)} of the network ${whose}${why}`,
      );
    }
  }
}

/** Why networks with one subnet cannot both be here although they are in two domains; undefined: they can. */
function whyNotBoth({ cluster }: Place, ours: Subnet, other: Network, theirs: Subnet): string | undefined {
  const membership = membershipOf(other);
  const infra = [cluster, membership].find((one) => one?.kind === 'infra');
  if (infra !== undefined) {
    return `; hosts have addresses of their own in ${infra.tenant}:${infra.network}, which must be nowhere else`;
  }
  // To the kernel, what is the host's address is so on all interfaces (the table local comes first).
  const gateways = [gatewayOf(ours, cluster), gatewayOf(theirs, membership)];
  const [first, second] = gateways;
  if (first !== undefined && second !== undefined && sameAddress(first, second)) return undefined;
  const taken = gateways.find(
    (gateway) => gateway !== undefined && contains(ours.prefix, gateway) && contains(theirs.prefix, gateway),
  );
  if (taken === undefined) return undefined;
  return `; ${formatAddress(taken)} is the gateway of one, and could be a container's in the other: give both the same gateway`;
}

const membershipOf = (network: Network): Membership | undefined =>
  network.fabric === 'cluster' ? settingsOf(network).cluster : undefined;

function isHere(network: Network): boolean {
  const membership = membershipOf(network);
  return membership === undefined || isRouted(membership);
}

/** Refuses a subnet that would take the place of something the host reaches now. */
function checkRoutes(request: NetworkRequest, context: FabricContext): void {
  for (const { prefix } of request.subnets) {
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
        `the subnet ${formatPrefix(prefix)} overlaps ${formatPrefix(route.destination)}, which this host reaches by its interface ${route.link ?? '(none)'}`,
      );
    }
  }
}

/** Larger packets would go through the tunnel in pieces, or not at all. */
function checkMtu(mtu: number | undefined, cluster: Membership | undefined, context: FabricContext): void {
  if (mtu === undefined || cluster === undefined) return;
  const most = greatestMtu(cluster.encapsulation, context);
  if (mtu <= most) return;
  throw new BerthError('BAD_OPTION', `the option 'mtu' is ${mtu}, and what carries the network takes ${most} bytes`);
}

/** Docker networks on one segment have one bridge, which is one way or another. */
function checkSiblings(request: NetworkRequest, planned: Settings, { networks }: FabricContext): void {
  const key = clusterKey({ settings: planned });
  for (const other of networks) {
    if (other.fabric !== 'cluster' || other.id === request.id || clusterKey(other) !== key) continue;
    const { masquerade, mtu } = settingsOf(other);
    const differs = [
      ['--internal', other.internal, request.internal],
      ['-o masquerade', masquerade, planned.masquerade],
      ['-o mtu', mtu, planned.mtu],
    ].find(([, theirs, ours]) => theirs !== ours);
    if (differs === undefined) continue;
    throw new BerthError(
      'BAD_OPTION',
      `the network ${key} stands on this host already, as the Docker network ${other.id.slice(0, 12)}, with another ${String(differs[0])}`,
    );
  }
}

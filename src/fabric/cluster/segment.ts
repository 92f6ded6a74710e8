/** A network of the cluster on this host: one bridge, whatever Docker networks stand for it, and what leads from it to other hosts. */

import type { KernelObject } from '../../kernel/objects.ts';
import { type Address, formatAddress, sameAddress } from '../../model/address.ts';
import { linkName } from '../../model/ids.ts';
import { type Mac, macFromIdentity } from '../../model/mac.ts';
import type { Network } from '../../model/network.ts';
import { contains } from '../../model/prefix.ts';
import type { FabricContext, RemotePart } from '../fabric.ts';
import { BRIDGE } from './bridge.ts';
import { connectedRoutes, domainObjects } from './domain.ts';
import { bridgeElements } from './firewall.ts';
import { hostMac } from './macs.ts';
import { overlayLink, type RemoteEndpoint, tunnel, wayTo } from './overlay.ts';
import { clusterKey, settingsOf, subnetsOf } from './settings.ts';
import { hostSource, ownAddresses, routedWith } from './tenant.ts';
import { trunkObjects } from './trunk.ts';
import { mtuOf } from './underlay.ts';

/** From the network's name, and not from Docker's ids: there may be several of those, and others after a while. */
export const segmentBridge = (key: string): string => linkName(BRIDGE, key);

/**
 * The bridge's own MAC address never changes with its ports. The gateway has the same on all hosts, so that a container keeps its
 * neighbour; where the host has an address of its own, others must be able to tell the hosts apart.
 */
function bridgeMac(key: string, network: Network, context: FabricContext): Mac {
  const [own] = ownAddresses(key, context);
  if (own !== undefined) return hostMac(own);
  const gateway = settingsOf(network).cluster!.encapsulation === 'vxlan' ? firstGateway(network) : undefined;
  return gateway === undefined ? macFromIdentity(`${context.cluster?.host ?? ''} ${key}`) : hostMac(gateway);
}

const firstGateway = (network: Network) => subnetsOf(network).find(({ gateway }) => gateway !== undefined)?.gateway;

/** What stands for a network of the cluster, whichever of its Docker networks is asked. */
export function segmentObjects(network: Network, context: FabricContext): readonly KernelObject[] {
  const { bridge, masquerade, cluster } = settingsOf(network);
  const key = clusterKey(network)!;
  const mtu = mtuOf(network, context);
  const mac = bridgeMac(key, network, context);
  const addresses = addressObjects(key, network, context);
  const hasV6 = addresses.some((object) => object.kind === 'address' && object.address.address.family === 6);
  const routed = routedWith(network, context);
  return [
    ...bridgeElements(network, bridge, masquerade, routed),
    ...domainObjects(network, localAddresses(key, network, context), routed),
    {
      kind: 'link',
      type: 'bridge',
      name: bridge,
      mac,
      mtu,
      up: true,
      stp: false,
      forwardDelay: 0,
      // Neighbours are asked from it for what is forwarded (ndisc_solicit, net/ipv6/ndisc.c).
      noLinkLocal: !hasV6,
      alias: `berth network ${key}`,
    },
    // The kernel makes this entry with the bridge; a flush of the bridge's table takes it away.
    { kind: 'fdb', link: bridge, mac },
    ...(hasV6 ? ipv6Settings(bridge) : []),
    ...addresses,
    ...(cluster!.encapsulation === 'vxlan' ? tunnelObjects(network, context, mtu) : trunkObjects(network, context)),
  ];
}

/** Nobody is asked whether the gateway's address is taken: every host has it. */
function ipv6Settings(bridge: string): KernelObject[] {
  return ['accept_ra', 'accept_dad'].map((name) => ({
    kind: 'sysctl',
    path: `net/ipv6/conf/${bridge}/${name}`,
    value: '0',
  }));
}

function tunnelObjects(network: Network, { cluster }: FabricContext, mtu: number): KernelObject[] {
  if (cluster?.vtep === undefined) return [];
  const { bridge, cluster: of } = settingsOf(network);
  const { vtep, vxlanPort: udpPort } = cluster;
  return [tunnel({ vni: of!.tag, vtep, udpPort, bridge, mtu })];
}

/**
 * Addresses are single ones, and the way to the subnet is a route of its own: so none of them is secondary to another, and with it
 * gone when that goes (inet_del_ifa, net/ipv4/devinet.c); and the host speaks from its own, not from one that every host has.
 */
function addressObjects(key: string, network: Network, context: FabricContext): KernelObject[] {
  const { bridge } = settingsOf(network);
  const own = ownAddresses(key, context);
  const local = localAddresses(key, network, context);
  return network.subnets.flatMap(({ prefix }): KernelObject[] => {
    const length = prefix.address.family === 4 ? 32 : 128;
    const all = local.filter((address) => contains(prefix, address));
    if (all.length === 0) return [];
    const speaksAs =
      own.find((address) => contains(prefix, address)) ?? hostSource(network, prefix.address.family, context);
    return [
      ...all.map(
        (address): KernelObject => ({
          kind: 'address',
          link: bridge,
          address: { address, length },
          noPrefixRoute: true,
        }),
      ),
      ...connectedRoutes(network, prefix, speaksAs),
    ];
  });
}

/** The addresses that are this host's in a network: its own, and the gateways'. */
function localAddresses(key: string, network: Network, context: FabricContext): readonly Address[] {
  const { cluster } = settingsOf(network);
  const gateways =
    cluster!.encapsulation === 'vxlan'
      ? subnetsOf(network).flatMap(({ gateway }) => (gateway === undefined ? [] : [gateway]))
      : [];
  return [...ownAddresses(key, context), ...gateways];
}

/** All ways to other hosts that the kernel has. */
export function segmentWays(network: Network, { cluster, kernel }: FabricContext) {
  const key = clusterKey(network)!;
  const { bridge, cluster: of } = settingsOf(network);
  if (of!.encapsulation === 'vlan' || cluster?.complete?.(key) !== true) return undefined;
  return Promise.all([overlayLink(of!.tag), bridge].map((link) => kernel.entries(link))).then(([tunnelled, asked]) => [
    ...tunnelled!,
    ...asked!.filter(({ kind }) => kind === 'neighbour'),
  ]);
}

/**
 * The ways to the other hosts, each by itself.
 *
 * @returns undefined when it is not known who is where, or there is no tunnel: what is in the kernel stays.
 */
export function segmentRemotes(network: Network, context: FabricContext): ReadonlyMap<string, RemotePart> | undefined {
  const { bridge, cluster: of } = settingsOf(network);
  const key = clusterKey(network)!;
  const { cluster } = context;
  if (of!.encapsulation === 'vlan') return new Map();
  const remotes = cluster?.remotes(key);
  const vtep = cluster?.vtep;
  if (remotes === undefined || vtep === undefined) return undefined;
  // To ourselves would be a loop.
  const others = remotes.filter((remote) => !sameAddress(remote.vtep, vtep));
  const routing = of!.forwarding === 'routing';
  const answers = routing || cluster?.network(key)?.arp !== 'flood';
  const parts = Map.groupBy(others, (remote) => formatAddress(remote.vtep));
  return new Map(
    [...parts].map(([name, on]: [string, RemoteEndpoint[]]): [string, RemotePart] => [
      name,
      {
        of: [answers, ...on],
        neighbours: on,
        link: bridge,
        objects: () => wayTo(on[0]!.vtep, on, { vni: of!.tag, bridge }, { broadcast: !routing, answers }),
      },
    ]),
  );
}

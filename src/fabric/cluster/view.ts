/** What the fabric knows of the other hosts: networks as the cluster's objects tell of them, and who is where. */

import type { Address } from '../../model/address.ts';
import { parseAddress } from '../../model/address.ts';
import { type Objects, text } from '../../model/objects/kind.ts';
import { networkSubnet, parseSubnet6 } from '../../model/objects/network.ts';
import type { Encapsulation } from '../../model/objects/tags.ts';
import type { InterfaceAddress, Prefix } from '../../model/prefix.ts';
import type { RemoteEndpoint } from './overlay.ts';

/** The cluster as one host's agent last knew it; without etcd too. Every method answers at once. */
export interface ClusterView {
  /** What this host is called in the cluster. */
  readonly host: string;
  /** Where this host sends packets for other hosts from, and takes theirs. Undefined: it has no such address now. */
  readonly vtep: Address | undefined;
  /** The UDP port of VXLAN, on all hosts. */
  readonly vxlanPort: number;
  /** The NICs of this host that carry VLAN networks; with several, the first that is there. */
  readonly uplinks: readonly string[];
  /**
   * A network by `TENANT:NETWORK`, or the network of a group by `TENANT:GROUP`; undefined when there is no such network now, or
   * nothing has ever been heard of the cluster.
   */
  network(key: string): ClusterNetwork | undefined;
  /**
   * The containers of a network (`TENANT:NETWORK`) on the other hosts.
   *
   * @returns undefined while that is not known: then what the kernel has stays.
   */
  remotes(key: string): readonly RemoteEndpoint[] | undefined;
  /** Whether that is all there is, as the store says: not what was known before this agent was started. Absent: no. */
  complete?(key: string): boolean;
  /** The addresses that this host itself has in a network of the kind `infra`. Absent, or none: not leased yet. */
  hostAddresses?(key: string): readonly InterfaceAddress[];
}

/** A network of the cluster, as far as it concerns kernels. */
export interface ClusterNetwork {
  /** `TENANT:NETWORK` */
  readonly key: string;
  readonly tenant: string;
  readonly name: string;
  /** The group (its name alone) that was asked for. */
  readonly group?: string;
  readonly encapsulation: Encapsulation;
  /** VNI or VLAN. */
  readonly tag: number;
  /** The IPv4 subnet, and then the IPv6 subnet if there is one. */
  readonly subnets: readonly ClusterSubnet[];
  /** `infra`: the hosts themselves have addresses in it. */
  readonly kind: 'data' | 'infra';
  /** Of the whole cluster: whether the networks of a tenant are apart, or reach each other. */
  readonly forwarding: 'bridge' | 'routing';
  /** Of the whole cluster: whether hosts answer for the containers of others, or ask them. */
  readonly arp: 'proxy' | 'flood';
}

export interface ClusterSubnet {
  readonly prefix: Prefix;
  readonly gateway?: Address;
}

/**
 * A network of the cluster's objects by its key, or by that of one of its groups. Names of networks and groups of a tenant are never
 * the same.
 *
 * @returns undefined when there is neither.
 */
export function clusterNetwork(objects: Objects, key: string): ClusterNetwork | undefined {
  const group = objects.get('endpointGroup', key);
  const network = objects.get(
    'network',
    group === undefined ? key : `${text(group.config, 'tenantName')}:${text(group.config, 'networkName')}`,
  );
  if (network === undefined) return undefined;
  const { config, allocated } = network;
  const global = objects.get('global', 'global')?.config;
  const prefix6 = parseSubnet6(text(config, 'ipv6Subnet'));
  return {
    key: network.key,
    tenant: text(config, 'tenantName'),
    name: text(config, 'networkName'),
    ...(group === undefined ? {} : { group: text(group.config, 'groupName') }),
    encapsulation: text(config, 'encap') as Encapsulation,
    tag: allocated.tag!,
    subnets: [
      subnet(networkSubnet(network).prefix, text(config, 'gateway')),
      ...(prefix6 === undefined ? [] : [subnet(prefix6, text(config, 'ipv6Gateway'))]),
    ],
    kind: text(config, 'nwType') === 'infra' ? 'infra' : 'data',
    forwarding: global?.fwdMode === 'routing' ? 'routing' : 'bridge',
    arp: global?.arpMode === 'flood' ? 'flood' : 'proxy',
  };
}

function subnet(prefix: Prefix, gateway: string): ClusterSubnet {
  const address = parseAddress(gateway);
  return address === undefined ? { prefix } : { prefix, gateway: address };
}

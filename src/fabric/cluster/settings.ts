/** What is kept with a virtual network: all that its kernel objects follow from, so that they need no store. */

import * as z from 'zod';
import { type Address, formatAddress } from '../../model/address.ts';
import type { Json, Network, Subnet } from '../../model/network.ts';

const Membership = z.object({
  tenant: z.string(),
  network: z.string(),
  /** The group that a Docker network stands for; absent: the network as a whole. */
  group: z.string().optional(),
  encapsulation: z.enum(['vxlan', 'vlan']),
  tag: z.number(),
  kind: z.enum(['data', 'infra']),
  forwarding: z.enum(['bridge', 'routing']),
  /** As the cluster has them. Docker insists on one for each subnet, and makes up what there is not. */
  gateways: z.array(z.string()),
});
/** That a Docker network is part of a network of the cluster. None of it can change as long as that network exists. */
export type Membership = Readonly<z.infer<typeof Membership>>;

const Settings = z.object({
  bridge: z.string(),
  masquerade: z.boolean(),
  /** As the user set it; absent: computed from the underlay whenever it is needed. */
  mtu: z.number().optional(),
  interfacePrefix: z.string(),
  /** Absent: a network of this host alone. */
  cluster: Membership.optional(),
  /** Its tenant's number on this host (`domain.ts`). Absent: it is in the host's main routing table. */
  domain: z.number().optional(),
});
export type Settings = Readonly<z.infer<typeof Settings>>;

/** Which network of the cluster a Docker network of this host is. */
export interface ClusterMember {
  /** `TENANT:NETWORK` */
  readonly network: string;
  /** `TENANT:GROUP` */
  readonly group?: string;
}

const known = new WeakMap<object, { readonly settings: Settings; readonly member: ClusterMember | undefined }>();

/** Asked for each network of a host at each start of a container: read once. */
function read({ settings: json }: Pick<Network, 'settings'>) {
  const object = json as Exclude<Json, string | number | boolean | null>;
  const before = known.get(object);
  if (before !== undefined) return before;
  const settings = Settings.parse(json);
  const made = { settings, member: settings.cluster && memberOf(settings.cluster) };
  known.set(object, made);
  return made;
}

const memberOf = ({ tenant, network, group }: Membership): ClusterMember => ({
  network: `${tenant}:${network}`,
  ...(group === undefined ? {} : { group: `${tenant}:${group}` }),
});

export const settingsOf = (network: Pick<Network, 'settings'>): Settings => read(network).settings;

/** `TENANT:NETWORK`; undefined for a network of this host alone. */
export const clusterKey = (network: Pick<Network, 'settings'>): string | undefined => read(network).member?.network;

/** Undefined: it is of this host alone. Of any fabric. */
export const clusterOf = (network: Pick<Network, 'fabric' | 'settings'>): ClusterMember | undefined =>
  network.fabric === 'cluster' ? read(network).member : undefined;

/** The subnets with the gateways that there are. */
export function subnetsOf(network: Pick<Network, 'settings' | 'subnets'>): readonly Subnet[] {
  const { cluster } = settingsOf(network);
  if (cluster === undefined) return network.subnets;
  return network.subnets.map((subnet) => {
    const { gateway: _, ...rest } = subnet;
    return gatewayOf(subnet, cluster) === undefined ? rest : subnet;
  });
}

/** The gateway of a subnet, if that is not one that Docker has made up. */
export function gatewayOf({ gateway }: Subnet, cluster: Membership | undefined): Address | undefined {
  if (gateway === undefined || cluster === undefined) return gateway;
  return cluster.gateways.includes(formatAddress(gateway)) ? gateway : undefined;
}

/** Whether this host has addresses in it, and routes. */
export function isRouted({ encapsulation, gateways, kind }: Membership): boolean {
  return kind === 'infra' || (encapsulation === 'vxlan' && gateways.length > 0);
}

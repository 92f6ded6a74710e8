/** What is kept with a virtual network: all that its kernel objects follow from, so that they need no store. */

import * as z from 'zod';
import { formatAddress } from '../../model/address.ts';
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
});
export type Settings = Readonly<z.infer<typeof Settings>>;

const read = new WeakMap<object, Settings>();

/** Asked for each network of a host at each start of a container: read once. */
export function settingsOf({ settings }: Pick<Network, 'settings'>): Settings {
  const key = settings as Exclude<Json, string | number | boolean | null>;
  let known = read.get(key);
  if (known === undefined) {
    known = Settings.parse(settings);
    read.set(key, known);
  }
  return known;
}

/** `TENANT:NETWORK`; undefined for a network of this host alone. */
export function clusterKey(network: Pick<Network, 'settings'>): string | undefined {
  const { cluster } = settingsOf(network);
  return cluster && `${cluster.tenant}:${cluster.network}`;
}

/** The subnets with the gateways that there are. */
export function subnetsOf(network: Pick<Network, 'settings' | 'subnets'>): readonly Subnet[] {
  const { cluster } = settingsOf(network);
  if (cluster === undefined) return network.subnets;
  return network.subnets.map((subnet) => {
    const { gateway, ...rest } = subnet;
    return gateway !== undefined && cluster.gateways.includes(formatAddress(gateway)) ? subnet : rest;
  });
}

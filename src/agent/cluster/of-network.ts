/** Which network of the cluster a Docker network of this host is. */

import * as z from 'zod';
import type { Network } from '../../model/network.ts';

export interface ClusterMember {
  /** `TENANT:NETWORK` */
  readonly network: string;
  /** `TENANT:GROUP` */
  readonly group?: string;
}

/** What the fabric keeps of it, as far as it concerns more than the fabric. */
const Settings = z.object({
  cluster: z.object({ tenant: z.string(), network: z.string(), group: z.string().optional() }),
});

const known = new WeakMap<object, { readonly member: ClusterMember | undefined }>();

/** Undefined: it is of this host alone. */
export function clusterOf(network: Pick<Network, 'fabric' | 'settings'>): ClusterMember | undefined {
  const found = known.get(network) ?? { member: read(network) };
  known.set(network, found);
  return found.member;
}

function read({ fabric, settings }: Pick<Network, 'fabric' | 'settings'>): ClusterMember | undefined {
  const parsed = fabric === 'cluster' ? Settings.safeParse(settings) : undefined;
  if (parsed?.success !== true) return undefined;
  const { tenant, network, group } = parsed.data.cluster;
  return { network: `${tenant}:${network}`, ...(group === undefined ? {} : { group: `${tenant}:${group}` }) };
}

/** What kuryr-libnetwork has made for a network that was taken over from it. */

import type { NetworkId } from '../../model/ids.ts';
import type { Bounds } from '../../openstack/bounds.ts';
import { detailsOf } from '../../openstack/failure.ts';
import type { Neutron } from '../../openstack/neutron/neutron.ts';
import { isUsedByOthers } from './marks.ts';
import type { NetworkRecord } from './records.ts';
import type { SharingParts } from './sharing.ts';
import { retag } from './tags.ts';

export interface KuryrRemovalParts extends Omit<SharingParts, 'neutron'> {
  readonly neutron: Pick<Neutron, 'networks' | 'subnets' | 'subnetPools'>;
}

/** From a network that was there before kuryr. Its subnets and pools are for all hosts on it, and stay as long as there is another. */
export async function leaveKuryrs(parts: KuryrRemovalParts, record: NetworkRecord, bounds: Bounds): Promise<void> {
  const { neutron, removing, left } = parts;
  const { id, network, tags, subnets, subnetTags = [] } = record;
  await retag(neutron.networks, network!, { remove: tags }, bounds);
  const current = await neutron.networks.get(network!, bounds);
  if (current === undefined) return;
  if (isUsedByOthers(current.tags ?? [], id))
    return left(
      id,
      `what kuryr has made in the network ${current.id} of Neutron stays: others have Docker networks there`,
    );
  for (const subnet of subnets)
    await removing(
      neutron.subnets.remove(subnet, bounds),
      id,
      { network_id: current.id, fixed_ips: `subnet_id=${subnet}` },
      bounds,
    );
  for (const { subnet, tag } of subnetTags) await retag(neutron.subnets, subnet, { remove: [tag] }, bounds);
  await removePools(parts, record, bounds);
}

/** Neutron refuses one that has subnets (SubnetPoolDeleteError, which is a 400), such as another host's. */
export async function removePools(
  { neutron, left }: Pick<KuryrRemovalParts, 'neutron' | 'left'>,
  { id, subnetPools = [] }: { readonly id: NetworkId; readonly subnetPools?: readonly string[] | undefined },
  bounds: Bounds,
): Promise<void> {
  for (const pool of subnetPools) {
    try {
      await neutron.subnetPools.remove(pool, bounds);
    } catch (error) {
      if (detailsOf(error)?.type !== 'SubnetPoolDeleteError') throw error;
      left(id, `the subnet pool ${pool} stays in Neutron: it has subnets`);
    }
  }
}

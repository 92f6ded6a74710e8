/**
 * Networks that all engines of a cluster store have (scope `global`): made on one host, removed on any, and used on all of them. What
 * the others must know stands in tags in Neutron.
 */

import { formatAddress, parseAddress, sameAddress } from '../../model/address.ts';
import type { NetworkId } from '../../model/ids.ts';
import { contains, parsePrefix } from '../../model/prefix.ts';
import type { Bounds } from '../../openstack/bounds.ts';
import type { Neutron } from '../../openstack/neutron/neutron.ts';
import type { Network, Subnet } from '../../openstack/neutron/objects.ts';
import type { NetworkRequest } from '../fabric.ts';
import {
  existingMark,
  factMarks,
  isMadeFor,
  isUsedByOthers,
  kuryrMarks,
  marksOf,
  readFacts,
  type SharedFacts,
  subnetMarks,
} from './marks.ts';
import type { PoolRecord } from './records.ts';
import { closeSharedWayOut } from './router.ts';
import type { NetworkSettings } from './settings.ts';
import { retag } from './tags.ts';

/** Description of a network that Berth has made, once its Docker network is gone and others are on it. */
export const LEFT_BEHIND = 'berth/left-behind';

export interface SharingParts {
  readonly neutron: Pick<Neutron, 'networks' | 'subnets' | 'ports' | 'routers' | 'floatingIps'>;
  /** Tells when ports that are not on their way out keep it. @param where it has ports. */
  removing(
    removal: Promise<boolean>,
    id: NetworkId,
    where: { readonly network_id: string; readonly fixed_ips?: string },
    bounds: Bounds,
  ): Promise<void>;
  left(network: NetworkId, sentence: string): void;
}

export interface Marks {
  readonly network: readonly string[];
  /** In the order of the pools. */
  readonly subnets: readonly (readonly string[])[];
}

/** What is to be told of a network. @param existing it was there before. */
export function marksFor(
  request: NetworkRequest,
  pools: readonly PoolRecord[],
  settings: NetworkSettings & { readonly router?: string | undefined },
  carried: number | undefined,
  existing: boolean,
): Marks {
  const { id, internal, subnets } = request;
  const { mtu, interfacePrefix, securityGroups, portSecurity, qosPolicy } = settings;
  const { router, floatingNetwork, publish, floatingIp } = settings;
  const facts: SharedFacts = {
    internal,
    ...(mtu !== carried && { mtu }),
    interfacePrefix,
    ...(securityGroups && { securityGroups }),
    ...(portSecurity !== undefined && { portSecurity }),
    ...(qosPolicy !== undefined && { qosPolicy }),
    ...(router !== undefined && { router }),
    ...(floatingNetwork !== undefined && { floatingNetwork }),
    ...(publish !== undefined && { publish }),
    ...(floatingIp !== undefined && { floatingIp }),
    gateways: subnets.flatMap(({ gateway }, index) => {
      const known = parseAddress(settings.subnets[index]?.gateway ?? '');
      return gateway === undefined || (known !== undefined && sameAddress(known, gateway)) ? [] : [gateway];
    }),
    auxiliary: pools.flatMap(({ auxiliary }) => auxiliary),
  };
  return {
    network: [...kuryrMarks(id), ...(existing ? [existingMark(id)] : []), ...factMarks(id, facts)],
    subnets: pools.map((pool) => subnetMarks(id, pool)),
  };
}

/** Tags that are not there yet, in as few calls as there are objects where nobody else tags them. */
export async function mark(
  neutron: Pick<Neutron, 'networks' | 'subnets'>,
  { network, subnets }: { readonly network: Network; readonly subnets: readonly Subnet[] },
  marks: Marks,
  bounds: Bounds,
): Promise<void> {
  const put = async (kind: Neutron['networks'] | Neutron['subnets'], on: Network | Subnet, tags: readonly string[]) => {
    const { id, tags: there = [] } = on;
    if (there.length === 0) return await kind.setTags(id, tags, bounds);
    await retag(kind, id, { add: tags }, bounds);
  };
  await Promise.all(subnets.map((subnet, index) => put(neutron.subnets, subnet, marks.subnets[index]!)));
  // The network's last: by then it can be used.
  await put(neutron.networks, network, marks.network);
}

/**
 * Takes from Neutron what any host has made for a Docker network, and its tags from what was there before. Safe to repeat.
 *
 * @throws BerthError NEUTRON_…, OPENSTACK_…
 */
export async function withdraw(parts: SharingParts, id: NetworkId, bounds: Bounds): Promise<void> {
  const { neutron, removing, left } = parts;
  for (const network of await neutron.networks.list({ tags: [...kuryrMarks(id)] }, bounds)) {
    const { tags = [], name } = network;
    const made = isMadeFor(id, network) || (name === kuryrName(id) && !tags.includes(existingMark(id)));
    const inUse = isUsedByOthers(tags, id);
    const facts = readFacts(id, tags);
    await closeSharedWayOut(neutron, network.id, facts, inUse, bounds);
    if (facts.router !== undefined && inUse)
      left(id, `the network ${network.id} stays attached to its router: others use it`);
    if (made && !inUse) {
      const removal = neutron.networks.remove(network.id, { ...bounds, ifRevision: network.revision_number });
      await removing(removal, id, { network_id: network.id }, bounds);
      continue;
    }
    if (made) {
      // From now on, the last of them removes it.
      await neutron.networks.update(network.id, { description: LEFT_BEHIND }, bounds);
      left(id, `the network ${network.id} stays in Neutron as long as others use it`);
    }
    await unmark(parts, id, network, bounds);
  }
}

async function unmark(parts: SharingParts, id: NetworkId, network: Network, bounds: Bounds): Promise<void> {
  const { neutron, removing } = parts;
  for (const subnet of await neutron.subnets.list({ network_id: network.id }, bounds)) {
    const { tags = [] } = subnet;
    const marks = marksOf(id, tags);
    if (isMadeFor(id, subnet) && tags.every((tag) => marks.includes(tag)))
      await removing(
        neutron.subnets.remove(subnet.id, bounds),
        id,
        { network_id: network.id, fixed_ips: `subnet_id=${subnet.id}` },
        bounds,
      );
    else await retag(neutron.subnets, subnet.id, { remove: marks }, bounds);
  }
  // Last: by them it is found, should this be interrupted.
  await retag(neutron.networks, network.id, { remove: marksOf(id, network.tags ?? []) }, bounds);
}

/** As kuryr calls a network that it makes. */
export const kuryrName = (id: NetworkId): string => `kuryr-net-${id.slice(0, 8)}`;

/** The gateway of containers on a subnet, of those that are told. */
export function gatewayOn(cidr: string, known: string | undefined, { gateways }: SharedFacts): string | undefined {
  const subnet = parsePrefix(cidr)!;
  const own = gateways.find((address) => contains(subnet, address));
  return own === undefined ? known : formatAddress(own);
}

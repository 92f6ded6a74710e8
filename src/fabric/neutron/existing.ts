/** Which network and subnets of Neutron are meant by what a user names, and by what Docker's pools are. */

import { BerthError } from '../../model/errors.ts';
import { type Prefix, parsePrefix, samePrefix } from '../../model/prefix.ts';
import type { Bounds } from '../../openstack/bounds.ts';
import { detailsOf } from '../../openstack/failure.ts';
import type { Neutron } from '../../openstack/neutron/neutron.ts';
import type { Network, Subnet } from '../../openstack/neutron/objects.ts';
import type { SubnetRequest } from '../../openstack/neutron/requests.ts';
import { findOne } from './find.ts';
import type { Reference, Wishes } from './options.ts';
import type { PoolRecord } from './records.ts';

/**
 * The network that is to be used; undefined where one is to be made. A subnet that is named says of which it is.
 *
 * @throws BerthError BAD_OPTION, NEUTRON_NOT_FOUND, NEUTRON_AMBIGUOUS, and those of a call
 */
export async function existingNetwork(
  kind: Neutron['subnets'],
  { network, subnets }: Wishes,
  bounds: Bounds,
): Promise<Reference | undefined> {
  if (network !== undefined) return network;
  const named = await Promise.all(Object.values(subnets).map((wanted) => findOne(kind, 'subnet', wanted, bounds)));
  const [id, ...others] = new Set(named.map(({ network_id }) => network_id));
  if (others.length > 0)
    throw new BerthError('BAD_OPTION', 'the subnets that are named are on different networks of Neutron');
  return id === undefined ? undefined : { uuid: id };
}

/**
 * For each pool the subnet that it is already, or undefined. One that the user names must be among them.
 *
 * @throws BerthError NEUTRON_NOT_FOUND, BAD_OPTION
 */
export function existingSubnets(
  pools: readonly Pick<PoolRecord, 'subnet'>[],
  there: readonly Subnet[],
  { subnets }: Pick<Wishes, 'subnets'>,
): readonly (Subnet | undefined)[] {
  for (const wanted of Object.values(subnets)) {
    const called = 'uuid' in wanted ? wanted.uuid : `'${wanted.name}'`;
    const named = there.filter(({ id, name }) => ('uuid' in wanted ? wanted.uuid === id : wanted.name === name));
    if (named[0] === undefined)
      throw new BerthError('NEUTRON_NOT_FOUND', `the network of Neutron has no subnet ${called}`);
    if (!named.some((one) => pools.some(({ subnet }) => isOf(subnet, one))))
      throw new BerthError('BAD_OPTION', `the subnet ${called} of Neutron is ${named[0].cidr}, and --subnet another`);
  }
  return pools.map(({ subnet }) => there.find((one) => isOf(subnet, one)));
}

/**
 * The subnets of a network that pools are, those that are not there made. Another host may be making the same at this moment: then
 * Neutron refuses ours (InvalidInput: two subnets of a network never overlap), and that one's is used.
 *
 * @param network as Neutron has just told of it.
 * @returns in the order of the pools; and those among them that are new.
 * @throws BerthError NEUTRON_NOT_FOUND, BAD_OPTION, and those of a call
 */
export async function findOrMakeSubnets(
  kind: Neutron['subnets'],
  network: Pick<Network, 'id' | 'subnets'>,
  pools: readonly PoolRecord[],
  wishes: Pick<Wishes, 'subnets'>,
  requestOf: (pool: PoolRecord) => SubnetRequest,
  bounds: Bounds,
): Promise<{ readonly subnets: readonly Subnet[]; readonly made: readonly Subnet[] }> {
  const look = () => kind.list({ network_id: network.id }, bounds);
  let there = network.subnets?.length === 0 ? [] : await look();
  for (;;) {
    const found = existingSubnets(pools, there, wishes);
    const missing = pools.filter((_pool, index) => found[index] === undefined);
    try {
      const made = await kind.createMany(missing.map(requestOf), bounds);
      const rest = [...made];
      return { subnets: found.map((subnet) => subnet ?? rest.shift()!), made };
    } catch (error) {
      if (detailsOf(error)?.status !== 400) throw error;
      const now = await look();
      if (now.length === there.length) throw error;
      there = now;
    }
  }
}

function isOf(subnet: Prefix, { cidr }: Subnet): boolean {
  const prefix = parsePrefix(cidr);
  return prefix !== undefined && samePrefix(prefix, subnet);
}

/** Which network and subnets of Neutron are meant by what a user names, and by what Docker's pools are. */

import { BerthError } from '../../model/errors.ts';
import { type Prefix, parsePrefix, samePrefix } from '../../model/prefix.ts';
import type { Bounds } from '../../openstack/bounds.ts';
import type { Neutron } from '../../openstack/neutron/neutron.ts';
import type { Subnet } from '../../openstack/neutron/objects.ts';
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

function isOf(subnet: Prefix, { cidr }: Subnet): boolean {
  const prefix = parsePrefix(cidr);
  return prefix !== undefined && samePrefix(prefix, subnet);
}

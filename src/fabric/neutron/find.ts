/** Objects that a user names by UUID or by name: there must be exactly one. */

import { BerthError } from '../../model/errors.ts';
import type { Bounds } from '../../openstack/bounds.ts';
import { detailsOf } from '../../openstack/failure.ts';
import type { Filter, Readable } from '../../openstack/neutron/collection.ts';
import type { Reference } from './options.ts';

/**
 * @param what it is, for people: `network`. @param among which a name must be the only one; default all.
 * @throws BerthError NEUTRON_NOT_FOUND, NEUTRON_AMBIGUOUS, and those of a call.
 */
export async function findOne<Item extends { readonly id: string }>(
  kind: Readable<Item>,
  what: string,
  wanted: Reference,
  bounds: Bounds,
  among: Filter = {},
): Promise<Item> {
  if ('uuid' in wanted) {
    const found = await kind.get(wanted.uuid, bounds);
    if (found !== undefined) return found;
    throw new BerthError('NEUTRON_NOT_FOUND', `Neutron has no ${what} ${wanted.uuid} that this project may see`);
  }
  const [found, ...others] = await kind.list({ ...among, name: wanted.name }, bounds);
  if (found === undefined)
    throw new BerthError('NEUTRON_NOT_FOUND', `Neutron has no ${what} '${wanted.name}' that this project may see`);
  if (others.length > 0)
    throw new BerthError(
      'NEUTRON_AMBIGUOUS',
      `Neutron has ${others.length + 1} ${what}s called '${wanted.name}': ${[found, ...others].map(({ id }) => id).join(', ')}`,
    );
  return found;
}

/** What is listed; not every Neutron has floating IPs and security groups. */
export async function orNone<Of>(listed: Promise<readonly Of[]>): Promise<readonly Of[]> {
  try {
    return await listed;
  } catch (error) {
    if (detailsOf(error)?.status === 404) return [];
    throw error;
  }
}

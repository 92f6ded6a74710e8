/**
 * Floating IPs of single containers: made for one and removed after it, or there already and only lent. One that somebody has is
 * never taken from him.
 */

import { BerthError } from '../../model/errors.ts';
import type { Bounds } from '../../openstack/bounds.ts';
import type { Neutron } from '../../openstack/neutron/neutron.ts';
import type { FloatingIp } from '../../openstack/neutron/objects.ts';

export interface FloatingParts {
  readonly neutron: Pick<Neutron, 'floatingIps'>;
}

/** The end of a floating IP inside. */
export interface Inside {
  /** Neutron's id of the port. */
  readonly port: string;
  /** Its IPv4 address; floating IPs are for no other. */
  readonly address: string;
}

/**
 * Made and associated in one call.
 *
 * @param mark by which it is found again: its description.
 */
export function makeFloatingIp(
  { neutron }: FloatingParts,
  network: string,
  mark: string,
  { port, address }: Inside,
  bounds: Bounds,
): Promise<FloatingIp> {
  return neutron.floatingIps.create(
    { floating_network_id: network, description: mark, port_id: port, fixed_ip_address: address },
    bounds,
  );
}

/**
 * One that is there already.
 *
 * @throws BerthError NEUTRON_NOT_FOUND, NEUTRON_AMBIGUOUS; NEUTRON_CONFLICT when a port has it.
 */
export async function findFloatingIp(
  { neutron }: FloatingParts,
  wanted: { readonly uuid: string } | { readonly address: string },
  bounds: Bounds,
): Promise<FloatingIp> {
  const found =
    'uuid' in wanted
      ? [await neutron.floatingIps.get(wanted.uuid, bounds)].filter((one) => one !== undefined)
      : await neutron.floatingIps.list({ floating_ip_address: wanted.address }, bounds);
  const called = 'uuid' in wanted ? wanted.uuid : wanted.address;
  const [floating, ...others] = found;
  if (floating === undefined)
    throw new BerthError('NEUTRON_NOT_FOUND', `Neutron has no floating IP ${called} that this project may see`);
  if (others.length > 0)
    throw new BerthError(
      'NEUTRON_AMBIGUOUS',
      `Neutron has ${found.length} floating IPs ${called}: ${found.map(({ id }) => id).join(', ')}`,
    );
  if (floating.port_id !== undefined)
    throw new BerthError(
      'NEUTRON_CONFLICT',
      `the floating IP ${floating.floating_ip_address} (${floating.id}) is associated with the port ${floating.port_id}`,
    );
  return floating;
}

/**
 * Also when the L3 agent reports meanwhile that the one who had it before has not: that is a change of it, too.
 *
 * @throws BerthError NEUTRON_CONFLICT when somebody else was faster.
 */
export async function lendFloatingIp(
  parts: FloatingParts,
  found: FloatingIp,
  { port, address }: Inside,
  bounds: Bounds,
): Promise<void> {
  const change = { port_id: port, fixed_ip_address: address };
  for (let { id, revision_number } = found; ; ) {
    try {
      await parts.neutron.floatingIps.update(id, change, { ...bounds, ifRevision: revision_number });
      return;
    } catch (error) {
      if (!(error instanceof BerthError) || error.code !== 'NEUTRON_CHANGED') throw error;
      ({ revision_number } = await findFloatingIp(parts, { uuid: id }, bounds));
    }
  }
}

/** Unless it is another's by now. @returns whether it was there to be returned. */
export async function returnFloatingIp(
  { neutron }: FloatingParts,
  id: string,
  port: string,
  bounds: Bounds,
): Promise<boolean> {
  const current = await neutron.floatingIps.get(id, bounds);
  if (current?.port_id !== port) return false;
  await neutron.floatingIps.update(id, { port_id: null }, { ...bounds, ifRevision: current.revision_number });
  return true;
}

/**
 * @param id undefined when Neutron's answer never reached us, or was never given.
 * @returns whether there was one.
 */
export async function removeFloatingIp(
  { neutron }: FloatingParts,
  id: string | undefined,
  mark: string,
  bounds: Bounds,
): Promise<boolean> {
  const found =
    id === undefined ? await neutron.floatingIps.list({ description: mark }, { ...bounds, fields: ['id'] }) : [{ id }];
  for (const one of found) await neutron.floatingIps.remove(one.id, bounds);
  return found.length > 0;
}

/** What one container wants of its port, as Neutron is asked for it. */

import { BerthError } from '../../model/errors.ts';
import type { Bounds } from '../../openstack/bounds.ts';
import type { Neutron } from '../../openstack/neutron/neutron.ts';
import type { PortChange } from '../../openstack/neutron/requests.ts';
import { findOne } from './find.ts';
import type { PortWishes, Reference } from './options.ts';

export type WishResolver = (wishes: PortWishes, bounds: Bounds) => Promise<PortChange>;

/**
 * The change of a port that its wishes amount to; empty where there are none. Asks Neutron only for what is named by name.
 *
 * @throws BerthError NEUTRON_NOT_FOUND, NEUTRON_AMBIGUOUS
 */
export function createWishResolver(neutron: Pick<Neutron, 'securityGroups' | 'qosPolicies'>): WishResolver {
  const idOf = async (
    kind: Neutron['securityGroups'] | Neutron['qosPolicies'],
    what: string,
    wanted: Reference,
    bounds: Bounds,
  ) => ('uuid' in wanted ? wanted.uuid : (await findOne<{ id: string }>(kind, what, wanted, bounds)).id);

  return async ({ securityGroups, portSecurity, allowedAddressPairs, qosPolicy, dnsName }, bounds) => ({
    ...(portSecurity === undefined ? {} : { port_security_enabled: portSecurity }),
    // Neutron takes port security off only together with the groups.
    ...(portSecurity === false ? { security_groups: [] } : {}),
    ...(securityGroups && {
      security_groups: await Promise.all(
        securityGroups.map((group) => idOf(neutron.securityGroups, 'security group', group, bounds)),
      ),
    }),
    ...(allowedAddressPairs && { allowed_address_pairs: allowedAddressPairs }),
    ...(qosPolicy && { qos_policy_id: await idOf(neutron.qosPolicies, 'QoS policy', qosPolicy, bounds) }),
    ...(dnsName && { dns_name: dnsName }),
  });
}

/** @throws BerthError BAD_OPTION when the container's port is another than the one that was asked for. */
export function checkPort(wanted: string | undefined, port: string): void {
  if (wanted === undefined || wanted === port) return;
  throw new BerthError(
    'BAD_OPTION',
    `the port of this address is not ${wanted}: give the address of that port with --ip, for Docker asks for it before it tells the option`,
  );
}

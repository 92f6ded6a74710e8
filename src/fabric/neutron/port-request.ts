/** What Neutron is asked for when a port is made: everything that it needs to know, so that there is no second call. */

import { type Address, formatAddress } from '../../model/address.ts';
import type { PoolId } from '../../model/ids.ts';
import type { Mac } from '../../model/mac.ts';
import { parsePrefix } from '../../model/prefix.ts';
import type { Bounds } from '../../openstack/bounds.ts';
import type { PortRequest } from '../../openstack/neutron/requests.ts';
import type { AddressChoice } from './address-choice.ts';
import type { NetworkSettings, SubnetSettings } from './settings.ts';

export interface Wanted {
  readonly address?: Address;
  readonly mac?: Mac;
  /** The container's name, where it is known. */
  readonly name?: string;
}

export interface PortRequestParts {
  readonly choice: AddressChoice;
  /** `binding:host_id`: as the agent of Neutron on this host calls it. */
  readonly host: string;
  /** We are in a virtual machine: there is no agent, and no port is bound to a host. Nor need we be allowed to do that. */
  readonly nested?: boolean;
  /** `device_owner`. */
  readonly owner: string;
}

/** @param key its `device_id`. @param pool that Docker has asked for an address of. @throws BerthError POOL_EXHAUSTED */
export type PortRequests = (
  key: string,
  settings: NetworkSettings,
  pool: PoolId,
  wanted: Wanted,
  bounds: Bounds,
) => Promise<PortRequest>;

export function createPortRequests({ choice, host, owner, nested = false }: PortRequestParts): PortRequests {
  return async (key, settings, pool, wanted, bounds) => {
    const asked = settings.subnets.find((subnet) => subnet.pool === pool)!;
    const family = familyOf(asked.prefix);
    // Docker asks for the other family next, for the same container: one port has both.
    const other = settings.subnets.find((subnet) => familyOf(subnet.prefix) !== family);
    const fixed = await Promise.all(
      [asked, other].flatMap((subnet) => {
        if (subnet === undefined) return [];
        const given = subnet === asked ? wanted.address : undefined;
        return fixedIp(choice, subnet, given, bounds);
      }),
    );
    const { securityGroups, portSecurity, qosPolicy } = settings;
    return {
      network_id: settings.network,
      name: wanted.name ?? `container on ${host}`,
      description: `berth/${host}`,
      admin_state_up: true,
      fixed_ips: fixed,
      device_id: key,
      device_owner: owner,
      ...(nested ? {} : { 'binding:host_id': host }),
      ...(wanted.mac && { mac_address: wanted.mac }),
      ...(securityGroups && portSecurity !== false && { security_groups: securityGroups }),
      ...(portSecurity === undefined ? {} : { port_security_enabled: portSecurity }),
      ...(qosPolicy && { qos_policy_id: qosPolicy }),
    };
  };
}

/** @param given the address; without, ours or Neutron's choice. @throws BerthError POOL_EXHAUSTED */
export async function fixedIp(
  choice: AddressChoice,
  subnet: SubnetSettings,
  given: Address | undefined,
  bounds: Bounds,
): Promise<{ readonly subnet_id: string; readonly ip_address?: string }> {
  const address = given ?? (await choice.next(subnet, bounds));
  return { subnet_id: subnet.id, ...(address && { ip_address: formatAddress(address) }) };
}

export const familyOf = (prefix: string): 4 | 6 => parsePrefix(prefix)!.address.family;

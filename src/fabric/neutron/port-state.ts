/** What Neutron tells of a port, as we keep it. */

import { type Address, formatAddress, parseAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import type { PoolId } from '../../model/ids.ts';
import { type Mac, parseMac } from '../../model/mac.ts';
import { parsePrefix } from '../../model/prefix.ts';
import { detailsOf } from '../../openstack/failure.ts';
import type { Port } from '../../openstack/neutron/objects.ts';
import type { PortChange } from '../../openstack/neutron/requests.ts';
import type { Binding, PortRecord } from './records.ts';
import type { NetworkSettings } from './settings.ts';

/** One that Neutron has told of. */
export interface HeldPort extends PortRecord {
  readonly port: string;
  readonly mac: Mac;
  readonly binding: Binding;
}

/**
 * What Neutron answers to what it was asked for, as we keep it.
 *
 * @param taken the pool that Docker has asked for an address of.
 * @throws BerthError OPENSTACK_BAD_ANSWER, NEUTRON_DENIED
 */
export function heldAs(
  record: PortRecord,
  port: Port,
  { subnets }: NetworkSettings,
  taken: PoolId,
  nested: boolean,
): HeldPort {
  const mac = parseMac(port.mac_address ?? '');
  const addresses = (port.fixed_ips ?? []).flatMap(({ subnet_id, ip_address }) => {
    const subnet = subnets.find(({ id }) => id === subnet_id);
    const address = parseAddress(ip_address);
    if (subnet === undefined || address === undefined) return [];
    const pool = subnet.pool as PoolId;
    return { pool, on: { address, length: parsePrefix(subnet.prefix)!.length }, taken: pool === taken };
  });
  if (mac === undefined || !addresses.some(({ pool }) => pool === taken))
    throw new BerthError('OPENSTACK_BAD_ANSWER', `Neutron made the port ${port.id} without what was asked for`);
  const binding = bindingOf(port, nested);
  return { ...record, phase: 'held', port: port.id, mac, addresses, binding, ...guardsOf(port) };
}

/** What is needed when the container opens ports. */
export const guardsOf = ({ security_groups, project_id }: Port): Pick<PortRecord, 'groups' | 'project'> => ({
  ...(security_groups && { groups: security_groups }),
  ...(project_id && { project: project_id }),
});

export interface Holder {
  /** As Neutron calls this host. */
  readonly host: string;
  /** `device_owner` of containers. */
  readonly owner: string;
  /** Whether something is plugged in here as this port. */
  isPlugged(port: string): boolean;
}

/**
 * Nobody has it. Who makes a port ready for a container before Docker is asked may have entered the device, or all of device, owner and
 * this host: Zun does (zun/network/neutron.py, create_or_update_port), the former for a container that runs. Nothing is plugged in as
 * such a port, so nobody is cut off.
 */
export function isFree(port: Port, { host, owner, isPlugged }: Holder): boolean {
  const { id, device_id, device_owner, 'binding:host_id': bound, description = '', tags = [] } = port;
  if (!device_owner && !bound && !device_id) return true;
  // Who is not told where a port is bound cannot know that it is nowhere.
  if (bound === '') return !device_owner;
  if (bound !== host || (device_owner && device_owner !== owner)) return false;
  return !isPlugged(id) && !description.startsWith('berth/') && !tags.includes('compute:kuryr');
}

/** Told to who has asked for the address, or the MAC address, of such a port. */
export function heldBySomebody(
  { id, name: called, device_owner }: Port,
  { address, mac }: { readonly address?: Address; readonly mac?: string },
  byMac: boolean,
  cause: unknown,
): BerthError {
  const whose = device_owner ? `a port of ${device_owner}` : 'a port';
  const name = called === '' ? id : `'${called}' (${id})`;
  return new BerthError(
    byMac ? 'MAC_IN_USE' : 'ADDRESS_TAKEN',
    `the ${byMac ? `MAC address ${mac}` : `address ${formatAddress(address!)}`} is held by ${whose} in Neutron: ${name}`,
    { cause },
  );
}

/** Whether an address of a port is there only because of us. */
export const isOurs = ({ origin, before }: PortRecord, address: Address): boolean =>
  origin === 'created' ||
  (before?.fixed_ips !== undefined &&
    !before.fixed_ips.some(({ ip_address }) => ip_address === formatAddress(address)));

/** neutron.ipam.exceptions, and neutron_lib.exceptions of older releases. */
const ADDRESS_IN_USE = new Set(['IpAddressAlreadyAllocated', 'IpAddressInUse']);

/** Neutron says that an address that was asked for is another port's. */
export const isAddressInUse = (error: unknown): boolean => ADDRESS_IN_USE.has(detailsOf(error)?.type ?? '');

/** @returns the error that a user understands, where Neutron has no address left; otherwise the same. */
export const withoutAddress = (error: unknown): unknown =>
  detailsOf(error)?.type === 'IpAddressGenerationFailure'
    ? new BerthError('POOL_EXHAUSTED', 'the subnet has no free address in Neutron', { cause: error })
    : error;

/** Of what is going to be changed, what there is. */
export function before(port: Port, change: PortChange): Partial<NonNullable<PortRecord['before']>> {
  return {
    ...(change.security_groups && { security_groups: port.security_groups ?? [] }),
    ...(change.port_security_enabled === undefined
      ? {}
      : { port_security_enabled: port.port_security_enabled ?? true }),
    ...(change.allowed_address_pairs && { allowed_address_pairs: port.allowed_address_pairs ?? [] }),
    ...(change.qos_policy_id === undefined ? {} : { qos_policy_id: port.qos_policy_id ?? null }),
    ...(change.dns_name === undefined ? {} : { dns_name: port.dns_name ?? '' }),
  };
}

/**
 * How a port is bound, as Neutron tells it. What its policy hides from us is absent, and must not be taken for none.
 *
 * @param nested within a virtual machine: then nobody binds it, and we need not be told.
 * @throws BerthError NEUTRON_DENIED when we are not told: by default only an administrator is.
 */
export function bindingOf(port: Port, nested: boolean): Binding {
  const type = nested ? 'unbound' : port['binding:vif_type'];
  const details = port['binding:vif_details'] ?? (nested ? {} : undefined);
  const project = port.project_id;
  const slot = port['binding:profile']?.pci_slot;
  if (type !== undefined && details !== undefined)
    return {
      type,
      details: details as Binding['details'],
      nic: port['binding:vnic_type'] ?? 'normal',
      ...(project && { project }),
      ...(typeof slot === 'string' && { slot }),
    };
  const rules = [
    ...(type === undefined ? ['get_port:binding:vif_type'] : []),
    ...(details === undefined ? ['get_port:binding:vif_details'] : []),
  ];
  throw new BerthError(
    'NEUTRON_DENIED',
    `Neutron does not tell how the port ${port.id} is bound: its policy must allow ${rules.join(' and ')}`,
  );
}

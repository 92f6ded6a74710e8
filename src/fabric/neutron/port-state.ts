/** What Neutron tells of a port, as we keep it. */

import { BerthError } from '../../model/errors.ts';
import type { Port } from '../../openstack/neutron/objects.ts';
import type { PortChange } from '../../openstack/neutron/requests.ts';
import type { Binding, PortRecord } from './records.ts';

/** What is needed when the container opens ports. */
export const guardsOf = ({ security_groups, project_id }: Port): Pick<PortRecord, 'groups' | 'project'> => ({
  ...(security_groups && { groups: security_groups }),
  ...(project_id && { project: project_id }),
});

/** Nobody has it. */
export const isFree = (port: Port): boolean => !port.device_id && !port.device_owner && !port['binding:host_id'];

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

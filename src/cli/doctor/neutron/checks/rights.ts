import { type Finding, fail, orOk, warn } from '../../check.ts';
import type { NeutronCheck } from '../checks.ts';

/** What does not work without. */
const CONSEQUENCES: Readonly<Record<string, string>> = {
  create_port: 'containers do not start',
  'create_port:binding:host_id': 'containers do not start',
  'create_port:mac_address': 'containers do not start: Docker chooses their MAC addresses',
};
const LESSER: Readonly<Record<string, string>> = {
  'create_port:fixed_ips:ip_address': '--ip and ranges of addresses do not work',
};

/** The policy of Neutron lets this user do what Berth must. docs/neutron-policy.md has the rules. */
export const rights: NeutronCheck = {
  name: 'policy',
  look({ rights: found, ports, nested = false }): readonly Finding[] {
    if (found === undefined) return [];
    const denied = found.flatMap(({ rule, network, allowed }): Finding[] => {
      // Within a virtual machine nobody binds a port.
      if (allowed === true || (nested && rule === 'create_port:binding:host_id')) return [];
      const where = network === undefined ? '' : ` on the network ${network}`;
      if (allowed !== false)
        return [warn(`whether ${rule} is allowed${where} is not known: ${allowed.unknown}`, 'berth doctor neutron')];
      const lesser = LESSER[rule];
      return [
        lesser === undefined
          ? fail(`this user may not ${rule}${where}: ${CONSEQUENCES[rule]}`, grant(rule))
          : warn(`this user may not ${rule}${where}: ${lesser}`, grant(rule)),
      ];
    });
    return orOk(
      [...denied, ...(nested ? [] : hidden(ports))],
      'it allows what Berth needs, as far as that can be tried',
    );
  },
};

/** What is not told of the ports that are there. */
function hidden(ports: Parameters<NeutronCheck['look']>[0]['ports']): readonly Finding[] {
  if (ports === undefined || 'error' in ports || ports.value.length === 0) return [];
  const rules = [
    ...(ports.value.some(({ vif }) => vif !== undefined) ? [] : ['get_port:binding:vif_type']),
    ...(ports.value.some(({ hasDetails }) => hasDetails) ? [] : ['get_port:binding:vif_details']),
  ];
  return rules.map((rule) => fail(`this user may not ${rule}: how a port is to be wired is not told`, grant(rule)));
}

const grant = (rule: string): string => `add to Neutron's policy.yaml: "${rule}": "role:member"`;

import { type Finding, fail, orOk, warn } from '../../check.ts';
import type { NeutronCheck } from '../checks.ts';

/** Without these nothing works, or what was made is not found again. */
const NEEDED: Readonly<Record<string, string>> = {
  binding: 'ports cannot be bound to this host',
  'standard-attr-description': 'what was made is not found again after a crash',
};

/** Without these, something does not. */
const USEFUL: Readonly<Record<string, string>> = {
  'standard-attr-tag': 'networks that are there already cannot be used (neutron.net.uuid, neutron.net.name)',
  'standard-attr-revisions': 'a change by others is not noticed before something is removed',
  'revision-if-match': 'a change by others is not noticed before something is removed',
  'net-mtu': 'containers get an MTU of 1500, whatever the network carries',
  subnet_allocation: 'networks need --subnet',
  'port-security': 'port security cannot be switched',
  'security-group': 'there are no security groups',
  'allowed-address-pairs': 'ports cannot have further addresses',
  qos: 'there are no QoS policies',
  'dns-integration': 'ports cannot have DNS names',
  quota_details: 'it is not told how much of a quota is used',
};

/** What this Neutron can do beyond the core of its API. */
export const extensions: NeutronCheck = {
  name: 'extensions',
  look({ extensions: told }): readonly Finding[] {
    if (told === undefined || 'error' in told) return [];
    const has = new Set(told.value);
    const lacking = (wanted: Readonly<Record<string, string>>, say: typeof fail) =>
      Object.entries(wanted)
        .filter(([alias]) => !has.has(alias))
        .map(([alias, consequence]) =>
          say(
            `Neutron is without ${alias}: ${consequence}`,
            `enable the extension ${alias} in neutron.conf and ml2_conf.ini`,
          ),
        );
    return orOk([...lacking(NEEDED, fail), ...lacking(USEFUL, warn)], 'all that Berth can use are there');
  },
};

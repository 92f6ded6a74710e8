/** Rules of a policy: what traffic from or to whom is let through. */

import { type Config, choiceField, IPV4, nameField, optionalNameField, type TextField } from './field.ts';
import { type Kind, type Objects, refuse, text } from './kind.ts';

function addressField(help: string): TextField {
  return {
    type: 'text',
    // Contiv's pattern lets a range through (`10.1.1.5-9`), which its agents then cannot read; and /32 it refuses.
    pattern: new RegExp(`^(${IPV4}(/(3[0-1]|2[0-9]|1[0-9]|[1-9]))?)?$`),
    values: '10.1.1.5 or 10.1.1.0/24, or empty',
    help,
  };
}

export const rule: Kind = {
  name: 'rule',
  path: 'rules',
  summary: 'A rule of a policy.',
  fields: {
    action: choiceField(['allow', 'deny'], 'What becomes of the traffic.'),
    direction: choiceField(['in', 'out'], 'Whether it is about traffic to or from the containers of the group.'),
    fromEndpointGroup: optionalNameField('Only from this group; for `in`.'),
    fromIpAddress: addressField('Only from this address or subnet; for `in`.'),
    fromNetwork: optionalNameField('Only from this network; for `in`.'),
    policyName: nameField('Its policy.'),
    port: { type: 'integer', least: 0, most: 65535, values: '0 to 65535', help: 'TCP or UDP port; 0 is any.' },
    priority: {
      type: 'integer',
      least: 1,
      most: 100,
      standard: 1,
      values: '1 to 100',
      help: 'Of all rules that match, the one with the highest counts.',
    },
    protocol: {
      type: 'text',
      pattern: /^(tcp|udp|icmp|[0-9]{1,3}|)$/,
      check: (value) => !/^[0-9]+$/.test(value) || Number(value) <= 255,
      values: 'tcp, udp, icmp or a number, or empty for any',
      help: 'Protocol.',
    },
    ruleId: nameField('Name, unique in its policy.'),
    tenantName: nameField('Its tenant.'),
    toEndpointGroup: optionalNameField('Only to this group; for `out`.'),
    toIpAddress: addressField('Only to this address or subnet.'),
    toNetwork: optionalNameField('Only to this network; for `out`.'),
  },
  key: ['tenantName', 'policyName', 'ruleId'],
  linkSets: true,
  links: ['MatchEndpointGroup'],
  oper: false,
  notInForce: 'rules are stored and checked; no traffic is filtered by them yet',
  check: (config) => {
    const given = (field: string) => text(config, field) !== '';
    const never = (sentence: string) => refuse('OBJECT_INVALID', sentence);
    if (config.direction === 'in') {
      if (given('toNetwork') || given('toEndpointGroup')) {
        never("can not specify 'to' parameters in incoming rule");
      }
      if (given('fromNetwork') && given('fromIpAddress')) {
        never('can not specify both from network and from ip address');
      }
      if (given('fromNetwork') && given('fromEndpointGroup')) {
        never('can not specify both from network and from EndpointGroup');
      }
      return;
    }
    if (given('fromNetwork') || given('fromEndpointGroup') || given('fromIpAddress')) {
      never("can not specify 'from' parameters in outgoing rule");
    }
    if (given('toNetwork') && given('toIpAddress')) never('can not specify both to-network and to-ip address');
    if (given('toNetwork') && given('toEndpointGroup')) {
      never('can not specify both to-network and to-EndpointGroup');
    }
  },
  create: (config, objects) => {
    checkOwnAddress(config, objects);
    return {};
  },
  update: () => refuse('OBJECT_IMMUTABLE', 'can not update a rule after its created'),
};

/** An incoming rule may name one container of the group, when it is clear which group that is. */
function checkOwnAddress(config: Config, objects: Objects): void {
  const address = text(config, 'toIpAddress');
  if (config.direction !== 'in' || address === '') return;
  const name = text(config, 'policyName');
  const groups = objects
    .ofTenant('endpointGroup', text(config, 'tenantName'))
    .filter((group) => (group.config.policies as readonly string[]).includes(name));
  if (groups.length === 1) return;
  refuse(
    'OBJECT_CONFLICT',
    `failed to configure ${address}, ${groups.length} endpoint groups linked to policy ${name}`,
  );
}

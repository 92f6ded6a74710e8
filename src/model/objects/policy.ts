/** Policies: named sets of rules, which groups then name. */

import { nameField } from './field.ts';
import type { Kind } from './kind.ts';

export const policy: Kind = {
  name: 'policy',
  path: 'policys',
  summary: 'A policy: rules for the traffic of the groups that name it.',
  fields: { policyName: nameField('Name.'), tenantName: nameField('Its tenant.') },
  key: ['tenantName', 'policyName'],
  linkSets: true,
  links: ['Tenant'],
  oper: true,
  notInForce: 'policies are stored and checked; no traffic is filtered by them yet',
  update: (_, config) => config,
};

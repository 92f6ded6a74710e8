/** Application profiles: groups that belong together, for fabrics that know such (ACI). */

import { nameField, namesField } from './field.ts';
import { type Kind, refuse, texts } from './kind.ts';

export const appProfile: Kind = {
  name: 'appProfile',
  path: 'appProfiles',
  summary: 'An application profile: groups that belong together, for ACI.',
  fields: {
    appProfileName: nameField('Name.'),
    endpointGroups: namesField('Its groups.'),
    tenantName: nameField('Its tenant.'),
  },
  key: ['tenantName', 'appProfileName'],
  linkSets: true,
  links: ['Tenant'],
  oper: false,
  notInForce: 'application profiles are stored and checked; there is no ACI fabric',
  check: (config) => {
    const groups = texts(config, 'endpointGroups');
    if (new Set(groups).size < groups.length) refuse('OBJECT_INVALID', 'endpointGroups names one of them twice');
  },
  update: (_, config) => config,
};

/** How an ACI fabric is reached. */

import { choiceField, nameField } from './field.ts';
import { type Kind, type Objects, refuse } from './kind.ts';

const NODE = 'topology/pod-[0-9]{1,4}/node-[0-9]{1,4}';
const PATH = 'topology/pod-[0-9]{1,4}/paths-[0-9]{1,4}/pathep-\\[eth[0-9]{1,2}/[0-9]{1,2}\\]';

export const aciGateway: Kind = {
  name: 'aciGw',
  path: 'aciGws',
  summary: 'The gateway to an ACI fabric; there is one, aciGw.',
  fields: {
    enforcePolicies: choiceField(['yes', 'no'], 'Whether policies hold between groups.', 'yes'),
    includeCommonTenant: choiceField(['yes', 'no'], 'Whether the common tenant is looked at too.', 'no'),
    name: choiceField(['aciGw'], 'Always aciGw.', 'aciGw'),
    nodeBindings: {
      type: 'text',
      longest: 2048,
      pattern: new RegExp(`^$|^${NODE}(,${NODE})*$`),
      values: 'topology/pod-1/node-101, …, or empty',
      help: 'Nodes of the fabric.',
    },
    pathBindings: {
      type: 'text',
      longest: 2048,
      pattern: new RegExp(`^$|^${PATH}(,${PATH})*$`),
      values: 'topology/pod-1/paths-101/pathep-[eth1/14], …, or empty',
      help: 'Ports of the fabric.',
    },
    physicalDomain: nameField('Name of the physical domain.', 128),
  },
  key: ['name'],
  linkSets: false,
  links: [],
  oper: true,
  notInForce: 'the ACI gateway is stored and checked; there is no ACI fabric',
  update: (_, config) => config,
  delete: (_, objects) => {
    const profiles = countAppProfiles(objects);
    if (profiles > 0) refuse('OBJECT_IN_USE', `${profiles} App-Profiles found. Delete them first`);
  },
};

export function countAppProfiles(objects: Objects): number {
  return objects.list('appProfile').length;
}

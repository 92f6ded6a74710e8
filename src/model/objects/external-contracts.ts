/** Contracts with what lies outside, for fabrics that know such (ACI). */

import { nameField } from './field.ts';
import { type Kind, refuse, text } from './kind.ts';

export const externalContracts: Kind = {
  name: 'extContractsGroup',
  path: 'extContractsGroups',
  summary: 'A group of external contracts, for ACI.',
  fields: {
    contracts: { type: 'texts', longest: 256, values: 'a list of names', help: 'The contracts.' },
    contractsGroupName: nameField('Name.'),
    contractsType: { type: 'text', longest: 64, values: 'provided, consumed', help: 'Which side of them it is.' },
    tenantName: nameField('Its tenant.'),
  },
  key: ['tenantName', 'contractsGroupName'],
  linkSets: true,
  links: [],
  oper: false,
  notInForce: 'external contracts are stored and checked; there is no ACI fabric',
  check: (config) => {
    if (['provided', 'consumed'].includes(text(config, 'contractsType'))) return;
    refuse('OBJECT_INVALID', "Contracts group need to be either 'provided' or 'consumed'");
  },
  update: () => refuse('OBJECT_IMMUTABLE', 'external contracts update not supported'),
};

/** The BGP neighbour of a host. */

import { IPV4, nameField, type TextField } from './field.ts';
import { type Kind, refuse } from './kind.ts';

function asField(help: string): TextField {
  return { type: 'text', longest: 64, values: 'a number', help };
}

export const bgp: Kind = {
  name: 'Bgp',
  path: 'Bgps',
  summary: 'The BGP neighbour of a host.',
  fields: {
    as: asField('The autonomous system of the host.'),
    hostname: nameField('The host.', 256),
    neighbor: {
      type: 'text',
      pattern: new RegExp(`^(${IPV4})?$`),
      longest: 256,
      values: 'an IPv4 address, or empty',
      help: 'The neighbour.',
    },
    'neighbor-as': asField('The autonomous system of the neighbour.'),
    routerip: {
      type: 'text',
      pattern: new RegExp(`^${IPV4}/(3[0-1]|2[0-9]|1[0-9]|[1-9])$`),
      values: '50.1.1.2/24',
      help: 'The address of the host towards its neighbour.',
    },
  },
  key: ['hostname'],
  linkSets: false,
  links: [],
  oper: true,
  notInForce: 'BGP neighbours are stored and checked; no routes are exchanged yet',
  create: (_, objects) => {
    if (objects.get('global', 'global')?.config.networkInfraType === 'aci') {
      refuse('OBJECT_CONFLICT', 'not supported in ACI fabric mode');
    }
    return {};
  },
  update: (_, config) => config,
};

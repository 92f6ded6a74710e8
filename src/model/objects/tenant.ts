/** Tenants: everything belongs to one, and names need be unique only within one. */

import { nameField, optionalNameField } from './field.ts';
import { type Kind, lowestId, refuse } from './kind.ts';

/** The tenant of the networks that a swarm of Docker engines has: Docker networks stand for them already, on the nodes of the swarm. */
export const SWARM_TENANT = 'swarm';

export const tenant: Kind = {
  name: 'tenant',
  path: 'tenants',
  summary: 'A tenant: a space of names, whose networks are closed to those of all others.',
  fields: {
    defaultNetwork: optionalNameField('Kept for programs that set it; nothing depends on it.'),
    tenantName: nameField('Name.'),
  },
  key: ['tenantName'],
  linkSets: true,
  links: [],
  oper: true,
  create: (_, objects) => ({ id: lowestId(objects, 'tenant') }),
  update: () => refuse('OBJECT_IMMUTABLE', 'Cant change tenant parameters after its created'),
};

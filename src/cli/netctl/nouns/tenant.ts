/** `netctl tenant`: name spaces for networks, groups and policies. */

import { answer, inspect, listCommand, type ObjectKind, plainTable } from '../listing.ts';
import { jsonFlag, type NounSpec, quietFlag } from '../spec.ts';
import { text } from '../text.ts';

const kind: ObjectKind = {
  type: 'tenants',
  nameField: 'tenantName',
  ofTenant: false,
  table: plainTable([['Name', '------', (object) => text(object, 'tenantName')]], { heading: '\t', row: '\t' }),
};

const one = {
  argsUsage: '[tenant]',
  args: [{ name: 'tenant', suggest: 'tenant' }],
  argsRequired: 'Tenant name required',
} as const;

export const tenant: NounSpec = {
  name: 'tenant',
  usage: 'Tenant manipulation tools',
  commands: [
    listCommand(kind, 'List tenants', { flags: [quietFlag, jsonFlag], argsUsage: ' ' }),
    {
      name: 'rm',
      aliases: ['delete'],
      usage: 'Delete a tenant',
      ...one,
      flags: [],
      run: async (session, [name]) => {
        session.say(`Deleting tenant ${name}\n`);
        answer(session, await session.master.remove('tenants', [name!]));
      },
    },
    {
      name: 'create',
      usage: 'Create a tenant',
      ...one,
      args: [{ name: 'tenant' }],
      flags: [],
      examples: ['tenant create blue'],
      run: async (session, [name]) => {
        const made = await session.master.put('tenants', [name!], { tenantName: name });
        session.say(`Creating tenant: ${name}\n`);
        answer(session, made);
      },
    },
    {
      name: 'inspect',
      usage: 'Inspect a tenant',
      ...one,
      flags: [],
      run: (session, [name]) => inspect(session, 'tenants', [name!]),
    },
  ],
};

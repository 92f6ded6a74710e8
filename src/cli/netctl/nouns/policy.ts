/** `netctl policy`: policies, and the rules in them. */

import { answer, inspect, listCommand, type ObjectKind, plainTable } from '../listing.ts';
import { type NounSpec, tenantFlag } from '../spec.ts';
import { text } from '../text.ts';
import { ruleAdd, ruleList, ruleRemove } from './rule.ts';

const kind: ObjectKind = {
  type: 'policys',
  nameField: 'policyName',
  ofTenant: true,
  table: plainTable([
    ['Tenant', '------', (object) => text(object, 'tenantName')],
    ['Policy', '------', (object) => text(object, 'policyName')],
  ]),
};

const one = {
  argsUsage: '[policy]',
  args: [{ name: 'policy', suggest: 'policy' }],
  argsRequired: 'Policy name required',
  flags: [tenantFlag],
} as const;

export const policy: NounSpec = {
  name: 'policy',
  usage: 'Policy manipulation tools',
  commands: [
    {
      name: 'create',
      usage: 'Create a new policy',
      ...one,
      args: [{ name: 'policy' }],
      examples: ['policy create web-in'],
      run: async (session, [name]) => {
        const tenant = session.flags.text('tenant');
        const made = await session.master.put('policys', [tenant, name!], { policyName: name, tenantName: tenant });
        session.say(`Creating policy ${tenant}:${name}\n`);
        answer(session, made);
      },
    },
    {
      name: 'rm',
      aliases: ['delete'],
      usage: 'Delete a policy',
      ...one,
      run: async (session, [name]) => {
        const tenant = session.flags.text('tenant');
        session.say(`Deleting policy ${tenant}:${name}\n`);
        answer(session, await session.master.remove('policys', [tenant, name!]));
      },
    },
    listCommand(kind, 'List policies'),
    {
      name: 'inspect',
      usage: 'Inspect a policy',
      ...one,
      run: (session, [name]) => inspect(session, 'policys', [session.flags.text('tenant'), name!]),
    },
    ruleList,
    ruleRemove,
    ruleAdd,
  ],
};

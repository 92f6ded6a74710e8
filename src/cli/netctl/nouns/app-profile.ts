/** `netctl app-profile`: groups that make one application. */

import { answer, listCommand, type ObjectKind, plainTable } from '../listing.ts';
import { allFlag, type Flag, jsonFlag, type NounSpec, quietFlag, type Session, tenantFlag, textFlag } from '../spec.ts';
import { json, text, texts } from '../text.ts';

const kind: ObjectKind = {
  type: 'appProfiles',
  nameField: 'appProfileName',
  ofTenant: true,
  table: plainTable([
    ['Tenant', '------', (object) => text(object, 'tenantName')],
    ['AppProfile', '----------', (object) => text(object, 'appProfileName')],
    ['Groups', '------', (object) => texts(object, 'endpointGroups').join(',')],
  ]),
};

const one = {
  argsUsage: '[app-profile]',
  args: [{ name: 'app-profile', suggest: 'app-profile' }],
  argsRequired: 'Profile name required',
} as const;
const groupFlag: Flag = textFlag('group, g', 'Endpoint Group List (separated by commas)', { suggest: 'group' });

function put({ master, flags }: Session, name: string): Promise<unknown> {
  const tenant = flags.text('tenant');
  const groups = flags.text('group');
  return master.put('appProfiles', [tenant, name], {
    tenantName: tenant,
    appProfileName: name,
    endpointGroups: groups === '' ? [] : groups.split(','),
  });
}

export const appProfile: NounSpec = {
  name: 'app-profile',
  usage: 'Application Profile manipulation tools',
  commands: [
    {
      name: 'create',
      usage: 'Create an application profile',
      ...one,
      args: [{ name: 'app-profile' }],
      flags: [tenantFlag, groupFlag],
      examples: ['app-profile create --group web,db shop'],
      run: async (session, [name]) => {
        const made = await put(session, name!);
        session.say(`Creating AppProfile ${session.flags.text('tenant')}:${name}\n`);
        answer(session, made);
      },
    },
    {
      name: 'update',
      usage: 'Update an application profile',
      ...one,
      flags: [tenantFlag, groupFlag],
      run: async (session, [name]) => answer(session, await put(session, name!)),
    },
    {
      name: 'rm',
      aliases: ['delete'],
      usage: 'Delete an application profile',
      ...one,
      flags: [tenantFlag],
      run: async (session, [name]) => {
        answer(session, await session.master.remove('appProfiles', [session.flags.text('tenant'), name!]));
      },
    },
    listCommand(kind, 'List Application Profiles'),
    {
      name: 'group-ls',
      aliases: ['group-list'],
      usage: 'List groups in an app-profile',
      ...one,
      argsUsage: '[network] [app-profile]',
      flags: [tenantFlag, allFlag, jsonFlag, quietFlag],
      run: async (session, [name]) => {
        const profile = await session.master.get('appProfiles', [session.flags.text('tenant'), name!]);
        session.print(session.json ? json(profile) : `${texts(profile, 'endpointGroups').join(',')}\n`);
      },
    },
  ],
};

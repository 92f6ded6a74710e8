/** `netctl group`: containers of a network that share policies, a profile or a pool of addresses. */

import { answer, inspect, listCommand, type ObjectKind, plainTable } from '../listing.ts';
import { type NounSpec, tenantFlag, textFlag } from '../spec.ts';
import { text, texts } from '../text.ts';

const kind: ObjectKind = {
  type: 'endpointGroups',
  nameField: 'groupName',
  ofTenant: true,
  table: plainTable([
    ['Tenant', '------', (object) => text(object, 'tenantName')],
    ['Group', '-----', (object) => text(object, 'groupName')],
    ['Network', '-------', (object) => text(object, 'networkName')],
    ['IP Pool', '-------', (object) => text(object, 'ipPool')],
    ['CfgdTag', '-------', (object) => text(object, 'cfgdTag')],
    ['Policies', '--------', (object) => texts(object, 'policies').join(',')],
    ['Network profile', '---------------', (object) => text(object, 'netProfile')],
  ]),
};

const one = {
  argsUsage: '[group]',
  args: [{ name: 'group', suggest: 'group' }],
  argsRequired: 'EndpointGroup name required',
} as const;

export const group: NounSpec = {
  name: 'group',
  usage: 'Endpoint Group manipulation tools',
  commands: [
    {
      name: 'create',
      usage: 'Create an endpoint group',
      argsUsage: '[network] [group]',
      args: [{ name: 'network', suggest: 'network' }, { name: 'group' }],
      argsRequired: 'Network and group name required',
      flags: [
        tenantFlag,
        textFlag('policy, p', 'Policy', { kind: 'list', suggest: 'policy' }),
        textFlag('networkprofile, n', 'network profile', { suggest: 'netprofile' }),
        textFlag('external-contract, e', 'External contract', { kind: 'list', suggest: 'external-contracts' }),
        textFlag('ip-pool, r', 'IP Address range, example 10.36.0.1-10.36.0.10'),
        textFlag('epg-tag, tag', 'Configured Group Tag'),
      ],
      examples: ['group create shop web --policy web-in', 'group create shop db --ip-pool 10.1.1.10-10.1.1.20'],
      run: async (session, [network, name]) => {
        const { flags } = session;
        const tenant = flags.text('tenant');
        const made = await session.master.put('endpointGroups', [tenant, name!], {
          tenantName: tenant,
          networkName: network,
          groupName: name,
          netProfile: flags.text('networkprofile'),
          ipPool: flags.text('ip-pool'),
          policies: flags.list('policy'),
          extContractsGrps: flags.list('external-contract'),
          cfgdTag: flags.text('epg-tag'),
        });
        session.say(`Creating EndpointGroup ${tenant}:${name}\n`);
        answer(session, made);
      },
    },
    {
      name: 'inspect',
      usage: 'Inspect a EndpointGroup',
      ...one,
      flags: [tenantFlag],
      run: (session, [name]) => inspect(session, 'endpointGroups', [session.flags.text('tenant'), name!]),
    },
    {
      name: 'rm',
      aliases: ['delete'],
      usage: 'Delete an endpoint group',
      ...one,
      flags: [tenantFlag],
      run: async (session, [name]) => {
        answer(session, await session.master.remove('endpointGroups', [session.flags.text('tenant'), name!]));
      },
    },
    listCommand(kind, 'List endpoint groups'),
  ],
};

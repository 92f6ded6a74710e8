/** `netctl external-contracts`: contracts that an ACI fabric has. */

import { misuse } from '../failure.ts';
import { answer, listCommand, type ObjectKind } from '../listing.ts';
import type { Fields } from '../master.ts';
import { allFlag, type Flags, jsonFlag, type NounSpec, quietFlag, tenantFlag, textFlag } from '../spec.ts';
import { text, texts } from '../text.ts';

const name = (object: Fields): string => text(object, 'contractsGroupName');
const type = (object: Fields): string => text(object, 'contractsType');

const kind: ObjectKind = {
  type: 'extContractsGroups',
  nameField: 'contractsGroupName',
  ofTenant: true,
  table: {
    columns: [
      { title: 'Tenant', text: (object) => text(object, 'tenantName') },
      { title: 'Name', text: name },
      { title: 'Type', text: type },
      { title: 'Contracts', text: (object) => texts(object, 'contracts').join(',') },
    ],
    // Titles and rows do not have the same tabs, and so do not quite stand under each other.
    lines: (objects) =>
      [
        'Tenant\tName\t\tType\t\tContracts\n',
        '------\t------\t\t------\t\t-------\n',
        ...objects.map(
          (object) =>
            `${text(object, 'tenantName')}\t${name(object)}\t\t${type(object)}\t[${texts(object, 'contracts').join(' ')}]\n`,
        ),
      ].join(''),
  },
};

function typeOf(flags: Flags): 'provided' | 'consumed' {
  const [provided, consumed] = [flags.boolean('provided'), flags.boolean('consumed')];
  if (provided && consumed) throw misuse('Cannot use both provided and consumed');
  if (!provided && !consumed) throw misuse('Either provided or consumed must be specified');
  return provided ? 'provided' : 'consumed';
}

const one = {
  args: [{ name: 'external-contracts', suggest: 'external-contracts' }],
  argsRequired: 'Contracts group name required',
} as const;

export const externalContracts: NounSpec = {
  name: 'external-contracts',
  usage: 'External contracts',
  commands: [
    listCommand(kind, 'List external contracts', { flags: [quietFlag, allFlag, jsonFlag, tenantFlag] }),
    {
      name: 'rm',
      aliases: ['delete'],
      usage: 'Delete external contracts',
      ...one,
      flags: [tenantFlag],
      run: async (session, [name]) => {
        const tenant = session.flags.text('tenant');
        session.say(`Deleting external contracts group ${name} in tenant ${tenant}\n`);
        answer(session, await session.master.remove('extContractsGroups', [tenant, name!]));
      },
    },
    {
      name: 'create',
      usage: 'Create external contracts',
      ...one,
      args: [{ name: 'external-contracts' }],
      flags: [
        tenantFlag,
        textFlag('consumed, c', 'External contracts type - consumed', { kind: 'boolean' }),
        textFlag('provided, p', 'External contracts type - provided', { kind: 'boolean' }),
        textFlag('contract, a', 'Contract', { kind: 'list' }),
      ],
      examples: ['external-contracts create --consumed --contract uni/tn-common/brc-default outside'],
      run: async (session, [name]) => {
        const { flags } = session;
        const contractsType = typeOf(flags);
        if (flags.list('contract').length === 0) throw misuse('Contracts not provided');
        const tenant = flags.text('tenant');
        const made = await session.master.put('extContractsGroups', [tenant, name!], {
          tenantName: tenant,
          contractsGroupName: name,
          contractsType,
          contracts: flags.list('contract'),
        });
        session.say(`Creating ExternalContracts ${tenant}:${name}\n`);
        answer(session, made);
      },
    },
  ],
};

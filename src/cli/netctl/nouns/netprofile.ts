/** `netctl netprofile`: limits of bandwidth, and marks. */

import { answer, inspect, listCommand, type ObjectKind, plainTable } from '../listing.ts';
import type { Fields } from '../master.ts';
import { type NounSpec, tenantFlag, textFlag } from '../spec.ts';
import { number, text } from '../text.ts';

/** `10 mbps` and `10M` are both shown as `10Mbps`. */
function bandwidth(profile: Fields): string {
  const given = text(profile, 'bandwidth');
  const unit = ['G', 'M', 'K'].find((letter) => given.toUpperCase().includes(letter));
  const amount = /[0-9]+/.exec(given)?.[0];
  return amount === undefined || unit === undefined ? given : `${amount}${unit}bps`;
}

const kind: ObjectKind = {
  type: 'netprofiles',
  nameField: 'profileName',
  ofTenant: true,
  table: plainTable([
    ['Name', '------', (object) => text(object, 'profileName')],
    ['Tenant', '------', (object) => text(object, 'tenantName')],
    ['Bandwidth', '---------', bandwidth],
    ['DSCP', '--------', (object) => number(object, 'DSCP')],
    ['burst size', '----------', (object) => number(object, 'burst')],
  ]),
};

const one = {
  argsUsage: '[netprofile]',
  args: [{ name: 'netprofile', suggest: 'netprofile' }],
  argsRequired: 'Net profile name required',
} as const;

export const netprofile: NounSpec = {
  name: 'netprofile',
  usage: 'Network profile manipulation tools',
  commands: [
    {
      name: 'create',
      usage: 'Create a network profile',
      ...one,
      args: [{ name: 'netprofile' }],
      flags: [
        tenantFlag,
        textFlag('bandwidth, b', 'Bandwidth (e.g., 10 kbps, 100 mbps, 1gbps)'),
        textFlag('dscp, d', 'DSCP', { kind: 'number', standard: '0' }),
        textFlag('burst, s', 'burst size(Must be in kilobytes)', { kind: 'number', standard: '0' }),
      ],
      examples: ["netprofile create --bandwidth '10 mbps' --dscp 46 slow"],
      run: async (session, [name]) => {
        const { flags } = session;
        const tenant = flags.text('tenant');
        const made = await session.master.put('netprofiles', [tenant, name!], {
          DSCP: flags.number('dscp'),
          bandwidth: flags.text('bandwidth'),
          burst: flags.number('burst'),
          profileName: name,
          tenantName: tenant,
        });
        session.say(`Creating netprofile ${tenant}:${name}\n`);
        answer(session, made);
      },
    },
    {
      name: 'rm',
      aliases: ['delete'],
      usage: 'Delete a network profile',
      ...one,
      argsUsage: '[network] [group]',
      flags: [tenantFlag],
      run: async (session, [name]) => {
        answer(session, await session.master.remove('netprofiles', [session.flags.text('tenant'), name!]));
      },
    },
    listCommand(kind, 'List network profile'),
    {
      name: 'inspect',
      usage: 'inspect network profile',
      ...one,
      flags: [tenantFlag],
      run: (session, [name]) => inspect(session, 'netprofiles', [session.flags.text('tenant'), name!]),
    },
  ],
};

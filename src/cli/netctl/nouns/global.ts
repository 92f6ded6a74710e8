/** `netctl global`: what holds for the whole cluster. */

import { misuse } from '../failure.ts';
import { answer, inspect } from '../listing.ts';
import { allFlag, jsonFlag, type NounSpec, tenantFlag, textFlag } from '../spec.ts';
import { json, text } from '../text.ts';

/** The flags of `set`, and the fields that they set. */
const settings = [
  [
    textFlag('fabric-mode, f', 'Fabric mode (aci, aci-opflex or default)', {
      suggest: ['default', 'aci', 'aci-opflex'],
    }),
    'networkInfraType',
  ],
  [textFlag('vlan-range, v', 'Allowed Vlan id range'), 'vlans'],
  [textFlag('vxlan-range, x', 'Allowed Vxlan VNID range'), 'vxlans'],
  [textFlag('fwd-mode, b', 'forwarding mode (bridge,routing)', { suggest: ['bridge', 'routing'] }), 'fwdMode'],
  [textFlag('arp-mode, a', 'arp mode (proxy,flood)', { suggest: ['proxy', 'flood'] }), 'arpMode'],
  [
    // Contiv sent this default with every change of anything, and so took back what had been chosen.
    textFlag('private-subnet, s', 'Select a /16 private subnet for host access', {
      standard: '172.19.0.0/16',
      onlyShown: true,
    }),
    'pvtSubnet',
  ],
] as const;

const lines = [
  ['Fabric mode', 'networkInfraType'],
  ['Forward mode', 'fwdMode'],
  ['ARP mode', 'arpMode'],
  ['Vlan Range', 'vlans'],
  ['Vxlan range', 'vxlans'],
  ['Private subnet', 'pvtSubnet'],
] as const;

export const global: NounSpec = {
  name: 'global',
  usage: 'Global information',
  commands: [
    {
      name: 'info',
      usage: 'Show global information',
      argsUsage: ' ',
      args: [],
      flags: [tenantFlag, allFlag, jsonFlag],
      run: async (session) => {
        const all = await session.master.list('globals');
        if (session.json) session.print(json(all));
        else
          for (const one of all)
            session.print(lines.map(([title, field]) => `${title}: ${text(one, field)}\n`).join(''));
      },
    },
    {
      name: 'inspect',
      usage: 'Inspect Global Operational Information',
      argsUsage: ' ',
      args: [],
      flags: [],
      run: (session) => inspect(session, 'globals', ['global']),
    },
    {
      name: 'set',
      usage: 'Set global parameters',
      argsUsage: ' ',
      args: [],
      flags: settings.map(([flag]) => flag),
      examples: ['global set --fwd-mode routing --vlan-range 100-200'],
      run: async (session) => {
        const changes = settings
          .map(([{ names }, field]) => [field, session.flags.text(names[0]!)] as const)
          .filter(([, value]) => value !== '');
        if (changes.length === 0) throw misuse('Nothing to set', { showHelp: true });
        // What is not sent stays as it is, so two who change different settings do not undo each other.
        answer(
          session,
          await session.master.put('globals', ['global'], { name: 'global', ...Object.fromEntries(changes) }),
        );
      },
    },
  ],
};

/** `netctl aci-gw`: how the cluster is tied to an ACI fabric. */

import { misuse } from '../failure.ts';
import { answer, inspect } from '../listing.ts';
import { allFlag, jsonFlag, type NounSpec, tenantFlag, textFlag } from '../spec.ts';
import { json, text } from '../text.ts';

/** The flags of `set`, the fields that they set, and how `info` calls them. */
const settings = [
  [
    textFlag(
      'path-bindings, p',
      'Blank or  Comma separated paths of the form topology/pod-1/paths-101/pathep-[eth1/14]',
    ),
    'pathBindings',
    'Path bindings',
  ],
  [
    textFlag('node-bindings, n', 'Blank or  Comma separated nodes of the form topology/pod-1/node-101'),
    'nodeBindings',
    'Node bindings',
  ],
  [textFlag('phys-dom, d', 'ACI physical domain name (e.g. containerDom)'), 'physicalDomain', 'Physical domain'],
  [
    textFlag('enforce-policies, e', 'Should security policies be enforced (yes,no)', {
      standard: 'yes',
      onlyShown: true,
      suggest: ['yes', 'no'],
    }),
    'enforcePolicies',
    'Enforce policies',
  ],
  [
    textFlag('include-common-tenant, i', 'Should gateway look up objects in common tenant as well(yes,no)', {
      standard: 'no',
      onlyShown: true,
      suggest: ['yes', 'no'],
    }),
    'includeCommonTenant',
    'Include Common-Tenant',
  ],
] as const;

export const aciGw: NounSpec = {
  name: 'aci-gw',
  usage: 'ACI Gateway information',
  commands: [
    {
      name: 'info',
      usage: 'Show aci gateway information',
      argsUsage: ' ',
      args: [],
      flags: [tenantFlag, allFlag, jsonFlag],
      run: async (session) => {
        const all = await session.master.list('aciGws');
        if (session.json) session.print(json(all));
        else {
          for (const one of all) {
            session.print(settings.map(([, field, title]) => `${title}: ${text(one, field)}\n`).join(''));
          }
        }
      },
    },
    {
      name: 'inspect',
      usage: 'Inspect aci gateway operational information',
      argsUsage: ' ',
      args: [],
      flags: [],
      run: (session) => inspect(session, 'aciGws', ['aciGw']),
    },
    {
      name: 'set',
      usage: 'Set aci-gw parameters',
      argsUsage: ' ',
      args: [],
      flags: settings.map(([flag]) => flag),
      examples: ['aci-gw set --phys-dom containerDom --enforce-policies yes'],
      run: async (session) => {
        const changes = settings
          .filter(([{ names }]) => session.flags.given(names[0]!))
          .map(([{ names }, field]) => [field, session.flags.text(names[0]!)] as const);
        if (changes.length === 0) throw misuse('Nothing to set', { showHelp: true });
        const before = (await session.master.list('aciGws'))[0];
        const standard = { enforcePolicies: 'yes', includeCommonTenant: 'no' };
        const kept = Object.fromEntries(settings.map(([, field]) => [field, before?.[field]]));
        answer(
          session,
          await session.master.put('aciGws', ['aciGw'], {
            name: 'aciGw',
            ...(before === undefined ? standard : kept),
            ...Object.fromEntries(changes),
          }),
        );
      },
    },
  ],
};

/** `netctl bgp`: what a host says to its router. */

import { isIP } from 'node:net';
import { misuse } from '../failure.ts';
import { answer, inspect, listCommand, type ObjectKind, plainTable } from '../listing.ts';
import { jsonFlag, type NounSpec, quietFlag, textFlag } from '../spec.ts';
import { text } from '../text.ts';

const kind: ObjectKind = {
  type: 'Bgps',
  nameField: 'hostname',
  ofTenant: false,
  table: plainTable([
    ['HostName', '---------', (object) => text(object, 'hostname')],
    ['RouterIP', '--------', (object) => text(object, 'routerip')],
    ['AS', '-------', (object) => text(object, 'as')],
    ['Neighbor', '--------', (object) => text(object, 'neighbor')],
    ['NeighborAS', '-------', (object) => text(object, 'neighbor-as')],
  ]),
};

const one = {
  argsUsage: '[hostname]',
  args: [{ name: 'host', suggest: 'bgp' }],
  argsRequired: 'Host name required',
} as const;

function isCidr(given: string): boolean {
  const [address, length, ...more] = given.split('/');
  const family = isIP(address!);
  if (family === 0 || more.length > 0 || !/^[0-9]{1,3}$/.test(length ?? '')) return false;
  return Number(length) <= (family === 4 ? 32 : 128);
}

export const bgp: NounSpec = {
  name: 'bgp',
  usage: 'router capability configuration',
  commands: [
    listCommand(kind, 'List BGP configuration', { flags: [jsonFlag, quietFlag], argsUsage: '[hostname]' }),
    {
      name: 'rm',
      aliases: ['delete'],
      usage: 'Delete BGP configuration',
      ...one,
      flags: [],
      run: async (session, [host]) => {
        session.say(`Deleting Bgp router config: ${host}\n`);
        answer(session, await session.master.remove('Bgps', [host!]));
      },
    },
    {
      name: 'create',
      usage: 'Add BGP configuration.',
      ...one,
      args: [{ name: 'host' }],
      flags: [
        textFlag('router-ip', 'BGP my-router ip '),
        textFlag('as', 'Self AS id'),
        textFlag('neighbor-as', 'BGP neighbor AS id'),
        textFlag('neighbor', 'BGP neighbor to be added'),
      ],
      examples: ['bgp create --router-ip 50.1.1.2/24 --as 65002 --neighbor-as 500 --neighbor 50.1.1.1 host1'],
      run: async (session, [host]) => {
        const [routerip, as, neighborAs, neighbor] = ['router-ip', 'as', 'neighbor-as', 'neighbor'].map((name) =>
          session.flags.text(name),
        ) as [string, string, string, string];
        if (!isCidr(routerip)) {
          throw misuse('Wrong CIDR format. Enter in x.x.x.x/len format', { showHelp: true });
        }
        if (isIP(neighbor) === 0) throw misuse('Wrong IP format. Enter in x.x.x.x format', { showHelp: true });
        if (as === '' || neighborAs === '') throw misuse('Missing attributes', { showHelp: true });
        answer(
          session,
          await session.master.put('Bgps', [host!], {
            as,
            hostname: host,
            neighbor,
            'neighbor-as': neighborAs,
            routerip,
          }),
        );
      },
    },
    {
      name: 'inspect',
      usage: 'Inspect Bgp',
      ...one,
      flags: [],
      run: (session, [host]) => inspect(session, 'Bgps', [host!]),
    },
  ],
};

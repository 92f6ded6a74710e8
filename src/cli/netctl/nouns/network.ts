/** `netctl network`: virtual networks that span hosts. */

import { isIP } from 'node:net';
import { misuse } from '../failure.ts';
import { answer, inspect, listCommand, type ObjectKind, plainTable } from '../listing.ts';
import { type NounSpec, tenantFlag, textFlag } from '../spec.ts';
import { number, text } from '../text.ts';

const kind: ObjectKind = {
  type: 'networks',
  nameField: 'networkName',
  ofTenant: true,
  table: plainTable([
    ['Tenant', '------', (object) => text(object, 'tenantName')],
    ['Network', '-------', (object) => text(object, 'networkName')],
    ['Nw Type', '-------', (object) => text(object, 'nwType')],
    ['Encap type', '----------', (object) => text(object, 'encap')],
    ['Packet tag', '----------', (object) => number(object, 'pktTag')],
    ['Subnet', '-------', (object) => text(object, 'subnet')],
    ['Gateway', '------', (object) => text(object, 'gateway')],
    ['IPv6Subnet', '----------', (object) => text(object, 'ipv6Subnet')],
    ['IPv6Gateway', '-----------', (object) => text(object, 'ipv6Gateway')],
    ['Cfgd Tag ', '---------', (object) => text(object, 'cfgdTag')],
  ]),
};

const one = {
  argsUsage: '[network]',
  args: [{ name: 'network', suggest: 'network' }],
  argsRequired: 'Network name required',
} as const;

export const network: NounSpec = {
  name: 'network',
  aliases: ['net'],
  usage: 'Network manipulation tools',
  commands: [
    listCommand(kind, 'List networks'),
    {
      name: 'inspect',
      usage: 'Inspect a Network',
      ...one,
      flags: [tenantFlag],
      run: (session, [name]) => inspect(session, 'networks', [session.flags.text('tenant'), name!]),
    },
    {
      name: 'rm',
      aliases: ['delete'],
      usage: 'Delete a network',
      ...one,
      flags: [tenantFlag],
      run: async (session, [name]) => {
        const tenant = session.flags.text('tenant');
        session.say(`Deleting network ${tenant}:${name}\n`);
        answer(session, await session.master.remove('networks', [tenant, name!]));
      },
    },
    {
      name: 'create',
      usage: 'Create a network',
      ...one,
      args: [{ name: 'network' }],
      flags: [
        tenantFlag,
        textFlag('nw-type, n', 'Network Type (infra or data)', { standard: 'data', suggest: ['data', 'infra'] }),
        textFlag('encap, e', 'Encap type (vlan or vxlan)', { standard: 'vxlan', suggest: ['vxlan', 'vlan'] }),
        textFlag('pkt-tag, p', 'Packet tag (Vlan ID/VNI)', { kind: 'number', standard: '0' }),
        textFlag('subnet, s', 'Subnet CIDR - REQUIRED'),
        textFlag('gateway, g', 'Gateway'),
        textFlag('subnetv6, s6', 'IPv6 Subnet CIDR '),
        textFlag('gatewayv6, g6', 'IPv6 Gateway'),
        textFlag('nw-tag, tag', 'Configured Network Tag'),
      ],
      examples: [
        'network create --subnet 10.1.1.0/24 --gateway 10.1.1.254 shop',
        'network create -t blue -e vlan -p 120 -s 10.2.0.0/16 backend',
      ],
      run: async (session, [name]) => {
        const { flags } = session;
        const tenant = flags.text('tenant');
        const [gateway, gatewayv6] = [flags.text('gateway'), flags.text('gatewayv6')];
        if (flags.text('subnet') === '') throw misuse('Subnet is required', { showHelp: true });
        if (gateway !== '' && isIP(gateway) === 0) {
          throw misuse('Invalid gateway - Enter in A.B.C.D format', { showHelp: true });
        }
        if (gatewayv6 !== '' && isIP(gatewayv6) === 0) throw misuse('Invalid IPv6 gateway ', { showHelp: true });
        const made = await session.master.put('networks', [tenant, name!], {
          tenantName: tenant,
          networkName: name,
          encap: flags.text('encap'),
          subnet: flags.text('subnet'),
          gateway,
          ipv6Subnet: flags.text('subnetv6'),
          ipv6Gateway: gatewayv6,
          pktTag: flags.number('pkt-tag'),
          nwType: flags.text('nw-type'),
          cfgdTag: flags.text('nw-tag'),
        });
        session.say(`Creating network ${tenant}:${name}\n`);
        answer(session, made);
      },
    },
  ],
};

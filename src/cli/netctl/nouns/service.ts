/** `netctl service`: one address for all containers with certain labels. */

import { answer, inspect, listCommand, type ObjectKind, plainTable } from '../listing.ts';
import { type Flags, type NounSpec, tenantFlag, textFlag } from '../spec.ts';
import { text, texts } from '../text.ts';

const kind: ObjectKind = {
  type: 'serviceLBs',
  nameField: 'serviceName',
  ofTenant: true,
  table: plainTable(
    [
      ['ServiceName', '---------', (object) => text(object, 'serviceName')],
      ['Tenant', '--------', (object) => text(object, 'tenantName')],
      ['Network', '-------', (object) => text(object, 'networkName')],
      ['Selectors', '-------', (object) => `[${texts(object, 'selectors').join(' ')}]`],
    ],
    { row: '\t' },
  ),
};

/** Two of these commands show no default, and have it all the same. */
const ownTenantFlag = textFlag('tenant, t', 'service tenant', { suggest: 'tenant' });
const tenantOf = (flags: Flags): string => flags.text('tenant') || 'default';

const one = { argsUsage: '[servicename]', args: [{ name: 'service', suggest: 'service' }] } as const;

export const service: NounSpec = {
  name: 'service',
  usage: 'service object creation (only for  docker version <= 1.12.x)',
  commands: [
    listCommand(kind, 'List service objects'),
    {
      name: 'inspect',
      usage: 'Inspect a Network',
      ...one,
      argsRequired: 'Service group name required',
      flags: [tenantFlag],
      run: (session, [name]) => inspect(session, 'serviceLBs', [session.flags.text('tenant'), name!]),
    },
    {
      name: 'rm',
      aliases: ['delete'],
      usage: 'Delete service object',
      ...one,
      argsRequired: 'Service name required',
      flags: [ownTenantFlag],
      run: async (session, [name]) => {
        const tenant = tenantOf(session.flags);
        session.say(`Deleting Service  ${name},${tenant}\n`);
        answer(session, await session.master.remove('serviceLBs', [tenant, name!]));
      },
    },
    {
      name: 'create',
      usage: 'Create Service object (only for docker version <= 1.12.x)',
      ...one,
      args: [{ name: 'service' }],
      argsRequired: 'Service name required',
      flags: [
        ownTenantFlag,
        textFlag('network, s', 'service network name', { suggest: 'network' }),
        textFlag('selector, l', 'service selector .Usage: --selector=key1=value1 --selector=key2=value2', {
          kind: 'list',
        }),
        textFlag(
          'port, p',
          'service/provider Port Usage- --port=svcPort1:provPort1:protocol --port=svcPort2:provPort2:protocol',
          { kind: 'list' },
        ),
        textFlag('preferred-ip, ip', 'preferred ip address'),
      ],
      examples: ['service create --network shop --selector app=web --port 80:8080:TCP web'],
      run: async (session, [name]) => {
        const { flags } = session;
        const tenant = tenantOf(flags);
        const made = await session.master.put('serviceLBs', [tenant, name!], {
          serviceName: name,
          tenantName: tenant,
          networkName: flags.text('network'),
          ipAddress: flags.text('preferred-ip'),
          selectors: flags.list('selector'),
          ports: flags.list('port'),
        });
        session.say(`Creating ServiceLB ${tenant}:${name}\n`);
        answer(session, made);
      },
    },
  ],
};

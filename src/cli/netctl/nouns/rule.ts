/** `netctl policy rule-ls|rule-rm|rule-add`: what a policy lets through. */

import { misuse } from '../failure.ts';
import { answer, show } from '../listing.ts';
import type { Fields } from '../master.ts';
import { type CommandSpec, type Flags, jsonFlag, quietFlag, type Table, tenantFlag, textFlag } from '../spec.ts';
import { number, text } from '../text.ts';

type Column = readonly [title: string, dashes: string, text: (rule: Fields) => string];

const field =
  (name: string) =>
  (rule: Fields): string =>
    text(rule, name);

const identity: readonly Column[] = [
  ['Rule', '----', field('ruleId')],
  ['Priority', '--------', (rule) => number(rule, 'priority')],
];
const what: readonly Column[] = [
  ['Protocol', '--------', field('protocol')],
  ['Port', '----', (rule) => number(rule, 'port')],
  ['Action', '------', field('action')],
];
const incoming: readonly Column[] = [
  ...identity,
  ['From EndpointGroup', '------------------', field('fromEndpointGroup')],
  ['From Network', '------------', field('fromNetwork')],
  ['From IpAddress', '---------', field('fromIpAddress')],
  ['To IpAddress', '------------', field('toIpAddress')],
  ...what,
];
const outgoing: readonly Column[] = [
  ...identity,
  ['To EndpointGroup', '----------------', field('toEndpointGroup')],
  ['To Network', '----------', field('toNetwork')],
  ['To IpAddress', '---------', field('toIpAddress')],
  ...what,
];

function part(title: string, columns: readonly Column[], rules: readonly Fields[]): string {
  return [
    `${title}\n`,
    `${columns.map(([title]) => title).join('\t')}\n`,
    `${columns.map(([, dashes]) => dashes).join('\t')}\n`,
    ...rules.map((rule) => `${columns.map(([, , text]) => text(rule)).join('\t')}\n`),
  ].join('');
}

/** A peer in one cell, where both directions are in one table. */
function peer(rule: Fields): string {
  const side = rule.direction === 'in' ? 'from' : 'to';
  const named = ['EndpointGroup', 'Network', 'IpAddress'].map((kind) => text(rule, `${side}${kind}`));
  return named.find((name) => name !== '') ?? 'any';
}

const table: Table = {
  columns: [
    { title: 'Rule', text: field('ruleId') },
    { title: 'Priority', text: (rule) => number(rule, 'priority') },
    { title: 'Direction', text: field('direction') },
    { title: 'Peer', text: peer },
    { title: 'Protocol', text: (rule) => text(rule, 'protocol') || 'any' },
    { title: 'Port', text: (rule) => (number(rule, 'port') === '0' ? 'any' : number(rule, 'port')) },
    { title: 'Action', text: field('action') },
  ],
  lines: (rules) =>
    part(
      'Incoming Rules:',
      incoming,
      rules.filter((rule) => rule.direction === 'in'),
    ) +
    part(
      'Outgoing Rules:',
      outgoing,
      rules.filter((rule) => rule.direction === 'out'),
    ),
};

/** By priority, then by name, numbers by their value. */
function inOrder(a: Fields, b: Fields): number {
  return (
    Number(number(a, 'priority')) - Number(number(b, 'priority')) ||
    text(a, 'ruleId').localeCompare(text(b, 'ruleId'), 'en', { numeric: true })
  );
}

export const ruleList: CommandSpec = {
  name: 'rule-ls',
  usage: 'List rules for a given tenant,policy',
  argsUsage: '[policy]',
  args: [{ name: 'policy', suggest: 'policy' }],
  argsRequired: 'Policy name required',
  flags: [tenantFlag, jsonFlag, quietFlag],
  run: async (session, [policy]) => {
    const tenant = session.flags.text('tenant');
    await session.master.get('tenants', [tenant]);
    await session.master.get('policys', [tenant, policy!]);
    const rules = (await session.master.list('rules', tenant))
      .filter((rule) => rule.tenantName === tenant && rule.policyName === policy)
      .toSorted(inOrder);
    show(session, { type: 'rules', nameField: 'ruleId', ofTenant: true, table }, rules);
  },
};

const both = {
  argsUsage: '[policy] [rule id]',
  args: [
    { name: 'policy', suggest: 'policy' },
    { name: 'rule', suggest: 'rule' },
  ],
  argsRequired: 'Policy name and Rule ID required',
} as const;

export const ruleRemove: CommandSpec = {
  name: 'rule-rm',
  usage: 'Delete a rule from the policy',
  ...both,
  flags: [tenantFlag],
  run: async (session, [policy, rule]) => {
    answer(session, await session.master.remove('rules', [session.flags.text('tenant'), policy!, rule!]));
  },
};

/** What makes no sense in a direction, in Contiv's order and words. */
function checkDirection(flags: Flags): void {
  const refuse = (unwanted: readonly string[], direction: string): void => {
    const found = unwanted.find((name) => flags.text(name) !== '');
    if (found !== undefined) throw misuse(`Cant specify ${found} for ${direction} rule`);
  };
  switch (flags.text('direction')) {
    case 'in':
      refuse(['to-group', 'to-network'], 'incoming');
      if (flags.text('from-group') !== '' && flags.text('from-network') !== '') {
        throw misuse("Can't specify both from-group argument and -from-network ");
      }
      return;
    case 'out':
      refuse(['from-group', 'from-network', 'from-ip-address'], 'outgoing');
      if (flags.text('to-group') !== '' && flags.text('to-network') !== '') {
        throw misuse("Can't specify both -to-group and -to-network");
      }
      return;
    default:
      throw misuse('Unknown direction', { next: 'Give --direction in or --direction out.' });
  }
}

export const ruleAdd: CommandSpec = {
  name: 'rule-add',
  usage: 'Add a new rule to the policy',
  ...both,
  args: [{ name: 'policy', suggest: 'policy' }, { name: 'rule' }],
  flags: [
    tenantFlag,
    textFlag('priority, p', 'Priority Indicator', { kind: 'number', standard: '1' }),
    textFlag('direction, d', 'Direction of traffic (in/out)', { standard: 'in', suggest: ['in', 'out'] }),
    textFlag('from-group, g', 'From Endpoint Group Name (Valid in incoming direction only)', { suggest: 'group' }),
    textFlag('to-group, e', 'To Endpoint Group Name (Valid in outgoing direction only)', { suggest: 'group' }),
    textFlag('from-network, n', 'From Network name (Valid in incoming direction only)', { suggest: 'network' }),
    textFlag('to-network, o', 'To Network name (Valid in outgoing direction only)', { suggest: 'network' }),
    textFlag('from-ip-address, i', 'From IP address/CIDR (Valid in incoming direction only)'),
    textFlag('to-ip-address, s', 'To IP address/CIDR (Valid in outgoing direction only)'),
    textFlag('protocol, l', 'Protocol (e.g., tcp, udp, icmp)', { suggest: ['tcp', 'udp', 'icmp'] }),
    textFlag('port, P', 'Port', { kind: 'number', standard: '0' }),
    textFlag('action, j', 'Action to take (allow or deny)', { standard: 'allow', suggest: ['allow', 'deny'] }),
  ],
  examples: [
    'policy rule-add web-in 1 --direction in --action deny',
    'policy rule-add web-in 2 --protocol tcp --port 80 --priority 10 --from-group front',
  ],
  run: async (session, [policy, rule]) => {
    const { flags } = session;
    checkDirection(flags);
    const tenant = flags.text('tenant');
    const made = await session.master.put('rules', [tenant, policy!, rule!], {
      tenantName: tenant,
      policyName: policy,
      ruleId: rule,
      priority: flags.number('priority'),
      direction: flags.text('direction'),
      fromEndpointGroup: flags.text('from-group'),
      toEndpointGroup: flags.text('to-group'),
      fromNetwork: flags.text('from-network'),
      toNetwork: flags.text('to-network'),
      fromIpAddress: flags.text('from-ip-address'),
      toIpAddress: flags.text('to-ip-address'),
      protocol: flags.text('protocol'),
      port: flags.number('port'),
      action: flags.text('action'),
    });
    answer(session, made);
  },
};

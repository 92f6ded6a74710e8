/** `berth uplink plan`: what would change, for people. */

import { readFileSync } from 'node:fs';
import type { UplinkPlanView } from '../agent/api.ts';
import { type ExitCode, exitCode } from './failure.ts';
import type { Session } from './session.ts';

type Words = readonly (string | readonly string[] | undefined)[];
type Options = Readonly<Record<string, unknown>>;

/** Exit code 1 when it cannot be done. */
export async function plan(session: Session, [nic]: Words, options: Options): Promise<ExitCode> {
  const query = new URLSearchParams();
  if (typeof options.bridge === 'string') query.set('bridge', options.bridge);
  const ssh = sshConnection();
  if (ssh !== undefined) query.set('session', ssh);
  const asked = query.size === 0 ? '' : `?${query.toString()}`;
  const path = `/v1/uplinks/${encodeURIComponent(nic as string)}/plan${asked}`;
  const view = await session.progress('looking', session.client.get<UplinkPlanView>(path));
  session.show(view, planText);
  return view.risks.some(({ level }) => level === 'refused') ? exitCode.failed : exitCode.ok;
}

/** Of this session; sudo drops the variable, but the shell that called sudo still has it. */
function sshConnection(): string | undefined {
  if (process.env.SSH_CONNECTION !== undefined) return process.env.SSH_CONNECTION;
  let id = process.ppid;
  for (let steps = 0; id > 1 && steps < 32; steps++) {
    try {
      const variables = readFileSync(`/proc/${id}/environ`, 'utf8').split('\0');
      const found = variables.find((variable) => variable.startsWith('SSH_CONNECTION='));
      if (found !== undefined) return found.slice('SSH_CONNECTION='.length);
      const stat = readFileSync(`/proc/${id}/stat`, 'utf8');
      // Parent: the second field after the name, which may contain anything (proc(5)).
      id = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    } catch {
      return undefined;
    }
  }
  return undefined;
}

const signs = { refused: 'REFUSED', manual: 'CAREFUL', warning: 'note' } as const;

export function planText(plan: UplinkPlanView): string {
  const { nic, bridge, mac, mtu, connections, resolver } = plan;
  const list = (title: string, items: readonly string[]): string =>
    items.length === 0 ? '' : `  ${title}\n${items.map((item) => `    ${item}\n`).join('')}`;
  const lifetime = (seconds: number | undefined, what: string) =>
    seconds === undefined ? '' : `, ${what} ${seconds} s`;
  const moves = [
    list(
      'addresses',
      plan.addresses.map(
        ({ address, validSeconds, preferredSeconds }) =>
          address + lifetime(validSeconds, 'valid for') + lifetime(preferredSeconds, 'preferred for'),
      ),
    ),
    list('routes', plan.routes),
    list('rules', plan.rules),
    list('neighbours', plan.neighbours),
    list('settings', plan.settings),
    list('name servers', [...resolver.servers, ...resolver.domains]),
  ].join('');
  const ssh = connections.ssh.map(({ remote, remotePort }) => `${remote} port ${remotePort}`);
  const parts = [
    `${nic} becomes a port of the new bridge ${bridge}, which has its MAC address ${mac ?? ''} and its MTU ${mtu}.\n`,
    moves === '' ? `Nothing moves: ${nic} has no address.\n` : `To ${bridge} move, in one step:\n${moves}`,
    plan.vlans.length === 0 ? '' : `On ${nic} stay, and work on: ${plan.vlans.join(', ')}\n`,
    plan.leased
      ? `The DHCP client of ${nic} goes on there: what its server says to it is kept from the bridge, by nftables.\n`
      : '',
    `Names: ${resolver.how}.\n`,
    `Connections through ${nic}: ${connections.count}${ssh.length === 0 ? '' : `; ssh from ${ssh.join(', ')}`}\n`,
    plan.risks.map(({ level, message }) => `${signs[level]}: ${message}\n`).join(''),
    plan.managers.map(managerText).join(''),
    plan.commands.length === 0
      ? ''
      : `\nRun (choose a range that nobody else gives out, with --ip-range):\n${plan.commands.map((command) => `  ${command}\n`).join('')}`,
  ];
  return parts.join('');
}

type ManagerView = UplinkPlanView['managers'][number];

function managerText({ name, found, then, fix, files, apply }: ManagerView): string {
  const keep = fix === undefined ? '' : `  to keep it off while Berth makes the bridge:\n    ${fix}\n`;
  const own = files
    .map(({ path, content }) => `    ${path}:\n${content.trimEnd().replaceAll(/^/gm, '      ')}\n`)
    .join('');
  const permanent =
    files.length === 0
      ? ''
      : `  to have it make the bridge itself, at boot too (then use -o bridge= instead of -o parent=):\n${own}${apply === undefined ? '' : `    and run: ${apply}\n`}`;
  return `\n${name}: ${found}\n  ${then}\n${keep}${permanent}`;
}

/** netplan (netplan(5)): its YAML becomes files for systemd-networkd or NetworkManager, which then manage the NIC. */

import { join } from 'node:path';
import { keepingCloudInitOff } from './cloud-init.ts';
import { type ManagedNic, type Manager, namesIn, readText } from './manager.ts';

export async function findNetplan(nic: ManagedNic, bridge: string, root: string): Promise<Manager | undefined> {
  for (const name of (await namesIn(join(root, 'etc/netplan'), '.yaml')).toReversed()) {
    const path = join('/etc/netplan', name);
    const text = (await readText(join(root, path))) ?? '';
    const lines = text.split('\n');
    const block = blockOf(lines, nic.name);
    if (block === undefined) continue;
    return {
      name: 'netplan',
      found: `${path} configures ${nic.name}`,
      fights: 'at boot',
      then: `\`netplan apply\` and each boot configure ${nic.name} anew, after which Berth makes the bridge again`,
      files: [
        { path, content: forBridge(lines, block, nic, bridge) },
        ...(await keepingCloudInitOff(path, text, root)),
      ],
      apply: 'netplan try',
    };
  }
  return undefined;
}

interface Block {
  /** The line of the name, and the one after the last that is indented further. */
  readonly start: number;
  readonly end: number;
  readonly indent: number;
}

const indentOf = (line: string) => /^ */.exec(line)![0].length;

/** The definition of a card below `ethernets:`. By indentation: what is written in one line, or with anchors, is not found. */
function blockOf(lines: readonly string[], name: string): Block | undefined {
  const top = lines.findIndex((line) => /^ +ethernets:\s*$/.test(line));
  if (top < 0) return undefined;
  for (let start = top + 1; start < lines.length; start++) {
    const line = lines[start]!;
    if (/^\s*(#|$)/.test(line)) continue;
    const indent = indentOf(line);
    if (indent <= indentOf(lines[top]!)) return undefined;
    if (line.trim() !== `${name}:` && line.trim() !== `"${name}":`) continue;
    let end = start + 1;
    while (end < lines.length && (/^\s*(#|$)/.test(lines[end]!) || indentOf(lines[end]!) > indent)) end++;
    while (end > start + 1 && lines[end - 1]!.trim() === '') end--;
    return { start, end, indent };
  }
  return undefined;
}

/** What says which card it is, and how the card itself works, stays with the card. */
const ofCard = /^(match|set-name|wakeonlan|mtu|emit-lldp|.*-offload|macaddress|optional):/;

function forBridge(lines: readonly string[], block: Block, { name, mac }: ManagedNic, bridge: string): string {
  const inner = lines.slice(block.start + 1, block.end);
  const depth = Math.min(...inner.filter((line) => line.trim() !== '').map(indentOf));
  const entries: string[][] = [];
  for (const line of inner) {
    if (indentOf(line) === depth && line.trim() !== '') entries.push([line]);
    else entries.at(-1)?.push(line);
  }
  const stays = (entry: readonly string[]) => ofCard.test(entry[0]!.trim());
  const card = entries.filter(stays).flat();
  const moved = entries.filter((entry) => !stays(entry)).flat();
  const outer = ' '.repeat(indentOf(lines.find((line) => /^ +ethernets:\s*$/.test(line))!));
  const pad = ' '.repeat(block.indent);
  const deeper = ' '.repeat(Number.isFinite(depth) ? depth : block.indent + 2);
  const step = deeper.slice(pad.length);
  return [
    ...lines.slice(0, block.start),
    `${pad}${name}:${card.length === 0 ? ' {}' : ''}`,
    ...card,
    ...lines.slice(block.end).filter((line, index, all) => line !== '' || index < all.length - 1),
    `${outer}bridges:`,
    `${pad}${bridge}:`,
    `${deeper}interfaces: [${name}]`,
    `${deeper}macaddress: ${mac}`,
    `${deeper}parameters:`,
    `${deeper}${step}stp: false`,
    `${deeper}${step}forward-delay: 0`,
    ...moved,
    '',
  ].join('\n');
}

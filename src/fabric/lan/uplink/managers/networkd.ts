/** systemd-networkd (systemd.network(5), systemd.netdev(5)), also with files that netplan makes. */

import { basename, join } from 'node:path';
import { readVariables } from '../resolver.ts';
import {
  globMatches,
  type ManagedNic,
  type Manager,
  namesIn,
  type Program,
  readText,
  type Section,
  sectionsOf,
  valuesOf,
} from './manager.ts';

/** A file in an earlier one takes the place of one of the same name in a later one. */
const folders = ['etc/systemd/network', 'run/systemd/network', 'usr/lib/systemd/network', 'lib/systemd/network'];

export async function findNetworkd(
  nic: ManagedNic,
  bridge: string,
  programs: readonly Program[],
  root: string,
): Promise<Manager | undefined> {
  // The kernel keeps 15 characters of a name.
  if (!programs.some(({ name }) => name === 'systemd-network')) return undefined;
  const state = await readVariables(join(root, 'run/systemd/netif/links', `${nic.index}`));
  if (state.get('ADMIN_STATE') === 'unmanaged') return undefined;
  const path = state.get('NETWORK_FILE') ?? (await findFile(nic, root));
  if (path === undefined) return undefined;
  const own = sectionsOf((await readText(join(root, path))) ?? '');
  const name = basename(path);
  const sections = [...own, ...(await dropIns(name, root))];
  const keeps = valuesOf(sections, 'Network', 'KeepMaster').at(-1);
  const found = `systemd-networkd runs and manages ${nic.name} by ${path}`;
  if (valuesOf(sections, 'Network', 'Bridge').includes(bridge)) {
    const then = `it makes ${nic.name} a port of ${bridge} itself: use -o bridge=${bridge}`;
    return { name: 'systemd-networkd', found, fights: 'never', then, files: [] };
  }
  const files = [
    {
      path: `/etc/systemd/network/05-${bridge}.netdev`,
      content: `[NetDev]\nName=${bridge}\nKind=bridge\nMACAddress=${nic.mac}\n\n[Bridge]\nSTP=no\nForwardDelaySec=0\n`,
    },
    {
      path: `/etc/systemd/network/05-${nic.name}.network`,
      content: `[Match]\nName=${nic.name}\n\n[Network]\nBridge=${bridge}\nLinkLocalAddressing=no\n`,
    },
    { path: `/etc/systemd/network/05-${bridge}.network`, content: forBridge(own, bridge) },
  ];
  const common = { name: 'systemd-networkd', found, files, apply: 'networkctl reload' };
  if (keeps !== undefined && /^(yes|true|on|1|y|t)$/i.test(keeps)) {
    const then = `it leaves ${nic.name} a port, and gives it the address again when a lease is renewed, which Berth then moves`;
    return { ...common, fights: 'never', then };
  }
  return {
    ...common,
    fights: 'later',
    then: `it takes ${nic.name} out of the bridge when it is restarted or reloaded, or when the cable was pulled`,
    fix: `mkdir -p /etc/systemd/network/${name}.d && printf '[Network]\\nKeepMaster=yes\\n' > /etc/systemd/network/${name}.d/berth.conf && networkctl reload`,
  };
}

/** The first file, by name, whose [Match] fits. */
async function findFile(nic: ManagedNic, root: string): Promise<string | undefined> {
  const paths = new Map<string, string>();
  for (const folder of folders.toReversed()) {
    for (const name of await namesIn(join(root, folder), '.network')) paths.set(name, join('/', folder, name));
  }
  for (const name of [...paths.keys()].toSorted((a, b) => (a < b ? -1 : 1))) {
    const path = paths.get(name)!;
    const match = sectionsOf((await readText(join(root, path))) ?? '');
    const names = valuesOf(match, 'Match', 'Name').flatMap((value) => value.split(/\s+/));
    const macs = valuesOf(match, 'Match', 'MACAddress').flatMap((value) => value.toLowerCase().split(/\s+/));
    if (names.length === 0 && macs.length === 0) continue;
    const byName = names.length === 0 || matchesAny(names, nic.name);
    if (byName && (macs.length === 0 || macs.includes(nic.mac))) return path;
  }
  return undefined;
}

function matchesAny(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) => (pattern.startsWith('!') ? false : globMatches(pattern, name)));
}

async function dropIns(name: string, root: string): Promise<readonly Section[]> {
  const found: Section[] = [];
  for (const folder of folders) {
    const dropIn = join(root, folder, `${name}.d`);
    for (const file of await namesIn(dropIn, '.conf'))
      found.push(...sectionsOf((await readText(join(dropIn, file))) ?? ''));
  }
  return found;
}

/** The same configuration for the bridge: all but what it is for, and what only a card has. */
function forBridge(sections: readonly Section[], bridge: string): string {
  const kept = sections.filter(({ name, lines }) => name !== 'Match' && name !== 'Link' && lines.length > 0);
  return [{ name: 'Match', lines: [`Name=${bridge}`] }, ...kept]
    .map(({ name, lines }) => `[${name}]\n${lines.map((line) => `${line}\n`).join('')}`)
    .join('\n');
}

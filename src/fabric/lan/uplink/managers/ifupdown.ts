/** ifupdown and ifupdown2 (interfaces(5)). */

import { dirname, join } from 'node:path';
import { keepingCloudInitOff } from './cloud-init.ts';
import { globMatches, type ManagedNic, type Manager, namesIn, readText } from './manager.ts';

const MAIN = '/etc/network/interfaces';

export async function findIfupdown(nic: ManagedNic, bridge: string, root: string): Promise<Manager | undefined> {
  for (const path of await filesFrom(MAIN, root, 0)) {
    const text = (await readText(join(root, path))) ?? '';
    const stanza = stanzaPattern(nic.name).exec(text);
    if (stanza === null || stanza[3] === 'manual') continue;
    return {
      name: 'ifupdown',
      found: `${path} configures ${nic.name}`,
      fights: 'at boot',
      then: `it configures ${nic.name} at boot, after which Berth makes the bridge again, and when somebody runs ifup, ifdown or restarts networking`,
      files: [{ path, content: forBridge(text, nic, bridge) }, ...(await keepingCloudInitOff(path, text, root))],
      apply: `apt-get install bridge-utils && ifdown ${nic.name}; ifup ${bridge}`,
    };
  }
  return undefined;
}

const stanzaPattern = (name: string) =>
  new RegExp(
    `^([ \\t]*iface[ \\t]+)${name.replaceAll(/[.+*?^$()[\]{}|\\]/g, '\\$&')}([ \\t]+inet6?[ \\t]+)(\\S+)`,
    'm',
  );

/** The file and those that it includes, in their order. */
async function filesFrom(path: string, root: string, depth: number): Promise<readonly string[]> {
  const text = await readText(join(root, path));
  if (text === undefined || depth > 5) return [];
  const found = [path];
  for (const [, kind, what] of text.matchAll(/^[ \t]*(source|source-directory)[ \t]+(\S+)/gm)) {
    const full = what!.startsWith('/') ? what! : join(dirname(path), what!);
    const folder = kind === 'source' ? dirname(full) : full;
    const pattern = kind === 'source' ? full.slice(folder.length + 1) : '*';
    for (const name of await namesIn(join(root, folder))) {
      // interfaces(5): a folder's files count only with such names.
      const counts =
        kind === 'source' ? globMatches(pattern, name) && !name.startsWith('.') : /^[A-Za-z0-9_-]+$/.test(name);
      if (counts) found.push(...(await filesFrom(join(folder, name), root, depth + 1)));
    }
  }
  return found;
}

/** The same file, in which the bridge has what the card had. */
function forBridge(text: string, { name, mac }: ManagedNic, bridge: string): string {
  let first = true;
  const lines = text.split('\n').flatMap((line) => {
    if (/^[ \t]*(auto|allow-\S+)[ \t]/.test(line)) {
      return [
        line
          .split(/([ \t]+)/)
          .map((word) => (word === name ? bridge : word))
          .join(''),
      ];
    }
    if (!stanzaPattern(name).test(line)) return [line];
    const moved = line.replace(stanzaPattern(name), `$1${bridge}$2$3`);
    if (!first) return [moved];
    first = false;
    const port = [`    bridge_ports ${name}`, '    bridge_stp off', '    bridge_fd 0', `    bridge_hw ${mac}`];
    return [`iface ${name} inet manual`, '', moved, ...port];
  });
  return lines.join('\n');
}

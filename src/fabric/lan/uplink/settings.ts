/** Settings of an interface under /proc/sys/net: a bridge that takes the place of a NIC has to have the NIC's. */

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { KernelStep } from '../../../kernel/kernel.ts';

const folders = ['ipv4/conf', 'ipv6/conf', 'ipv4/neigh', 'ipv6/neigh'] as const;

/**
 * Not to be copied: what cannot be written (mc_forwarding), what is another unit of something else (neigh), what belongs to the
 * device (mtu), and how the link-local address is made, which is told apart.
 */
const apart = ['mc_forwarding', 'mtu', 'stable_secret', 'addr_gen_mode', 'base_reachable_time', 'retrans_time'];

/**
 * Settings of an interface that differ from those of a new one, by path with NAME for its name: `ipv4/conf/NAME/rp_filter`.
 *
 * @param root of the file system.
 */
export async function differingSettings(link: string, root = '/'): Promise<Readonly<Record<string, string>>> {
  const found: Record<string, string> = {};
  for (const folder of folders) {
    const of = (name: string) => join(root, 'proc/sys/net', folder, name);
    const files = await readdir(of(link)).catch(() => []);
    await Promise.all(
      files.map(async (file) => {
        if (apart.includes(file)) return;
        const [value, standard] = await Promise.all([read(join(of(link), file)), read(join(of('default'), file))]);
        if (value !== undefined && standard !== undefined && value !== standard)
          found[`${folder}/NAME/${file}`] = value;
      }),
    );
  }
  return found;
}

/** How an interface makes its IPv6 addresses (0 EUI-64, 1 not at all, 2 and 3 stable and private); undefined without IPv6. */
export function addressGeneration(link: string, root = '/'): Promise<string | undefined> {
  return read(join(root, 'proc/sys', generationPath(link)));
}

export const generationPath = (link: string) => `net/ipv6/conf/${link}/addr_gen_mode`;

export function settingSteps(settings: Readonly<Record<string, string>>, link: string): KernelStep[] {
  return Object.entries(settings)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, value]) => ({ make: { kind: 'sysctl', path: `net/${path.replace('NAME', link)}`, value } }));
}

async function read(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch {
    // Some can only be written, or answer EIO while they are not set.
    return undefined;
  }
}

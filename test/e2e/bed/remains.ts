/** Looking for what a bed has left on the machine, for the tests that say it leaves nothing. */

import { existsSync, globSync, readFileSync, readlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What is left on the machine of a bed: its folder, cgroups, mounts, and processes in its namespaces. */
export function remains(id: string, namespaces: ReadonlySet<string>): string[] {
  const processes = globSync('/proc/[0-9]*/ns/net').filter((link) => {
    try {
      return namespaces.has(readlinkSync(link));
    } catch {
      return false;
    }
  });
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(id));
  const named = globSync('/run/netns/*').filter((file) => file.includes(id));
  return [
    ...globSync(join(tmpdir(), `${id}*`)),
    ...globSync(`/sys/fs/cgroup/{,*/}${id}`),
    ...processes,
    ...mounts,
    ...named,
  ];
}

/** Network namespaces of everything that runs in the pid namespaces of the bed's machines, containers included. */
export function namespacesOf(dir: string): Set<string> {
  const inits = globSync(join(dir, '*/init'))
    .map((file) => readFileSync(file, 'utf8').split(' ')[0]!)
    // Others have been switched off.
    .filter((pid) => existsSync(`/proc/${pid}`));
  const pidNamespaces = new Set(inits.map((pid) => readlinkSync(`/proc/${pid}/ns/pid`)));
  const found = new Set(inits.map((pid) => readlinkSync(`/proc/${pid}/ns/net`)));
  for (const link of globSync('/proc/[0-9]*/ns/pid')) {
    try {
      if (pidNamespaces.has(readlinkSync(link))) found.add(readlinkSync(link.replace(/pid$/, 'net')));
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}

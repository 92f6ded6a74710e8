/** Whether a network namespace is there, and whether anybody lives in it. */

import { readdirSync, readlinkSync, statSync } from 'node:fs';

/** With more processes than this (5 to 10 µs each), looking would take longer than it saves. */
const MOST_PROCESSES = 1500;

/**
 * Whether a process is in a network namespace, or might be. The kernel keeps no list of a namespace's processes, so this looks
 * at all that are visible (nsfs(5), proc_pid_ns(5)); a namespace that is gone has none.
 *
 * @param path of the namespace, as `/run/docker/netns/…`.
 */
export function mayBeOccupied(path: string): boolean {
  // In a pid namespace of our own we would not see containers.
  if (process.pid === 1) return true;
  const namespace = statSync(path, { throwIfNoEntry: false });
  if (namespace === undefined) return false;
  const processes = readdirSync('/proc').filter((name) => /^[1-9]/.test(name));
  if (processes.length > MOST_PROCESSES) return true;
  const wanted = `net:[${namespace.ino}]`;
  return processes.some((pid) => networkOf(pid) === wanted);
}

/** Whether a path is a network namespace: that of a container that is gone is for a while an ordinary file, then nothing. */
export function isNamespace(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  return found !== undefined && found.dev === statSync('/proc/self/ns/net').dev;
}

/** Undefined for a process that has just ended. */
function networkOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined;
  }
}

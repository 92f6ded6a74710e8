/**
 * Which containers have their root file system mounted. The engine does that first when it starts a container (moby
 * `daemon/start.go`), so of several that wait it tells which one is being started: from the kernel, without asking the engine.
 */

import { readFileSync } from 'node:fs';

/** All mount points of our mount namespace (proc_pid_mountinfo(5), field 5). None when they cannot be read. */
export function mountPoints(): ReadonlySet<string> {
  try {
    return parseMountInfo(readFileSync('/proc/self/mountinfo', 'utf8'));
  } catch {
    return new Set();
  }
}

/** Blanks and the like are written as three octal digits. */
export function parseMountInfo(text: string): ReadonlySet<string> {
  const points = text.split('\n').flatMap((line) => line.split(' ')[4] ?? []);
  return new Set(
    points.map((point) =>
      point.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
    ),
  );
}

/** As much of a container as is needed to look for its mounts. */
export interface Rooted {
  readonly id: string;
  /** Where its root file system is mounted, where the engine tells (overlay2). */
  readonly root?: string;
}

/** Engines with containerd's image store mount at a path that has the container's id in it. */
export function isMounted({ id, root }: Rooted, points: ReadonlySet<string>): boolean {
  if (root !== undefined) return points.has(root);
  for (const point of points) if (point.includes(`/${id}`)) return true;
  return false;
}

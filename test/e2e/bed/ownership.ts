/**
 * Who owns what on the machine, and removing it. Everything that a bed has on the machine carries its id: a folder in the
 * temporary directory, and cgroups. The id holds the owner (process id and start time), so that anybody can tell whether
 * the owner still is. Namespaces, mounts and processes need no sweeping: they end with the owner, however it ends.
 */

import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { processState, signal, startTime } from './process.ts';

const pattern = /^berth-bed-(?<name>.+)-(?<pid>\d+)-(?<start>\d+)-\d+$/;
const cgroups = '/sys/fs/cgroup';
const mine = new Set<string>();
let count = 0;

export interface Claim {
  readonly id: string;
  /** Its folder, readable by root only. */
  readonly dir: string;
}

/** A new id and folder of this process, which are removed at the latest when the process ends. */
export function claimBed(name: string): Claim {
  if (!/^[a-z0-9-]{1,20}$/.test(name)) throw new Error(`Bed name ${name}: use 1 to 20 of a-z, 0-9 and -`);
  if (count === 0) removeAtExit();
  count += 1;
  const id = `berth-bed-${name}-${process.pid}-${startTime(process.pid)}-${count}`;
  const dir = join(tmpdir(), id);
  mkdirSync(dir, { mode: 0o700 });
  mine.add(id);
  return { id, dir };
}

/** Notes a process that `removeBed` has to kill, should it still run; `folder` is one of its own within the bed's. */
export function noteProcess(folder: string, pid: number): void {
  writeFileSync(join(folder, 'init'), `${pid} ${startTime(pid)}\n`);
}

/** Notes a cgroup, by its name, that an engine makes beside the bed's own; `folder` is one of its own within the bed's. */
export function noteCgroup(folder: string, name: string): void {
  appendFileSync(join(folder, 'cgroups'), `${name}\n`);
}

/**
 * Removes what dead beds have left, and returns their ids. Beds whose owner still runs are left alone.
 * @param name only beds that were opened under this name.
 */
export function sweep(name?: string): string[] {
  const ids = new Set([tmpdir(), ...cgroupFolders()].flatMap(entries));
  const dead = [...ids].filter((id) => {
    const { name: itsName, pid, start } = pattern.exec(id)?.groups ?? {};
    if (pid === undefined || (name !== undefined && itsName !== name)) return false;
    return startTime(Number(pid)) !== start;
  });
  for (const id of dead) removeBed(id);
  return dead;
}

/** Kills the machines of a bed, and removes its cgroups and its folder. Blocks, so that it can run while a process exits. */
export function removeBed(id: string): void {
  const dir = join(tmpdir(), id);
  const pids = entries(dir).flatMap((machine) => notedProcess(join(dir, machine, 'init')));
  for (const pid of pids) signal(pid, 'SIGKILL');
  retry(() => pids.every((pid) => [undefined, 'Z', 'X'].includes(processState(pid))), 10_000);
  for (const name of [id, ...entries(dir).flatMap((machine) => notedCgroups(join(dir, machine, 'cgroups')))]) {
    // Of a container without a parent of its own: below the engine's, which is ours.
    for (const folder of [...cgroupFolders(), ...ownCgroups()]) {
      const cgroup = join(folder, name);
      // Its last process may still be on its way out.
      if (existsSync(cgroup)) retry(() => removeCgroup(cgroup), 5_000);
    }
  }
  if (existsSync(dir)) {
    const removed = spawnSync('rm', ['-rf', '--one-file-system', dir]);
    if (removed.status !== 0) throw new Error(`${dir} cannot be removed: ${removed.stderr.toString()}`);
  }
  mine.delete(id);
}

function removeAtExit(): void {
  const removeMine = () => {
    for (const id of mine) removeBed(id);
  };
  process.once('exit', removeMine);
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(name, () => {
      removeMine();
      process.kill(process.pid, name);
    });
  }
}

function notedProcess(file: string): number[] {
  if (!existsSync(file)) return [];
  const [pid, start] = readFileSync(file, 'utf8').trim().split(' ');
  return startTime(Number(pid)) === start ? [Number(pid)] : [];
}

function notedCgroups(file: string): string[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8').split('\n').filter(Boolean);
}

/** Where this process itself is in each hierarchy (cgroups(7), /proc/[pid]/cgroup). */
function ownCgroups(): string[] {
  return readFileSync('/proc/self/cgroup', 'utf8')
    .trim()
    .split('\n')
    .flatMap((line) => {
      const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line)!;
      const folder = controllers === '' ? ['', 'unified'] : [controllers!.replace(/^name=/, '')];
      return folder.map((name) => join(cgroups, name, path!));
    });
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Roots of the cgroup hierarchies: one folder per controller in version 1, one in all in version 2. */
function cgroupFolders(): string[] {
  return [cgroups, ...entries(cgroups).map((entry) => join(cgroups, entry))].filter((folder) =>
    existsSync(join(folder, 'cgroup.procs')),
  );
}

/** Depth first: only an empty cgroup can be removed, by rmdir. */
function removeCgroup(cgroup: string): boolean {
  try {
    for (const entry of readdirSync(cgroup, { withFileTypes: true })) {
      if (entry.isDirectory() && !removeCgroup(join(cgroup, entry.name))) return false;
    }
    rmdirSync(cgroup);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

function retry(action: () => boolean, timeout: number): void {
  const deadline = performance.now() + timeout;
  while (!action() && performance.now() < deadline) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
}

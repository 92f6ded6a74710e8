/** What the figures were measured on, and what else it was doing at the time. No names. */

import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';

export interface MachineLine {
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly load: readonly number[];
  /** Cores' worth of work that others did in the second before, with this program waiting. */
  readonly busyCores: number;
}

/** Takes a second. */
export async function describeMachine(): Promise<MachineLine> {
  const before = ticks();
  await delay(1000);
  const after = ticks();
  const cores = cpus().length;
  return {
    cores,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    load: loadavg().map((value) => Math.round(value * 100) / 100),
    busyCores: Math.round((1 - (after.idle - before.idle) / (after.total - before.total)) * cores * 100) / 100,
  };
}

export function machineText({ cores, memoryGiB, kernel, load, busyCores }: MachineLine): string {
  return `${cores} cores, ${memoryGiB} GiB, Linux ${kernel}, load ${load.join(' ')}, ${busyCores} cores busy with other work before the start`;
}

/** First line of /proc/stat, proc(5): user nice system idle iowait irq softirq steal. */
function ticks(): { idle: number; total: number } {
  const fields = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]!.trim().split(/\s+/).slice(1, 9).map(Number);
  return { idle: fields[3]! + fields[4]!, total: fields.reduce((sum, field) => sum + field, 0) };
}

export interface Memory {
  readonly resident: number;
  /** What nobody else could use as well: without the program's own file, which all that run it share. */
  readonly own: number;
}

/** Memory of a process in MB (10⁶ bytes): `VmRSS` and `RssAnon` of proc(5). */
export function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const megabytes = (field: string) =>
    (Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)![1]) * 1024) / 1e6;
  return { resident: megabytes('VmRSS'), own: megabytes('RssAnon') };
}

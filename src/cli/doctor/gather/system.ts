/** sysctls, systemd, the clock and the disk. */

import { constants } from 'node:fs';
import { access, readFile, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Facts, UnitFacts } from '../facts.ts';
import { run } from './run.ts';

const sysctls = [
  'net/ipv4/ip_forward',
  'net/ipv6/conf/all/forwarding',
  'net/ipv4/conf/all/rp_filter',
  'net/ipv4/conf/default/rp_filter',
  'net/bridge/bridge-nf-call-iptables',
  'net/bridge/bridge-nf-call-ip6tables',
  'net/netfilter/nf_conntrack_max',
  'net/netfilter/nf_conntrack_count',
  'net/ipv4/neigh/default/gc_thresh3',
  'net/ipv6/neigh/default/gc_thresh3',
];

export async function gatherSysctls(): Promise<Facts['sysctls']> {
  const values = await Promise.all(
    sysctls.map(async (path) => {
      const text = await readFile(`/proc/sys/${path}`, 'utf8').catch(() => undefined);
      return [path, text?.trim()] as const;
    }),
  );
  return Object.fromEntries(values);
}

/** The state of the service; undefined where systemd is not what runs this host. */
export async function gatherUnit(): Promise<UnitFacts | undefined> {
  const runs = await access('/run/systemd/system').then(
    () => true,
    () => false,
  );
  if (!runs) return undefined;
  const printed = await run('systemctl', 'show', 'berth.service', '-p', 'LoadState,UnitFileState,ActiveState,Before');
  return printed === undefined ? undefined : parseUnit(printed);
}

/** What `systemctl show` prints. */
export function parseUnit(printed: string): UnitFacts {
  const values = new Map(printed.split('\n').map((line) => line.split(/=(.*)/s, 2) as [string, string]));
  return {
    loadState: values.get('LoadState') ?? '',
    fileState: values.get('UnitFileState') ?? '',
    activeState: values.get('ActiveState') ?? '',
    before: (values.get('Before') ?? '').split(' '),
  };
}

export async function gatherClock(): Promise<boolean | undefined> {
  const printed = await run('timedatectl', 'show', '-p', 'NTPSynchronized', '--value');
  return printed === undefined ? undefined : printed.trim() === 'yes';
}

/** The file system of a directory, or of the nearest one above it that exists. */
export async function gatherDisk(directory: string): Promise<Facts['disk']> {
  for (let path = directory; ; path = dirname(path)) {
    try {
      const { bavail, bsize, files, ffree } = await statfs(path);
      const writable = await access(path, constants.W_OK).then(
        () => true,
        (error: NodeJS.ErrnoException) => error.code !== 'EROFS',
      );
      // Some file systems (btrfs, zfs) do not count files and say 0 of 0.
      return { freeBytes: bavail * bsize, writable, ...(files > 0 ? { freeFiles: ffree } : {}) };
    } catch {
      if (path === dirname(path)) return undefined;
    }
  }
}

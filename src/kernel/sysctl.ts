/** Values under /proc/sys. */

import { readFileSync, writeFileSync } from 'node:fs';
import { BerthError } from '../model/errors.ts';
import type { ObjectDriver } from './driver.ts';
import type { Namespaces } from './namespace.ts';
import { type KernelObject, type ObjectKey, objectKey, type Sysctl } from './objects.ts';

/**
 * /proc/sys/net shows the network namespace of the thread that opens a file in it, so the synchronous calls of `fs`, which
 * run in this thread and not in libuv's pool, reach other namespaces.
 */
export function createSysctlDriver(namespaces: Namespaces): ObjectDriver {
  return {
    kinds: ['sysctl'],

    find(wanted, netns) {
      return namespaces.within(netns, () => {
        const found = new Map<ObjectKey, KernelObject>();
        for (const sysctl of wanted as readonly Sysctl[]) {
          const value = read(sysctl.path);
          if (value === undefined) continue;
          // Several values in one file are separated by tabs, whatever separated them when they were written.
          const same = words(value) === words(sysctl.value);
          found.set(objectKey(sysctl), same ? sysctl : { ...sysctl, value });
        }
        return found;
      });
    },

    make(object) {
      const sysctl = object as Sysctl;
      namespaces.within(sysctl.netns, () => {
        try {
          writeFileSync(file(sysctl.path), sysctl.value);
        } catch (cause) {
          throw refusal(sysctl, cause);
        }
      });
    },

    unmake() {
      // The value may be somebody else's by now.
    },

    close() {},
  };
}

function file(path: string): string {
  return `/proc/sys/${path}`;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(file(path), 'utf8').trim();
  } catch {
    // Absent with its link, or with a module; or only to be written, such as net/ipv4/route/flush.
    return undefined;
  }
}

function words(value: string): string {
  return value.trim().split(/\s+/).join(' ');
}

function refusal(sysctl: Sysctl, cause: unknown): BerthError {
  const code = (cause as NodeJS.ErrnoException).code;
  const what = `cannot set ${objectKey(sysctl)} to ${sysctl.value}`;
  if (code === 'ENOENT') return new BerthError('KERNEL_LACKS', `${what}: there is no such setting`, { cause });
  if (code === 'EROFS' || code === 'EACCES' || code === 'EPERM') {
    return new BerthError('KERNEL_REFUSED', `${what}: it may only be read here (${code})`, { cause });
  }
  return new BerthError('KERNEL_REFUSED', `${what}: ${code ?? String(cause)}`, { cause });
}

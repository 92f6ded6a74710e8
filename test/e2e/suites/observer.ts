/** A web server that tells each client which address it sees. */

import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../bed/host.ts';
import type { Machine } from '../bed/machine.ts';
import { waitFor } from '../bed/process.ts';
import { enter } from './containers.ts';

/** Without its option -T: Debian's static busybox crashes on it. */
export const WGET = ['busybox', 'timeout', '3', 'busybox', 'wget', '-q', '-O', '-'] as const;

/** Starts it on port 80 of a machine, and waits until it answers. */
export async function observe(machine: Machine): Promise<void> {
  const home = join(machine.dir, 'www');
  mkdirSync(join(home, 'cgi-bin'), { recursive: true });
  const script = join(home, 'cgi-bin/who');
  writeFileSync(script, '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\n%s" "$REMOTE_ADDR"\n');
  chmodSync(script, 0o755);
  await machine.netSpawn(['busybox', 'httpd', '-f', '-p', '80', '-h', home]);
  await waitFor(`the web server of ${machine.name}`, async () => {
    const { code } = await machine.net([...WGET, 'http://127.0.0.1/cgi-bin/who'], {
      check: false,
    });
    return code === 0;
  });
}

/** The address that an observer sees when a container asks it. */
export async function seenAs(host: Host, container: string, observer: string): Promise<string> {
  const url = `http://${observer.includes(':') ? `[${observer}]` : observer}/cgi-bin/who`;
  let said = '';
  const seen: string = await waitFor(
    () => `${container} to get an answer from ${observer}: ${said}`,
    async () => {
      const { code, stdout, stderr } = await enter(host, container, ...WGET, url);
      said = stderr;
      return code === 0 ? stdout : undefined;
    },
    30_000,
    50,
  );
  return seen.replace(/^\[?(?:::ffff:)?([^\]]*)\]?$/, '$1');
}

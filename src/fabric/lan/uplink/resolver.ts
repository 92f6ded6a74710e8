/**
 * Name servers that belong to an interface. /etc/resolv.conf belongs to none and stays as it is; systemd-resolved keeps servers
 * by interface, and asks only those of interfaces that have addresses: so the bridge has to be given the NIC's. What the NIC
 * had stays with it, and counts again when it has its addresses back.
 */

import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { asBerthError } from '../../../model/errors.ts';
import type { FabricContext } from '../../fabric.ts';
import type { UplinkNote } from './note.ts';

export interface LinkResolver {
  readonly servers: readonly string[];
  /** Domains as `resolvectl domain` takes them: with `~` those that are only for routing. */
  readonly domains: readonly string[];
}

/** Milliseconds: Docker is answered within 10 s, and most of them may have gone into asking gateways. */
const PATIENCE = 1000;

/**
 * What systemd-resolved knows of an interface, from its own file (set by `resolvectl` or NetworkManager) and that of
 * systemd-networkd; undefined when neither says anything, or when it does not run.
 *
 * @param root of the file system.
 */
export async function linkResolver(index: number, root = '/'): Promise<LinkResolver | undefined> {
  const running = await exists(join(root, 'run/systemd/resolve/resolv.conf'));
  if (!running) return undefined;
  const own = await readVariables(join(root, 'run/systemd/resolve/netif', `${index}`));
  const networkd = await readVariables(join(root, 'run/systemd/netif/links', `${index}`));
  // The first that has servers counts (systemd's link_update_settings).
  const [servers, domains] = [
    words(own.get('SERVERS')).length > 0 ? words(own.get('SERVERS')) : words(networkd.get('DNS')),
    words(own.get('DOMAINS')).length > 0
      ? words(own.get('DOMAINS'))
      : [
          ...words(networkd.get('DOMAINS')),
          ...words(networkd.get('ROUTE_DOMAINS')).map((domain) => (domain.startsWith('~') ? domain : `~${domain}`)),
        ],
  ];
  return servers.length === 0 && domains.length === 0 ? undefined : { servers, domains };
}

/** Arguments of `resolvectl` that give an interface these servers and domains. */
export function resolverCommands(link: string, { servers, domains }: LinkResolver): readonly (readonly string[])[] {
  return [
    ...(servers.length === 0 ? [] : [['dns', link, ...servers]]),
    ...(domains.length === 0 ? [] : [['domain', link, ...domains]]),
  ];
}

/** Gives the bridge the NIC's name servers. What goes wrong is told; the host is reached all the same. */
export async function moveResolver({ parent, bridge }: UplinkNote, context: FabricContext): Promise<void> {
  const index = context.host.links.find(({ name }) => name === parent)?.index;
  const found = index === undefined ? undefined : await linkResolver(index);
  if (found === undefined) return;
  try {
    for (const words of resolverCommands(bridge, found)) await run('resolvectl', words);
  } catch (error) {
    const message = `the name servers of ${parent} could not be given to ${bridge}: ${asBerthError(error).message}`;
    context.tell?.('uplink.names', message, { uplink: parent, bridge });
  }
}

function run(program: string, words: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile(program, words, { timeout: PATIENCE, killSignal: 'SIGKILL' }, (error) =>
      error === null ? resolve() : reject(error),
    );
  });
}

const words = (text: string | undefined): string[] => (text ?? '').split(/\s+/).filter((word) => word !== '');

/** A file of lines such as `NAME=value`; empty when there is none. */
export async function readVariables(file: string): Promise<ReadonlyMap<string, string>> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return new Map(
    text.split('\n').flatMap((line) => {
      const [, name, value] = /^([A-Za-z0-9_-]+)=(.*)$/.exec(line.trim()) ?? [];
      return name === undefined ? [] : [[name, value!.replace(/^"(.*)"$/, '$1')] as const];
    }),
  );
}

async function exists(file: string): Promise<boolean> {
  return readFile(file).then(
    () => true,
    () => false,
  );
}

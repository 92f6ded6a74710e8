/** NICs that Berth makes bridges from, and who else configures them. */

import { join } from 'node:path';
import type { NetworkView } from '../../../agent/api.ts';
import { readText } from '../../../fabric/lan/uplink/managers/manager.ts';
import { findManagers } from '../../../fabric/lan/uplink/managers/managers.ts';
import type { Facts } from '../facts.ts';

/** @param root of the file system. */
export async function gatherUplinks(networks: readonly NetworkView[], root = '/'): Promise<Facts['uplinks']> {
  const bridges = new Map(networks.flatMap(bridgeOf));
  return Promise.all(
    [...bridges].map(async ([nic, bridge]) => {
      const of = async (name: string) => (await readText(join(root, 'sys/class/net', nic, name)))?.trim() ?? '';
      const [index, mac] = [Number(await of('ifindex')), await of('address')];
      return { nic, bridge, managers: await findManagers({ name: nic, index, mac }, bridge, root) };
    }),
  );
}

function bridgeOf({ fabric, settings }: NetworkView): [string, string][] {
  // Settings are the fabric's own; the agent passes them on as they are.
  const { mode, parent, bridge, returned } = settings as Readonly<Record<string, unknown>>;
  const stands = fabric === 'lan' && (mode ?? 'bridge') === 'bridge' && returned !== true;
  return stands && typeof parent === 'string' && typeof bridge === 'string' ? [[parent, bridge]] : [];
}

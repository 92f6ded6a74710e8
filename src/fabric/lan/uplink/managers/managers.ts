/** All that configures a NIC on this host. A new manager is a file beside this one, and a line here. */

import { findDhcpClients } from './dhcp-clients.ts';
import { findIfupdown } from './ifupdown.ts';
import { type ManagedNic, type Manager, runningPrograms } from './manager.ts';
import { findNetplan } from './netplan.ts';
import { findNetworkManager } from './network-manager.ts';
import { findNetworkd } from './networkd.ts';

/**
 * Who configures a NIC, what they will do when Berth makes it a port of `bridge`, and how they are told.
 *
 * @param root of the file system.
 */
export async function findManagers(nic: ManagedNic, bridge: string, root = '/'): Promise<readonly Manager[]> {
  const programs = await runningPrograms(root);
  const found = await Promise.all([
    findNetworkd(nic, bridge, programs, root),
    findNetworkManager(nic, bridge, programs, root),
    findNetplan(nic, bridge, root),
    findIfupdown(nic, bridge, root),
  ]);
  const netplan = found.find((manager) => manager?.name === 'netplan');
  return [
    ...found
      .filter((manager) => manager !== undefined)
      // What netplan wrote it would write again: its own file is the one to change.
      .map((manager) => (netplan === undefined || manager === netplan ? manager : withoutFiles(manager))),
    ...findDhcpClients(nic, bridge, programs),
  ];
}

function withoutFiles({ apply: _netplanDoes, ...manager }: Manager): Manager {
  return { ...manager, files: [] };
}

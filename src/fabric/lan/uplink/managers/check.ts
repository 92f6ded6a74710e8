import type { HostView } from '../../../../kernel/kernel.ts';
import { BerthError } from '../../../../model/errors.ts';
import { findManagers } from './managers.ts';

/**
 * Refuses a NIC whose manager would undo at once what Berth does to it, which nobody should find out without a way back.
 *
 * @param root of the file system.
 * @throws BerthError INTERFACE_UNSUITABLE
 */
export async function checkManagers(nic: string, bridge: string, host: HostView, root = '/'): Promise<void> {
  const link = host.links.find(({ name }) => name === nic);
  if (link?.mac === undefined) return;
  const managers = await findManagers({ name: nic, index: link.index, mac: link.mac }, bridge, root);
  const hostile = managers.find(({ fights }) => fights === 'at once');
  if (hostile === undefined) return;
  const fix = hostile.fix === undefined ? '' : `prevent that with \`${hostile.fix}\`, or `;
  throw new BerthError(
    'INTERFACE_UNSUITABLE',
    `${hostile.found}: ${hostile.then}; ${fix}try it all the same with -o confirm=manual`,
  );
}

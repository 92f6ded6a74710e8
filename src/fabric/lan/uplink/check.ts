import { BerthError } from '../../../model/errors.ts';
import type { FabricContext } from '../../fabric.ts';
import { planUplink } from './plan.ts';

/**
 * Refuses what may cut the host off, or be undone at once by somebody else: nobody should find that out without a way back.
 *
 * @param root of the file system.
 * @throws BerthError INTERFACE_UNKNOWN, INTERFACE_UNSUITABLE
 */
export async function checkRisks(nic: string, bridge: string, context: FabricContext, root = '/'): Promise<void> {
  const { risks } = await planUplink({ nic, bridge }, context, root);
  const risk = risks.find(({ level }) => level === 'manual');
  if (risk === undefined) return;
  const fix = risk.fix === undefined ? '' : `prevent that with \`${risk.fix}\`, or `;
  throw new BerthError(
    'INTERFACE_UNSUITABLE',
    `${risk.message}; ${fix}try it all the same with -o confirm=manual (see: berth uplink plan ${nic})`,
  );
}

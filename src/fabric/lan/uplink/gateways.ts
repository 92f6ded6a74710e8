/** Whether the way out still works, before and after a NIC has become a bridge. */

import type { HostView } from '../../../kernel/kernel.ts';
import { formatAddress } from '../../../model/address.ts';
import { reachable } from './reachable.ts';

/**
 * Which gateways beyond an interface answer; those that did before and do not after a move are the reason to undo it.
 *
 * @returns textual addresses.
 */
export async function answeringGateways(link: string, host: HostView): Promise<ReadonlySet<string>> {
  const gateways = host.routes
    .filter((route) => route.link === link && route.via !== undefined)
    .map((route) => route.via!);
  const unique = new Map(gateways.map((gateway) => [formatAddress(gateway), gateway]));
  const answers = await Promise.all(
    [...unique].map(async ([text, gateway]) => ((await reachable(gateway, 4000)) ? [text] : [])),
  );
  return new Set(answers.flat());
}

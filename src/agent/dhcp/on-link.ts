/** Work on a link that may have to be made first. */

import { BerthError } from '../../model/errors.ts';
import type { NetworkId } from '../../model/ids.ts';
import type { LinkPort, Ports, Where } from './ports.ts';
import type { DhcpLease } from './record.ts';

export interface OnLinkParts {
  readonly ports: Ports;
  /** Makes the links that a network stands on, which may come with its first container and go after its last. */
  prepare(network: NetworkId): Promise<void>;
}

/** @throws BerthError as `Ports.use`, once the network's links are there. */
export async function onLink<Result>(
  { ports, prepare }: OnLinkParts,
  lease: Pick<DhcpLease, 'network'>,
  where: Where,
  work: (port: LinkPort) => Promise<Result>,
): Promise<Result> {
  try {
    return await ports.use(where, work);
  } catch (error) {
    if (where.netns !== undefined || !(error instanceof BerthError) || error.code !== 'INTERFACE_UNKNOWN') throw error;
    await prepare(lease.network);
    return ports.use(where, work);
  }
}

/**
 * Where the addresses of swarm networks are kept. The leader of a swarm asks for each address in the global address space, and the
 * node that runs the task asks for the same address once more, in its local one. The leader decides, and only that is kept.
 */

import type { Pool } from '../../model/pool.ts';

/** Address spaces of a managed plugin of scope global. */
export const swarmSpaces = { local: 'berth-node', global: 'berth-swarm' } as const;

/** A pool that leaders of a swarm give out: what becomes of it does not show on any one engine. */
export function isSwarmPool({ space }: Pick<Pool, 'space'>): boolean {
  return space === swarmSpaces.global;
}

/**
 * What Docker has asked for and never come back to: an engine that was killed between two of its calls, or an agent that was. What
 * has had no owner for as long as the grace goes.
 */

import type { Book } from '../../fabric/neutron/book.ts';
import type { Groups } from '../../fabric/neutron/exposed.ts';
import type { Networks } from '../../fabric/neutron/networks.ts';
import type { Outside } from '../../fabric/neutron/outside.ts';
import type { Ports } from '../../fabric/neutron/ports.ts';
import type { State } from '../state.ts';

export interface SweepParts {
  readonly book: Book;
  readonly networks: Pick<Networks, 'close'>;
  readonly ports: Pick<Ports, 'abandon'>;
  readonly outside: Pick<Outside, 'close'>;
  readonly groups: Pick<Groups, 'unused' | 'remove'>;
  readonly state: Pick<State, 'networks' | 'endpoints'>;
  /** Milliseconds. */
  readonly grace: number;
  /** One at a time with what Docker asks for under this id: what is being made for it has no owner yet. */
  serialise<Result>(id: string, work: () => Promise<Result>): Promise<Result>;
  /** Milliseconds since Docker was last answered about a pool or a new network; 0 while it waits for that. */
  quiet(): number;
  /** Milliseconds of a clock that nobody sets. */
  monotonic(): number;
}

/** @returns what looks once; to be called again and again. */
export function createSweep(parts: SweepParts): () => Promise<void> {
  const { book, networks, ports, outside, groups, state, grace, serialise, quiet, monotonic } = parts;
  const firstSeen = new Map<string, number>();

  /** Whether this has been without an owner at every look, since so long ago. */
  function isDue(name: string, found: Set<string>): boolean {
    found.add(name);
    const since = firstSeen.get(name) ?? monotonic();
    firstSeen.set(name, since);
    return monotonic() - since >= grace;
  }

  return async () => {
    const found = new Set<string>();
    for (const record of book.ports.all()) {
      const { key, endpoint, phase } = record;
      const isOwned = (): boolean => endpoint !== undefined && state.endpoints.has(endpoint);
      if (phase !== 'held' || isOwned() || !isDue(`port ${key}`, found)) continue;
      await serialise(endpoint ?? key, async () => {
        if (book.ports.get(key) === record && !isOwned()) await ports.abandon(key);
      });
    }
    for (const { id, phase } of book.networks.all()) {
      if (phase !== 'held' || state.networks.has(id) || !isDue(`network ${id}`, found)) continue;
      await serialise(id, async () => {
        if (!state.networks.has(id)) await networks.close(id);
      });
    }
    for (const { endpoint, phase } of book.outside.all()) {
      if (phase !== 'held' || state.endpoints.has(endpoint) || !isDue(`outside ${endpoint}`, found)) continue;
      await serialise(endpoint, async () => {
        if (!state.endpoints.has(endpoint)) await outside.close(endpoint);
      });
    }
    // Only now, and not with the last container: the next one with the same ports may be about to start.
    for (const key of groups.unused())
      if (isDue(`group ${key}`, found) && groups.unused().includes(key)) await groups.remove(key);
    for (const { id, network } of book.pools.all()) {
      const owned = network !== undefined && book.networks.get(network) !== undefined;
      // Which network it is to be of is told by that alone, once it is made.
      if (!owned && isDue(`pool ${id}`, found) && quiet() >= grace) await book.pools.delete(id);
    }
    for (const name of firstSeen.keys()) if (!found.has(name)) firstSeen.delete(name);
  };
}

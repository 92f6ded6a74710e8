/** The DHCP leases of this host, in memory, with every change written down first. */

import type { Notes } from '../../fabric/fabric.ts';
import type { EndpointId } from '../../model/ids.ts';
import { type DhcpLease, decodeLease, encodeLease } from './record.ts';

export interface Book {
  get(key: string): DhcpLease | undefined;
  all(): readonly DhcpLease[];
  /** Of an endpoint that uses them now, or did last: one of each family. */
  of(endpoint: EndpointId): readonly DhcpLease[];
  /** Durable when it resolves. */
  put(lease: DhcpLease): Promise<void>;
  delete(key: string): Promise<void>;
  /** Pools of our IPAM that stand for a DHCP server: their networks do not say so themselves. */
  readonly pools: ReadonlySet<string>;
  putPool(id: string): Promise<void>;
  deletePool(id: string): Promise<void>;
}

const PREFIX = 'dhcp/lease/';
const POOLS = 'dhcp/pool/';

/** @param unreadable told of each record that had to be passed over. */
export async function openBook(notes: Notes, unreadable: (key: string) => void): Promise<Book> {
  const leases = new Map<string, DhcpLease>();
  for (const [name, note] of await notes.list(PREFIX)) {
    const lease = decodeLease(note);
    if (lease === undefined) unreadable(name);
    else leases.set(lease.key, lease);
  }
  const pools = new Set<string>();
  for (const name of (await notes.list(POOLS)).keys()) pools.add(name.slice(POOLS.length));
  return {
    pools,
    async putPool(id) {
      if (!pools.has(id)) await notes.put(POOLS + id, true);
      pools.add(id);
    },
    async deletePool(id) {
      await notes.delete(POOLS + id);
      pools.delete(id);
    },
    get: (key) => leases.get(key),
    all: () => [...leases.values()],
    of: (endpoint) => [...leases.values()].filter((lease) => lease.endpoint === endpoint),
    async put(lease) {
      await notes.put(PREFIX + lease.key, encodeLease(lease));
      leases.set(lease.key, lease);
    },
    async delete(key) {
      await notes.delete(PREFIX + key);
      leases.delete(key);
    },
  };
}

const HOST_KEY = 'dhcp/host-key';

/**
 * What tells this host from others in the identities of its containers. Kept once it has been chosen, so that a new name of
 * the host changes nothing; the same again after the state was lost, where the host has an id of its own (machine-id(5)).
 *
 * @param seed undefined where the host has no such id.
 * @param random a value of its own.
 */
export async function hostKey(notes: Notes, seed: string | undefined, random: () => string): Promise<string> {
  const known = await notes.get(HOST_KEY);
  if (typeof known === 'string') return known;
  const key = seed ?? random();
  await notes.put(HOST_KEY, key);
  return key;
}

/**
 * Where the containers of other hosts are, for the kernel; and what was known of that last, in this host's own store: an agent that is
 * started while the shared store is away must not take the others out of the kernel.
 */

import * as z from 'zod';
import type { RemoteEndpoint } from '../../fabric/cluster/overlay.ts';
import type { Notes } from '../../fabric/fabric.ts';
import { formatAddress, parseAddress, sameAddress } from '../../model/address.ts';
import { parseMac } from '../../model/mac.ts';
import type { ClusterEndpoint } from '../../objects/codec.ts';
import { parsed } from '../../store/record.ts';
import type { Events } from '../events.ts';
import type { ClusterHost } from './hosts.ts';

export interface Remotes {
  /** Undefined: never known. */
  of(network: string): readonly RemoteEndpoint[] | undefined;
  /** Whether it is as the store has it, and not as it was remembered. */
  complete(network: string): boolean;
  /** Hosts or endpoints of a network (absent: of any) have changed. */
  changed(network?: string): void;
  /** What has not been written yet is. */
  close(): Promise<void>;
}

export interface RemotesParts {
  /** Ourselves. */
  readonly host: string;
  readonly notes: Notes;
  readonly events: Pick<Events, 'emit'>;
  endpointsOn(network: string): readonly ClusterEndpoint[] | undefined;
  hostOf(name: string): ClusterHost | undefined;
}

const Remembered = z.array(
  z.object({
    mac: parsed(parseMac, 'a MAC address'),
    vtep: parsed(parseAddress, 'an address'),
    addresses: z.array(parsed(parseAddress, 'an address')),
  }),
);

const NOTE = 'cluster/remotes/';
/** A busy network is written this often at most. Milliseconds. */
const PAUSE = 2000;

/**
 * An address may be told of by its new host before the one that had it has taken its word back, which a host that is cut off cannot: what was
 * told last counts.
 *
 * @param endpoints in the order in which they were told of.
 */
export function withoutPast(endpoints: readonly ClusterEndpoint[]): readonly ClusterEndpoint[] {
  const taken = new Set<string>();
  const last = endpoints.toReversed().filter(({ mac, addresses }) => {
    const own = [mac, ...addresses];
    if (own.some((one) => taken.has(one))) return false;
    for (const one of own) taken.add(one);
    return true;
  });
  return last.length === endpoints.length ? endpoints : last.toReversed();
}

/** Reads what was known last. */
export async function openRemotes(parts: RemotesParts): Promise<Remotes> {
  const { host, notes, events, endpointsOn, hostOf } = parts;
  const remembered = new Map<string, readonly RemoteEndpoint[]>();
  for (const [name, value] of await notes.list(NOTE)) {
    const read = Remembered.safeParse(value);
    if (read.success) remembered.set(name.slice(NOTE.length), read.data);
  }
  const current = new Map<string, readonly RemoteEndpoint[]>();
  const dirty = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();

  /** The same object as before as long as it says the same: who applies it sees at once what has changed. */
  const made = new WeakMap<ClusterEndpoint, RemoteEndpoint>();

  function remoteOf(endpoint: ClusterEndpoint): RemoteEndpoint | undefined {
    const at = hostOf(endpoint.host);
    if (endpoint.host === host || at?.gone === true) return undefined;
    const vtep = at?.vtep ?? (endpoint.vtep === undefined ? undefined : parseAddress(endpoint.vtep));
    const mac = parseMac(endpoint.mac);
    if (vtep === undefined || mac === undefined) return undefined;
    const before = made.get(endpoint);
    if (before !== undefined && sameAddress(before.vtep, vtep)) return before;
    const remote = { mac, vtep, addresses: endpoint.addresses.flatMap((text) => parseAddress(text) ?? []) };
    made.set(endpoint, remote);
    return remote;
  }

  function compute(network: string): readonly RemoteEndpoint[] | undefined {
    const known = current.get(network);
    if (known !== undefined) return known;
    const endpoints = endpointsOn(network);
    if (endpoints === undefined) return undefined;
    const fresh = withoutPast(endpoints).flatMap((endpoint) => remoteOf(endpoint) ?? []);
    current.set(network, fresh);
    return fresh;
  }

  async function write(): Promise<void> {
    timer = undefined;
    const due = [...dirty];
    dirty.clear();
    for (const network of due) {
      const now = compute(network);
      if (now === undefined) continue;
      remembered.set(network, now);
      const value = now.map(({ mac, vtep, addresses }) => ({
        mac,
        vtep: formatAddress(vtep),
        addresses: addresses.map(formatAddress),
      }));
      if (value.length === 0) await notes.delete(NOTE + network);
      else await notes.put(NOTE + network, value);
    }
  }

  const writeSafely = (): Promise<void> => {
    writing = writing.then(write).catch((error: unknown) => {
      events.emit('cluster.failed', `cannot remember where other hosts' containers are: ${(error as Error).message}`);
    });
    return writing;
  };

  return {
    of: (network) => compute(network) ?? remembered.get(network),
    complete: (network) => compute(network) !== undefined,
    changed(network) {
      for (const one of network === undefined ? [...current.keys()] : [network]) {
        current.delete(one);
        dirty.add(one);
      }
      if (dirty.size > 0) timer ??= setTimeout(() => void writeSafely(), PAUSE).unref();
    },
    async close() {
      clearTimeout(timer);
      await writeSafely();
    },
  };
}

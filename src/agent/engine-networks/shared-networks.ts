/**
 * What hosts tell each other of Docker networks, by the engine's id: which network of the cluster one has become that a user made; and
 * with a cluster store (Docker 20.10), where only one engine asks its plugin to make a network that all of them then use, all that the
 * others must know of it.
 */

import * as z from 'zod';
import { asBerthError } from '../../model/errors.ts';
import type { NetworkId } from '../../model/ids.ts';
import { keys, SCHEMA_VERSION } from '../../model/keys.ts';
import type { Network } from '../../model/network.ts';
import { mirror } from '../../store/mirror.ts';
import { decodeRecord } from '../../store/record.ts';
import type { Entry, Store } from '../../store/store.ts';
import type { Events } from '../events.ts';
import { encodeSubnets, SubnetRecords } from '../records.ts';

const Stored = z.object({
  host: z.string(),
  name: z.string(),
  network: z.string().optional(),
  scope: z.enum(['local', 'global']),
  plugin: z.string(),
  subnets: SubnetRecords,
  leased: z.boolean(),
  pools: z.array(z.string()),
  internal: z.boolean(),
  options: z.record(z.string(), z.string()),
});

export interface SharedNetwork extends Pick<Network, 'id' | 'plugin' | 'subnets' | 'leased' | 'internal' | 'options'> {
  /** On which it was made. */
  readonly host: string;
  /** As Docker has it; empty where it is not known yet. */
  readonly name: string;
  /** `TENANT:NETWORK`, which it has become. */
  readonly network?: string;
  /** `global`: all engines have it. */
  readonly scope: 'local' | 'global';
  /** As Docker was told. */
  readonly pools: readonly string[];
}

export interface SharedNetworks {
  /** As last known; undefined until they have been read. */
  all(): ReadonlyMap<NetworkId, SharedNetwork> | undefined;
  onChange(listener: () => void): void;
  /** Called with what has been removed, by whichever host. */
  onGone(listener: (network: SharedNetwork) => void): void;
  /** From the store itself. @throws BerthError STORE_UNAVAILABLE, STORE_CORRUPT, STORE_NEWER */
  read(id: NetworkId): Promise<SharedNetwork | undefined>;
  /** @throws BerthError STORE_UNAVAILABLE */
  put(network: SharedNetwork): Promise<void>;
  /** Deleting what is not there succeeds. @throws BerthError STORE_UNAVAILABLE */
  delete(id: NetworkId): Promise<void>;
  close(): Promise<void>;
}

/** Follows from now on. */
export function openSharedNetworks(store: Store, events: Pick<Events, 'emit'>): SharedNetworks {
  const networks = new Map<NetworkId, SharedNetwork>();
  const listeners: (() => void)[] = [];
  const whenGone: ((network: SharedNetwork) => void)[] = [];
  const stop = new AbortController();
  let known = false;
  const following = mirror(
    {
      store,
      prefix: keys.dockerNetworks,
      absorb(key, entry) {
        const id = idOf(key);
        const before = networks.get(id);
        networks.delete(id);
        if (entry === undefined) {
          if (before !== undefined) for (const listener of whenGone) listener(before);
          return;
        }
        try {
          networks.set(id, decode(entry));
        } catch (error) {
          events.emit('cluster.unreadable', asBerthError(error).message, { network: id });
        }
      },
      changed() {
        known = true;
        for (const listener of listeners) listener();
      },
    },
    stop.signal,
  ).catch((error: unknown) => {
    if (!stop.signal.aborted)
      events.emit('cluster.failed', `cannot follow Docker networks of other hosts: ${asBerthError(error).message}`);
  });

  return {
    all: () => (known ? networks : undefined),
    onChange: (listener) => void listeners.push(listener),
    onGone: (listener) => void whenGone.push(listener),
    async read(id) {
      const entry = await store.get(keys.dockerNetwork(id));
      return entry === undefined ? undefined : decode(entry);
    },
    async put(network) {
      await store.transact({ then: [{ do: 'put', key: keys.dockerNetwork(network.id), value: encode(network) }] });
      // What follows from it here does not wait until the store tells.
      networks.set(network.id, network);
    },
    async delete(id) {
      await store.transact({ then: [{ do: 'delete', key: keys.dockerNetwork(id) }] });
      networks.delete(id);
    },
    async close() {
      stop.abort();
      await following;
    },
  };
}

const idOf = (key: string): NetworkId => key.slice(keys.dockerNetworks.length) as NetworkId;

function decode({ key, value }: Pick<Entry, 'key' | 'value'>): SharedNetwork {
  const { network, ...record } = decodeRecord(Stored, key, value);
  return {
    ...record,
    id: idOf(key),
    ...(network === undefined ? {} : { network }),
  };
}

function encode({ id: _id, subnets, ...network }: SharedNetwork): string {
  return JSON.stringify({
    version: SCHEMA_VERSION,
    ...network,
    subnets: encodeSubnets(subnets),
  });
}

/**
 * Tells the cluster which containers this host has on its networks. It compares what there is with what was told, and tells the
 * difference: whatever was missed, by a crash or while the store was away, is made up for by the next comparison.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { asBerthError } from '../../model/errors.ts';
import { keys } from '../../model/keys.ts';
import { type ClusterEndpoint, encodeClusterEndpoint } from '../../objects/codec.ts';
import { gateOpen } from '../../objects/gate.ts';
import type { Condition, Operation, Store } from '../../store/store.ts';
import type { Events } from '../events.ts';

export interface Publisher {
  /** Something may have changed. Never rejects. Resolves when what was there at the time of the call has been told, or cannot be told now. */
  update(): Promise<void>;
  close(): void;
}

export interface PublisherParts {
  readonly store: Store;
  readonly host: string;
  readonly events: Pick<Events, 'emit'>;
  /** The containers of this host on networks of the cluster, as of now. */
  wanted(): readonly ClusterEndpoint[];
}

interface Told {
  readonly network: string;
  readonly value: string;
}

/** Milliseconds until what could not be told is tried again: because the store was away, or the network's gate closed for a moment. */
const RETRY = 1000;
const GATE = 100;
/** Endpoints in one transaction: two operations each, of the 128 that etcd takes. */
const BATCH = 50;

export function createPublisher({ store, host, events, wanted }: PublisherParts): Publisher {
  /** What the store has of ours; undefined until it has been read. */
  let told: Map<string, Told> | undefined;
  /** Networks that are gone while containers are on them here: told of once. */
  const orphaned = new Set<string>();
  let ended = false;
  let running: Promise<void> | undefined;
  let again = false;
  let timer: NodeJS.Timeout | undefined;

  const read = async (): Promise<Map<string, Told>> => {
    const prefix = keys.hostEndpoints(host);
    const { entries } = await store.list(prefix);
    const found = new Map<string, Told>();
    for (const { key, value: network } of entries) {
      const id = key.slice(prefix.length);
      const entry = await store.get(keys.clusterEndpoint(network, id));
      found.set(id, { network, value: entry?.value ?? '' });
    }
    return found;
  };

  const withdrawal = (id: string, network: string): Operation[] => [
    { do: 'delete', key: keys.clusterEndpoint(network, id) },
    { do: 'delete', key: keys.hostEndpoint(host, id) },
  ];

  /** @returns whether all of it was written. */
  const withdraw = async (known: Map<string, Told>, gone: readonly (readonly [string, Told])[]): Promise<void> => {
    for (let at = 0; at < gone.length; at += BATCH) {
      const batch = gone.slice(at, at + BATCH);
      await store.transact({ then: batch.flatMap(([id, { network }]) => withdrawal(id, network)) });
      for (const [id] of batch) known.delete(id);
    }
  };

  /** @returns milliseconds until it is worth another try; undefined when nothing is left to do. */
  const publish = async (
    known: Map<string, Told>,
    network: string,
    fresh: readonly (readonly [string, Told])[],
  ): Promise<number | undefined> => {
    for (let at = 0; at < fresh.length; at += BATCH) {
      const batch = fresh.slice(at, at + BATCH);
      const conditions: Condition[] = gateOpen(network);
      const result = await store.transact({
        if: conditions,
        then: batch.flatMap(([id, { value }]): Operation[] => [
          { do: 'put', key: keys.clusterEndpoint(network, id), value },
          { do: 'put', key: keys.hostEndpoint(host, id), value: network },
        ]),
      });
      if (!result.committed && result.failed.key === keys.gate(network)) return GATE;
      if (!result.committed) {
        if (!orphaned.has(network)) {
          orphaned.add(network);
          events.emit('cluster.orphaned', `containers of this host are on the network ${network}, which is gone`, {
            network,
          });
        }
        return RETRY;
      }
      orphaned.delete(network);
      for (const [id, one] of batch) known.set(id, one);
    }
    return undefined;
  };

  const once = async (): Promise<number | undefined> => {
    told ??= await read();
    const known = told;
    const now = new Map(wanted().map((one) => [one.id, { network: one.network, value: encodeClusterEndpoint(one) }]));
    const gone = [...known].filter(([id, { network }]) => now.get(id)?.network !== network);
    await withdraw(known, gone);
    const fresh = Map.groupBy(
      [...now].filter(([id, { value }]) => known.get(id)?.value !== value),
      ([, { network }]) => network,
    );
    let soonest: number | undefined;
    for (const [network, ones] of fresh) {
      const wait = await publish(known, network, ones);
      if (wait !== undefined) soonest = Math.min(soonest ?? wait, wait);
    }
    return soonest;
  };

  const work = async (): Promise<void> => {
    clearTimeout(timer);
    while (!ended) {
      again = false;
      let wait: number | undefined;
      try {
        wait = await once();
      } catch (error) {
        const { code, message } = asBerthError(error);
        // It may have been done all the same: what is there is read again.
        told = undefined;
        wait = RETRY;
        if (code !== 'STORE_UNAVAILABLE') {
          events.emit('cluster.failed', `cannot tell the cluster of this host's containers: ${message}`);
        }
      }
      if (again) {
        // A gate that is closed is not asked in a busy loop.
        if (wait !== undefined) await pause(Math.min(wait, GATE));
        continue;
      }
      if (wait !== undefined && !ended) timer = setTimeout(() => void update(), wait).unref();
      return;
    }
  };

  function update(): Promise<void> {
    again = true;
    running ??= Promise.resolve()
      .then(work)
      .finally(() => {
        running = undefined;
      });
    return running;
  }

  return {
    update,
    close() {
      ended = true;
      clearTimeout(timer);
    },
  };
}

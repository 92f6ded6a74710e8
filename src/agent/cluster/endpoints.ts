/** The containers of all hosts on the networks that this host carries: followed in the store from a network's first container here on. */

import { asBerthError } from '../../model/errors.ts';
import { keys } from '../../model/keys.ts';
import { type ClusterEndpoint, decodeClusterEndpoint } from '../../objects/codec.ts';
import { mirror } from '../../store/mirror.ts';
import type { Store } from '../../store/store.ts';
import type { Events } from '../events.ts';

export interface Endpoints {
  /** Which networks are followed from now on (`TENANT:NETWORK`); one that is not among them any more is followed a while longer. */
  carry(networks: ReadonlySet<string>): void;
  /** In the order in which they were told of. Undefined while it is not known. */
  on(network: string): readonly ClusterEndpoint[] | undefined;
  onChange(listener: (network: string) => void): void;
  close(): Promise<void>;
}

interface Followed {
  readonly stop: AbortController;
  readonly ended: Promise<void>;
  readonly endpoints: Map<string, ClusterEndpoint>;
  known: boolean;
  view: readonly ClusterEndpoint[] | undefined;
  /** When it is given up; undefined while it is carried. */
  leaving: NodeJS.Timeout | undefined;
}

/** Containers come back, and a listing of a large network is not free. Milliseconds. */
const LINGER = 30_000;

export function createEndpoints(store: Store, events: Pick<Events, 'emit'>): Endpoints {
  const followed = new Map<string, Followed>();
  const ending = new Set<Promise<void>>();
  const listeners: ((network: string) => void)[] = [];

  const begin = (network: string): void => {
    const stop = new AbortController();
    const prefix = keys.networkEndpoints(network);
    const endpoints = new Map<string, ClusterEndpoint>();
    const ended = mirror(
      {
        store,
        prefix,
        absorb(key, entry) {
          const id = key.slice(prefix.length);
          endpoints.delete(id);
          if (entry === undefined) return;
          try {
            endpoints.set(id, decodeClusterEndpoint(entry));
          } catch (error) {
            // One that cannot be read keeps no other from being reached.
            events.emit('cluster.unreadable', asBerthError(error).message, { network });
          }
        },
        changed() {
          one.known = true;
          one.view = undefined;
          for (const listener of listeners) listener(network);
        },
      },
      stop.signal,
    ).catch((error: unknown) => {
      if (!stop.signal.aborted)
        events.emit('cluster.failed', `cannot follow ${network}: ${asBerthError(error).message}`);
    });
    const one: Followed = { stop, ended, endpoints, known: false, view: undefined, leaving: undefined };
    followed.set(network, one);
  };

  const end = (network: string): void => {
    const one = followed.get(network);
    if (one === undefined) return;
    followed.delete(network);
    clearTimeout(one.leaving);
    one.stop.abort();
    ending.add(one.ended);
    void one.ended.then(() => ending.delete(one.ended));
  };

  return {
    carry(networks) {
      for (const network of networks) {
        const one = followed.get(network);
        if (one === undefined) begin(network);
        else {
          clearTimeout(one.leaving);
          one.leaving = undefined;
        }
      }
      for (const [network, one] of followed) {
        if (networks.has(network)) continue;
        one.leaving ??= setTimeout(() => end(network), LINGER).unref();
      }
    },
    on(network) {
      const one = followed.get(network);
      if (one?.known !== true) return undefined;
      one.view ??= [...one.endpoints.values()];
      return one.view;
    },
    onChange: (listener) => void listeners.push(listener),
    async close() {
      for (const network of followed.keys()) end(network);
      await Promise.all(ending);
    },
  };
}

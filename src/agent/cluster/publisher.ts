/**
 * Tells the cluster which containers this host has on its networks. It compares what there is with what was told, and tells the
 * difference: whatever was missed, by a crash or while the store was away, is made up for by the next comparison.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { decodeLease } from '../../ipam/codec.ts';
import { asBerthError } from '../../model/errors.ts';
import { keys, SCHEMA_VERSION } from '../../model/keys.ts';
import type { Lease } from '../../model/pool.ts';
import { type ClusterEndpoint, encodeClusterEndpoint } from '../../objects/codec.ts';
import { gateOpen } from '../../objects/gate.ts';
import type { Condition, Operation, Store } from '../../store/store.ts';
import type { Events } from '../events.ts';

export interface Publisher {
  /** Something may have changed. Never rejects. Resolves when what was there at the time of the call has been told, or cannot be told now. */
  update(): Promise<void>;
  close(): void;
}

/** A container of this host on a network of the cluster. */
export interface Announcement {
  readonly endpoint: ClusterEndpoint;
  /** The keys of the leases that its addresses hang on. An address without one is told as it is: others see to whose it is. */
  readonly leases: ReadonlyMap<string, string>;
}

export interface PublisherParts {
  readonly store: Store;
  readonly host: string;
  readonly events: Pick<Events, 'emit'>;
  /** The containers of this host on networks of the cluster, as of now. */
  wanted(): readonly Announcement[];
  /** Whether a lease is this host's. */
  owns(lease: Lease): boolean;
  /** Milliseconds of a clock that nobody sets. */
  monotonic(): number;
}

interface Told {
  readonly network: string;
  readonly value: string;
}

/** A time in which nobody but us tells of this host's containers, and nothing that was told before comes late. */
interface Session {
  readonly condition: Condition;
  /** What the store has of ours, by the id of the endpoint. */
  readonly known: Map<string, Told>;
}

/** Another session has begun: a write of ours that was late, or another agent under our name. */
class Overtaken extends Error {}

/** An announcement that could not be made whole, because addresses are not this host's as far as the store knows. */
interface Refused {
  /** What was to be told. */
  readonly value: string;
  readonly next: number;
  readonly wait: number;
}

/** What may be told of an endpoint. */
interface Held {
  readonly id: string;
  /** With the addresses that are its own. */
  readonly value: string;
  readonly conditions: readonly Condition[];
  readonly isWhole: boolean;
  readonly isAny: boolean;
}

/** Milliseconds until what could not be told is tried again: because the store was away, or the network's gate closed for a moment. */
const RETRY = 1000;
const GATE = 100;
/** The same for an address whose lease is not this host's: it may be claimed in a moment, or be lost for good. */
const UNHELD = { first: 100, most: 60_000 } as const;
/** Endpoints in one transaction: two operations each, and a condition for each address, of the 128 that etcd takes of either. */
const BATCH = 50;
/** How often leases may change between being read and being relied on. */
const ATTEMPTS = 5;

export function createPublisher(parts: PublisherParts): Publisher {
  const { store, host, events, wanted, owns, monotonic } = parts;
  /** Undefined: it is not known what the store has of ours. */
  let session: Session | undefined;
  /** Networks that are gone while containers are on them here: told of once. */
  const orphaned = new Set<string>();
  /** By the id of the endpoint. */
  const refused = new Map<string, Refused>();
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

  /**
   * A write that was not answered may still be on its way: a member of etcd that was frozen does it when it goes on, and nobody would ever
   * take it back. So all writes require a key to be unchanged that is changed before it is read what is there.
   *
   * @returns undefined when this host has never told of anything, and has nothing to tell.
   */
  const begin = async (): Promise<Session | undefined> => {
    const key = keys.publisher(host);
    const before = await store.get(key);
    if (before === undefined && wanted().length === 0) return undefined;
    const result = await store.transact({
      if: [before === undefined ? { key, is: 'absent' } : { key, is: 'at', revision: before.modRevision }],
      then: [{ do: 'put', key, value: JSON.stringify({ version: SCHEMA_VERSION }) }],
    });
    if (!result.committed) throw new Overtaken();
    return { condition: { key, is: 'at', revision: result.revision }, known: await read() };
  };

  /** @throws Overtaken */
  const write = async ({ condition }: Session, conditions: readonly Condition[], then: readonly Operation[]) => {
    const result = await store.transact({ if: [condition, ...conditions], then });
    if (!result.committed && result.failed.key === condition.key) throw new Overtaken();
    return result;
  };

  const withdrawal = (id: string, network: string): Operation[] => [
    { do: 'delete', key: keys.clusterEndpoint(network, id) },
    { do: 'delete', key: keys.hostEndpoint(host, id) },
  ];

  const withdraw = async (session: Session, gone: readonly (readonly [string, Told])[]): Promise<void> => {
    for (let at = 0; at < gone.length; at += BATCH) {
      const batch = gone.slice(at, at + BATCH);
      await write(
        session,
        [],
        batch.flatMap(([id, { network }]) => withdrawal(id, network)),
      );
      for (const [id] of batch) session.known.delete(id);
    }
  };

  /**
   * An endpoint with those of its addresses that are leased to it, and what makes sure that they still are when it is told: whoever was
   * frozen or cut off in between would tell of addresses that are another host's by now, and the last word counts.
   */
  const hold = async ({ endpoint, leases }: Announcement): Promise<Held> => {
    const addresses: string[] = [];
    const conditions: Condition[] = [];
    await Promise.all(
      endpoint.addresses.map(async (address) => {
        const key = leases.get(address);
        const entry = key === undefined ? undefined : await store.get(key);
        if (entry !== undefined && isFor(decodeLease(entry.key, entry.value), endpoint.id))
          conditions.push({ key: entry.key, is: 'at', revision: entry.modRevision });
        else if (key !== undefined) return;
        addresses.push(address);
      }),
    );
    const held = endpoint.addresses.filter((address) => addresses.includes(address));
    return {
      id: endpoint.id,
      value: encodeClusterEndpoint({ ...endpoint, addresses: held }),
      conditions,
      isWhole: held.length === endpoint.addresses.length,
      isAny: held.length > 0,
    };
  };

  /** One that is requested is about to be claimed; one of a swarm was given by its leader. */
  const isFor = (lease: Lease, endpoint: string): boolean => {
    const { holder } = lease;
    if (holder.kind === 'swarm') return true;
    return owns(lease) && (holder.kind !== 'endpoint' || holder.endpoint === endpoint);
  };

  const refuse = ({ endpoint }: Announcement): void => {
    const [value, before] = [encodeClusterEndpoint(endpoint), refused.get(endpoint.id)];
    const wait = before?.value === value ? Math.min(before.wait * 2, UNHELD.most) : UNHELD.first;
    refused.set(endpoint.id, { value, wait, next: monotonic() + wait });
  };

  /** @returns milliseconds until it is worth another try; undefined when nothing is left to do, but for what was refused. */
  const publish = async (
    session: Session,
    network: string,
    batch: readonly Announcement[],
  ): Promise<number | undefined> => {
    const { known } = session;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const held = await Promise.all(batch.map(hold));
      const fresh = held.filter(
        ({ id, value, isWhole, isAny }) => (isWhole || isAny) && known.get(id)?.value !== value,
      );
      // With nothing to tell, too: it says whether the network is there.
      const result = await write(
        session,
        [...gateOpen(network), ...fresh.flatMap(({ conditions }) => conditions)],
        fresh.flatMap(({ id, value }): Operation[] => [
          { do: 'put', key: keys.clusterEndpoint(network, id), value },
          { do: 'put', key: keys.hostEndpoint(host, id), value: network },
        ]),
      );
      if (!result.committed && result.failed.key === keys.gate(network)) return GATE;
      if (!result.committed && result.failed.key === keys.object('network', network)) return orphan(network);
      if (!result.committed) continue;
      for (const { id, value } of fresh) known.set(id, { network, value });
      orphaned.delete(network);
      for (const [n, { id, isWhole }] of held.entries()) {
        if (isWhole) refused.delete(id);
        else refuse(batch[n]!);
      }
      return undefined;
    }
    return GATE;
  };

  const orphan = (network: string): number => {
    if (!orphaned.has(network)) {
      orphaned.add(network);
      events.emit('cluster.orphaned', `containers of this host are on the network ${network}, which is gone`, {
        network,
      });
    }
    return RETRY;
  };

  const isRefused = ({ endpoint }: Announcement, value: string): boolean => {
    const before = refused.get(endpoint.id);
    return before?.value === value && before.next > monotonic();
  };

  /** @returns as `publish` */
  const once = async (): Promise<number | undefined> => {
    session ??= await begin();
    if (session === undefined) return undefined;
    const { known } = session;
    const now = new Map(wanted().map((one) => [one.endpoint.id, one]));
    const gone = [...known].filter(([id, { network }]) => now.get(id)?.endpoint.network !== network);
    await withdraw(session, gone);
    for (const id of refused.keys()) if (!now.has(id)) refused.delete(id);
    const due = [...now.values()].filter((one) => {
      const value = encodeClusterEndpoint(one.endpoint);
      return known.get(one.endpoint.id)?.value !== value && !isRefused(one, value);
    });
    let soonest: number | undefined;
    for (const [network, ones] of Map.groupBy(due, ({ endpoint }) => endpoint.network)) {
      for (let at = 0; at < ones.length; at += BATCH) {
        const wait = await publish(session, network, ones.slice(at, at + BATCH));
        if (wait !== undefined) soonest = Math.min(soonest ?? wait, wait);
      }
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
        // It may have been done all the same: what is there is read again.
        session = undefined;
        wait = error instanceof Overtaken ? GATE : RETRY;
        const { code, message } = asBerthError(error);
        if (!(error instanceof Overtaken) && code !== 'STORE_UNAVAILABLE') {
          events.emit('cluster.failed', `cannot tell the cluster of this host's containers: ${message}`);
        }
      }
      if (again) {
        // A gate that is closed is not asked in a busy loop.
        if (wait !== undefined) await pause(Math.min(wait, GATE));
        continue;
      }
      const refusals = [...refused.values()].map(({ next }) => Math.max(next - monotonic(), 1));
      const next = Math.min(wait ?? Number.POSITIVE_INFINITY, ...refusals);
      if (Number.isFinite(next) && !ended) timer = setTimeout(() => void update(), next).unref();
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

/**
 * Changes of the cluster's objects. Each is one transaction, whose condition is that no other change of objects has come between
 * reading and writing: any number of masters and agents may do this side by side.
 */

import { randomUUID } from 'node:crypto';
import { asBerthError, BerthError } from '../model/errors.ts';
import { keys, SCHEMA_VERSION } from '../model/keys.ts';
import { draftDelete, draftPut, readBody } from '../model/objects/change.ts';
import type { ClusterObject, Kind, Objects } from '../model/objects/kind.ts';
import type { Condition, Operation, Store, TransactionResult } from '../store/store.ts';
import { encodeObject } from './codec.ts';
import { type Gate, GateOpened, needsGate, withGate } from './gate.ts';
import { closePools, putPools, regroup, sweepLeases } from './pools.ts';
import { openReplica, type Snapshot } from './replica.ts';
import { checkRuleAddress, checkUnused, claimVip, releaseVip } from './usage.ts';

/** What a change was: for the answer, and for the audit. */
export interface Changed {
  readonly object: ClusterObject;
  /** The revision of the object before; undefined: it is new. */
  readonly before: number | undefined;
  /** The revision of this change; undefined: nothing was to be changed. */
  readonly revision: number | undefined;
  readonly objects: Objects;
}

export interface Registry {
  /**
   * All objects, no older than this call. To be used before the next `await`.
   *
   * @throws BerthError STORE_UNAVAILABLE, STORE_CORRUPT, STORE_NEWER
   */
  current(): Promise<Objects>;
  /**
   * Makes an object or changes it.
   *
   * @param ifMatch the revision that it must have; without one, a race that is lost is run again.
   * @throws BerthError OBJECT_INVALID, OBJECT_CONFLICT, OBJECT_IMMUTABLE, OBJECT_IN_USE, REFERENCE_UNKNOWN, TAGS_EXHAUSTED,
   *   CLUSTER_NOT_READY, REVISION_CHANGED, RACE_LOST, and those of the store
   */
  put(kind: Kind, key: string, body: Readonly<Record<string, unknown>>, ifMatch?: IfMatch): Promise<Changed>;
  /** Deletes an object with its parts. @throws BerthError OBJECT_UNKNOWN, OBJECT_IN_USE, REVISION_CHANGED, RACE_LOST */
  delete(kind: Kind, key: string, ifMatch?: IfMatch): Promise<Changed>;
  close(): void;
}

/** `*`: it must exist; `none`: it must not. */
export type IfMatch = number | '*' | 'none';

export interface RegistryOptions {
  /** Wall clock in milliseconds, for `createdAt`. */
  readonly now?: () => number;
}

/** How often a race is run again. Each time somebody else has won it, so this many changes were made meanwhile. */
const ATTEMPTS = 100;

/** What a change writes beside the head, and what it requires beside it. */
interface Writes {
  readonly gate: Gate | undefined;
  readonly conditions: readonly Condition[];
  readonly operations: readonly Operation[];
}

export function openRegistry(store: Store, { now = Date.now }: RegistryOptions = {}): Registry {
  const replica = openReplica(store);

  const commit = async ({ head }: Pick<Snapshot, 'head'>, writes: Writes): Promise<number | undefined> => {
    const id = randomUUID();
    const value = JSON.stringify({ version: SCHEMA_VERSION, change: id });
    const key = keys.objectsHead;
    const unchanged: Condition = head === undefined ? { key, is: 'absent' } : { key, is: 'at', revision: head };
    let result: TransactionResult;
    try {
      result = await store.transact({
        if: [unchanged, ...(writes.gate?.conditions ?? []), ...writes.conditions],
        // The head first: who sees it in a page of changes then knows that the others are of the same.
        then: [{ do: 'put', key, value }, ...(writes.gate?.operations ?? []), ...writes.operations],
      });
    } catch (error) {
      if (asBerthError(error).code !== 'STORE_UNAVAILABLE') throw error;
      // It may have been done all the same; the head tells, unless others have changed it since.
      const found = await store.get(key);
      if (found?.value === value) return found.modRevision;
      throw error;
    }
    if (result.committed) return result.revision;
    if (writes.gate !== undefined && result.failed.key === writes.gate.key) throw new GateOpened();
    return undefined;
  };

  /** One after the other: those of one process need not race. */
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <Value>(work: () => Promise<Value>): Promise<Value> => {
    const turn = last.then(work);
    last = turn.catch(() => undefined);
    return turn;
  };

  /** Runs a change until no other has come between. */
  const attempt = async (work: (snapshot: Snapshot) => Promise<Changed | undefined>): Promise<Changed> => {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const changed = await inTurn(async () => work(await replica.current()));
      if (changed !== undefined) return changed;
    }
    throw new BerthError('RACE_LOST', `others changed the cluster's objects ${ATTEMPTS} times while this waited`);
  };

  const putOnce = async (
    snapshot: Snapshot,
    kind: Kind,
    key: string,
    body: Readonly<Record<string, unknown>>,
    ifMatch: IfMatch | undefined,
    gate: Gate | undefined,
  ): Promise<Changed | undefined> => {
    const { objects, head } = snapshot;
    const given = readBody(kind, key, body);
    checkMatch(kind, objects.get(kind.name, key), ifMatch);
    const draft = draftPut(kind, key, given, objects);
    const { existing } = draft;
    const unmade = { kind: kind.name, key, config: draft.config, createdAt: existing?.createdAt ?? now() };
    if (
      existing !== undefined &&
      encodeObject({ ...unmade, allocated: existing.allocated }) === encodeObject(existing)
    ) {
      return { object: existing, before: existing.revision, revision: undefined, objects };
    }
    if (existing === undefined) await checkRuleAddress(store, draft, objects);
    const claim = existing === undefined ? await claimVip(store, draft, objects, now()) : undefined;
    if (gate !== undefined) await checkUnused(store, draft, objects);
    const object = { ...unmade, allocated: { ...draft.allocated, ...claim?.allocated } };
    // Its revision is not known yet, and makes no difference to pools.
    const made = existing === undefined ? { ...object, revision: 0 } : undefined;
    const network = made?.kind === 'network' ? made : undefined;
    if (network !== undefined) await sweepLeases(store, network);
    const revision = await commit(
      { head },
      {
        gate,
        conditions: claim?.conditions ?? [],
        operations: [
          { do: 'put', key: keys.object(kind.name, key), value: encodeObject(object) },
          ...(claim?.operations ?? []),
          ...(network === undefined ? [] : putPools(network, [])),
          ...(made === undefined ? [] : regroup({ come: made }, objects)),
        ],
      },
    );
    if (revision === undefined) return undefined;
    return { object: { ...object, revision }, before: existing?.revision, revision, objects };
  };

  const deleteOnce = async (
    snapshot: Snapshot,
    kind: Kind,
    key: string,
    ifMatch: IfMatch | undefined,
    gate: Gate | undefined,
  ): Promise<Changed | undefined> => {
    const { objects, head } = snapshot;
    checkMatch(kind, objects.get(kind.name, key), ifMatch);
    const gone = draftDelete(kind, key, objects);
    const release = releaseVip(gone, objects);
    const networks = gone.filter((object) => object.kind === 'network');
    if (gate !== undefined) await checkUnused(store, { kind, key, existing: gone[0] }, objects);
    const revision = await commit(
      { head },
      {
        gate,
        conditions: [],
        operations: [
          ...gone.map((object): Operation => ({ do: 'delete', key: keys.object(object.kind, object.key) })),
          ...release,
          ...networks.flatMap(closePools),
          ...gone.flatMap((object) => regroup({ gone: object }, objects)),
        ],
      },
    );
    if (revision === undefined) return undefined;
    // It has gone, whatever becomes of this: who makes it anew does it again.
    for (const network of networks) await sweepLeases(store, network).catch(() => undefined);
    return { object: gone[0]!, before: gone[0]!.revision, revision, objects };
  };

  return {
    current: async () => (await replica.current()).objects,
    async put(kind, key, body, ifMatch) {
      const network = needsGate(kind, key, body, (await replica.current()).objects);
      return await withGate(store, network, (gate) =>
        attempt((snapshot) => putOnce(snapshot, kind, key, body, ifMatch, gate)),
      );
    },
    async delete(kind, key, ifMatch) {
      const { objects } = await replica.current();
      // What cannot be deleted anyhow closes no gate.
      checkMatch(kind, objects.get(kind.name, key), ifMatch);
      draftDelete(kind, key, objects);
      return await withGate(store, needsGate(kind, key, undefined, objects), (gate) =>
        attempt((snapshot) => deleteOnce(snapshot, kind, key, ifMatch, gate)),
      );
    },
    close: () => replica.close(),
  };
}

function checkMatch(kind: Kind, existing: ClusterObject | undefined, ifMatch: IfMatch | undefined): void {
  if (ifMatch === undefined) return;
  const matches =
    ifMatch === 'none'
      ? existing === undefined
      : existing !== undefined && (ifMatch === '*' || existing.revision === ifMatch);
  if (matches) return;
  const found = existing === undefined ? 'does not exist' : `has revision ${existing.revision}`;
  const wanted = ifMatch === 'none' ? 'that there is none' : ifMatch === '*' ? 'that there is one' : `${ifMatch}`;
  throw new BerthError('REVISION_CHANGED', `the ${kind.name} ${found}; the request requires ${wanted}`);
}

/** Opening and giving back pools. */

import type { Family } from '../model/address.ts';
import { BerthError } from '../model/errors.ts';
import type { PoolId } from '../model/ids.ts';
import { keys } from '../model/keys.ts';
import { type Lease, type Pool, poolId } from '../model/pool.ts';
import { family, formatPrefix, overlaps, type Prefix, samePrefix } from '../model/prefix.ts';
import type { Condition, Operation, Store } from '../store/store.ts';
import { chooseSubnet, type PoolBase } from './auto-pool.ts';
import { decodeLease, encodeLease, encodePool } from './codec.ts';
import type { Locks } from './locks.ts';
import { checkLength, checkRange, checkSubnet } from './subnet-rules.ts';
import { type PoolRecord, subnetId, type Tables } from './tables.ts';
import type { Writer } from './writer.ts';

export interface PoolRequest {
  readonly space: string;
  /** Absent: the lowest free one of the bases. */
  readonly subnet?: Prefix;
  readonly range?: Prefix;
  readonly family: Family;
  /** Without a subnet: the length wanted. */
  readonly length?: number;
  readonly options: Readonly<Record<string, string>>;
  /**
   * What an automatic subnet must stay clear of, beside all pools: routes and name servers of the host, other networks. An
   * engine rejects a subnet that overlaps one of them, and asks again.
   */
  readonly taken: readonly Prefix[];
  /** In use already, when the pool has to be made: in one transaction with it, so that nobody is given one of them. */
  readonly leases?: readonly Omit<Lease, 'pool' | 'createdAt'>[];
  /** An engine that has been started repeats what it had: no network will come of it, so the next release is not the undoing of this. */
  readonly replay?: boolean;
}

export interface PoolParts {
  readonly store: Store;
  readonly tables: Tables;
  readonly writer: Writer;
  readonly locks: Locks;
  readonly bases: readonly PoolBase[];
  /** Wall clock in milliseconds, for records. */
  readonly now: () => number;
  /** Monotonic milliseconds, for decisions. */
  readonly monotonic: () => number;
}

export interface Pools {
  open(request: PoolRequest): Promise<Pool>;
  release(id: PoolId, inUse: boolean): Promise<void>;
  remove(id: PoolId): Promise<void>;
  settle(subnet: Prefix, suits?: (id: PoolId) => boolean): Settled | undefined;
  keep(id: PoolId): Promise<void>;
  /** A lease on this pool has gone: so does the pool, if that was all that kept it. */
  leaseGone(id: PoolId): Promise<void>;
}

/** The pool that a network was made on. */
export interface Settled {
  readonly pool: PoolId;
  /** Other pools, for which as much speaks. */
  readonly rivals: readonly PoolId[];
  undo(): void;
}

/** How often another host may be faster before we give up. */
const ATTEMPTS = 16;

/**
 * An engine that opened a pool has made its network, or given the pool back, within this many milliseconds. Until then nothing
 * but this memory tells that it is wanted, when another network that shared it goes at the same time.
 */
const OPENING = 60_000;

/** A pool was asked for, and whether a network will come of it is not known yet. */
interface Opening {
  readonly at: number;
  /** What it was before: what it is again when it is given back. */
  readonly before: 'absent' | 'released' | 'open';
}

/** Under this lock all that concerns which pools there are. */
const LOCK = ['pools'];

export function createPools({ store, tables, writer, locks, bases, now, monotonic }: PoolParts): Pools {
  const openings = new Map<PoolId, Opening[]>();
  /** Released pools that no network uses, and that only leases keep. */
  const lingering = new Set<PoolId>();

  const openingsOf = (id: PoolId): Opening[] => (openings.get(id) ?? []).filter(({ at }) => monotonic() - at < OPENING);

  const setOpenings = (id: PoolId, of: Opening[]) => {
    if (of.length === 0) openings.delete(id);
    else openings.set(id, of);
  };

  const noteOpening = (id: PoolId, before: Opening['before']) => {
    lingering.delete(id);
    setOpenings(id, [...openingsOf(id), { at: monotonic(), before }]);
  };

  const stateOf = (id: PoolId): Opening['before'] => {
    const record = tables.pool(id);
    if (record === undefined) return 'absent';
    return record.pool.released ? 'released' : 'open';
  };

  const put = ({ pool, revision }: PoolRecord, released: boolean) =>
    change({ ...pool, released }, { key: keys.pool(pool.id), is: 'at', revision });

  /** Writes a pool under a condition. @returns undefined when it did not hold; memory then knows what stands there. */
  const change = async (pool: Pool, condition: Condition): Promise<Pool | undefined> => {
    const key = keys.pool(pool.id);
    const value = encodePool(pool);
    // Opening a pool that failed leaves none behind; any other change is as good done as not done.
    const unwanted = condition.is === 'absent' ? new Map([[key, value]]) : undefined;
    const result = await writer.write({ if: [condition], then: [{ do: 'put', key, value }] }, unwanted);
    if (result.committed) tables.setPool(pool, result.revision);
    else tables.learn(key, result.found, result.revision);
    return result.committed ? pool : undefined;
  };

  const create = (request: PoolRequest, subnet: Prefix): Promise<Pool | undefined> => {
    const { space, range, options } = request;
    const id = poolId(space, subnet, range);
    const pool = { id, space, subnet, released: false, options, createdAt: now() };
    const whole = range === undefined ? pool : { ...pool, range };
    const { leases = [] } = request;
    return leases.length === 0
      ? change(whole, { key: keys.pool(id), is: 'absent' })
      : createInUse(
          whole,
          leases.map((lease) => ({ ...lease, pool: id, createdAt: pool.createdAt })),
        );
  };

  /** What another pool of the subnet has leased already stays as it is. */
  const createInUse = async (pool: Pool, leases: readonly Lease[]): Promise<Pool | undefined> => {
    const subnet = subnetId(pool);
    const known = tables.tablesOf(pool.subnet).find(({ id }) => id === subnet)?.leases;
    const values = new Map([[keys.pool(pool.id), encodePool(pool)]]);
    const missing = new Map(
      leases
        .filter(({ address }) => known?.has(address.value) !== true)
        .map((lease) => [keys.lease(subnet, lease.address), lease]),
    );
    for (const [key, lease] of missing) values.set(key, encodeLease(lease));
    const result = await writer.write(
      {
        if: [...values.keys()].map((key) => ({ key, is: 'absent' })),
        then: [...values].map(([key, value]) => ({ do: 'put', key, value })),
      },
      values,
    );
    if (!result.committed) {
      tables.learn(result.failed.key, result.found, result.revision);
      return undefined;
    }
    tables.setPool(pool, result.revision);
    for (const [key, lease] of missing) tables.setLease(key, lease, result.revision);
    return pool;
  };

  const openGiven = async (request: PoolRequest, subnet: Prefix): Promise<Pool | undefined> => {
    const existing = tables.pool(poolId(request.space, subnet, request.range));
    if (existing !== undefined) return existing.pool.released ? await put(existing, false) : existing.pool;
    for (const { pool } of tables.pools.values()) {
      if (pool.space !== request.space || samePrefix(pool.subnet, subnet) || !overlaps(pool.subnet, subnet)) continue;
      throw new BerthError(
        'SUBNET_OVERLAP',
        `the subnet ${formatPrefix(subnet)} overlaps ${formatPrefix(pool.subnet)}, which is in use`,
      );
    }
    return await create(request, subnet);
  };

  const openAny = async (request: PoolRequest): Promise<Pool | undefined> => {
    const taken = [...request.taken, ...[...tables.pools.values()].map(({ pool }) => pool.subnet)];
    const subnet = chooseSubnet(request.family, request.length, bases, taken);
    if (subnet !== undefined) return await create(request, subnet);
    const length = request.length === undefined ? '' : ` of length /${request.length}`;
    const from = bases.filter(({ base }) => family(base) === request.family).map(({ base }) => formatPrefix(base));
    throw new BerthError(
      'NO_FREE_SUBNET',
      `no IPv${request.family} subnet${length} is free in ${from.join(', ') || 'the default pools: there is none'}`,
    );
  };

  /**
   * Removes a released pool, with the addresses of its gateway and the auxiliary ones, unless other leases are on it. Any lease
   * that another host makes in the meantime takes the pool back (see `leases.ts`), and so fails the condition.
   */
  const removeUnlessLeased = async (record: PoolRecord): Promise<void> => {
    const { pool, revision } = record;
    const heirs = [...tables.pools.values()].filter(
      (other) => other.pool.id !== pool.id && subnetId(other.pool) === subnetId(pool),
    );
    const { entries } = await store.list(keys.poolLeases(subnetId(pool)));
    const conditions: Condition[] = [{ key: keys.pool(pool.id), is: 'at', revision }];
    const operations: Operation[] = [{ do: 'delete', key: keys.pool(pool.id) }];
    const kept: Lease[] = [];
    for (const { key, value, modRevision } of entries) {
      const lease = decodeLease(key, value);
      if (lease.pool !== pool.id) continue;
      if (lease.holder.kind === 'request' || lease.holder.kind === 'endpoint') return;
      conditions.push({ key, is: 'at', revision: modRevision });
      // What other pools of the subnet use as well is theirs from now on.
      const heir = heirs[0]?.pool.id;
      if (heir !== undefined) kept.push({ ...lease, pool: heir });
      operations.push(
        heir === undefined ? { do: 'delete', key } : { do: 'put', key, value: encodeLease({ ...lease, pool: heir }) },
      );
    }
    const result = await writer.write({ if: conditions, then: operations });
    if (!result.committed) {
      tables.learn(result.failed.key, result.found, result.revision);
      return;
    }
    for (const lease of kept) {
      tables.setLease(keys.lease(subnetId(pool), lease.address), lease, result.revision);
    }
    for (const { do: what, key } of operations) if (what === 'delete') tables.learn(key, undefined, result.revision);
    lingering.delete(pool.id);
    openings.delete(pool.id);
  };

  const giveBack = async (id: PoolId): Promise<PoolRecord | undefined> => {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const record = tables.pool(id);
      if (record === undefined || record.pool.released) return record;
      await put(record, true);
    }
    throw busy(id);
  };

  const underLock = <T>(work: () => Promise<T>): Promise<T> =>
    locks.run(LOCK, async () => {
      await writer.settle();
      return await work();
    });

  return {
    async open(request) {
      const { subnet, range } = request;
      if (subnet !== undefined) {
        checkSubnet(subnet);
        if (range !== undefined) checkRange(subnet, range);
      } else if (range !== undefined) {
        throw new BerthError('BAD_SUBNET', `the range ${formatPrefix(range)} needs a subnet`);
      } else if (request.length !== undefined) {
        checkLength(request.family, request.length, `a subnet of length /${request.length}`);
      }
      return await underLock(async () => {
        for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
          const before = subnet === undefined ? 'absent' : stateOf(poolId(request.space, subnet, range));
          const pool = subnet === undefined ? await openAny(request) : await openGiven(request, subnet);
          if (pool === undefined) continue;
          if (request.replay !== true || before !== 'open') noteOpening(pool.id, before);
          return pool;
        }
        throw busy('pools');
      });
    },

    release: (id, inUse) =>
      underLock(async () => {
        // Of the latest opening when one is under way: it came to nothing, and takes nothing from those who were there before.
        const [latest, ...earlier] = openingsOf(id).reverse();
        setOpenings(id, earlier.reverse());
        if (latest?.before === 'open') return;
        const record = await giveBack(id);
        if (record === undefined || inUse || earlier.length > 0) return;
        lingering.add(id);
        await removeUnlessLeased(record);
      }),

    remove: (id) =>
      underLock(async () => {
        const record = await giveBack(id);
        if (record === undefined) return;
        lingering.add(id);
        await removeUnlessLeased(record);
      }),

    settle(subnet, suits) {
      const opened = tables
        .tablesOf(subnet)
        .flatMap((table) => [...table.pools].flatMap((id) => openingsOf(id).map((opening) => ({ id, opening }))))
        .sort((a, b) => a.opening.at - b.opening.at);
      const suitable = opened.filter(({ id }) => suits?.(id) === true);
      const all = suitable.length > 0 ? suitable : opened;
      // A pool that was open already was perhaps only asked for again, by an engine that has been restarted.
      const chosen = all.find(({ opening }) => opening.before !== 'open') ?? all.at(-1);
      if (chosen === undefined) return undefined;
      const { id, opening } = chosen;
      setOpenings(
        id,
        openingsOf(id).filter((other) => other !== opening),
      );
      const rivals = [...new Set(all.map((other) => other.id))].filter((other) => other !== id);
      return { pool: id, rivals, undo: () => setOpenings(id, [...openingsOf(id), opening]) };
    },

    keep: (id) =>
      underLock(async () => {
        const record = tables.pool(id);
        if (record?.pool.released === true) await put(record, false);
        lingering.delete(id);
      }),

    async leaseGone(id) {
      if (!lingering.has(id)) return;
      await underLock(async () => {
        const record = tables.pool(id);
        if (record?.pool.released && lingering.has(id)) await removeUnlessLeased(record);
      });
    },
  };
}

function busy(what: string): BerthError {
  return new BerthError('STORE_UNAVAILABLE', `other hosts keep changing ${what}`);
}

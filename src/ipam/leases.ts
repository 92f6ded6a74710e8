/** Giving out, claiming and taking back addresses. */

import { type Address, formatAddress } from '../model/address.ts';
import { BerthError } from '../model/errors.ts';
import type { EndpointId, PoolId } from '../model/ids.ts';
import { keys } from '../model/keys.ts';
import type { Mac } from '../model/mac.ts';
import type { Range } from '../model/objects/ranges.ts';
import type { Lease, LeaseHolder, Pool } from '../model/pool.ts';
import { contains, formatPrefix, type Prefix } from '../model/prefix.ts';
import type { Condition, Operation } from '../store/store.ts';
import { encodeLease, encodePool } from './codec.ts';
import type { Limits } from './layout.ts';
import type { Locks } from './locks.ts';
import { checkReservation, type Reservations } from './reservations.ts';
import { allocatable, isForHosts } from './subnet-rules.ts';
import { type LeaseRecord, leaseKey, type PoolRecord, type SubnetTable, type Tables } from './tables.ts';
import type { Writer } from './writer.ts';

export interface LeaseRequest {
  readonly pool: PoolId;
  /** Absent: the lowest free one of the pool's range; for a gateway, of the whole subnet. */
  readonly address?: Address;
  readonly holder: LeaseHolder;
  /** Which engine asks. */
  readonly engine: string;
  /** Whose leases are the engine's own; absent: those that name it. */
  readonly owns?: Owns;
  readonly mac?: Mac;
  /**
   * The engine may be repeating what it was given before it was restarted: an address that it holds already is granted
   * again. At any other time that is somebody's second `--ip`, and refused.
   */
  readonly replay?: boolean;
  /** Those that the lowest free one must not be, though nobody holds a lease on them: somebody else has them. */
  readonly avoid?: (address: Address) => boolean;
  /** Where in the pool it may be, as the pool is when the address is leased; absent: in its range, and by number anywhere. */
  readonly limits?: (pool: Pool) => Limits;
  /** What else must hold in the store for an address to be leased. */
  readonly conditions?: readonly Condition[];
}

/** Whether a lease is of who asks, and not of another host. */
export type Owns = (lease: Lease) => boolean;

/** One of the conditions that a request brought along did not hold: nothing was leased. */
export class ConditionFailed extends Error {
  readonly condition: Condition;

  constructor(condition: Condition) {
    super(`the condition on ${condition.key} did not hold`);
    this.condition = condition;
  }
}

export interface LeaseParts {
  readonly tables: Tables;
  readonly writer: Writer;
  readonly locks: Locks;
  readonly reservations: Reservations;
  /** Wall clock in milliseconds, for records. */
  readonly now: () => number;
  readonly leaseGone: (pool: PoolId) => Promise<void>;
}

export interface Leases {
  lease(request: LeaseRequest): Promise<Lease>;
  lowestFree(pool: PoolId, count: number, avoid: (address: Address) => boolean): readonly Address[];
  claim(subnet: Prefix, address: Address, holder: LeaseHolder, mac?: Mac, network?: string): Promise<Lease | undefined>;
  release(pool: PoolId, address: Address, owns?: Owns): Promise<void>;
  releaseEndpoint(endpoint: EndpointId): Promise<void>;
  rehold(lease: Lease): Promise<boolean>;
}

/** How often another host may be faster before we give up. */
const ATTEMPTS = 64;

export function createLeases({ tables, writer, locks, reservations, now, leaseGone }: LeaseParts): Leases {
  const known = (id: PoolId): { record: PoolRecord; table: SubnetTable } => {
    const record = tables.pool(id);
    const table = tables.table(id);
    if (record === undefined || table === undefined) throw new BerthError('POOL_UNKNOWN', `there is no pool ${id}`);
    return { record, table };
  };

  /** Under the locks of addresses, and with everything known about them. */
  const underLocks = <T>(names: readonly string[], work: () => Promise<T>): Promise<T> =>
    locks.run(names, async () => {
      await writer.settle();
      return await work();
    });

  /**
   * Writes a new lease. The pool must be as we know it: one that was given back is taken back with the same transaction, so
   * no host can remove it at the same time. @returns undefined when another host was faster; memory then knows better.
   */
  const create = async (
    { pool, revision }: PoolRecord,
    table: SubnetTable,
    lease: Lease,
    brought: readonly Condition[] = [],
  ): Promise<Lease | undefined> => {
    const key = leaseKey(table, lease.address);
    const value = encodeLease(lease);
    const conditions: Condition[] = [
      // First, so that it is told of them rather than of a pool that has gone with its network.
      ...brought,
      { key: keys.pool(pool.id), is: 'at', revision },
      { key, is: 'absent' },
    ];
    const operations: Operation[] = [{ do: 'put', key, value }];
    const wanted = { ...pool, released: false };
    if (pool.released) operations.push({ do: 'put', key: keys.pool(pool.id), value: encodePool(wanted) });
    const relaxed = isOfContainer(lease.holder) && !pool.released;
    const result = await writer.write({ if: conditions, then: operations, relaxed }, new Map([[key, value]]));
    if (!result.committed) {
      const { failed, found } = result;
      if (brought.some((condition) => condition.key === failed.key)) throw new ConditionFailed(failed);
      tables.learn(failed.key, found, result.revision);
      return undefined;
    }
    tables.setLease(key, lease, result.revision);
    if (pool.released) tables.setPool(wanted, result.revision);
    return lease;
  };

  /** Nobody else is given the address while this work is under way. */
  const reserving = async <T>(table: SubnetTable, value: bigint, work: () => Promise<T>): Promise<T> => {
    table.taken.add(value);
    try {
      return await work();
    } finally {
      if (!table.leases.has(value)) table.taken.delete(value);
    }
  };

  const leaseOf = (request: LeaseRequest, address: Address): Lease => {
    const { pool, holder, engine, mac } = request;
    const lease = { pool, address, holder, engine, createdAt: now() };
    return mac === undefined ? lease : { ...lease, mac };
  };

  /** Addresses that whoever asks may have, from the lowest on: those that are kept for somebody are not among them. */
  function* freeIn(
    table: SubnetTable,
    ranges: readonly Range[],
    avoid: (address: Address) => boolean = () => false,
  ): Generator<bigint, undefined> {
    for (const { first, last } of ranges) {
      for (let value = table.taken.firstFree(first); value <= last; value = table.taken.firstFree(value + 1n)) {
        const address: Address = { family: table.subnet.address.family, value };
        if (reservations.find(table, address) === undefined && !avoid(address)) yield value;
      }
    }
  }

  /** Where an address that is not named may come from. */
  const rangesFor = ({ holder, limits }: LeaseRequest, pool: Pool): readonly Range[] =>
    limits?.(pool).ranges ?? [allocatable(pool.subnet, holder.kind === 'gateway' ? undefined : pool.range)];

  /** The free address that is kept for who asks. */
  const keptFor = (request: LeaseRequest): Address | undefined => {
    const { record, table } = known(request.pool);
    if (request.holder.kind === 'gateway') return undefined;
    // It may lie outside the pool's range, which is for those who are not known.
    const allowed = request.limits?.(record.pool).ranges ?? [allocatable(record.pool.subnet, undefined)];
    return reservations
      .keptFor(table, askerOf(request))
      .find(
        ({ address: { value } }) =>
          !table.taken.has(value) && allowed.some(({ first, last }) => value >= first && value <= last),
      )?.address;
  };

  const leaseLowest = async (request: LeaseRequest): Promise<Lease | undefined> => {
    await writer.settle();
    const { record, table } = known(request.pool);
    const { subnet, range } = record.pool;
    const gateway = request.holder.kind === 'gateway';
    // The same answer to a question that is repeated because its answer was lost, and to networks that share a subnet.
    const [existing] = gateway ? table.gateways : [];
    if (existing !== undefined) return existing.lease;
    const [free] = freeIn(table, rangesFor(request, record.pool), request.avoid);
    if (free === undefined) {
      const where = gateway || range === undefined ? subnet : range;
      throw new BerthError('POOL_EXHAUSTED', `all addresses of ${formatPrefix(where)} are taken`);
    }
    const value: bigint = free;
    const address = { family: subnet.address.family, value };
    return await reserving(table, value, () =>
      // Somebody who asked for just this address may have been before us, and may have left open what became of it.
      underLocks([leaseKey(table, address)], async () =>
        table.leases.has(value)
          ? undefined
          : await create(record, table, leaseOf(request, address), request.conditions),
      ),
    );
  };

  /** Gateways one at a time for each subnet, so that two who ask at once get the same. */
  const leaseAny = (request: LeaseRequest): Promise<Lease | undefined> =>
    request.holder.kind === 'gateway'
      ? locks.run([`gateway ${known(request.pool).table.id}`], () => leaseLowest(request))
      : leaseLowest(request);

  const leaseGiven = (request: LeaseRequest, address: Address): Promise<Lease | undefined> => {
    const { table } = known(request.pool);
    return underLocks([leaseKey(table, address)], async () => {
      const { record, table } = known(request.pool);
      const { subnet } = record.pool;
      const shown = formatAddress(address);
      if (!contains(subnet, address)) {
        throw new BerthError('ADDRESS_OUTSIDE', `the address ${shown} is not within ${formatPrefix(subnet)}`);
      }
      if (!isForHosts(subnet, address.value)) {
        throw new BerthError('ADDRESS_RESERVED', `the address ${shown} of ${formatPrefix(subnet)} is not for hosts`);
      }
      const existing = table.leases.get(address.value);
      if (existing === undefined) {
        const refusal = request.limits?.(record.pool).refusal(address);
        if (refusal !== undefined) throw new BerthError('ADDRESS_TAKEN', `the address ${shown} is ${refusal}`);
        if (request.holder.kind !== 'gateway') checkReservation(reservations.find(table, address), askerOf(request));
        return await reserving(table, address.value, () =>
          create(record, table, leaseOf(request, address), request.conditions),
        );
      }
      if (isRepeated(request, existing.lease)) return existing.lease;
      throw taken(existing.lease);
    });
  };

  /** The address that is kept for who asks, else the lowest that is kept for nobody. @returns undefined to try again. */
  const leaseFree = async (request: LeaseRequest): Promise<Lease | undefined> => {
    const kept = keptFor(request);
    if (kept === undefined) return await leaseAny(request);
    try {
      return await leaseGiven(request, kept);
    } catch (error) {
      // Somebody who named it was faster.
      if (error instanceof BerthError && error.code === 'ADDRESS_TAKEN') return undefined;
      throw error;
    }
  };

  const change = async (record: LeaseRecord, lease: Lease): Promise<Lease | undefined> => {
    const { key, revision } = record;
    const result = await writer.write({
      if: [{ key, is: 'at', revision }],
      then: [{ do: 'put', key, value: encodeLease(lease) }],
      relaxed: isOfContainer(lease.holder),
    });
    if (result.committed) tables.setLease(key, lease, result.revision);
    else tables.learn(key, result.found, result.revision);
    return result.committed ? lease : undefined;
  };

  /** All of them in one transaction, each if it is still the one that we know. */
  const drop = async (records: readonly LeaseRecord[]): Promise<boolean> => {
    if (records.length === 0) return true;
    const result = await writer.write(
      {
        if: records.map(({ key, revision }) => ({ key, is: 'at', revision })),
        then: records.map(({ key }) => ({ do: 'delete', key })),
        relaxed: records.every(({ lease }) => isOfContainer(lease.holder)),
      },
      // Nobody will ask again for what has been released: should it turn out that it was not, it is then.
      new Map(records.map(({ key, lease }) => [key, encodeLease(lease)])),
    );
    if (result.committed) for (const record of records) tables.dropLease(record);
    else tables.learn(result.failed.key, result.found, result.revision);
    return result.committed;
  };

  /** A pool that only waited for its last lease goes with it; should that fail, the collector finds it. */
  const afterDrop = async (records: readonly LeaseRecord[]) => {
    for (const { lease } of records) await leaseGone(lease.pool).catch(() => {});
  };

  return {
    async lease(request) {
      const { address } = request;
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const lease = address === undefined ? await leaseFree(request) : await leaseGiven(request, address);
        if (lease !== undefined) return lease;
      }
      throw busy(request.pool);
    },

    lowestFree(id, count, avoid) {
      const { record, table } = known(id);
      const { subnet, range } = record.pool;
      const found: Address[] = [];
      for (const value of freeIn(table, [allocatable(subnet, range)], avoid)) {
        if (found.length === count) break;
        found.push({ family: subnet.address.family, value });
      }
      return found;
    },

    async claim(subnet, address, holder, mac, network) {
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const found = tables
          .tablesOf(subnet)
          .filter((table) => table.network === network)
          .flatMap((table) => table.leases.get(address.value) ?? []);
        const best = found.find(({ lease }) => isHolder(lease, holder)) ?? found.find(isUnclaimed) ?? found[0];
        if (best === undefined) return undefined;
        const claimed = await underLocks([best.key], async () => {
          const record = best.table.leases.get(address.value);
          if (record === undefined) return undefined;
          if (isHolder(record.lease, holder)) return record.lease;
          if (!isUnclaimed(record)) throw taken(record.lease);
          const { lease } = record;
          return await change(record, { ...lease, holder: inherit(holder, lease.holder), ...(mac && { mac }) });
        });
        if (claimed !== undefined) return claimed;
      }
      throw busy(formatAddress(address));
    },

    async release(pool, address, owns = () => true) {
      const table = tables.table(pool);
      if (table === undefined) return;
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const dropped = await underLocks([leaseKey(table, address)], async () => {
          const record = tables.table(pool)?.leases.get(address.value);
          if (record === undefined || record.lease.holder.kind === 'gateway' || !owns(record.lease)) return [];
          return (await drop([record])) ? [record] : undefined;
        });
        if (dropped !== undefined) return await afterDrop(dropped);
      }
      throw busy(formatAddress(address));
    },

    async rehold({ pool, address, engine, holder, mac }) {
      const table = tables.table(pool);
      if (table === undefined) return false;
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const done = await underLocks([leaseKey(table, address)], async () => {
          const record = tables.table(pool)?.leases.get(address.value);
          if (record === undefined || record.lease.engine !== engine) return false;
          return (await change(record, { ...record.lease, holder, ...(mac && { mac }) })) === undefined
            ? undefined
            : true;
        });
        if (done !== undefined) return done;
      }
      throw busy(formatAddress(address));
    },

    async releaseEndpoint(endpoint) {
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        await writer.settle();
        const wanted = tables.ofEndpoint(endpoint);
        const dropped = await underLocks(
          wanted.map(({ key }) => key),
          async () => {
            const records = tables.ofEndpoint(endpoint);
            // One that came while we waited for the locks is not under them.
            if (records.some((record) => !wanted.some(({ key }) => key === record.key))) return undefined;
            return (await drop(records)) ? records : undefined;
          },
        );
        if (dropped !== undefined) return await afterDrop(dropped);
      }
      throw busy(`endpoint ${endpoint}`);
    },
  };
}

function askerOf({ holder, mac }: LeaseRequest): {
  readonly mac?: Mac | undefined;
  readonly name?: string | undefined;
} {
  return { mac, name: 'name' in holder ? holder.name : undefined };
}

/** Whether a request for an address is the one that was granted already; to a swarm, whichever node leads it now. */
function isRepeated(request: LeaseRequest, lease: Lease): boolean {
  const { holder, engine, mac } = lease;
  const wanted = request.holder;
  if (wanted.kind === 'gateway' || wanted.kind === 'auxiliary') return holder.kind === wanted.kind;
  if (wanted.kind === 'swarm') return holder.kind === 'swarm' && request.replay === true;
  const own = request.owns?.(lease) ?? request.engine === engine;
  if (!own || holder.kind === 'gateway') return false;
  if (request.replay) return true;
  // Of the same container: its answer was lost. Without a name or a MAC nothing tells one container from another.
  if (holder.kind !== 'request' || wanted.kind !== 'request') return false;
  return (mac !== undefined && mac === request.mac) || (holder.name !== undefined && holder.name === wanted.name);
}

/**
 * No container outlives a power failure, so who holds an address need not be on the disk: an engine that comes back asks again
 * for what it remembers.
 */
function isOfContainer(holder: LeaseHolder): boolean {
  return holder.kind === 'request' || holder.kind === 'endpoint';
}

function isHolder(lease: Lease, holder: LeaseHolder): boolean {
  switch (holder.kind) {
    case 'endpoint':
      if (lease.holder.kind === 'swarm') return true;
      return lease.holder.kind === 'endpoint' && lease.holder.endpoint === holder.endpoint;
    case 'auxiliary':
      return lease.holder.kind === 'auxiliary' || lease.holder.kind === 'gateway';
    default:
      return lease.holder.kind === holder.kind;
  }
}

function isUnclaimed({ lease }: LeaseRecord): boolean {
  return lease.holder.kind === 'request';
}

/** The holder, with the container's name that only the request told. */
function inherit(holder: LeaseHolder, previous: LeaseHolder): LeaseHolder {
  if (holder.kind !== 'endpoint' || holder.name !== undefined) return holder;
  return previous.kind === 'request' && previous.name !== undefined ? { ...holder, name: previous.name } : holder;
}

function taken({ address, holder, engine }: Lease): BerthError {
  return new BerthError(
    'ADDRESS_TAKEN',
    `the address ${formatAddress(address)} is held by ${describe(holder, engine)}`,
  );
}

function describe(holder: LeaseHolder, engine: string): string {
  const host = engine.startsWith('host/') ? engine.slice('host/'.length) : undefined;
  const name = 'name' in holder && holder.name !== undefined ? `container ${holder.name}` : undefined;
  const on = host === undefined ? '' : ` on host ${host}`;
  switch (holder.kind) {
    case 'endpoint':
      return `${name ?? `endpoint ${holder.endpoint.slice(0, 12)}`}${on}`;
    case 'request':
      if (name !== undefined) return `${name}${on}`;
      return `a container that ${host === undefined ? `engine ${engine}` : `host ${host}`} is starting`;
    case 'swarm':
      return 'a container of the swarm';
    case 'gateway':
      return 'the gateway of the network';
    case 'auxiliary':
      return 'nobody: it is reserved as an auxiliary address';
  }
}

function busy(what: string): BerthError {
  return new BerthError('STORE_UNAVAILABLE', `other hosts keep changing ${what}`);
}

/**
 * IP address management: pools, and leases on their addresses. All of it is in the store, and in memory as well, which is read
 * once, when it is opened, and follows every write. The store's transaction is the only lock between hosts: a lease is made by
 * one that requires the address to be absent, so no address is given out twice, whatever crashes when.
 */

import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Address } from '../model/address.ts';
import type { EndpointId, PoolId } from '../model/ids.ts';
import { keys } from '../model/keys.ts';
import type { Mac } from '../model/mac.ts';
import type { Lease, LeaseHolder, Pool } from '../model/pool.ts';
import { family, type Prefix } from '../model/prefix.ts';
import type { Store } from '../store/store.ts';
import { defaultBases, type PoolBase, uniqueLocalBase } from './auto-pool.ts';
import { createFollower } from './follow.ts';
import { createLeases, type LeaseRequest, type Owns } from './leases.ts';
import { createLocks } from './locks.ts';
import { createPools, type PoolRequest, type Settled } from './pools.ts';
import { createReservations, type Reservations } from './reservations.ts';
import { createTables, type LeaseRecord } from './tables.ts';
import { createWriter } from './writer.ts';

/**
 * Every method that changes something is one transaction on the store, and rejects with STORE_FULL, STORE_CORRUPT or
 * STORE_UNAVAILABLE when that fails. After STORE_UNAVAILABLE it may be unknown what happened: it is found out before the next
 * change, and what was made then is undone, since its caller was told that it failed.
 */
export interface Ipam {
  /**
   * Opens a pool; one that exists, released or not, is simply given again. Without a subnet a new one is chosen, a different
   * one each time.
   *
   * @throws BerthError BAD_SUBNET, SUBNET_OVERLAP, NO_FREE_SUBNET
   */
  openPool(request: PoolRequest): Promise<Pool>;
  /**
   * Docker gives a pool back: one that it has just opened, and is then what it was before; or that of a network. It goes when no
   * network is on it (`inUse`: at the time of the call one may still be) and no container holds an address of it; to be called
   * again when that has changed. Giving back the unknown succeeds.
   */
  releasePool(id: PoolId, options?: { readonly inUse: boolean }): Promise<void>;
  /**
   * A network is being made on this subnet.
   *
   * @param suits whether what is known of the network speaks for a pool; absent, or where it speaks for none: the one asked for first.
   * @returns the pool that was opened for it, which is not ours to find out otherwise: Docker names the subnet only. `undo`: it
   * was not made. Undefined when no pool was opened lately.
   */
  settlePool(subnet: Prefix, suits?: (id: PoolId) => boolean): Settled | undefined;
  /** A pool that was given back is wanted after all: not all of the networks that share it have gone. */
  keepPool(id: PoolId): Promise<void>;
  /** No engine has a network on this pool: it goes, as soon as no container holds an address of it. */
  removePool(id: PoolId): Promise<void>;

  /**
   * Leases an address of a pool: the given one, which must lie in the subnet but need not in the range, or the lowest free one
   * of the range. A gateway without an address is the one that the subnet has already, or else its lowest free address.
   *
   * @throws BerthError POOL_UNKNOWN, ADDRESS_OUTSIDE, ADDRESS_RESERVED, ADDRESS_TAKEN (naming the holder), POOL_EXHAUSTED
   */
  lease(request: LeaseRequest): Promise<Lease>;
  /**
   * The addresses that are given out next, lowest first.
   *
   * @throws BerthError POOL_UNKNOWN
   */
  lowestFree(pool: PoolId, count: number, avoid: (address: Address) => boolean): readonly Address[];
  /**
   * Ties an address that was requested to the endpoint that uses it, or marks it as auxiliary.
   *
   * @param network of the cluster, when it is an address of one; the subnet may be that of others, too.
   * @returns undefined when we have not leased it: Docker's own IPAM did.
   * @throws BerthError ADDRESS_TAKEN when it is held for something else.
   */
  claim(subnet: Prefix, address: Address, holder: LeaseHolder, mac?: Mac, network?: string): Promise<Lease | undefined>;
  /**
   * Frees an address. The unknown succeeds. A gateway's stays until its pool goes: engines release it first when they remove a
   * network, and the network still needs it then.
   *
   * @param owns a lease that is another host's by now, or was always, stays.
   */
  release(pool: PoolId, address: Address, owns?: Owns): Promise<void>;
  /**
   * Frees all addresses of an endpoint that its engine has forgotten. Not for one that the engine removes itself: it releases
   * the addresses afterwards, and by then somebody else may have them.
   */
  releaseEndpoint(endpoint: EndpointId): Promise<void>;
  /**
   * Writes who has an address now, if it is still leased by the same engine, whatever it was for.
   *
   * @returns whether it was.
   */
  rehold(lease: Lease): Promise<boolean>;

  readonly reservations: Reservations;

  /**
   * Follows what other hosts do in the same store, until the signal aborts. Without it everything is right as well, but an address
   * that another host has freed is not given out here.
   *
   * @throws BerthError STORE_UNAVAILABLE when the store is closed, STORE_CORRUPT, STORE_NEWER.
   */
  follow(signal: AbortSignal): Promise<void>;

  /**
   * Reads a pool with its leases, of which the others have not told yet.
   *
   * @returns undefined when there is none.
   */
  refreshPool(id: PoolId): Promise<Pool | undefined>;

  pool(id: PoolId): Pool | undefined;
  pools(): readonly Pool[];
  /** Subnet by subnet, in the order of addresses. */
  leases(): readonly Lease[];
  leasesOf(pool: PoolId): readonly Lease[];
  /** The lease on an address of the subnet that a pool is on. */
  find(pool: PoolId, address: Address): Lease | undefined;
  count(): number;
}

export interface IpamOptions {
  /** What automatic subnets are cut from. For a family that it has none of, the default. */
  readonly bases?: readonly PoolBase[];
  /** What the host's unique local IPv6 prefix is derived from; the machine's id when absent. */
  readonly seed?: string;
  /** Wall clock in milliseconds, for `createdAt`. */
  readonly now?: () => number;
  /** Monotonic milliseconds, for everything that depends on how long ago something was. */
  readonly monotonic?: () => number;
}

/**
 * Reads all pools and leases from the store.
 *
 * @throws BerthError STORE_CORRUPT or STORE_NEWER, naming the key, when one of them cannot be read; STORE_UNAVAILABLE.
 */
export async function openIpam(store: Store, options: IpamOptions = {}): Promise<Ipam> {
  const { bases = [], now = Date.now, monotonic = () => performance.now() } = options;
  const follower = createFollower({
    store,
    absorb: (key, entry) => (key.startsWith(keys.reservations) ? reservations : tables).absorb(key, entry),
    known: () => [...tables.keys(), ...reservations.keys()],
  });
  const tables = createTables(follower);
  const reservations = createReservations(store, follower.wrote);
  await follower.read();
  const writer = createWriter(store, tables.learn, follower.wrote);
  const locks = createLocks();
  const usual = [...defaultBases, uniqueLocalBase(options.seed ?? machineSeed())];
  const pools = createPools({
    store,
    tables,
    writer,
    locks,
    bases: [...bases, ...usual.filter(({ base }) => !bases.some((given) => family(given.base) === family(base)))],
    now,
    monotonic,
  });
  const leases = createLeases({ tables, writer, locks, reservations, now, leaseGone: (id) => pools.leaseGone(id) });

  /** @param exact the key itself, not those that begin so. */
  const refresh = async (prefix: string, had: Iterable<string>, exact: boolean): Promise<void> => {
    const { entries, revision } = await store.list(prefix, exact ? { limit: 1 } : {});
    const there = new Map(entries.filter(({ key }) => !exact || key === prefix).map((entry) => [entry.key, entry]));
    for (const key of new Set([...there.keys(), ...had])) tables.learn(key, there.get(key), revision);
  };

  const refreshPool = async (id: PoolId): Promise<Pool | undefined> => {
    const key = keys.pool(id);
    await refresh(key, [key], true);
    const table = tables.table(id);
    if (table === undefined) return undefined;
    const had = [...table.leases.values()].map((record) => record.key);
    await refresh(keys.poolLeases(table.id), had, false);
    return tables.pool(id)?.pool;
  };

  const inOrder = (records: Iterable<LeaseRecord>): Lease[] =>
    [...records].map(({ lease }) => lease).sort((a, b) => (a.address.value < b.address.value ? -1 : 1));

  return {
    openPool: (request) => pools.open(request),
    releasePool: (id, { inUse } = { inUse: false }) => pools.release(id, inUse),
    settlePool: pools.settle,
    keepPool: (id) => pools.keep(id),
    removePool: (id) => pools.remove(id),
    ...leases,
    reservations,
    follow: (signal) => follower.follow(signal),
    refreshPool,
    pool: (id) => tables.pool(id)?.pool,
    pools: () => [...tables.pools.values()].map(({ pool }) => pool),
    leases: () => [...tables.all()].flatMap((table) => inOrder(table.leases.values())),
    leasesOf: (id) => inOrder(tables.table(id)?.leases.values() ?? []).filter(({ pool }) => pool === id),
    find: (id, address) => tables.table(id)?.leases.get(address.value)?.lease,
    count: () => tables.leaseCount(),
  };
}

/** Something that stays the same as long as the machine does (machine-id(5)). */
function machineSeed(): string {
  try {
    return readFileSync('/etc/machine-id', 'utf8').trim() || hostname();
  } catch {
    return hostname();
  }
}

/** Pools and leases in memory, with what is needed to find each at once. What is in the store is the truth; this follows. */

import { type Address, parseAddress, sameAddress } from '../model/address.ts';
import { BerthError } from '../model/errors.ts';
import type { EndpointId, PoolId } from '../model/ids.ts';
import { keys } from '../model/keys.ts';
import { type Lease, networkOfPool, type Pool, poolId } from '../model/pool.ts';
import { contains, formatPrefix, type Prefix, parsePrefix } from '../model/prefix.ts';
import type { Entry } from '../store/store.ts';
import { decodeLease, decodePool } from './codec.ts';
import type { Follower } from './follow.ts';
import { AddressSet } from './ranges.ts';

export interface PoolRecord {
  readonly pool: Pool;
  readonly revision: number;
}

export interface LeaseRecord {
  readonly key: string;
  readonly lease: Lease;
  readonly revision: number;
  readonly table: SubnetTable;
}

/**
 * The leases of one subnet in one address space. All pools on it share them, whatever their ranges: an address exists once
 * in a subnet. So a lease is kept under the id that the subnet has as a pool without a range.
 */
export interface SubnetTable {
  readonly id: PoolId;
  readonly space: string;
  /** The network of the cluster that it is of: `TENANT:NETWORK`. */
  readonly network: string | undefined;
  readonly subnet: Prefix;
  /** Leased addresses, and those that are about to be. */
  readonly taken: AddressSet;
  readonly leases: Map<bigint, LeaseRecord>;
  readonly gateways: Set<LeaseRecord>;
  readonly pools: Set<PoolId>;
}

export interface Tables {
  readonly pools: ReadonlyMap<PoolId, PoolRecord>;
  pool(id: PoolId): PoolRecord | undefined;
  /** The table of the subnet that a pool is, or was, on. */
  table(id: PoolId): SubnetTable | undefined;
  /** The tables of a subnet in all address spaces. */
  tablesOf(subnet: Prefix): readonly SubnetTable[];
  all(): Iterable<SubnetTable>;
  /** Of all pools and leases. */
  keys(): Iterable<string>;
  leaseCount(): number;
  ofEndpoint(endpoint: EndpointId): readonly LeaseRecord[];
  /** Written at that revision. */
  setPool(pool: Pool, revision: number): void;
  setLease(key: string, lease: Lease, revision: number): void;
  /** Removed, unless another has come in its place. */
  dropLease(record: LeaseRecord): void;
  /**
   * Takes over what the store says of a key of ours.
   *
   * @throws BerthError STORE_CORRUPT, STORE_NEWER when it cannot be read.
   */
  absorb(key: string, entry: Entry | undefined): void;
  /** The same with what was read at a revision, by the time that it came perhaps old news. */
  learn(key: string, entry: Entry | undefined, revision: number): void;
}

/** The id under which the leases of a pool's subnet are kept. */
export function subnetId(pool: Pool): PoolId {
  return poolId(pool.space, pool.subnet);
}

export function leaseKey(table: SubnetTable, address: Address): string {
  return keys.lease(table.id, address);
}

/** @param news tells what of it was absorbed already. */
export function createTables(news: Pick<Follower, 'told' | 'isOld'>): Tables {
  const pools = new Map<PoolId, PoolRecord>();
  const tables = new Map<PoolId, SubnetTable>();
  const bySubnet = new Map<string, Set<SubnetTable>>();
  const byEndpoint = new Map<EndpointId, Set<LeaseRecord>>();
  let count = 0;

  const tableFor = (id: PoolId, subnet: Prefix): SubnetTable => {
    const existing = tables.get(id);
    if (existing !== undefined) return existing;
    const taken = new AddressSet();
    const space = id.slice(0, id.lastIndexOf('/'));
    const table = {
      id,
      space,
      network: networkOfPool({ space }),
      subnet,
      taken,
      leases: new Map(),
      gateways: new Set<LeaseRecord>(),
      pools: new Set<PoolId>(),
    };
    tables.set(id, table);
    const shown = formatPrefix(subnet);
    bySubnet.set(shown, (bySubnet.get(shown) ?? new Set()).add(table));
    return table;
  };

  /** `berth/lease/<id of the subnet>/=<address>`. Most keys are of a table that exists, so that is looked for first. */
  const tableOfKey = (key: string): SubnetTable => {
    const id = key.slice(keys.leases.length, key.lastIndexOf('/=')) as PoolId;
    return tables.get(id) ?? tableFor(id, parseSubnetId(key, id));
  };

  const dropIfEmpty = (table: SubnetTable) => {
    if (table.pools.size > 0 || table.leases.size > 0) return;
    tables.delete(table.id);
    const shown = formatPrefix(table.subnet);
    const others = bySubnet.get(shown);
    others?.delete(table);
    if (others?.size === 0) bySubnet.delete(shown);
  };

  const unindex = (record: LeaseRecord) => {
    record.table.gateways.delete(record);
    if (record.lease.holder.kind !== 'endpoint') return;
    const others = byEndpoint.get(record.lease.holder.endpoint);
    others?.delete(record);
    if (others?.size === 0) byEndpoint.delete(record.lease.holder.endpoint);
  };

  const putPool = (pool: Pool, revision: number) => {
    pools.set(pool.id, { pool, revision });
    tableFor(subnetId(pool), pool.subnet).pools.add(pool.id);
  };

  const dropPool = (id: PoolId) => {
    const record = pools.get(id);
    if (record === undefined) return;
    pools.delete(id);
    const table = tables.get(subnetId(record.pool));
    table?.pools.delete(id);
    if (table !== undefined) dropIfEmpty(table);
  };

  const putLease = (key: string, lease: Lease, revision: number) => {
    const table = tableOfKey(key);
    const previous = table.leases.get(lease.address.value);
    if (previous === undefined) count++;
    else unindex(previous);
    const record: LeaseRecord = { key, lease, revision, table };
    table.taken.add(lease.address.value);
    table.leases.set(lease.address.value, record);
    if (lease.holder.kind === 'gateway') table.gateways.add(record);
    if (lease.holder.kind === 'endpoint') {
      const { endpoint } = lease.holder;
      byEndpoint.set(endpoint, (byEndpoint.get(endpoint) ?? new Set()).add(record));
    }
  };

  const dropLease = ({ table, lease }: LeaseRecord) => {
    const record = table.leases.get(lease.address.value);
    if (record === undefined) return;
    unindex(record);
    table.leases.delete(lease.address.value);
    table.taken.delete(lease.address.value);
    count--;
    dropIfEmpty(table);
  };

  const absorb = (key: string, entry: Entry | undefined) => {
    if (key.startsWith(keys.leases)) {
      const address = parseAddress(key.slice(key.lastIndexOf('/=') + 2));
      if (address === undefined) throw misplaced(key);
      const table = tableOfKey(key);
      const record = table.leases.get(address.value);
      if (entry !== undefined)
        putLease(key, checkLease(key, decodeLease(key, entry.value), table, address), entry.modRevision);
      else if (record !== undefined) dropLease(record);
      else table.taken.delete(address.value);
      dropIfEmpty(table);
    } else if (entry === undefined) {
      dropPool(key.slice(keys.pools.length) as PoolId);
    } else {
      const pool = decodePool(key, entry.value);
      if (keys.pool(pool.id) !== key) throw misplaced(key);
      putPool(pool, entry.modRevision);
    }
  };

  return {
    pools,
    pool: (id) => pools.get(id),
    table(id) {
      const record = pools.get(id);
      return record === undefined ? undefined : tables.get(subnetId(record.pool));
    },
    tablesOf: (subnet) => [...(bySubnet.get(formatPrefix(subnet)) ?? [])],
    all: () => tables.values(),
    *keys() {
      for (const id of pools.keys()) yield keys.pool(id);
      for (const { leases } of tables.values()) for (const { key } of leases.values()) yield key;
    },
    leaseCount: () => count,
    ofEndpoint: (endpoint) => [...(byEndpoint.get(endpoint) ?? [])],
    setPool(pool, revision) {
      if (!news.told(keys.pool(pool.id), revision)) putPool(pool, revision);
    },
    setLease(key, lease, revision) {
      if (!news.told(key, revision)) putLease(key, lease, revision);
    },
    dropLease(record) {
      const current = record.table.leases.get(record.lease.address.value);
      if (current?.revision === record.revision) dropLease(current);
    },
    absorb,
    learn(key, entry, revision) {
      if (!news.isOld(key, revision)) absorb(key, entry);
    },
  };
}

function checkLease(key: string, lease: Lease, table: SubnetTable, address: Address): Lease {
  const { id, subnet } = table;
  const own = lease.pool === id || lease.pool.startsWith(`${id}/`);
  if (!own || !sameAddress(address, lease.address) || !contains(subnet, address)) throw misplaced(key);
  return lease;
}

function misplaced(key: string): BerthError {
  return new BerthError('STORE_CORRUPT', `the value of ${key} in the store belongs to another key`);
}

/** `<space>/<subnet>-<length>`; the space may contain slashes. */
function parseSubnetId(key: string, id: PoolId): Prefix {
  const match = /\/([^/]+)-([0-9]+)$/.exec(id);
  const subnet = parsePrefix(`${match?.[1]}/${match?.[2]}`);
  if (subnet === undefined) throw misplaced(key);
  return subnet;
}

/**
 * Docker's pools. Docker asks for a pool before it has told of the network, and names the pool no more when it tells. So a pool is
 * only written down here; it becomes a subnet of Neutron with the network that it is found to be of.
 */

import { randomBytes } from 'node:crypto';
import type { RequestPool } from '../../docker/driver.ts';
import { chooseSubnet } from '../../ipam/auto-pool.ts';
import { type Address, formatAddress, sameAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import type { NetworkId, PoolId } from '../../model/ids.ts';
import type { Subnet } from '../../model/network.ts';
import { poolId } from '../../model/pool.ts';
import { contains, covers, formatPrefix, hostRange, type Prefix, parsePrefix, samePrefix } from '../../model/prefix.ts';
import type { Bounds } from '../../openstack/bounds.ts';
import type { Neutron } from '../../openstack/neutron/neutron.ts';
import type { Book } from './book.ts';
import { findOne } from './find.ts';
import { type Reference, readWishes, type Wishes } from './options.ts';
import type { PoolRecord } from './records.ts';

export interface PoolDefaults {
  /** Names of the subnet pools that subnets are cut from when the user names none. */
  readonly pools: { readonly 4: string; readonly 6: string };
}

export interface PoolsParts {
  readonly book: Pick<Book, 'pools'>;
  readonly neutron: Pick<Neutron, 'networks' | 'subnets' | 'subnetPools'>;
  readonly defaults: PoolDefaults;
  now(): number;
}

export interface Pools {
  /**
   * Asks Neutron only when Docker names no subnet.
   *
   * @throws BerthError BAD_OPTION, BAD_SUBNET, POOL_EXHAUSTED, NEUTRON_…
   */
  open(request: RequestPool, bounds: Bounds): Promise<PoolRecord>;
  /** An address for the network itself: its gateway, or one that the user keeps from containers. @throws BerthError ADDRESS_OUTSIDE */
  keep(pool: PoolRecord, address: Address | undefined, purpose: 'gateway' | 'auxiliary'): Promise<Address>;
  /**
   * The pools that a network is made of, which are its own from now on. Of several that may be meant, those asked for first.
   *
   * @throws BerthError POOL_UNKNOWN for a subnet that nobody asked a pool for.
   */
  settle(network: NetworkId, subnets: readonly Subnet[]): readonly PoolRecord[];
  /** Docker has given one back. One that has become part of a network goes with that. */
  release(id: PoolId): Promise<void>;
}

/** Milliseconds for which a request waits for another of the same subnet to be told of its network. */
const TURN = 4000;

export function createPools({ book, neutron, defaults, now }: PoolsParts): Pools {
  /** Pools whose networks are being made. */
  const claimed = new Map<PoolId, NetworkId>();
  const waiting = new Set<() => void>();
  const ownerOf = ({ id, network }: PoolRecord): NetworkId | undefined => network ?? claimed.get(id);
  /** One at a time: it is to have its pool before the next looks. */
  const changed = (): void => {
    const [next] = waiting;
    if (next === undefined) return;
    waiting.delete(next);
    next();
  };

  /**
   * Docker tells which network a pool is for by nothing but its subnet. So of two networks with the same subnet that are made at the
   * same time, one waits.
   */
  async function turn(subnet: Prefix, { until = Number.POSITIVE_INFINITY }: Bounds): Promise<void> {
    const end = Math.min(until, performance.now() + TURN);
    const isWaitedFor = (pool: PoolRecord): boolean =>
      ownerOf(pool) === undefined && samePrefix(pool.subnet, subnet) && now() - pool.createdAt < TURN;
    while (book.pools.all().some(isWaitedFor) && performance.now() < end) {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.add(resolve);
      const timer = setTimeout(resolve, Math.ceil(end - performance.now()));
      await promise;
      clearTimeout(timer);
      waiting.delete(resolve);
    }
  }

  async function chosen(request: RequestPool, bounds: Bounds): Promise<Pick<PoolRecord, 'subnet' | 'subnetPool'>> {
    const { family, length } = request;
    const wishes = readWishes(request.options);
    const named = wishes.subnets[family];
    if (named !== undefined) return { subnet: await namedSubnet(named, wishes, bounds) };
    if (wishes.network !== undefined && wishes.pools[family] === undefined)
      return { subnet: await onNetwork(wishes.network, family, bounds) };
    const wanted = wishes.pools[family];
    const pool =
      wanted === undefined
        ? await defaultPool(family, bounds)
        : await findOne(neutron.subnetPools, 'subnet pool', wanted, bounds);
    const cut = await neutron.subnets.list({ subnetpool_id: pool.id }, { ...bounds, fields: ['cidr'] });
    const asked = book.pools.all().filter(({ network }) => network === undefined);
    const taken = [...cut.map(({ cidr }) => prefixOf(cidr)), ...asked.map(({ subnet }) => subnet)];
    const usual = length ?? pool.default_prefixlen ?? (family === 4 ? 24 : 64);
    const bases = pool.prefixes.map((base) => ({ base: prefixOf(base), length: usual }));
    const free = chooseSubnet(family, length, bases, taken);
    if (free !== undefined) return { subnet: free, subnetPool: pool.id };
    throw new BerthError(
      'POOL_EXHAUSTED',
      `the subnet pool '${pool.name}' of Neutron has no free subnet of length ${usual}`,
    );
  }

  /** The user has named neither a subnet nor a pool, and may not know that there is such a thing. */
  async function defaultPool(family: 4 | 6, bounds: Bounds) {
    const name = defaults.pools[family];
    try {
      return await findOne(neutron.subnetPools, 'subnet pool', { name }, bounds);
    } catch (error) {
      if (!(error instanceof BerthError && error.code === 'NEUTRON_NOT_FOUND')) throw error;
      throw new BerthError(
        'NEUTRON_NOT_FOUND',
        `no --subnet was given, and ${error.message}: give one, or make the pool that it is cut from (openstack subnet pool create --pool-prefix PREFIX ${name})`,
        { cause: error },
      );
    }
  }

  /** Its name needs to be the only one on its network, where that is named as well. */
  async function namedSubnet(named: Reference, { network: on }: Wishes, bounds: Bounds): Promise<Prefix> {
    const network = on === undefined ? undefined : await findOne(neutron.networks, 'network', on, bounds);
    const among = network === undefined ? {} : { network_id: network.id };
    return prefixOf((await findOne(neutron.subnets, 'subnet', named, bounds, among)).cidr);
  }

  /** The one subnet that a network of Neutron has. */
  async function onNetwork(wanted: Reference, family: 4 | 6, bounds: Bounds): Promise<Prefix> {
    const network = await findOne(neutron.networks, 'network', wanted, bounds);
    const filter = { network_id: network.id, ip_version: family };
    const [subnet, ...others] = await neutron.subnets.list(filter, { ...bounds, fields: ['cidr'] });
    if (subnet !== undefined && others.length === 0) return prefixOf(subnet.cidr);
    throw new BerthError(
      'BAD_SUBNET',
      `the network '${network.name}' of Neutron has ${subnet === undefined ? 'no' : 'more than one'} subnet of IPv${family}: name one with --subnet`,
    );
  }

  return {
    async open(request, bounds) {
      readWishes(request.options);
      const { range, options } = request;
      const of = request.subnet === undefined ? await chosen(request, bounds) : { subnet: request.subnet };
      const { subnet } = of;
      if (range !== undefined && !covers(subnet, range))
        throw new BerthError(
          'BAD_SUBNET',
          `the range ${formatPrefix(range)} is not within the subnet ${formatPrefix(subnet)}`,
        );
      if (request.subnet !== undefined) await turn(subnet, bounds);
      // Unlike a pool of our own, one is never shared: networks of Neutron may have the same subnet.
      const id = poolId(`neutron-${randomBytes(8).toString('hex')}`, subnet, range);
      const record: PoolRecord = { id, ...of, ...(range && { range }), options, auxiliary: [], createdAt: now() };
      await book.pools.put(record);
      return record;
    },

    async keep(pool, address, purpose) {
      const { subnet, gateway } = pool;
      if (address !== undefined && !contains(subnet, address))
        throw new BerthError(
          'ADDRESS_OUTSIDE',
          `the address ${formatAddress(address)} is not within the subnet ${formatPrefix(subnet)}`,
        );
      const kept = address ?? gateway?.address ?? { family: subnet.address.family, value: hostRange(subnet).first };
      const current = book.pools.get(pool.id) ?? pool;
      if (purpose === 'gateway')
        await book.pools.put({ ...current, gateway: { address: kept, chosen: address === undefined } });
      else if (!current.auxiliary.some((known) => sameAddress(known, kept)))
        await book.pools.put({ ...current, auxiliary: [...current.auxiliary, kept] });
      return kept;
    },

    settle(network, subnets) {
      const free = new Map<PoolId, PoolRecord>();
      for (const pool of book.pools.all()) if ([undefined, network].includes(ownerOf(pool))) free.set(pool.id, pool);
      const settled = subnets.map((subnet) => {
        const fitting = [...free.values()]
          .filter((pool) => isOf(pool, subnet))
          // What a repeated request settled before, comes first.
          .toSorted(
            (a, b) => Number(ownerOf(b) === network) - Number(ownerOf(a) === network) || a.createdAt - b.createdAt,
          );
        const [pool] = fitting;
        if (pool === undefined)
          throw new BerthError(
            'POOL_UNKNOWN',
            `the subnet ${formatPrefix(subnet.prefix)} is of another IPAM driver: a network of Neutron needs its addresses from Neutron`,
          );
        free.delete(pool.id);
        return pool;
      });
      for (const { id } of settled) claimed.set(id, network);
      changed();
      return settled;
    },

    async release(id) {
      if (book.pools.get(id)?.network === undefined) await book.pools.delete(id);
      claimed.delete(id);
      changed();
    },
  };
}

/** Docker tells of the subnet with its gateway and reserved addresses, all of which it has asked for. */
function isOf(pool: PoolRecord, { prefix, gateway, auxiliary }: Subnet): boolean {
  if (!samePrefix(pool.subnet, prefix)) return false;
  if (gateway !== undefined && pool.gateway !== undefined && !sameAddress(pool.gateway.address, gateway)) return false;
  return Object.values(auxiliary).every((kept) => pool.auxiliary.some((known) => sameAddress(known, kept)));
}

/** Neutron stores CIDRs as it was told, with host bits or without (`10.0.0.5/24`). */
function prefixOf(cidr: string): Prefix {
  const prefix = parsePrefix(cidr);
  if (prefix !== undefined) return prefix;
  throw new BerthError('OPENSTACK_BAD_ANSWER', `Neutron has a subnet whose CIDR is '${cidr.slice(0, 64)}'`);
}

/**
 * Addresses of networks of the cluster. Their pools come and go with the networks' objects, and any host leases from them: what a
 * lease needs to be right stands in its conditions, and not in what this host happens to know.
 */

import type { ClusterMember } from '../../fabric/cluster/settings.ts';
import type { Ipam } from '../../ipam/ipam.ts';
import { limitsOf } from '../../ipam/layout.ts';
import { ConditionFailed, type LeaseRequest } from '../../ipam/leases.ts';
import { type Address, type Family, formatAddress, sameAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import { keys } from '../../model/keys.ts';
import type { Objects } from '../../model/objects/kind.ts';
import type { Lease, Pool } from '../../model/pool.ts';
import { formatPrefix, type Prefix, samePrefix } from '../../model/prefix.ts';
import { gateOpen, whenGateOpens } from '../../objects/gate.ts';
import { networkPools } from '../../objects/pools.ts';
import type { Registry } from '../../objects/registry.ts';
import type { Condition, Store } from '../../store/store.ts';
import type { Granting } from '../granting.ts';
import { type ClusterPool, nameOf } from './pool-id.ts';

/** What there is of the cluster. */
export interface ClusterSource {
  readonly store: Store;
  readonly registry: Pick<Registry, 'current'>;
  objects(): Objects | undefined;
}

export interface ClusterAddresses {
  /**
   * The pool of a network or group.
   *
   * @param subnet as Docker was told, if it was.
   * @throws BerthError NETWORK_UNKNOWN, OBJECT_UNKNOWN, BAD_SUBNET, STORE_UNAVAILABLE
   */
  pool(member: ClusterMember, family: Family, subnet?: Prefix): Promise<Pool>;
  /**
   * Leases an address, the lowest that is free for the network or group when none is named.
   *
   * @throws BerthError NETWORK_UNKNOWN, OBJECT_UNKNOWN, POOL_EXHAUSTED, ADDRESS_TAKEN, ADDRESS_OUTSIDE, ADDRESS_RESERVED, RACE_LOST
   *   when the network is being changed for too long, STORE_UNAVAILABLE
   */
  lease(from: ClusterPool, request: Pick<LeaseRequest, 'address' | 'mac' | 'holder' | 'replay'>): Promise<Lease>;
  /**
   * The gateway of a network. Engines insist on one: where there is none it is the network's own address, which is no host's.
   *
   * @throws BerthError NETWORK_UNKNOWN, BAD_OPTION when another was asked for.
   */
  gateway(
    from: ClusterPool,
    wanted: Address | undefined,
  ): Promise<{ readonly address: Address; readonly length: number }>;
}

export interface ClusterAddressesParts extends ClusterSource {
  readonly ipam: Ipam;
  readonly granting: Pick<Granting, 'grant' | 'note'>;
}

/** Milliseconds that a call has: less than an engine's patience, and more than a gate stays closed whose owner has died. */
const PATIENCE = 8000;

export function createClusterAddresses(parts: ClusterAddressesParts): ClusterAddresses {
  const { ipam, granting, store, registry } = parts;
  const opening = new Map<string, Promise<void>>();

  /** One look for all who wait. */
  function whenOpen(network: string): Promise<void> {
    let found = opening.get(network);
    if (found === undefined) {
      found = whenGateOpens(store, network, AbortSignal.timeout(PATIENCE)).finally(() => opening.delete(network));
      opening.set(network, found);
    }
    return found;
  }

  const known = (network: string, family: Family): Pool | undefined =>
    ipam.pools().find(({ space, subnet }) => space === network && subnet.address.family === family);

  /** Asks the store where memory knows of none: what was made a moment ago has perhaps not been told yet. */
  async function find(network: string, family: Family): Promise<Pool> {
    const found = known(network, family);
    if (found !== undefined) return found;
    const object = (await registry.current()).get('network', network);
    if (object === undefined) throw unknownNetwork(network);
    const pool = networkPools(object).find(({ subnet }) => subnet.address.family === family);
    if (pool === undefined) throw new BerthError('BAD_SUBNET', `the network ${network} has no IPv${family} subnet`);
    const read = await ipam.refreshPool(pool.id);
    if (read === undefined) throw unknownNetwork(network);
    return read;
  }

  async function checkGroup(network: string, group: string): Promise<void> {
    const isOn = (objects: Objects | undefined): boolean =>
      objects?.get('endpointGroup', group)?.config.networkName === nameOf(network);
    if (!isOn(parts.objects()) && !isOn(await registry.current())) throw unknownGroup(group, network);
  }

  async function current({ pool, network }: ClusterPool): Promise<Pool> {
    const found = ipam.pool(pool) ?? (await ipam.refreshPool(pool));
    if (found === undefined) throw unknownNetwork(network);
    return found;
  }

  const conditionsOf = ({ network, group }: ClusterPool): Condition[] => [
    ...gateOpen(network),
    ...(group === undefined ? [] : [{ key: keys.object('endpointGroup', group), is: 'present' } as const]),
  ];

  return {
    async pool({ network, group }, family, subnet) {
      const pool = await find(network, family);
      if (subnet !== undefined && !samePrefix(subnet, pool.subnet)) {
        throw new BerthError(
          'BAD_SUBNET',
          `the network ${network} has the subnet ${formatPrefix(pool.subnet)}, not ${formatPrefix(subnet)}`,
        );
      }
      if (group !== undefined) await checkGroup(network, group);
      granting.note(pool.id);
      return pool;
    },

    async lease(from, request) {
      const { pool, network, group } = from;
      const limits = (of: Pool) => limitsOf(of, group === undefined ? undefined : nameOf(group));
      const deadline = AbortSignal.timeout(PATIENCE);
      await current(from);
      for (;;) {
        try {
          return await granting.grant({ ...request, pool, limits, conditions: conditionsOf(from) });
        } catch (error) {
          // It was removed while we were at it; perhaps to be made anew.
          if (error instanceof BerthError && error.code === 'POOL_UNKNOWN') await current(from);
          else if (!(error instanceof ConditionFailed)) throw inContivsWords(error, ipam.pool(pool), from);
          else if (error.condition.key === keys.gate(network)) await whenOpen(network);
          else if (error.condition.key === keys.object('network', network)) throw unknownNetwork(network);
          else throw unknownGroup(group!, network);
          if (deadline.aborted)
            throw new BerthError('RACE_LOST', `the network ${network} is being changed again and again`);
        }
      }
    },

    async gateway(from, wanted) {
      const { subnet, layout } = await current(from);
      const address = layout?.gateway ?? subnet.address;
      if (wanted === undefined || sameAddress(wanted, address)) return { address, length: subnet.length };
      const has = layout?.gateway === undefined ? 'no gateway' : `the gateway ${formatAddress(address)}`;
      throw new BerthError('BAD_OPTION', `the network ${from.network} has ${has}, not ${formatAddress(wanted)}`);
    },
  };
}

function unknownNetwork(network: string): BerthError {
  return new BerthError('NETWORK_UNKNOWN', `the cluster has no network ${network}`);
}

function unknownGroup(group: string, network: string): BerthError {
  return new BerthError('OBJECT_UNKNOWN', `the cluster has no group ${group} on the network ${network}`);
}

function inContivsWords(error: unknown, pool: Pool | undefined, { group }: ClusterPool): unknown {
  if (!(error instanceof BerthError) || error.code !== 'POOL_EXHAUSTED' || pool === undefined) return error;
  const range = group === undefined ? undefined : pool.layout?.groups[nameOf(group)];
  const show = (value: bigint) => formatAddress({ family: pool.subnet.address.family, value });
  const where =
    range === undefined ? `subnet ${formatPrefix(pool.subnet)}` : `pool ${show(range.first)}-${show(range.last)}`;
  return new BerthError('POOL_EXHAUSTED', `auto allocation failed - address exhaustion in ${where}`);
}

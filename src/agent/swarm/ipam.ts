/**
 * Our IPAM in front of a swarm. The leader's engine asks for the addresses of all nodes, remembers them in the swarm's own consensus
 * (raft), and tells its plugin all of them again when it begins to lead: an address that another leader was given is granted to it
 * again, and what it does not ask for any more is free. A node's engine asks for what the leader gave, and is told so.
 */

import type { IpamDriver } from '../../docker/driver.ts';
import { sameLease } from '../../ipam/codec.ts';
import type { Ipam } from '../../ipam/ipam.ts';
import { formatAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import type { PoolId } from '../../model/ids.ts';
import { poolId, readPoolId } from '../../model/pool.ts';
import { contains, formatPrefix, type Prefix } from '../../model/prefix.ts';
import { readClusterPoolId } from '../cluster/pool-id.ts';
import type { PluginConfig } from '../config.ts';
import { swarmSpaces } from './spaces.ts';

export interface SwarmIpamParts {
  readonly ipam: Pick<Ipam, 'pool' | 'leasesOf' | 'release' | 'removePool'>;
  readonly plugins: ReadonlyMap<string, PluginConfig>;
  /** The engine keeps this agent as a managed plugin: only those does a swarm use. */
  readonly managed: boolean;
}

/** Sees to what engines in a swarm ask, and hands the rest to `other`. */
export function withSwarm(other: IpamDriver, { ipam, plugins, managed }: SwarmIpamParts): IpamDriver {
  /** What a leader that has just begun has asked for again so far, by pool. Once it asks for something new, it is through. */
  const repeated = new Map<PoolId, Set<string>>();

  /** Addresses of containers that ended while nobody led. */
  async function freeForgotten(id: PoolId, said: ReadonlySet<string>): Promise<void> {
    const pool = readClusterPoolId(id)?.pool ?? id;
    const gone = ipam
      .leasesOf(pool)
      .filter(({ holder, address }) => holder.kind === 'swarm' && !said.has(formatAddress(address)));
    await Promise.all(gone.map((lease) => ipam.release(pool, lease.address, (found) => sameLease(found, lease))));
  }

  return {
    addressSpaces(call) {
      return managed && plugins.get(call.plugin)?.scope === 'global' ? swarmSpaces : other.addressSpaces(call);
    },

    async requestPool(request, call) {
      if (request.space === swarmSpaces.local) {
        if (request.subnet === undefined) throw notHere();
        return { id: poolId(request.space, request.subnet, request.range), subnet: request.subnet };
      }
      const pool = await other.requestPool(request, call);
      if (request.space === swarmSpaces.global) repeated.set(pool.id, new Set());
      return pool;
    },

    async releasePool(id, call) {
      if (nodeSubnet(id) !== undefined) return;
      await other.releasePool(id, call);
      // To this agent it may look as if a request were undone: another leader had the pool made.
      if (readPoolId(id)?.space === swarmSpaces.global && ipam.pool(id) !== undefined) await ipam.removePool(id);
    },

    async requestAddress(request, call) {
      const subnet = nodeSubnet(request.pool);
      if (subnet !== undefined) {
        const { address } = request;
        if (address === undefined) throw notHere();
        if (contains(subnet, address)) return { address, length: subnet.length };
        throw new BerthError('ADDRESS_OUTSIDE', `${formatAddress(address)} is not within ${formatPrefix(subnet)}`);
      }
      if (request.swarm !== true || request.purpose !== 'endpoint') return other.requestAddress(request, call);
      const said = repeated.get(request.pool);
      const shown = request.address && formatAddress(request.address);
      if (shown === undefined && said !== undefined) {
        repeated.delete(request.pool);
        await freeForgotten(request.pool, said);
      }
      const again = shown !== undefined && said?.has(shown) === false;
      const granted = await other.requestAddress(again ? { ...request, repeated: true } : request, call);
      if (shown !== undefined) said?.add(shown);
      return granted;
    },

    async releaseAddress(id, address, call) {
      if (nodeSubnet(id) === undefined) await other.releaseAddress(id, address, call);
    },
  };
}

/** The subnet of a pool that a node was told of; undefined for any other pool. */
function nodeSubnet(id: PoolId): Prefix | undefined {
  const pool = readPoolId(id);
  return pool?.space === swarmSpaces.local ? pool.subnet : undefined;
}

function notHere(): BerthError {
  return new BerthError(
    'BAD_REQUEST',
    'on a node of a swarm this IPAM driver serves networks of the swarm, whose addresses its leader chooses; give other networks another one',
  );
}

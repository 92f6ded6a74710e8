/**
 * Our IPAM for networks of the cluster, `--ipam-opt network=NAME [tenant=…] [group=…]`: the pool is there already, with the network's
 * object, and all hosts lease from it.
 */

import type { IpamDriver, RequestPool } from '../../docker/driver.ts';
import type { ClusterMember } from '../../fabric/cluster/settings.ts';
import { BerthError } from '../../model/errors.ts';
import { type Granting, holderOf } from '../granting.ts';
import type { ClusterAddresses } from './addresses.ts';
import { clusterPoolId, lengthOf, readClusterPoolId } from './pool-id.ts';

export interface ClusterPoolsParts {
  /** Undefined: this host shares no store with others. */
  readonly addresses: ClusterAddresses | undefined;
  readonly granting: Pick<Granting, 'release'>;
}

const OPTIONS = new Set(['tenant', 'network', 'group']);

/** Answers for pools of the cluster, and hands the rest to `other`. */
export function withClusterPools(other: IpamDriver, { addresses, granting }: ClusterPoolsParts): IpamDriver {
  /** @throws BerthError CLUSTER_ABSENT */
  function cluster(network: string): ClusterAddresses {
    if (addresses !== undefined) return addresses;
    throw new BerthError(
      'CLUSTER_ABSENT',
      `there is no network ${network}: the agent of this host shares no store with others`,
    );
  }

  return {
    addressSpaces: (call) => other.addressSpaces(call),

    async requestPool(request, call) {
      const member = checkedMember(request);
      if (member === undefined) return other.requestPool(request, call);
      const { id, subnet } = await cluster(member.network).pool(member, request.family, request.subnet);
      return { id: clusterPoolId({ ...member, pool: id }), subnet };
    },

    releasePool: (id, call) => (readClusterPoolId(id) === undefined ? other.releasePool(id, call) : Promise.resolve()),

    async requestAddress(request, call) {
      const from = readClusterPoolId(request.pool);
      if (from === undefined) return other.requestAddress(request, call);
      const { address, mac } = request;
      if (request.purpose === 'gateway') return cluster(from.network).gateway(from, address);
      const lease = await cluster(from.network).lease(from, {
        ...holderOf(request),
        ...(address === undefined ? {} : { address }),
        ...(mac === undefined ? {} : { mac }),
      });
      return { address: lease.address, length: lengthOf(from.pool) };
    },

    releaseAddress(id, address, call) {
      const from = readClusterPoolId(id);
      return from === undefined ? other.releaseAddress(id, address, call) : granting.release(from.pool, address);
    },
  };
}

/** Which network of the cluster IPAM options name; undefined: none. */
export function memberOf(options: Readonly<Record<string, string>>): ClusterMember | undefined {
  const { tenant = 'default', network, group } = options;
  if (network === undefined) return undefined;
  return { network: `${tenant}:${network}`, ...(group === undefined ? {} : { group: `${tenant}:${group}` }) };
}

/** @throws BerthError BAD_OPTION */
function checkedMember({ options, range }: RequestPool): ClusterMember | undefined {
  const member = memberOf(options);
  // Swarm adds some of its own.
  const given = Object.keys(options).filter((name) => !name.startsWith('com.docker.'));
  if (member === undefined) {
    const odd = given.find((name) => OPTIONS.has(name));
    if (odd === undefined) return undefined;
    throw new BerthError('BAD_OPTION', `the IPAM option '${odd}' is given without 'network'`);
  }
  const unknown = given.find((name) => !OPTIONS.has(name));
  if (unknown !== undefined)
    throw new BerthError(
      'BAD_OPTION',
      `the IPAM option '${unknown.slice(0, 32)}' is not known; there are ${[...OPTIONS].join(', ')}`,
    );
  if (range !== undefined)
    throw new BerthError(
      'BAD_OPTION',
      'a network of the cluster has no --ip-range: make a group with a range of addresses',
    );
  return member;
}

/** Pools of addresses, and the leases on them. */

import type { Address } from './address.ts';
import type { EndpointId, NetworkId, PoolId } from './ids.ts';
import type { Mac } from './mac.ts';
import type { Range } from './objects/ranges.ts';
import { formatPrefix, type Prefix, parsePrefix } from './prefix.ts';

/** A subnet that Berth's IPAM serves. Several networks may share one (several ranges of one LAN, say). */
export interface Pool {
  readonly id: PoolId;
  /** Docker's address space: the same subnet may exist once in each. */
  readonly space: string;
  readonly subnet: Prefix;
  /** Where automatic addresses come from (`--ip-range`); the whole subnet when absent. */
  readonly range?: Prefix;
  /** True once Docker gave the pool back; it goes when no network and no lease needs it any more. */
  readonly released: boolean;
  readonly options: Readonly<Record<string, string>>;
  /** Only of a network of the cluster: what its object says of the addresses, and the groups on it. */
  readonly layout?: PoolLayout;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

/** It stands in the pool because each lease requires the pool to be unchanged: so none is made by an older layout. */
export interface PoolLayout {
  /** What may be given out; absent: nothing but to groups. */
  readonly hosts?: Range;
  readonly gateway?: Address;
  /** What is for the containers of one group only, by its name. */
  readonly groups: Readonly<Record<string, Range>>;
}

/** What an address is held for. */
export type LeaseHolder =
  /** Requested by Docker, not yet claimed by an endpoint of ours: another driver's, or one that is about to be made. */
  | { readonly kind: 'request'; readonly name?: string }
  | { readonly kind: 'endpoint'; readonly endpoint: EndpointId; readonly network: NetworkId; readonly name?: string }
  /** Given by the leader of a swarm to a task or container on one of its nodes. */
  | { readonly kind: 'swarm' }
  | { readonly kind: 'gateway' }
  /** `--aux-address`, or any explicit address that was requested while a network was made. */
  | { readonly kind: 'auxiliary' };

export interface Lease {
  readonly pool: PoolId;
  readonly address: Address;
  readonly holder: LeaseHolder;
  /** Which engine asked. */
  readonly engine: string;
  readonly mac?: Mac;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

/** What `poolId` was made of. */
export function readPoolId(id: string): Pick<Pool, 'space' | 'subnet' | 'range'> | undefined {
  const [, space, subnet, range] = /^([^/]+)\/([^/]+-[0-9]+)(?:\/([^/]+-[0-9]+))?$/.exec(id) ?? [];
  const prefixes = [subnet, range].map((part) => part && parsePrefix(part.replace(/-([0-9]+)$/, '/$1')));
  const [on, within] = prefixes;
  if (space === undefined || !on || (range !== undefined && !within)) return undefined;
  return { space, subnet: on, ...(within ? { range: within } : {}) };
}

/** The network (`TENANT:NETWORK`) that a pool of the cluster's is of; undefined for one that Docker asked for. */
export function networkOfPool({ space }: Pick<Pool, 'space'>): string | undefined {
  return space.includes(':') ? space : undefined;
}

/**
 * The id of a pool: a function of what it is, so that a pool that Docker replays after a restart, or that another host of
 * the cluster opens, is the same pool. `local/10.1.0.0-24`, or `local/10.1.0.0-24/10.1.0.128-25` with a range.
 */
export function poolId(space: string, subnet: Prefix, range?: Prefix): PoolId {
  const part = (prefix: Prefix) => formatPrefix(prefix).replace('/', '-');
  return `${space}/${part(subnet)}${range === undefined ? '' : `/${part(range)}`}` as PoolId;
}

/** Where each thing is kept in the store. One prefix for all of Berth, one small JSON value per key. */

import { type Address, formatAddress } from './address.ts';
import type { EndpointId, NetworkId, PoolId } from './ids.ts';
import { formatPrefix, type Prefix } from './prefix.ts';

export const keys = {
  networks: 'berth/network/',
  network: (id: NetworkId) => `berth/network/${id}`,
  endpoints: 'berth/endpoint/',
  endpoint: (id: EndpointId) => `berth/endpoint/${id}`,
  pools: 'berth/pool/',
  pool: (id: PoolId) => `berth/pool/${id}`,
  leases: 'berth/lease/',
  poolLeases: (pool: PoolId) => `berth/lease/${pool}/=`,
  /** `=` ends the pool's id: ids contain slashes, and one may be the beginning of another. */
  lease: (pool: PoolId, address: Address) => `berth/lease/${pool}/=${formatAddress(address)}`,
  reservations: 'berth/reservation/',
  /** @param network `TENANT:NETWORK`: for that network alone. */
  reservation: (subnet: Prefix, address: Address, network?: string) =>
    `berth/reservation/${network === undefined ? '' : `${network}/`}${formatPrefix(subnet)}=${formatAddress(address)}`,
  /** The cluster's objects, and the head, which every change of them changes too. */
  objects: 'berth/object/',
  object: (kind: string, key: string) => `berth/object/${kind}/${key}`,
  objectsHead: 'berth/object/head',
  /** Closed for the moment that a network is deleted or a range of it taken out; nobody then adds to the network. */
  gate: (network: string) => `berth/gate/${network}`,
  /** Endpoints as the cluster sees them, by `TENANT:NETWORK`. */
  clusterEndpoints: 'berth/cluster-endpoint/',
  networkEndpoints: (network: string) => `berth/cluster-endpoint/${network}/`,
  clusterEndpoint: (network: string, id: string) => `berth/cluster-endpoint/${network}/${id}`,
  /** Hosts of the cluster, as their agents describe them; for good. */
  hosts: 'berth/host/',
  host: (host: string) => `berth/host/${host}`,
  /** Which endpoints a host has told the cluster of: the value is the network. */
  hostEndpoints: (host: string) => `berth/host-endpoint/${host}/`,
  hostEndpoint: (host: string, id: string) => `berth/host-endpoint/${host}/${id}`,
  /** Changed whenever a host begins to tell anew: what it was about to write before is refused from then on. */
  publishers: 'berth/publisher/',
  publisher: (host: string) => `berth/publisher/${host}`,
  /** What one agent asks of another; each on an expiring lease, and answered in its place. */
  jobsOf: (host: string) => `berth/job/${host}/`,
  job: (host: string, id: string) => `berth/job/${host}/${id}`,
  /** Docker networks, by the engine's id, that others than the agent they were made through must know of. */
  dockerNetworks: 'berth/docker-network/',
  dockerNetwork: (id: NetworkId) => `berth/docker-network/${id}`,
  /** The host that makes networks now, where all engines have what one of them makes. */
  dockerNetworkMaker: 'berth/docker-network-maker',
  /** Agents that run: each key hangs on an expiring lease. */
  agents: 'berth/agent/',
  agent: (host: string) => `berth/agent/${host}`,
  /** All of Berth's keys begin so. */
  all: 'berth/',
  probes: 'berth/probe/',
  /** What stood last at a key of the shared store, in this host's own. */
  lastKnown: (key: string) => `berth/last-known/${key}`,
  /** Stands while state is being moved here from another store, and ever after when that was given up half way. */
  migration: 'berth/migration',
  journals: (host: string) => `berth/journal/${host}/`,
  journal: (host: string, name: string) => `berth/journal/${host}/${name}`,
} as const;

/** What all hosts of a cluster share, and keep in etcd. Everything else is a host's own, and stays in its state file. */
const sharedPrefixes = [
  keys.pools,
  keys.leases,
  keys.reservations,
  keys.objects,
  'berth/gate/',
  keys.clusterEndpoints,
  'berth/host-endpoint/',
  keys.publishers,
  keys.hosts,
  keys.agents,
  'berth/job/',
];

export function isShared(key: string): boolean {
  return sharedPrefixes.some((prefix) => key.startsWith(prefix));
}

/** The version that stands in every stored value. A reader refuses a newer one instead of guessing. */
export const SCHEMA_VERSION = 1;

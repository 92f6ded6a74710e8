/**
 * Docker's remote driver protocols with the strings taken out: what the plugin server decodes requests into, and what the
 * agent answers. Source: moby `libnetwork/drivers/remote/api/api.go` and `libnetwork/ipams/remote/api/api.go`, unchanged in
 * method and field names from 20.10 to 29.
 *
 * Every method may be called twice, late, or for an id that is not known; deleting the unknown succeeds. Every method gets
 * a signal that aborts when its time (10 s) is over, and rejects with a BerthError.
 */

import type { Address } from '../model/address.ts';
import type { EndpointId, NetworkId, PoolId } from '../model/ids.ts';
import type { Mac } from '../model/mac.ts';
import type { Subnet } from '../model/network.ts';
import type { InterfaceAddress, Prefix } from '../model/prefix.ts';

/** What every call comes with. */
export interface Call {
  /** The plugin name under which Docker called. */
  readonly plugin: string;
  readonly signal: AbortSignal;
}

export interface CreateNetwork {
  readonly id: NetworkId;
  /** None when Docker's IPAM is `null`. */
  readonly subnets: readonly Subnet[];
  readonly internal: boolean;
  readonly ipv6: boolean;
  /** The user's `-o`. */
  readonly options: Readonly<Record<string, string>>;
}

export interface CreateEndpoint {
  readonly network: NetworkId;
  readonly endpoint: EndpointId;
  /** As Docker's IPAM decided; empty when it was `null`. */
  readonly addresses: readonly InterfaceAddress[];
  readonly mac?: Mac;
  /** The user's `--driver-opt`, without the engine's own keys. */
  readonly options: Readonly<Record<string, string>>;
  /** At least one port is published (`com.docker.network.portmap`). */
  readonly publishes: boolean;
  /** The container's ports as its image and the user name them, such as `80/tcp`; not told on all networks, and then absent. */
  readonly exposes?: readonly string[];
}

/** Only what Docker left empty; answering a field that it gave is an error there. */
export interface CreatedEndpoint {
  readonly addresses: readonly InterfaceAddress[];
  readonly mac?: Mac;
}

export interface Join {
  readonly network: NetworkId;
  readonly endpoint: EndpointId;
  readonly sandbox: string;
  /** At least one port of the container is published on any of its networks. */
  readonly publishes: boolean;
  /** All that `-p` and `-P` ask for, told on each of its networks, `--internal` ones too. Absent: none. */
  readonly published?: readonly PublishedPort[];
  /** All that `EXPOSE` and `--expose` name, and what is published; told like these. Absent: none. */
  readonly exposed?: readonly TransportPort[];
}

export interface TransportPort {
  /** Number of the IP protocol: 6, 17, 132; 1, which has no ports, with any. */
  readonly protocol: number;
  readonly port: number;
}

export interface PublishedPort extends TransportPort {
  /** The user's choice of the port on the host; of a range, any one of it, both ends included. Absent: left to us. */
  readonly outside?: { readonly first: number; readonly last: number };
  /** Only at this address of the host. Absent: at all of them. */
  readonly at?: Address;
}

export interface Joined {
  readonly sourceName: string;
  readonly destinationPrefix: string;
  readonly gateway4?: Address;
  readonly gateway6?: Address;
  readonly routes: readonly { readonly destination: Prefix; readonly via?: Address }[];
  readonly disableGatewayService: boolean;
}

/** What is known of a network before its addresses are (GwAllocCheck, engines from 28 on). */
export interface GatewayCheck {
  readonly internal: boolean;
  readonly ipv6: boolean;
  /** The user's `-o`. */
  readonly options: Readonly<Record<string, string>>;
}

/** A network of a swarm, as its leader has it. */
export interface AllocateNetwork {
  readonly id: NetworkId;
  /** The user's `-o`; of a network that was allocated before, what we answered then. */
  readonly options: Readonly<Record<string, string>>;
  readonly subnets: readonly Subnet[];
}

export interface NetworkDriver {
  scope(call: Call): 'local' | 'global';
  /**
   * Whether the engine shall reserve a gateway address, where the user named none. Asked before the network's addresses are.
   * A driver without this method always wants one, which is what engines before 28 do anyway.
   */
  gatewayNeeded?(request: GatewayCheck, call: Call): Promise<{ readonly ipv4: boolean; readonly ipv6: boolean }>;
  /**
   * Asked of the leader of a swarm, before any node, and again by each new leader.
   *
   * @returns the options that the nodes are told in CreateNetwork, in place of the user's.
   */
  allocateNetwork?(request: AllocateNetwork, call: Call): Promise<Readonly<Record<string, string>>>;
  /** The network leaves the swarm. */
  freeNetwork?(network: NetworkId, call: Call): Promise<void>;
  createNetwork(request: CreateNetwork, call: Call): Promise<void>;
  deleteNetwork(network: NetworkId, call: Call): Promise<void>;
  createEndpoint(request: CreateEndpoint, call: Call): Promise<CreatedEndpoint>;
  deleteEndpoint(network: NetworkId, endpoint: EndpointId, call: Call): Promise<void>;
  join(request: Join, call: Call): Promise<Joined>;
  leave(network: NetworkId, endpoint: EndpointId, call: Call): Promise<void>;
}

export interface RequestPool {
  readonly space: string;
  /** Absent: choose one. */
  readonly subnet?: Prefix;
  readonly range?: Prefix;
  readonly family: 4 | 6;
  /** With no subnet: the length wanted (`0.0.0.0/24` of engines from 29 on). */
  readonly length?: number;
  readonly options: Readonly<Record<string, string>>;
}

export interface RequestedPool {
  readonly id: PoolId;
  readonly subnet: Prefix;
}

export interface RequestAddress {
  readonly pool: PoolId;
  /** Absent: the lowest free one. */
  readonly address?: Address;
  readonly purpose: 'gateway' | 'endpoint';
  readonly mac?: Mac;
  /** The container's name, from engine 29 on. */
  readonly name?: string;
  /** The leader of a swarm asks, for whichever node. */
  readonly swarm?: true;
  /** With `swarm`: it was given the address before. */
  readonly repeated?: true;
}

export interface IpamDriver {
  /**
   * That the engine chooses each MAC address before it asks for the addresses that go with it, and tells it then. Absent: the
   * endpoint's driver chooses it.
   */
  readonly requiresMac?: boolean;
  /** Whether an engine that starts tells again which pools and addresses it holds. Absent: yes. */
  readonly replays?: boolean;
  addressSpaces(call: Call): { readonly local: string; readonly global: string };
  requestPool(request: RequestPool, call: Call): Promise<RequestedPool>;
  releasePool(pool: PoolId, call: Call): Promise<void>;
  requestAddress(request: RequestAddress, call: Call): Promise<InterfaceAddress>;
  releaseAddress(pool: PoolId, address: Address, call: Call): Promise<void>;
}

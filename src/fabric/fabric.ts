/**
 * A fabric is what containers are plugged into: the LAN, a virtual network of hosts, Neutron. It decides; it does not do:
 * it turns what Docker asked for into settings, and settings into kernel objects. The agent keeps the records, leases the
 * addresses and hands the objects to the kernel.
 *
 * A new fabric is one folder with this interface, and one line in `fabrics.ts`. CONTRIBUTING.md walks through one.
 */

import type { DomainName } from '../dns/name.ts';
import type { HostView, Kernel } from '../kernel/kernel.ts';
import type { KernelObject } from '../kernel/objects.ts';
import type { Address } from '../model/address.ts';
import type { Mac } from '../model/mac.ts';
import type { Endpoint, FabricKind, Json, Network, Subnet } from '../model/network.ts';
import type { Prefix } from '../model/prefix.ts';
import type { DatabaseAddress } from '../ovs/address.ts';
import type { ClusterView } from './cluster/view.ts';
import type { NeutronView } from './neutron/view.ts';

/** One `-o` or `--driver-opt` option; docs/options.md is compared with these. */
export interface OptionSpec {
  readonly name: string;
  /** Engine-wide names of the same option, such as `com.docker.network.driver.mtu`. */
  readonly aliases?: readonly string[];
  readonly values: string;
  readonly default: string;
  readonly help: string;
}

export interface NetworkRequest {
  readonly id: Network['id'];
  readonly plugin: string;
  readonly subnets: readonly Subnet[];
  readonly internal: boolean;
  readonly options: Readonly<Record<string, string>>;
}

export interface EndpointRequest {
  readonly options: Readonly<Record<string, string>>;
}

/** Durable notes of a fabric: what it must find again after a crash, such as the addresses that it moved off a NIC. */
export interface Notes {
  get(name: string): Promise<Json | undefined>;
  /** All notes whose name begins so. */
  list(beginning: string): Promise<ReadonlyMap<string, Json>>;
  put(name: string, value: Json): Promise<void>;
  delete(name: string): Promise<void>;
}

/** What a fabric may know when it decides. */
export interface FabricContext {
  readonly kernel: Kernel;
  /** The host as of now. */
  readonly host: HostView;
  readonly notes: Notes;
  /** All networks on this host. */
  readonly networks: readonly Network[];
  endpointsOf(network: Network['id']): readonly Endpoint[];
  /** From the configuration: what `-o` leaves open. */
  readonly defaults: FabricDefaults;
  /** Absent: this host shares no store with others. */
  readonly cluster?: ClusterView;
  /** Absent: no plugin of this host is for Neutron. */
  readonly neutron?: NeutronView;
  /** Bridges of the engine's own networks, besides `docker0` and `docker_gwbridge`. */
  readonly engineBridges: readonly string[];
  /** This engine crashes on a driver that returns a gateway (29.0.0 to 29.0.2, moby#51554). */
  readonly engineRefusesGateway: boolean;
  /** Tells whoever follows events what the fabric has done of its own accord. Absent where nobody listens. */
  readonly tell?: (event: string, message: string, attributes: Readonly<Record<string, string>>) => void;
}

export interface FabricDefaults {
  /** The bridge of `lan` networks without `-o bridge=` or `-o parent=`. */
  readonly bridge: string;
  /** Where the database of this host's Open vSwitch listens. */
  readonly ovsDatabase: DatabaseAddress;
}

/** That a network's addresses come from the DHCP server of a LAN, and as whom a container asks there. */
export interface DhcpSource {
  /** The link of this host that leads to the server. */
  readonly link: string;
  readonly clientId: 'mac' | 'identity';
  /** Absent: `dhcp`. */
  readonly ipv4?: 'dhcp' | 'none';
  /** `slaac`: of the prefix that a router advertises; `dhcp`: of a DHCPv6 server; `auto`: as the router says. Absent: `none`. */
  readonly ipv6?: 'none' | 'auto' | 'slaac' | 'dhcp';
  readonly vendorClass?: string;
  /** The domain in which the server is asked to enter the container's name. */
  readonly domain?: string;
  /** Seconds that a lease should last. */
  readonly leaseTime?: number;
  /** The name that the user gave the container for this. */
  readonly identity?: string;
  readonly hostName?: string;
  /** The client id that the user gave the container: option 61 as it is sent. */
  readonly ownClientId?: Uint8Array;
  /** The address that it must be. */
  readonly address?: Address;
}

/** How the containers on a network are made known by name on its LAN. */
export interface NamingPolicy {
  /** By multicast DNS, on this link. */
  readonly mdns?: { readonly link: string };
  /** By updates to a DNS server. */
  readonly dns?: DnsPolicy;
}

export interface DnsPolicy {
  readonly server: Address;
  readonly port: number;
  /** The domain that the names are in. */
  readonly zone: DomainName;
  /** Where the names of addresses are kept: found by asking, not at all, or in this zone. */
  readonly reverse: 'auto' | 'none' | DomainName;
  /** Path of a file with the key that updates are signed with. */
  readonly keyFile?: string;
  /** Seconds. */
  readonly ttl: number;
}

/** What leads to one other host of a network. */
export interface RemotePart {
  /** What its objects follow from: they need not be worked out again while each of these is the same as before (`===`). */
  readonly of: readonly unknown[];
  objects(): readonly KernelObject[];
  /** Who is there. */
  readonly neighbours: readonly Neighbour[];
  /** Our link to which everybody here is connected who may want to know where they are. */
  readonly link: string;
}

/** Somebody on the same segment. */
export interface Neighbour {
  readonly mac: Mac;
  readonly addresses: readonly Address[];
}

/** What Docker is told in Join. */
export interface JoinAnswer {
  /** The link, in our namespace, that the engine moves into the container. */
  readonly sourceName: string;
  /** The engine appends a number: `eth` becomes `eth0`. */
  readonly destinationPrefix: string;
  readonly gateway4?: Address;
  readonly gateway6?: Address;
  readonly routes: readonly { readonly destination: Prefix; readonly via?: Address }[];
  /** No default route and no gateway bridge of the engine. */
  readonly isolated: boolean;
}

export interface Fabric {
  readonly kind: FabricKind;
  readonly networkOptions: readonly OptionSpec[];
  readonly endpointOptions: readonly OptionSpec[];

  /**
   * Checks a new network and decides its settings. Touches nothing.
   *
   * @throws BerthError BAD_OPTION, INTERFACE_UNKNOWN, …
   */
  planNetwork(request: NetworkRequest, context: FabricContext): Promise<Json>;

  /**
   * What must happen once when a network is made, and be undone when it goes, beyond kernel objects: an uplink turned into a
   * bridge. Both are repeated after a crash, so both must be idempotent. Most fabrics need neither.
   */
  openNetwork?(network: Network, context: FabricContext): Promise<void>;
  closeNetwork?(network: Network, context: FabricContext): Promise<void>;

  /** The user says that all is well after `openNetwork` put something on trial. */
  confirm?(network: Network, context: FabricContext): Promise<void>;

  /**
   * Chores: undo what was not confirmed in time, mend what kernel objects cannot express. Called at start and then again when
   * the time it returned is over.
   *
   * @param amend gives a network other settings, and the kernel what then stands for it.
   * @returns milliseconds until it wants to be called again; undefined when it has nothing to wait for.
   */
  maintain?(
    context: FabricContext,
    amend: (network: Network, settings: Json) => Promise<void>,
  ): Promise<number | undefined>;

  /** Whether there are chores now, of which none of `maintain`'s deadlines tells: asked whenever the host has changed. */
  disturbed?(context: FabricContext): boolean;

  /** The gateways of a network that the kernel still has, for when its record was lost. */
  findGateways?(network: Network['id'], context: FabricContext): readonly Address[];

  /** The link on whose segment the addresses of a network live; undefined where nobody else is on it. */
  wire?(network: Network): string | undefined;

  /** Whether it is to be asked on that segment if an address is another's before a container has it. Absent: no. */
  checksConflicts?(network: Network): boolean;

  /** Undefined: its containers are not made known. */
  naming?(network: Network): NamingPolicy | undefined;

  /** The one MAC address that all endpoints of a network have by the nature of their links. Absent: each has its own. */
  sharedMac?(network: Network, context: FabricContext): Mac | undefined;

  /** Whether packets simply leave by the link: then nobody is a gateway, and the default route names none. */
  routesByLink?(network: Network): boolean;

  /** Checks an endpoint's options and decides its settings. Touches nothing. */
  planEndpoint(network: Network, request: EndpointRequest, context: FabricContext): Json;

  /** Absent, or returns undefined: addresses come with the request. */
  dhcp?(network: Network, request: EndpointRequest, context: FabricContext): DhcpSource | undefined;

  /** The MAC address that an endpoint has unless the user chooses one, by what was planned for it. Absent: we make one. */
  defaultMac?(network: Network, settings: Json): Mac | undefined;

  /** The MAC address that goes with an address, where we make one. Absent, or undefined: as the engine makes them. */
  macFor?(network: Network, address: Address, context: FabricContext): Mac | undefined;

  /** What all networks of this fabric need together, while at least one endpoint is attached to any of them. */
  desiredShared(networks: readonly Network[], context: FabricContext): readonly KernelObject[];

  /** What stands from the creation of a network to its removal. Most fabrics need nothing: unused networks are free. */
  desiredStanding?(network: Network, context: FabricContext): readonly KernelObject[];

  /**
   * The segment that a network is on, where several networks may be on one: then the objects of each of them are the same, stand
   * while any of them has an endpoint, and no two endpoints on them have the same address. Absent, or undefined: its own.
   */
  segment?(network: Network): string | undefined;

  /** Whether a network is needed though no endpoint is attached to it. Absent: never. */
  needed?(network: Network, context: FabricContext): boolean;

  /** What one network needs, while at least one endpoint is attached. */
  desiredNetwork(network: Network, context: FabricContext): readonly KernelObject[];

  /**
   * What leads from a network to other hosts, by host: apart from `desiredNetwork`, for it may be much, and changes bit by bit.
   *
   * @returns undefined while that is not known: what is in the kernel stays.
   */
  desiredRemotes?(network: Network, context: FabricContext): ReadonlyMap<string, RemotePart> | undefined;

  /**
   * All that is in the kernel of the kind that `desiredRemotes` makes, whoever made it: an earlier process may have made what nobody
   * knows of now.
   *
   * @returns undefined as long as `desiredRemotes` may not be complete.
   */
  foundRemotes?(network: Network, context: FabricContext): Promise<readonly KernelObject[]> | undefined;

  /** What one attached endpoint needs. */
  desiredEndpoint(network: Network, endpoint: Endpoint, context: FabricContext): readonly KernelObject[];

  join(network: Network, endpoint: Endpoint, context: FabricContext): JoinAnswer;

  /** What people are told of an endpoint beyond what those of all fabrics have. Absent: nothing. */
  details?(endpoint: Endpoint): Readonly<Record<string, Json | undefined>>;
}

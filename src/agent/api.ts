/**
 * The agent's own API, as the command line and other programs read it: JSON over HTTP on `<run-dir>/berth.sock`. All text,
 * so that `--json` prints it as it is. Errors are `{ "error": ErrorView }` with the status of the catalogue.
 *
 *   GET  /v1/status                 StatusView
 *   GET  /v1/networks[/ID]          NetworkView[] or NetworkView      (ID: id, unique beginning of one, or Docker's name)
 *   GET  /v1/endpoints[/ID]         EndpointView[] or EndpointView
 *   GET  /v1/attachments[/ID]       AttachmentView[]; one, or by the container's name all of it
 *   POST /v1/attachments            AttachmentView                     (plugs a container in; `attach-request.ts` has the fields)
 *   DELETE /v1/attachments/CONTAINER[/INTERFACE]  AttachmentView[]     (unplugs; CONTAINER may also be an attachment's id)
 *   GET  /v1/pools[/ID]             PoolView[] or PoolView             (an id contains slashes; sent percent-encoded)
 *   GET  /v1/leases[?pool=ID]       LeaseView[]
 *   GET  /v1/leases/ADDRESS         LeaseView[]                        (one per pool that leases it)
 *   GET  /v1/hosts[/HOST]           HostView[] or HostView             (of the cluster)
 *   DELETE /v1/hosts/HOST           RemovedHostView                    (one that is gone for good)
 *   POST /v1/ping    {from, to}     PingView                           (NAME, HOST/NAME or HOST each)
 *   GET  /v1/reach/NETWORK          ReachMembersView
 *   POST /v1/reach   {from, targets} ReachView                         (endpoint ids)
 *   GET  /v1/names[/NAME]           NamedView[]                        (one for each way by which it is known)
 *   GET  /v1/reservations[/ADDRESS] ReservationView[]
 *   POST /v1/reservations           ReservationView                    ({address, network?, pool?, mac?, name?}: keeps it)
 *   DELETE /v1/reservations/ADDRESS[?network=NETWORK] ReservationView[]
 *   POST /v1/audit   {repair}       DriftView[]
 *   POST /v1/gc      {apply}        GarbageView[]
 *   GET  /v1/uplinks[/NIC]          UplinkView[] or UplinkView         (NIC: its name or its bridge's)
 *   GET  /v1/uplinks/NIC/plan[?bridge=NAME&session=SSH_CONNECTION]  UplinkPlanView   (changes nothing)
 *   POST /v1/networks/ID/confirm    NetworkView                        (keeps an uplink bridge that waits for confirmation)
 *   GET  /v1/events                 EventView per line, until the client goes
 *   GET  /metrics                   Prometheus text
 *   GET  /health                    200 or 503, HealthView
 */

import type { UplinkPlan } from '../fabric/lan/uplink/plan.ts';
import type { FabricKind } from '../model/network.ts';
import type { NeutronGarbageKind, NeutronStatusView } from './neutron/status-view.ts';

export interface ErrorView {
  readonly code: string;
  readonly message: string;
  readonly next: string;
}

export interface HealthView {
  readonly healthy: boolean;
  /** What is wrong, a sentence each. */
  readonly problems: readonly string[];
}

export interface StatusView extends HealthView {
  readonly version: string;
  readonly pid: number;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly stateDir: string;
  readonly store: { readonly kind: string; readonly revision: number };
  readonly engine: {
    readonly address: string;
    readonly reachable: boolean;
    readonly version?: string;
    readonly id?: string;
  };
  readonly plugins: readonly {
    readonly name: string;
    readonly fabric: FabricKind;
    readonly scope: string;
    readonly address: string;
  }[];
  readonly counts: {
    readonly networks: number;
    readonly endpoints: number;
    readonly attachments: number;
    readonly pools: number;
    readonly leases: number;
  };
  readonly audit: {
    readonly lastFullPass?: string;
    readonly drifts: number;
    readonly repaired: number;
    /** Objects that are declared. */
    readonly objects: number;
  };
  readonly journal: { readonly pending: number };
  /** Absent: this host is in none. */
  readonly cluster?: ClusterStatusView;
  /** Absent: no plugin of this host is for it. */
  readonly neutron?: NeutronStatusView;
  /** Of running containers. */
  readonly conflicts: readonly (ConflictView & { readonly endpoint: string; readonly container?: string })[];
}

/** The cluster as this host knows it. */
export interface ClusterStatusView {
  /** What this host is called in it. */
  readonly host: string;
  /** Where this host takes packets of other hosts; absent: it has no such address now. */
  readonly vtep?: string;
  /** `etcd://…` */
  readonly store: string;
  readonly hosts: readonly HostView[];
  /** Those that have containers on this host. */
  readonly networks: readonly ClusterNetworkView[];
}

export interface HostView {
  readonly name: string;
  /** It is this one. */
  readonly here: boolean;
  readonly vtep?: string;
  /** `heard`: its agent runs; `silent`: its agent does not, the host answers or may; `gone`: nothing answers there. */
  readonly state: 'heard' | 'silent' | 'gone';
  /** Since when its agent runs or does not, as far as this host has seen. ISO 8601. */
  readonly since: string;
  /** Of Berth. */
  readonly version: string;
  readonly engine?: { readonly id: string; readonly version: string };
}

/** What went with it. */
export interface RemovedHostView extends HostView {
  readonly removed: { readonly endpoints: number; readonly leases: number };
}

export interface ClusterNetworkView {
  /** `TENANT:NETWORK` */
  readonly name: string;
  /** `vxlan` or `vlan`. */
  readonly encapsulation?: string;
  /** VNI or VLAN. */
  readonly tag?: number;
  readonly subnets?: readonly string[];
  /** Containers on this host, and on all hosts. */
  readonly here: number;
  readonly all: number;
}

/** How one of two is reached from the other. */
export interface PingView {
  readonly from: PartyView;
  readonly to: PartyView;
  /** One for each address that was tried. */
  readonly echoes: readonly EchoView[];
  /** From one to the other, link by link; each host says what is on it. */
  readonly path: readonly HopView[];
  /** What is wrong, and where, in sentences. Empty: all is well. */
  readonly problems: readonly string[];
}

/** A container or a host. */
export interface PartyView {
  readonly kind: 'container' | 'host';
  readonly name: string;
  readonly host: string;
  /** Id of its endpoint; absent for a host. */
  readonly endpoint?: string;
  /** `TENANT:NETWORK`, or Docker's name of a network of one host alone. */
  readonly network?: string;
  readonly addresses: readonly string[];
  readonly mac?: string;
  /** Where its host takes packets of others. */
  readonly vtep?: string;
}

export interface EchoView {
  readonly address: string;
  readonly sent: number;
  readonly received: number;
  /** Milliseconds; absent without an answer. */
  readonly rtt?: { readonly least: number; readonly median: number; readonly most: number };
  /** Bytes of the largest packet that passes in one piece. */
  readonly mtu?: number;
  /** Of the interface that it leaves by. */
  readonly interfaceMtu?: number;
  /** What came instead of an answer: `EHOSTUNREACH` and the like, and who said so. */
  readonly obstacles: readonly { readonly code: string; readonly from?: string | undefined }[];
}

/** A link on the path. */
export interface HopView {
  readonly host: string;
  /** `wire` is between two hosts. */
  readonly kind: 'interface' | 'veth' | 'bridge' | 'vxlan' | 'underlay' | 'uplink' | 'wire' | 'host';
  readonly name: string;
  readonly mtu?: number;
  readonly detail?: string;
  readonly problem?: string;
}

/** Who is on a network, or in a group, on all hosts, to be tried from each. */
export interface ReachMembersView {
  /** `TENANT:NETWORK`, or Docker's name of a network of one host alone. */
  readonly network: string;
  /** `TENANT:GROUP`, when that was asked for: the members are its own, and not all that are on the network. */
  readonly group?: string;
  readonly members: readonly PartyView[];
}

/** How others are reached from one container; in the order in which they were named. */
export interface ReachView {
  readonly targets: readonly ReachTargetView[];
}

export interface ReachTargetView {
  readonly endpoint: string;
  /** Of each family: did it answer, and did a packet as large as the network's MTU? Absent: it has no such address. */
  readonly v4?: EchoView;
  readonly v6?: EchoView;
  /** Whether its name leads to it; absent: it has none, or was not asked. */
  readonly name?: { readonly found: readonly string[]; readonly right: boolean; readonly problem?: string };
}

export interface NetworkView {
  readonly id: string;
  /** Docker's name, when the engine has told it. */
  readonly name?: string;
  readonly fabric: FabricKind;
  readonly plugin: string;
  readonly subnets: readonly {
    readonly subnet: string;
    readonly gateway?: string;
    readonly auxiliary: Readonly<Record<string, string>>;
  }[];
  readonly internal: boolean;
  readonly mtu?: number;
  readonly options: Readonly<Record<string, string>>;
  readonly settings: unknown;
  /** The DNS server at which its containers are registered. */
  readonly dns?: DnsView;
  readonly endpoints: number;
  /** Kernel objects that the network itself has now. */
  readonly objects: readonly string[];
  readonly createdAt: string;
}

export interface DnsView {
  readonly server: string;
  readonly port: number;
  readonly zone: string;
  /** `auto`, `none` or a zone. */
  readonly reverse: string;
  readonly keyFile?: string;
}

export interface EndpointView {
  readonly id: string;
  readonly network: string;
  readonly networkName?: string;
  /** Container name, when the engine has told it. */
  readonly container?: string;
  readonly phase: string;
  readonly addresses: readonly string[];
  readonly mac: string;
  /** The link on the host. */
  readonly link: string;
  readonly sandbox?: string;
  readonly sandboxInterface?: string;
  readonly publishes: boolean;
  readonly options: Readonly<Record<string, string>>;
  readonly objects: readonly string[];
  /** Other machines on the LAN that were found to have one of its addresses. */
  readonly conflicts: readonly ConflictView[];
  /** What it is called on its LAN. */
  readonly names: readonly NameView[];
  /** Of Neutron: its port, its floating IP, and where its published ports are to be had. */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly createdAt: string;
}

/** A container that Berth plugged in itself; `id` is its endpoint's. */
export interface AttachmentView {
  readonly id: string;
  readonly container: string;
  readonly containerId: string;
  /** What the interface is called in the container. */
  readonly interface: string;
  readonly network: string;
  readonly networkName?: string;
  /** The network was made for it alone. */
  readonly adHoc: boolean;
  readonly addresses: readonly string[];
  readonly gateways: readonly string[];
  readonly mac: string;
  /** `plugged`, or `waiting` for its container to run. */
  readonly state: string;
  /** Why it is not plugged in although its container runs. */
  readonly problem?: string;
  /** Outlives its container, for the next one of that name. */
  readonly keep: boolean;
  readonly networkOptions: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  readonly objects: readonly string[];
  readonly createdAt: string;
}

export interface ConflictView {
  readonly address: string;
  readonly mac: string;
  readonly since: string;
}

/** A name that a container is known by, or is to be. */
export interface NameView {
  /** `mdns` or `dns`. */
  readonly via: string;
  readonly name: string;
  /** `pending`, `registered`, `conflict`, `failed`, or `leaving` when the server could not be told yet that it is gone. */
  readonly state: string;
  /** The link, or the address of the server. */
  readonly where: string;
  /** What is wrong, in a sentence. */
  readonly problem?: string;
}

/** Of whom, too; the container may be gone while its name is still to be taken back. */
export interface NamedView extends NameView {
  readonly endpoint: string;
  readonly container?: string;
}

export interface PoolView {
  readonly id: string;
  /** `neutron`: its addresses are Neutron's to give. */
  readonly space: string;
  readonly subnet: string;
  readonly range?: string;
  readonly released: boolean;
  readonly leases: number;
  /** Decimal text: an IPv6 pool outgrows a number. */
  readonly size: string;
  readonly networks: readonly string[];
  readonly createdAt: string;
}

export interface LeaseView {
  readonly pool: string;
  readonly address: string;
  /**
   * `request`, `endpoint`, `gateway` or `auxiliary`; `dhcp` for one that a DHCP server gave; `port` for one that Neutron gave;
   * `reserved` for one that nobody has, and that is kept for somebody.
   */
  readonly kind: string;
  readonly endpoint?: string;
  readonly container?: string;
  readonly mac?: string;
  /** Neutron's id of the port. */
  readonly port?: string;
  readonly engine: string;
  readonly createdAt: string;
  readonly dhcp?: DhcpView;
}

export interface DhcpView {
  /** Whose it is, such as `container web`. */
  readonly identity: string;
  /** `requested`, `bound` or `lost`. */
  readonly state: string;
  readonly server?: string;
  /** Absent: never. */
  readonly expiresAt?: string;
  readonly renewsAt?: string;
  readonly gateway?: string;
  readonly hostName?: string;
  readonly dns: readonly string[];
  readonly domain?: string;
  readonly search: readonly string[];
  /** Why the container does not have its address any more. */
  readonly lost?: string;
}

export interface ReservationView {
  readonly address: string;
  readonly subnet: string;
  /** `TENANT:NETWORK`, of the cluster; absent: it counts for all networks with this subnet. */
  readonly network?: string;
  readonly mac?: string;
  /** Name of the container that it is kept for. */
  readonly container?: string;
  /** Who has it now. */
  readonly heldBy?: string;
  readonly createdAt: string;
}

export interface DriftView {
  readonly key: string;
  readonly owners: readonly string[];
  readonly what: 'missing' | 'different';
  readonly fields: readonly { readonly name: string; readonly declared: string; readonly found: string }[];
  readonly repaired: boolean;
  readonly error?: string;
}

export interface GarbageView {
  /** Those of Neutron have the ids that they have there; a tag that of its network, and its text. */
  readonly kind: 'network' | 'endpoint' | 'pool' | 'lease' | 'link' | NeutronGarbageKind;
  readonly id: string;
  /** Why it is garbage, in a sentence. */
  readonly reason: string;
  readonly removed: boolean;
}

export interface EventView {
  /** ISO 8601. */
  readonly time: string;
  /** Such as `endpoint.attached`, `drift.repaired`, `network.created`, `lease.freed`, `engine.restarted`. */
  readonly event: string;
  /** One sentence. */
  readonly message: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** A NIC that a bridge was made from. */
export interface UplinkView {
  readonly nic: string;
  readonly bridge: string;
  /** `trial` until the deadline; `settled`; `returned` when it was given back; `moving` and `returning` in between. */
  readonly state: string;
  /** ISO 8601: when it is given back unless it is confirmed. */
  readonly deadline?: string;
  /** Why it was given back. */
  readonly why?: string;
  readonly mac: string;
  readonly mtu: number;
  /** Docker's names of the networks that stand on it, or their ids. */
  readonly networks: readonly string[];
  /** What moved, as it was last seen. */
  readonly addresses: readonly string[];
  readonly routes: readonly string[];
  readonly rules: readonly string[];
  readonly neighbours: readonly string[];
  readonly seenAt: string;
}

/** What making a bridge from a NIC would change. */
export type UplinkPlanView = UplinkPlan;

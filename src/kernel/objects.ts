/**
 * Everything that Berth can want of a Linux kernel, as values. A fabric declares these; the kernel driver finds what differs
 * and makes it so. Two objects with the same `objectKey` are the same thing, perhaps in a different state.
 *
 * Optional fields that are absent are not compared and not set: the kernel's or somebody else's choice stands.
 */

import { type Address, formatAddress } from '../model/address.ts';
import type { Mac } from '../model/mac.ts';
import { formatPrefix, type InterfaceAddress, type Prefix } from '../model/prefix.ts';

/** Path of a network namespace (`/run/docker/netns/…`, `/proc/1/ns/net`); absent: the one that Berth runs in. */
export type Netns = string;

interface Placed {
  readonly netns?: Netns;
}

/** Of a bridge port (IFLA_BRPORT_…, linux/if_link.h). */
export type PortFlag =
  | 'isolated'
  | 'hairpin'
  | 'learning'
  /** Frames to addresses that the bridge does not know go there too. */
  | 'flood'
  /** ARP requests and neighbour solicitations for neighbours that the host knows are answered, and do not go there. */
  | 'neighbourSuppression';

/** What every kind of link has in common. */
interface LinkCommon extends Placed {
  readonly kind: 'link';
  readonly name: string;
  readonly mtu?: number;
  readonly mac?: Mac;
  readonly up?: boolean;
  /** IFLA_PROTO_DOWN, of a macvlan: it has no carrier, and so sends nothing, up or not. Older kernels than 5.1 pass over it. */
  readonly protoDown?: boolean;
  /** The bridge (or other master) it is a port of; null: of none. */
  readonly master?: string | null;
  /** IFLA_IFALIAS: says to whoever reads `ip link` whose it is. */
  readonly alias?: string;
  /** IFLA_INET6_ADDR_GEN_MODE none: no link-local address by itself. */
  readonly noLinkLocal?: boolean;
  /** As a bridge port. */
  readonly port?: { readonly [Flag in PortFlag]?: boolean };
}

export interface VethLink extends LinkCommon {
  readonly type: 'veth';
  /** The other end as it is made; whoever moves or renames it afterwards (the engine does) is not contradicted. */
  readonly peer: {
    readonly name: string;
    readonly mac?: Mac;
    readonly mtu?: number;
    readonly netns?: Netns;
    /** false: its checksums are computed before it sends, for a reader that is not the kernel. Absent: as the kernel has it. */
    readonly txChecksum?: false;
  };
}

export interface BridgeLink extends LinkCommon {
  readonly type: 'bridge';
  readonly stp?: boolean;
  /** Forward delay in centiseconds (IFLA_BR_FORWARD_DELAY, USER_HZ). */
  readonly forwardDelay?: number;
  readonly vlanFiltering?: boolean;
  readonly multicastSnooping?: boolean;
  /**
   * Others plug into it as well, and may have made it: one without our alias is left as it is, and ours goes only when nothing is
   * plugged into it any more.
   */
  readonly common?: true;
}

export interface VxlanLink extends LinkCommon {
  readonly type: 'vxlan';
  readonly vni: number;
  /** Absent: the IANA port, 4789. */
  readonly udpPort?: number;
  readonly local?: Address;
  readonly parent?: string;
  readonly learning?: boolean;
  readonly ttl?: number;
}

/** Where a link is that was made to be given to a container. */
interface Given {
  /**
   * The engine moves the link into a container and renames it there, and is not contradicted: `somewhere` as long as it is not
   * known where it is, and then its place. Absent: it stays here. It is removed wherever it is, here or there.
   */
  readonly plugged?: 'somewhere' | { readonly netns: Netns; readonly name: string };
}

export interface MacvlanLink extends LinkCommon, Given {
  readonly type: 'macvlan';
  readonly parent: string;
  readonly mode: 'bridge' | 'private' | 'vepa' | 'passthru';
}

export interface IpvlanLink extends LinkCommon, Given {
  readonly type: 'ipvlan';
  readonly parent: string;
  readonly mode: 'l2' | 'l3' | 'l3s';
}

export interface VlanLink extends LinkCommon, Given {
  readonly type: 'vlan';
  readonly parent: string;
  /** 1 to 4094. */
  readonly vlan: number;
}

export interface IfbLink extends LinkCommon {
  readonly type: 'ifb';
}

/** A link that leads nowhere, for addresses of the container's own (drivers/net/dummy.c). */
export interface DummyLink extends LinkCommon, Given {
  readonly type: 'dummy';
}

/**
 * A link that was there before Berth (a NIC, the administrator's bridge). Applying sets the fields given; it is never
 * created and never deleted.
 */
export interface AdoptedLink extends LinkCommon {
  readonly type: 'adopted';
  /** What it is called as long as it does not have its name: applying renames it. */
  readonly formerly?: string;
}

/**
 * A NIC that is lent to a container whole. Making it means that it is there, marked with the alias; unmaking, that it is here
 * again under its name, as it was `before`.
 */
export interface NicLink extends LinkCommon, Given {
  readonly type: 'nic';
  readonly alias: string;
  /** No engine puts it into the container: making it does. */
  readonly deliver?: true;
  readonly before: { readonly mac: Mac; readonly mtu: number; readonly up: boolean; readonly alias: string };
}

export type Link =
  | DummyLink
  | VethLink
  | BridgeLink
  | VxlanLink
  | MacvlanLink
  | IpvlanLink
  | VlanLink
  | IfbLink
  | AdoptedLink
  | NicLink;
/** Those that the kernel makes and deletes for us. */
export type MadeLink = Exclude<Link, AdoptedLink | NicLink>;

export interface LinkAddress extends Placed {
  readonly kind: 'address';
  readonly link: string;
  readonly address: InterfaceAddress;
  /** Milliseconds are not known to the kernel here: seconds, absent for ever (IFA_CACHEINFO). */
  readonly validSeconds?: number;
  readonly preferredSeconds?: number;
  /** IFA_F_NOPREFIXROUTE: the on-link route is declared on its own. */
  readonly noPrefixRoute?: boolean;
}

export interface Route extends Placed {
  readonly kind: 'route';
  readonly destination: Prefix;
  readonly link?: string;
  readonly via?: Address;
  readonly source?: Address;
  /** Default 0 (IPv4) or 1024 (IPv6). */
  readonly metric?: number;
  /** Default 254, main. */
  readonly table?: number;
  /** rtnetlink protocol number; default 186, which Berth uses for its own routes so that others can tell. */
  readonly protocol?: number;
  readonly onlink?: boolean;
  readonly scope?: 'universe' | 'link' | 'host';
  readonly type?: 'unicast' | 'blackhole' | 'unreachable';
}

/** Those of one priority are told apart by the interface and the mark that they select. */
export interface Rule extends Placed {
  readonly kind: 'rule';
  readonly family: 4 | 6;
  readonly priority: number;
  readonly table: number;
  readonly from?: Prefix;
  readonly to?: Prefix;
  readonly inputLink?: string;
  readonly mark?: number;
}

/** A permanent neighbour entry (ARP or ND), or a proxy entry. */
export interface Neighbour extends Placed {
  readonly kind: 'neighbour';
  readonly link: string;
  readonly address: Address;
  readonly mac?: Mac;
  readonly proxy?: boolean;
}

/**
 * Something that hangs on a link, word for word as the kernel described it (`Kernel.belongings`), to be put onto another link or
 * taken off one: what a NIC holds moves like this, with every attribute that it has, also those that Berth knows nothing of.
 * Only for `Kernel.execute`: nobody can declare it.
 */
export interface Belonging extends Placed {
  readonly kind: 'belonging';
  /** Where it is put, or taken off. */
  readonly link: string;
  readonly what: 'address' | 'route' | 'rule' | 'neighbour';
  /** The link that the message describes it on: its name and its index then. */
  readonly of: string;
  readonly index: number;
  /** Body of the netlink message, in base64. */
  readonly message: string;
  /** Seconds since it was described: lifetimes have run down by so much, and what they ended is not put anywhere. */
  readonly age?: number;
}

/**
 * What a NIC with virtual functions (SR-IOV) does for one of them: the MAC address that it may send with, and the VLAN that its
 * frames are put into. Removing it takes the VLAN away, and leaves the address.
 */
export interface VirtualFunction extends Placed {
  readonly kind: 'virtual-function';
  /** The NIC, the physical function. */
  readonly link: string;
  /** From 0. */
  readonly number: number;
  readonly mac: Mac;
  /** 1 to 4094; 0: none. */
  readonly vlan: number;
}

/** A forwarding entry of a bridge port or of a VXLAN device (`dst` the remote VTEP). */
export interface FdbEntry extends Placed {
  readonly kind: 'fdb';
  readonly link: string;
  /** `00:00:00:00:00:00` is the flood entry of a VXLAN device, so not a Mac. */
  readonly mac: Mac | '00:00:00:00:00:00';
  readonly dst?: Address;
  readonly vlan?: number;
}

export interface Qdisc extends Placed {
  readonly kind: 'qdisc';
  readonly link: string;
  /** `root`, `ingress`, `clsact`, or the class handle it hangs on, as `1:10`. */
  readonly parent: string;
  readonly handle?: string;
  readonly discipline:
    | { readonly type: 'tbf'; readonly rate: number; readonly burst: number; readonly latencyMs: number }
    | { readonly type: 'htb'; readonly defaultClass?: number }
    | { readonly type: 'fq_codel' }
    | { readonly type: 'ingress' }
    | { readonly type: 'clsact' };
}

/** An HTB class. Rates are bits per second, bursts bytes. */
export interface TrafficClass extends Placed {
  readonly kind: 'class';
  readonly link: string;
  readonly parent: string;
  readonly classid: string;
  readonly rate: number;
  readonly ceil?: number;
  readonly burst?: number;
}

/** A match-all filter that redirects to another link, or classifies. */
export interface Filter extends Placed {
  readonly kind: 'filter';
  readonly link: string;
  readonly parent: string;
  readonly priority: number;
  readonly protocol?: 'all' | 'ip' | 'ipv6';
  readonly action: { readonly redirect: string } | { readonly classid: string };
}

/** `net/ipv4/ip_forward`, relative to /proc/sys. Removing leaves the value: it may be somebody else's by then. */
export interface Sysctl extends Placed {
  readonly kind: 'sysctl';
  readonly path: string;
  readonly value: string;
}

/** A whole nftables table: chains, rules and empty sets. Elements are objects of their own, so they change cheaply. */
export interface NftTable extends Placed {
  readonly kind: 'nft-table';
  readonly family: 'ip' | 'ip6' | 'inet' | 'bridge' | 'netdev';
  readonly name: string;
  /** What stands between the braces of `table FAMILY NAME { … }`, in nft's own language. */
  readonly body: string;
}

export interface NftElement extends Placed {
  readonly kind: 'nft-element';
  readonly family: NftTable['family'];
  readonly table: string;
  /** Name of the set or map. */
  readonly set: string;
  /** The key in nft's language, such as `"bt0123"` or `10.1.0.0/24`, `10.1.0.5 . 80`. */
  readonly element: string;
  /** For a map, what the key maps to. */
  readonly value?: string;
}

/**
 * Lets forwarded traffic through the engine's packet filter, whose FORWARD policy is drop: a rule in its DOCKER-USER chain,
 * which the engine keeps for others and never rewrites. Where there is no such chain, nothing is needed.
 */
export interface ForwardAccept extends Placed {
  readonly kind: 'forward-accept';
  readonly family: 4 | 6;
  /** Interface names; a trailing `+` matches any ending, as in iptables. At least one is given. */
  readonly input?: string;
  readonly output?: string;
}

/**
 * A link as a port of an Open vSwitch bridge, in the database of the host's Open vSwitch: that names links of our own
 * namespace only. What other programs keep in `externalIds` stays.
 */
export interface OvsPort extends Placed {
  readonly kind: 'ovs-port';
  readonly name: string;
  readonly bridge: string;
  /** The VLAN of an access port, or the native one. */
  readonly tag?: number | null;
  /** As `10,20,30-40`, in order; empty: all, where the mode is one that trunks. */
  readonly trunks?: string;
  readonly vlanMode?: 'access' | 'trunk' | 'native-tagged' | 'native-untagged' | 'dot1q-tunnel' | null;
  /** It counts as made when the switch has taken it in: somebody is about to send there. Else nobody waits for that. */
  readonly awaited?: true;
  /** `berth-endpoint` is among them: it says that the port is ours to remove. */
  readonly externalIds: Readonly<Record<string, string>> & { readonly 'berth-endpoint': string };
}

export type KernelObject =
  | Link
  | LinkAddress
  | Route
  | Rule
  | Neighbour
  | Belonging
  | VirtualFunction
  | FdbEntry
  | Qdisc
  | TrafficClass
  | Filter
  | Sysctl
  | NftTable
  | NftElement
  | ForwardAccept
  | OvsPort;

export type ObjectKind = KernelObject['kind'];

declare const brand: unique symbol;
/** Identity of a kernel object: stable over restarts, and readable, for it is shown to users in drift reports. */
export type ObjectKey = string & { readonly [brand]: 'ObjectKey' };

export function objectKey(object: KernelObject): ObjectKey {
  const where = object.netns === undefined ? '' : `@${object.netns}`;
  return `${object.kind}${where} ${identity(object)}` as ObjectKey;
}

function identity(object: KernelObject): string {
  switch (object.kind) {
    case 'link':
      return object.name;
    case 'address':
      return `${object.link} ${formatPrefix(object.address)}`;
    case 'route':
      return `table ${object.table ?? 254} ${formatPrefix(object.destination)} metric ${object.metric ?? defaultMetric(object)}`;
    case 'rule':
      return ruleIdentity(object);
    case 'neighbour':
      return `${object.link} ${formatAddress(object.address)}${object.proxy === true ? ' proxy' : ''}`;
    case 'belonging':
      return `${object.link} ${object.what} ${object.message}`;
    case 'virtual-function':
      return `${object.link} ${object.number}`;
    case 'fdb':
      return `${object.link} ${object.mac}${object.dst === undefined ? '' : ` ${formatAddress(object.dst)}`}${object.vlan === undefined ? '' : ` vlan ${object.vlan}`}`;
    case 'qdisc':
      return `${object.link} ${object.parent}`;
    case 'class':
      return `${object.link} ${object.classid}`;
    case 'filter':
      return `${object.link} ${object.parent} ${object.priority}`;
    case 'sysctl':
      return object.path;
    case 'nft-table':
      return `${object.family} ${object.name}`;
    case 'nft-element':
      return `${object.family} ${object.table} ${object.set} ${object.element}`;
    case 'forward-accept':
      return `inet${object.family === 6 ? '6' : ''} ${object.input ?? '*'} ${object.output ?? '*'}`;
    case 'ovs-port':
      return object.name;
  }
}

/** What tells a rule from the others, as `ip rule` would say it. */
export function ruleIdentity({ family, priority, inputLink, mark }: Omit<Rule, 'kind' | 'table'>): string {
  const input = inputLink === undefined ? '' : ` iif ${inputLink}`;
  const marked = mark === undefined ? '' : ` fwmark 0x${mark.toString(16)}`;
  return `inet${family === 6 ? '6' : ''} ${priority}${input}${marked}`;
}

function defaultMetric(route: Route): number {
  return route.destination.address.family === 4 ? 0 : 1024;
}

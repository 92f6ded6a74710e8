/** The kernel as the rest of Berth sees it: say what must be there, and ask what is. */

import type { Address } from '../model/address.ts';
import type { Mac } from '../model/mac.ts';
import type { InterfaceAddress, Prefix } from '../model/prefix.ts';
import type { Announcement } from './announce.ts';
import type { Belonging, FdbEntry, KernelObject, Neighbour, Netns, ObjectKey } from './objects.ts';
import type { PacketPort, PacketRequest } from './packets.ts';
import type { ResolverSockets } from './resolver.ts';

/** Who wants an object: `network/<id>`, `endpoint/<id>`, `fabric/cluster`. An object stays while anyone wants it. */
export type Owner = string;

/** One difference between what was declared and what is. */
export interface Drift {
  readonly key: ObjectKey;
  readonly owners: readonly Owner[];
  readonly what: 'missing' | 'different';
  /** For `different`: the fields, as declared and as found. */
  readonly fields: readonly { readonly name: string; readonly declared: string; readonly found: string }[];
  readonly repaired: boolean;
  /** Why it could not be repaired. */
  readonly error?: string;
}

export interface Kernel {
  /**
   * Makes exactly these objects exist for an owner, in one batch; what the owner declared before and does not any more goes.
   * Resolves when the kernel has them. Applying what is already there costs no system call.
   *
   * @throws BerthError KERNEL_REFUSED, KERNEL_LACKS, KERNEL_BUSY naming the object; what was new in this call has been undone.
   */
  apply(owner: Owner, objects: readonly KernelObject[]): Promise<void>;

  /**
   * Makes none of an owner's objects exist. `known` names objects that an earlier process made. Many removals at once are
   * joined into one group deletion. Resolves when they are gone; what is not there counts as gone.
   *
   * @param begun called when links are about to be deleted, with the very next system call: who goes to look for them then
   *   comes too late, unless this machine is so busy that it is overtaken. It is 20 ms until this resolves, of which the kernel
   *   spends 3 under the rtnl lock.
   */
  remove(owner: Owner, known?: readonly KernelObject[], begun?: () => void): Promise<void>;

  /** Like `apply`, but only says what must be there: the next `audit` compares it, and mends. For start-up. */
  declare(owner: Owner, objects: readonly KernelObject[]): void;

  /**
   * Compares everything declared with the kernel.
   *
   * @param options.repair makes it so as well.
   */
  audit(options: { readonly repair: boolean }): Promise<readonly Drift[]>;

  /**
   * Steps in the order given, in one go, outside the desired state: for moving an uplink's addresses, where order is all.
   *
   * @throws BerthError naming the step that failed; the steps before it stand.
   */
  execute(steps: readonly KernelStep[]): Promise<void>;

  /**
   * Tells the neighbours on a link that it has these addresses now.
   *
   * @throws BerthError KERNEL_REFUSED
   */
  announce(announcement: Announcement): Promise<void>;

  /**
   * Opens a port for raw Ethernet frames on a link, which need have no address, and may be down for the time being.
   *
   * @throws BerthError INTERFACE_UNKNOWN, INTERFACE_UNSUITABLE for one without Ethernet, KERNEL_REFUSED, KERNEL_LACKS,
   *   KERNEL_BUSY
   */
  packets(request: PacketRequest): Promise<PacketPort>;

  /**
   * Gets what processes in a namespace ask the engine's resolver, before that one does.
   *
   * @throws BerthError KERNEL_REFUSED, KERNEL_LACKS before Linux 5.12, KERNEL_BUSY
   */
  beforeResolver(netns: Netns): Promise<ResolverSockets>;

  /**
   * A stream to the engine's own resolver in a namespace, the caller's to close; it may yet be refused.
   *
   * @throws BerthError KERNEL_REFUSED, KERNEL_BUSY
   */
  resolverStream(netns: Netns): Promise<number>;

  /** What there is, in a namespace (absent: our own). */
  view(netns?: Netns): Promise<HostView>;

  /**
   * What hangs on a link of our own namespace and would be lost with it: addresses, routes, rules that name it,
   * neighbours. In the order in which they can be put onto another link.
   *
   * @throws BerthError INTERFACE_UNKNOWN
   */
  belongings(link: string): Promise<readonly Found[]>;

  /**
   * Who is on the segment of a link of our own namespace, as far as the kernel is sure: those that have answered within about
   * the last half minute, and those that somebody wrote down. None when there is no such link.
   */
  neighbours(link: string): Promise<readonly HostNeighbour[]>;

  /**
   * What somebody wrote down on a link of our own namespace: permanent neighbours; and of a bridge's port or a VXLAN device, where
   * forwarding leads. None when there is no such link.
   */
  entries(link: string): Promise<readonly (FdbEntry | Neighbour)[]>;

  /** Called when a kernel event shows that a declared object is not as declared, with what an audit of it found and mended. */
  onDrift(listener: (drifts: readonly Drift[]) => void): void;

  /** Called (coalesced) when links, addresses or routes of our own namespace changed, whoever did it. */
  onChange(listener: () => void): void;

  /**
   * Called when links that have left our own namespace have been set up in another one, as the engine does it with those of
   * containers; by the names that they had here.
   */
  onArrival(listener: (links: readonly string[]) => void): void;

  /** Gives up the worker; the kernel keeps everything. */
  close(): Promise<void>;
}

export type KernelStep = { readonly make: KernelObject } | { readonly unmake: KernelObject };

/** A belonging as it was found. */
export interface Found {
  readonly what: Belonging['what'];
  readonly message: string;
  /** Index of the link that it was found on. */
  readonly index: number;
  /** A route that the kernel makes with an address. It need not be put anywhere, but may stay behind when that one goes. */
  readonly implied?: true | undefined;
  /** A route that a router has advertised. Put by somebody else than the kernel, it keeps the kernel from heeding that router. */
  readonly advertised?: true | undefined;
  /** A neighbour that the kernel has learnt, and would soon learn again: to be put, so that nobody waits for that. */
  readonly learnt?: true | undefined;
  /** As `ip` would say it, for people. */
  readonly text: string;
}

export interface HostLink {
  readonly index: number;
  readonly name: string;
  /** IFLA_INFO_KIND, such as `bridge`; absent for a NIC. */
  readonly type?: string;
  readonly mtu: number;
  readonly mac?: Mac;
  readonly up: boolean;
  /** Carrier: IFF_LOWER_UP. */
  readonly running: boolean;
  readonly loopback: boolean;
  readonly master?: string;
  /** What it is a device of (IFLA_PARENT_DEV_NAME), such as `0000:03:00.1` for a NIC on a PCI bus. In other namespaces than ours, kernels before 5.14 do not tell. */
  readonly device?: string;
  /** IFLA_LINK: index of the parent, or of a veth's other end (then in `peerNamespace`). */
  readonly linkIndex?: number;
  readonly alias?: string;
}

export interface HostAddress {
  readonly link: string;
  readonly address: InterfaceAddress;
  readonly scope: 'global' | 'link' | 'host';
  /** Seconds left; absent for ever. */
  readonly validSeconds?: number;
  readonly preferredSeconds?: number;
}

export interface HostRoute {
  readonly table: number;
  readonly destination: Prefix;
  readonly link?: string;
  readonly via?: Address;
  readonly source?: Address;
  readonly metric: number;
  readonly protocol: number;
  readonly scope: 'universe' | 'link' | 'host';
  readonly type: 'unicast' | 'blackhole' | 'unreachable' | 'local' | 'other';
}

export interface HostNeighbour {
  readonly address: Address;
  readonly mac: Mac;
}

export interface HostView {
  readonly links: readonly HostLink[];
  readonly addresses: readonly HostAddress[];
  readonly routes: readonly HostRoute[];
}

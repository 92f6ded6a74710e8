/**
 * What the checks look at. All of it is gathered first, and the checks are pure: they can be shown any host. A fact that could
 * not be found out is absent, and no check guesses what it would have been.
 */

import type { NetworkView, StatusView } from '../../agent/api.ts';
import type { Manager } from '../../fabric/lan/uplink/managers/manager.ts';

/** A kernel feature that some part of Berth needs, found out by making one in a namespace of its own. */
export const kernelFeatures = ['veth', 'bridge', 'nf_tables', 'vxlan', 'macvlan', 'ipvlan', '8021q', 'ifb'] as const;
export type KernelFeature = (typeof kernelFeatures)[number];

export interface EngineFacts {
  /** Such as `28.5.2`; absent when the engine did not answer. */
  readonly version?: string;
  /** Why it did not answer. */
  readonly error?: string;
  readonly managedPlugins: readonly {
    /** With its tag. */
    readonly name: string;
    readonly enabled: boolean;
    /** It is Berth, and no stranger of that name. */
    readonly isBerth: boolean;
  }[];
  readonly networks: readonly {
    readonly name: string;
    readonly id: string;
    readonly driver: string;
    readonly subnets: readonly string[];
  }[];
}

export interface PluginSocket {
  readonly name: string;
  readonly path: string;
  /** Whether something accepts connections on it. */
  readonly listening: boolean;
}

export interface PluginSpec {
  readonly name: string;
  readonly path: string;
  /** The address in it. */
  readonly url: string;
}

/** The FORWARD chain of one family, as the iptables programs show it. */
export interface ForwardChain {
  readonly family: 4 | 6;
  /** `ACCEPT` or `DROP`. */
  readonly policy: string;
  /** Whether there is a DOCKER-USER chain, in which Berth keeps its accepting rules. */
  readonly hasDockerUser: boolean;
  /** Interface patterns that it, or FORWARD itself, accepts, as `-i bt+` or `-o bt+`. */
  readonly accepts: readonly string[];
}

/** A base chain of nftables at the forward hook whose policy is drop. */
export interface DroppingChain {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  /** Interface patterns that it accepts, as `iifname bt*` or `oifname bt*`. */
  readonly accepts: readonly string[];
}

export interface HostLinkFacts {
  readonly name: string;
  readonly mtu: number;
  /** Kind of a virtual link, such as `bridge`; absent for hardware. */
  readonly kind?: string;
}

export interface HostRouteFacts {
  /** `default`, or a prefix. */
  readonly destination: string;
  readonly link: string;
  /** True without a gateway: the hosts of that prefix are on the link itself. */
  readonly direct: boolean;
}

export interface UnitFacts {
  /** `loaded`, `not-found`, `masked` … */
  readonly loadState: string;
  /** `enabled`, `disabled` … */
  readonly fileState: string;
  /** `active`, `inactive`, `failed` … */
  readonly activeState: string;
  readonly before: readonly string[];
}

export interface DnsServerFacts {
  /** Networks whose containers it is told of. */
  readonly networks: readonly string[];
  readonly server: string;
  readonly zone: string;
  readonly keyFile?: string;
  /** Why the key cannot be used. */
  readonly keyProblem?: string;
  /** Why it would take no update. */
  readonly problem?: string;
}

export interface Facts {
  readonly now: number;
  readonly isRoot: boolean;
  readonly options: {
    readonly runDir: string;
    readonly stateDir: string;
    readonly pluginDir: string;
    readonly specDirs: readonly string[];
    readonly docker: string;
    readonly ovsDatabase: string;
  };
  readonly version: string;
  readonly agent:
    | { readonly status: StatusView; readonly networks: readonly NetworkView[] }
    | { readonly error: string };
  readonly engine: EngineFacts;
  readonly kernel: {
    readonly release: string;
    /** What is missing, and what the kernel said. Absent when nothing could be tried. */
    readonly lacks?: Readonly<Partial<Record<KernelFeature, string>>>;
    /** The library that Berth speaks to the packet filter with. */
    readonly hasLibnftables: boolean;
  };
  readonly sockets: readonly PluginSocket[];
  readonly specs: readonly PluginSpec[];
  /** By path below /proc/sys. */
  readonly sysctls: Readonly<Record<string, string | undefined>>;
  /** Absent when the programs did not answer: without root they do not. */
  readonly forward?: readonly ForwardChain[];
  /** Base chains at the forward hook, outside the tables of iptables and Berth, whose policy is drop. */
  readonly droppingChains: readonly DroppingChain[];
  readonly firewalld: boolean;
  readonly ufw: boolean;
  readonly links: readonly HostLinkFacts[];
  readonly routes: readonly HostRouteFacts[];
  /** NICs that Berth makes bridges from, and who else configures them. */
  readonly uplinks: readonly {
    readonly nic: string;
    readonly bridge: string;
    readonly managers: readonly Manager[];
  }[];
  /** Absent where systemd does not run. */
  readonly unit?: UnitFacts;
  /** Entries in use; the limits are sysctls. */
  readonly neighbours: { readonly v4: number; readonly v6: number };
  /** The DNS servers that containers are registered with. */
  readonly dnsServers: readonly DnsServerFacts[];
  /** Absent when nothing on this host says so. */
  readonly clockSynchronised?: boolean;
  readonly openVswitch: OpenVswitchFacts;
  /** Of the file system that holds the state directory. */
  readonly disk?: { readonly freeBytes: number; readonly freeFiles?: number; readonly writable: boolean };
}

/** The Open vSwitch of this host; most hosts have none. */
export type OpenVswitchFacts =
  | {
      readonly bridges: readonly { readonly name: string; readonly datapath: string }[];
      /** Ports that Berth has made, and what the switch says is wrong with them. */
      readonly ports: readonly { readonly name: string; readonly bridge?: string; readonly error?: string }[];
    }
  | { readonly error: string };

/** The plugin names that Berth answers to on this host. */
export function pluginNames({ agent }: Facts): readonly string[] {
  return 'status' in agent ? agent.status.plugins.map(({ name }) => name) : ['berth', 'berth-lan', 'local'];
}

/** Berth's networks here; from the engine when the agent does not answer. */
export function berthNetworks(
  facts: Facts,
): readonly { readonly name: string; readonly id: string; readonly subnets: readonly string[] }[] {
  if ('networks' in facts.agent) {
    return facts.agent.networks.map(({ name, id, subnets }) => ({
      name: name ?? id.slice(0, 12),
      id,
      subnets: subnets.map(({ subnet }) => subnet),
    }));
  }
  const managed = facts.engine.managedPlugins.filter(({ isBerth }) => isBerth).map(({ name }) => name);
  const ours = [...pluginNames(facts), ...managed];
  return facts.engine.networks.filter(({ driver }) => ours.includes(driver));
}

/** The link of the host's default route. */
export function uplink({ routes, links }: Pick<Facts, 'routes' | 'links'>): HostLinkFacts | undefined {
  const name = routes.find(({ destination }) => destination === 'default')?.link;
  return links.find((link) => link.name === name);
}

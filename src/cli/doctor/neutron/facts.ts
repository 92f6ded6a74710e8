/** What the checks of `berth doctor neutron` look at. As for the rest of the doctor: a fact that could not be found out is absent. */

import type { NeutronStatusView } from '../../../agent/neutron/status-view.ts';
import type { Identity } from '../../../openstack/keystone/token.ts';
import type { Agent, Network, QuotaUsage, Subnet } from '../../../openstack/neutron/objects.ts';
import type { HostLinkFacts } from '../facts.ts';

/** What was asked for, or why it was not told and what to do then. */
export type Told<Value> = { readonly value: Value } | { readonly error: string; readonly next: string };

export interface NeutronLink extends HostLinkFacts {
  readonly addresses: readonly string[];
}

/** A network of Docker, and what it is in Neutron. */
export interface NeutronNetworkFacts {
  /** Docker's. */
  readonly name: string;
  readonly id: string;
  readonly internal: boolean;
  /** The MTU that its containers get; absent without an agent. */
  readonly mtu?: number;
  /** Those that containers are told, where that is known. */
  readonly gateways: readonly string[];
  /** Absent: Neutron has none, or shows us none. */
  readonly network?: Network;
  readonly subnets: readonly Subnet[];
  /** Who has the addresses of the gateways, by address. */
  readonly gatewayOwners: Readonly<Record<string, string>>;
  /** Whether a server of Neutron gives out addresses on it. */
  readonly hasDhcp: boolean;
}

/** A port of this host. */
export interface NeutronPortFacts {
  readonly id: string;
  /** `binding:vif_type`; absent: not told. */
  readonly vif?: string;
  /** Whether `binding:vif_details` are told. */
  readonly hasDetails: boolean;
}

/** A rule of Neutron's policy, and whether we may; `unknown` says why it could not be found out. */
export interface RightFacts {
  readonly rule: string;
  /** The network of Docker that it was tried for; absent: the rule has to do with none. */
  readonly network?: string;
  readonly allowed: boolean | { readonly unknown: string };
}

export interface NeutronFacts {
  readonly now: number;
  /** What this host is called in Neutron, as Berth is told. */
  readonly host: string;
  /** What it calls itself, in full. */
  readonly fullName: string;
  readonly agent: { readonly status?: NeutronStatusView } | { readonly error: string };
  readonly conf:
    | { readonly files: readonly string[]; readonly problems: readonly string[]; readonly remarks: readonly string[] }
    | { readonly error: string };
  /** This host is a virtual machine of Neutron's, within which containers are: no agent wires their ports. */
  readonly nested?: boolean;
  /** Undefined as a value: there is no Keystone. Absent, as all that follows, where kuryr.conf cannot be used. */
  readonly identity?: Told<Identity | undefined>;
  readonly endpoint?: Told<string>;
  /** Milliseconds by which the clock of Keystone, or else of Neutron, is ahead of ours. */
  readonly clockAhead?: number;
  readonly extensions?: Told<readonly string[]>;
  /** All that we are told of: without the right, none. */
  readonly agents?: Told<readonly Agent[]>;
  readonly quota?: Told<QuotaUsage>;
  readonly networks?: Told<readonly NeutronNetworkFacts[]>;
  readonly ports?: Told<readonly NeutronPortFacts[]>;
  readonly rights?: readonly RightFacts[];
  readonly links: readonly NeutronLink[];
  /** The link of the default route. */
  readonly uplink?: string;
}

/** The agents that wire ports, of those on this host. */
export const portAgents = (agents: readonly Agent[]): readonly Agent[] =>
  agents.filter(({ agent_type }) => !NO_PORTS.test(agent_type));

/** neutron_lib.constants, AGENT_TYPE_*: these serve networks, and wire no port of a container. */
const NO_PORTS = /^(?:DHCP|L3|Metadata|Metering|Loadbalancer|BGP|OVN Metadata)/i;

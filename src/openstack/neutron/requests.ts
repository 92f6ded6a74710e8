/** What may be asked of Neutron when objects are made and changed. Null takes a value away where Neutron allows that. */

interface Common {
  readonly name?: string;
  readonly description?: string;
  readonly project_id?: string;
  /** In the request that creates: from the release 2025.1 on (extension `tag-creation`); before, `setTags` does it. */
  readonly tags?: readonly string[];
}

export interface NetworkRequest extends Common {
  readonly admin_state_up?: boolean;
  readonly shared?: boolean;
  readonly mtu?: number;
  readonly port_security_enabled?: boolean;
  readonly qos_policy_id?: string | null;
  readonly dns_domain?: string;
  readonly 'router:external'?: boolean;
  readonly 'provider:network_type'?: string;
  readonly 'provider:physical_network'?: string;
  readonly 'provider:segmentation_id'?: number;
}

export interface SubnetChange extends Common {
  /** Null: none. Not given: the first address, when the subnet is made. */
  readonly gateway_ip?: string | null;
  readonly enable_dhcp?: boolean;
  readonly allocation_pools?: readonly { readonly start: string; readonly end: string }[];
  readonly dns_nameservers?: readonly string[];
  readonly host_routes?: readonly { readonly destination: string; readonly nexthop: string }[];
  readonly service_types?: readonly string[];
}

export interface SubnetRequest extends SubnetChange {
  readonly network_id: string;
  readonly ip_version: 4 | 6;
  /** Needed unless a pool gives one. */
  readonly cidr?: string;
  readonly prefixlen?: number;
  readonly subnetpool_id?: string;
  readonly use_default_subnetpool?: boolean;
  readonly ipv6_address_mode?: string;
  readonly ipv6_ra_mode?: string;
}

export interface SubnetPoolChange extends Common {
  readonly prefixes?: readonly string[];
  readonly default_prefixlen?: number;
  readonly min_prefixlen?: number;
  readonly max_prefixlen?: number;
  readonly is_default?: boolean;
}

export interface SubnetPoolRequest extends SubnetPoolChange {
  readonly name: string;
  readonly prefixes: readonly string[];
  readonly shared?: boolean;
}

export interface PortChange extends Common {
  readonly admin_state_up?: boolean;
  readonly fixed_ips?: readonly { readonly subnet_id?: string; readonly ip_address?: string }[];
  readonly mac_address?: string;
  readonly device_id?: string;
  readonly device_owner?: string;
  readonly security_groups?: readonly string[];
  readonly port_security_enabled?: boolean;
  readonly allowed_address_pairs?: readonly { readonly ip_address: string; readonly mac_address?: string }[];
  readonly qos_policy_id?: string | null;
  readonly dns_name?: string;
  readonly dns_domain?: string;
  readonly 'binding:host_id'?: string;
  readonly 'binding:vnic_type'?: string;
  readonly 'binding:profile'?: Readonly<Record<string, unknown>>;
}

export interface PortRequest extends PortChange {
  readonly network_id: string;
}

export interface RouterRequest extends Common {
  readonly admin_state_up?: boolean;
  readonly external_gateway_info?: { readonly network_id: string; readonly enable_snat?: boolean } | null;
  readonly routes?: readonly { readonly destination: string; readonly nexthop: string }[];
}

export interface SecurityGroupRequest extends Common {
  readonly stateful?: boolean;
}

export interface SecurityGroupRuleRequest {
  readonly security_group_id: string;
  readonly direction: 'ingress' | 'egress';
  readonly ethertype: 'IPv4' | 'IPv6';
  readonly description?: string;
  readonly protocol?: string;
  readonly port_range_min?: number;
  readonly port_range_max?: number;
  readonly remote_ip_prefix?: string;
  readonly remote_group_id?: string;
}

export interface FloatingIpChange {
  readonly description?: string;
  /** Null: of no port. */
  readonly port_id?: string | null;
  readonly fixed_ip_address?: string;
}

export interface FloatingIpRequest extends FloatingIpChange {
  readonly floating_network_id: string;
  readonly floating_ip_address?: string;
  readonly subnet_id?: string;
  readonly project_id?: string;
  readonly dns_name?: string;
  readonly dns_domain?: string;
}

export interface PortForwardingRequest {
  readonly protocol: string;
  readonly internal_port_id: string;
  readonly internal_ip_address: string;
  readonly internal_port: number;
  readonly external_port: number;
  readonly description?: string;
}

export interface QosPolicyRequest extends Common {
  readonly shared?: boolean;
}

export interface TrunkRequest extends Common {
  readonly port_id: string;
  readonly admin_state_up?: boolean;
  readonly sub_ports?: readonly SubportRequest[];
}

export interface TrunkChange {
  readonly name?: string;
  readonly description?: string;
  readonly admin_state_up?: boolean;
}

export interface SubportRequest {
  readonly port_id: string;
  readonly segmentation_type: 'vlan' | 'inherit';
  readonly segmentation_id?: number;
}

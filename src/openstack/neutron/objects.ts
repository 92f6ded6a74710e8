/**
 * What Neutron tells of its objects (https://docs.openstack.org/api-ref/network/v2/), in its own names and forms. What Berth does not
 * need is not read; what an extension adds is there only where the extension is; what is null is undefined here.
 */

import { z } from 'zod';

/** Absent where Neutron says null, and where it does not say anything. */
function maybe<T extends z.ZodType>(schema: T) {
  return schema
    .nullish()
    .transform((value) => value ?? undefined)
    .optional();
}

const text = z.string();
const maybeText = maybe(text);
const texts = z.array(text);
const tags = maybe(texts);
const revision_number = maybe(z.number().int());

/** What all of them have. */
const common = {
  id: text,
  name: text.nullish().transform((name) => name ?? ''),
  description: maybeText,
  project_id: maybeText,
  tags,
  revision_number,
};

const hostRoute = z.object({ destination: text, nexthop: text });
const range = z.object({ start: text, end: text });

export const networkSchema = z.object({
  ...common,
  status: maybeText,
  admin_state_up: maybe(z.boolean()),
  shared: maybe(z.boolean()),
  mtu: maybe(z.number().int()),
  subnets: maybe(texts),
  'router:external': maybe(z.boolean()),
  port_security_enabled: maybe(z.boolean()),
  qos_policy_id: maybeText,
  dns_domain: maybeText,
  vlan_transparent: maybe(z.boolean()),
  'provider:network_type': maybeText,
  'provider:physical_network': maybeText,
  'provider:segmentation_id': maybe(z.number().int()),
});
export type Network = z.infer<typeof networkSchema>;

export const subnetSchema = z.object({
  ...common,
  network_id: text,
  cidr: text,
  ip_version: z.union([z.literal(4), z.literal(6)]),
  /** Undefined: none. */
  gateway_ip: maybeText,
  enable_dhcp: maybe(z.boolean()),
  subnetpool_id: maybeText,
  allocation_pools: maybe(z.array(range)),
  dns_nameservers: maybe(texts),
  host_routes: maybe(z.array(hostRoute)),
  ipv6_address_mode: maybeText,
  ipv6_ra_mode: maybeText,
  service_types: maybe(texts),
  segment_id: maybeText,
});
export type Subnet = z.infer<typeof subnetSchema>;

/** Neutron takes lengths as numbers, and old releases tell them as texts. */
const prefixLength = maybe(z.coerce.number().int());

export const subnetPoolSchema = z.object({
  ...common,
  prefixes: texts,
  ip_version: maybe(z.number().int()),
  default_prefixlen: prefixLength,
  min_prefixlen: prefixLength,
  max_prefixlen: prefixLength,
  default_quota: maybe(z.number().int()),
  shared: maybe(z.boolean()),
  is_default: maybe(z.boolean()),
  address_scope_id: maybeText,
});
export type SubnetPool = z.infer<typeof subnetPoolSchema>;

const fixedIp = z.object({ subnet_id: text, ip_address: text });
const subportSchema = z.object({
  port_id: text,
  segmentation_type: text,
  segmentation_id: z.number().int(),
});

export const portSchema = z.object({
  ...common,
  network_id: text,
  mac_address: maybeText,
  fixed_ips: maybe(z.array(fixedIp)),
  status: maybeText,
  admin_state_up: maybe(z.boolean()),
  device_id: maybeText,
  device_owner: maybeText,
  security_groups: maybe(texts),
  port_security_enabled: maybe(z.boolean()),
  allowed_address_pairs: maybe(z.array(z.object({ ip_address: text, mac_address: maybeText }))),
  qos_policy_id: maybeText,
  dns_name: maybeText,
  dns_domain: maybeText,
  dns_assignment: maybe(z.array(z.object({ ip_address: text, hostname: text, fqdn: text }))),
  extra_dhcp_opts: maybe(z.array(z.object({ opt_name: text, opt_value: text, ip_version: maybe(z.number()) }))),
  /** Only told to whom the policy allows it, an administrator by default. */
  'binding:host_id': maybeText,
  'binding:vif_type': maybeText,
  'binding:vif_details': maybe(z.record(z.string(), z.unknown())),
  'binding:vnic_type': maybeText,
  'binding:profile': maybe(z.record(z.string(), z.unknown())),
  trunk_details: maybe(
    z.object({
      trunk_id: text,
      sub_ports: z.array(subportSchema.extend({ mac_address: maybeText })),
    }),
  ),
});
export type Port = z.infer<typeof portSchema>;

export const routerSchema = z.object({
  ...common,
  status: maybeText,
  admin_state_up: maybe(z.boolean()),
  distributed: maybe(z.boolean()),
  ha: maybe(z.boolean()),
  routes: maybe(z.array(hostRoute)),
  external_gateway_info: maybe(
    z.object({
      network_id: text,
      enable_snat: maybe(z.boolean()),
      external_fixed_ips: maybe(z.array(fixedIp)),
    }),
  ),
});
export type Router = z.infer<typeof routerSchema>;

export const routerInterfaceSchema = z.object({ id: text, port_id: text, subnet_id: maybeText });
export type RouterInterface = z.infer<typeof routerInterfaceSchema>;

export const securityGroupRuleSchema = z.object({
  ...common,
  security_group_id: text,
  direction: z.enum(['ingress', 'egress']),
  ethertype: maybeText,
  /** By name or number; undefined: any. */
  protocol: maybe(z.coerce.string()),
  port_range_min: maybe(z.number().int()),
  port_range_max: maybe(z.number().int()),
  remote_ip_prefix: maybeText,
  remote_group_id: maybeText,
});
export type SecurityGroupRule = z.infer<typeof securityGroupRuleSchema>;

export const securityGroupSchema = z.object({
  ...common,
  stateful: maybe(z.boolean()),
  shared: maybe(z.boolean()),
  security_group_rules: maybe(z.array(securityGroupRuleSchema)),
});
export type SecurityGroup = z.infer<typeof securityGroupSchema>;

export const floatingIpSchema = z.object({
  ...common,
  floating_ip_address: text,
  floating_network_id: text,
  fixed_ip_address: maybeText,
  port_id: maybeText,
  router_id: maybeText,
  status: maybeText,
  dns_name: maybeText,
  dns_domain: maybeText,
});
export type FloatingIp = z.infer<typeof floatingIpSchema>;

export const portForwardingSchema = z.object({
  id: text,
  description: maybeText,
  protocol: text,
  internal_port_id: text,
  internal_ip_address: text,
  /** One port, or a range in newer releases. */
  internal_port: maybe(z.number().int()),
  external_port: maybe(z.number().int()),
  internal_port_range: maybeText,
  external_port_range: maybeText,
});
export type PortForwarding = z.infer<typeof portForwardingSchema>;

export const qosPolicySchema = z.object({
  ...common,
  shared: maybe(z.boolean()),
  is_default: maybe(z.boolean()),
  rules: maybe(z.array(z.looseObject({ id: text, type: text }))),
});
export type QosPolicy = z.infer<typeof qosPolicySchema>;

export const trunkSchema = z.object({
  ...common,
  port_id: text,
  status: maybeText,
  admin_state_up: maybe(z.boolean()),
  sub_ports: z.array(subportSchema),
});
export type Trunk = z.infer<typeof trunkSchema>;

/** What runs on the hosts; told to administrators. */
export const agentSchema = z.object({
  id: text,
  agent_type: text,
  host: text,
  alive: z.boolean(),
  admin_state_up: maybe(z.boolean()),
  heartbeat_timestamp: maybeText,
  binary: maybeText,
  configurations: maybe(z.record(z.string(), z.unknown())),
});
export type Agent = z.infer<typeof agentSchema>;

export const extensionSchema = z.object({ alias: text, name: maybeText });

/** By kind, such as `port`; -1: as many as one likes. */
export const quotaSchema = z
  .record(z.string(), z.unknown())
  .transform(
    (quota): Readonly<Record<string, number>> =>
      Object.fromEntries(
        Object.entries(quota).filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
      ),
  );

const usage = z.object({ limit: z.number(), used: z.number(), reserved: z.number() });
export const quotaUsageSchema = z.record(z.string(), z.unknown()).transform(
  (quota): Readonly<Record<string, z.infer<typeof usage>>> =>
    Object.fromEntries(
      Object.entries(quota).flatMap(([kind, value]) => {
        const parsed = usage.safeParse(value);
        return parsed.success ? [[kind, parsed.data] as const] : [];
      }),
    ),
);
export type QuotaUsage = z.infer<typeof quotaUsageSchema>;

/**
 * What is written down of Neutron's objects before they are asked for, so that a crash at any point leaves nothing in Neutron that
 * nobody remembers. What is there already is `adopted`: it is never removed, and put back as it was.
 */

import * as z from 'zod';
import { formatAddress, parseAddress } from '../../model/address.ts';
import type { EndpointId, NetworkId, PoolId } from '../../model/ids.ts';
import { parseMac } from '../../model/mac.ts';
import type { Json } from '../../model/network.ts';
import { formatPrefix, parseInterfaceAddress, parsePrefix } from '../../model/prefix.ts';
import { parsed } from '../../store/record.ts';

const address = parsed(parseAddress, 'an address');
const origin = z.enum(['created', 'adopted']);
const id = <Id extends string>() => z.string().transform((text) => text as Id);

/**
 * - `making`: it may or may not be in Neutron, under its key.
 * - `held`: it is.
 * - `leaving`: it is to go (or to be put back as it was), and the record goes after it.
 */
const phase = z.enum(['making', 'held', 'leaving']);

/** A pool as Docker has asked for it. Nothing in Neutron: Docker's networks have pools before they have an id. */
const PoolSchema = z.object({
  id: id<PoolId>(),
  subnet: parsed(parsePrefix, 'a subnet'),
  range: parsed(parsePrefix, 'a subnet').optional(),
  /** Neutron's subnet pool that it is cut from. */
  subnetPool: z.string().optional(),
  /** The user's `--ipam-opt`. */
  options: z.record(z.string(), z.string()),
  gateway: z.object({ address, chosen: z.boolean() }).optional(),
  auxiliary: z.array(address),
  /** Docker's network that it has become part of. */
  network: id<NetworkId>().optional(),
  /** The pool that it is, under the id that the engine knows it by. */
  as: id<PoolId>().optional(),
  createdAt: z.number(),
});
export type PoolRecord = Readonly<z.infer<typeof PoolSchema>>;

/**
 * A network of Docker, and what it is in Neutron. One that is `shared` is that of all engines with a cluster store: what of it is to go
 * is found by its tags, on whichever host.
 */
const NetworkSchema = z.object({
  id: id<NetworkId>(),
  phase,
  origin: z.enum(['created', 'adopted', 'shared']),
  /** Stands in the description of what we make: by it an object is found again whose id we were never told. */
  key: z.string(),
  network: z.string().optional(),
  /** When Neutron was asked for something that it has not answered, and may yet do. */
  unanswered: z.number().optional(),
  /** Of a network that we have made: its revision when it was ready. Nobody has touched it while it has that. */
  revision: z.number().optional(),
  /** Those that we have made on a network that was there already; those on a network of ours go with it. */
  subnets: z.array(z.string()),
  /** Tags that we have put on a network that was there already. */
  tags: z.array(z.string()),
  /** And on its subnets. */
  subnetTags: z.array(z.object({ subnet: z.string(), tag: z.string() })).optional(),
  /** Subnet pools that kuryr-libnetwork has made for it, and that go after it. */
  subnetPools: z.array(z.string()).optional(),
  /** Id of the router to which its subnets may have been attached. */
  router: z.string().optional(),
  /** It may have a floating IP of its own, for the ports that its containers publish. */
  floating: z.boolean().optional(),
});
export type NetworkRecord = Readonly<z.infer<typeof NetworkSchema>>;

export const BindingSchema = z.object({
  /** `binding:vif_type`: how the port is to be wired on this host. */
  type: z.string(),
  details: z.record(z.string(), z.json()),
  /** `binding:vnic_type`. */
  nic: z.string(),
  /** Whose it is. */
  project: z.string().optional(),
  /** `pci_slot` of its `binding:profile`: the virtual function that it is to have. */
  slot: z.string().optional(),
});
export type Binding = Readonly<z.infer<typeof BindingSchema>>;

/** What has been done for a port elsewhere than at the port itself, and is undone before it goes. */
const FastenedSchema = z.discriminatedUnion('by', [
  /** A program of the administrator's has wired it. `network` is Neutron's id. */
  z.object({
    by: z.literal('executable'),
    file: z.string(),
    network: z.string(),
    endpoint: id<EndpointId>(),
  }),
  /** Its addresses are allowed ones of this port, the one of the virtual machine that we are in. */
  z.object({
    by: z.literal('pairs'),
    port: z.string(),
    pairs: z.array(z.object({ ip_address: z.string(), mac_address: z.string() })),
  }),
  /** It is a subport of this trunk. */
  z.object({ by: z.literal('trunk'), trunk: z.string() }),
]);
export type Fastened = Readonly<z.infer<typeof FastenedSchema>>;

const PortSchema = z.object({
  /** Its `device_id` in Neutron, which we choose before Docker tells us of an endpoint. */
  key: z.string(),
  /** `warm`: it is in Neutron, and no container has it yet. */
  phase: z.enum([...phase.options, 'warm']),
  /** It was made ahead, and no container has ever had it. */
  ahead: z.boolean().optional(),
  origin,
  /** Docker's network. */
  network: id<NetworkId>(),
  port: z.string().optional(),
  mac: parsed(parseMac, 'a MAC address').optional(),
  /** With whom Docker reckons: it gives each back. */
  addresses: z.array(
    z.object({ pool: id<PoolId>(), on: parsed(parseInterfaceAddress, 'an address with a length'), taken: z.boolean() }),
  ),
  endpoint: id<EndpointId>().optional(),
  /** When Neutron was asked for something that it has not answered, and may yet do. */
  unanswered: z.number().optional(),
  binding: BindingSchema.optional(),
  fastened: FastenedSchema.optional(),
  /** Its security groups, and whose it is, as Neutron last told. */
  groups: z.array(z.string()).optional(),
  project: z.string().optional(),
  /** Of an adopted port: what is to be put back. */
  before: z
    .object({
      device_id: z.string(),
      device_owner: z.string(),
      mac_address: z.string().optional(),
      host: z.string(),
      /** Where it was lent others besides. */
      fixed_ips: z.array(z.object({ subnet_id: z.string(), ip_address: z.string() })).optional(),
      security_groups: z.array(z.string()).optional(),
      port_security_enabled: z.boolean().optional(),
      allowed_address_pairs: z
        .array(z.object({ ip_address: z.string(), mac_address: z.string().optional() }))
        .optional(),
      qos_policy_id: z.string().nullable().optional(),
      dns_name: z.string().optional(),
    })
    .optional(),
  /** Of an adopted port: tags that go from it then. */
  tags: z.array(z.string()).optional(),
  createdAt: z.number(),
});
export type PortRecord = Readonly<z.infer<typeof PortSchema>>;

const forwarding = z.object({ protocol: z.number(), internal: z.number(), external: z.number() });
export type Forwarding = Readonly<z.infer<typeof forwarding>>;

/** What lets others reach one container, beyond its port. */
const OutsideSchema = z.object({
  endpoint: id<EndpointId>(),
  phase,
  network: id<NetworkId>(),
  /** Neutron's id of the container's port. */
  port: z.string(),
  /** Key of the group that it shares with others, for the ports that it opens. */
  group: z.string().optional(),
  /** A floating IP of its own; without `id`, Neutron's answer has not come yet. */
  floating: z.object({ origin, id: z.string().optional(), address: z.string().optional() }).optional(),
  /** When Neutron was asked for something that it has not answered, and may yet do. */
  unanswered: z.number().optional(),
  /** Ports of the network's floating IP. */
  forwardings: z.object({ floatingIp: z.string(), address: z.string(), ports: z.array(forwarding) }).optional(),
});
export type OutsideRecord = Readonly<z.infer<typeof OutsideSchema>>;

/** A security group that containers with the same open ports share, with those of other hosts too. */
const GroupSchema = z.object({
  /** Of its project and its name. */
  key: z.string(),
  phase,
  /** A function of the ports. */
  name: z.string(),
  project: z.string().optional(),
  id: z.string().optional(),
  /** When Neutron was asked for it, and has not answered. */
  unanswered: z.number().optional(),
});
export type GroupRecord = Readonly<z.infer<typeof GroupSchema>>;

/** @returns undefined for what cannot be read. */
export const decodePool = (note: Json): PoolRecord | undefined => PoolSchema.safeParse(note).data;
export const decodeNetworkRecord = (note: Json): NetworkRecord | undefined => NetworkSchema.safeParse(note).data;
export const decodePort = (note: Json): PortRecord | undefined => PortSchema.safeParse(note).data;

export const decodeOutside = (note: Json): OutsideRecord | undefined => OutsideSchema.safeParse(note).data;
export const decodeGroup = (note: Json): GroupRecord | undefined => GroupSchema.safeParse(note).data;

export const encodePool = ({ subnet, range, gateway, auxiliary, ...pool }: PoolRecord): Json => ({
  ...pool,
  subnet: formatPrefix(subnet),
  range: range && formatPrefix(range),
  gateway: gateway && { ...gateway, address: formatAddress(gateway.address) },
  auxiliary: auxiliary.map(formatAddress),
});

export const encodeNetworkRecord = (network: NetworkRecord): Json => ({ ...network });

export const encodeOutside = (outside: OutsideRecord): Json => ({ ...outside });

export const encodeGroup = (group: GroupRecord): Json => ({ ...group });

export const encodePort = ({ addresses, binding, fastened, before, ...port }: PortRecord): Json => ({
  ...port,
  fastened: fastened as Json | undefined,
  addresses: addresses.map(({ on, ...rest }) => ({ ...rest, on: formatPrefix(on) })),
  binding: binding && { ...binding, details: binding.details as Json },
  before: before && { ...before },
});

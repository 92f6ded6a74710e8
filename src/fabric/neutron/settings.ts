/** What is kept with a network and an endpoint of Neutron: enough to declare their kernel objects without asking Neutron again. */

import * as z from 'zod';
import { parseMac } from '../../model/mac.ts';
import type { Endpoint, Network } from '../../model/network.ts';
import { parsed } from '../../store/record.ts';
import { BindingSchema } from './records.ts';

/** Other than by the engine. */
export const PUBLISH_WAYS = ['floating-ip', 'security-group'] as const;

const NetworkSettings = z.object({
  /** Neutron's id of it. */
  network: z.string(),
  mtu: z.number(),
  interfacePrefix: z.string(),
  subnets: z.array(
    z.object({
      /** Neutron's id. */
      id: z.string(),
      prefix: z.string(),
      gateway: z.string().optional(),
      /** Docker's pool on it. */
      pool: z.string(),
      routes: z.array(z.object({ destination: z.string(), via: z.string() })),
      /** Addresses are chosen by us, from here, and not by Neutron: its subnet gives out others as well. Both ends included. */
      choose: z.object({ first: z.string(), last: z.string(), except: z.array(z.string()) }).optional(),
    }),
  ),
  /** Ids of the groups that its ports have; absent: what Neutron gives them. */
  securityGroups: z.array(z.string()).optional(),
  portSecurity: z.boolean().optional(),
  qosPolicy: z.string().optional(),
  /** External network of which each container has a floating IP; with `publish: floating-ip`, the network has had its own of it. */
  floatingNetwork: z.string().optional(),
  /** Absent: the engine publishes. */
  publish: z.enum(PUBLISH_WAYS).optional(),
  /** How many ports are made ahead on each host. */
  warmPorts: z.number().optional(),
  /** For published ports. */
  floatingIp: z.object({ id: z.string(), address: z.string() }).optional(),
});
export type NetworkSettings = Readonly<z.infer<typeof NetworkSettings>>;
export type SubnetSettings = NetworkSettings['subnets'][number];

const NestedSettings = z.object({
  driver: z.enum(['macvlan', 'ipvlan', 'vlan']),
  /** The card that its link stands on. */
  parent: z.string(),
  mtu: z.number(),
  vlan: z.number().optional(),
});
export type NestedSettings = Readonly<z.infer<typeof NestedSettings>>;

const VirtualFunctionSettings = z.object({
  /** The NIC, and which of its functions. */
  physical: z.string(),
  number: z.number(),
  vlan: z.number(),
  /** The function's own interface, and how it was: so it goes back. */
  nic: z.string(),
  before: z.object({ mac: parsed(parseMac, 'a MAC address'), mtu: z.number(), up: z.boolean(), alias: z.string() }),
});
export type VirtualFunctionSettings = Readonly<z.infer<typeof VirtualFunctionSettings>>;

const EndpointSettings = z.looseObject({
  /** Neutron's id of the port. */
  port: z.string(),
  vif: BindingSchema,
  /** Absent: we are not in a virtual machine that is one of Neutron's itself. */
  nested: NestedSettings.optional(),
  /** Of a port that is a virtual function of a NIC. */
  virtualFunction: VirtualFunctionSettings.optional(),
  /** How it is reached from outside, for people. */
  outside: z.object({ floatingIp: z.string().optional(), published: z.array(z.string()).optional() }).optional(),
});
export type EndpointSettings = Readonly<z.infer<typeof EndpointSettings>>;

const known = new WeakMap<object, unknown>();

/** Asked for each network of a host at each start of a container: read once. */
function once<Settings>(schema: z.ZodType<Settings>, json: unknown): Settings {
  const object = json as object;
  const before = known.get(object);
  if (before !== undefined) return before as Settings;
  const settings = schema.parse(json);
  known.set(object, settings);
  return settings;
}

export const networkSettings = ({ settings }: Pick<Network, 'settings'>): NetworkSettings =>
  once(NetworkSettings, settings);

export const endpointSettings = ({ settings }: Pick<Endpoint, 'settings'>): EndpointSettings =>
  once(EndpointSettings, settings);

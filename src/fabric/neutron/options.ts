/**
 * The options of Neutron networks. Those of kuryr-libnetwork keep their names and meanings; the same names are taken with `-o` and
 * with `--ipam-opt`, for its users give them with either.
 */

import type { Family } from '../../model/address.ts';
import { formatAddress, parseAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import { parseMac } from '../../model/mac.ts';
import { parsePrefix } from '../../model/prefix.ts';
import { containerOptions, networkContainerOptions } from '../container-options.ts';
import type { OptionSpec } from '../fabric.ts';
import { GREATEST_MTU, LEAST_MTU } from '../mtu.ts';
import {
  booleanOption,
  choiceOption,
  integerOption,
  linkOption,
  type OptionValues,
  printable,
  readOptions,
} from '../options.ts';

/** One object of Neutron, as a user names it. */
export type Reference = { readonly uuid: string } | { readonly name: string };

export interface Wishes {
  /** Absent: a network of its own is made. */
  readonly network?: Reference;
  readonly shared?: boolean;
  readonly subnets: Readonly<Partial<Record<Family, Reference>>>;
  /** Subnet pools, of which subnets are cut. */
  readonly pools: Readonly<Partial<Record<Family, Reference>>>;
  readonly dhcp?: boolean;
  readonly portSecurity?: boolean;
  readonly qosPolicy?: Reference;
  readonly dnsDomain?: string;
  readonly securityGroups?: readonly Reference[];
  readonly mtu?: number;
  readonly interfacePrefix?: string;
  readonly router?: Reference;
  readonly floatingNetwork?: Reference;
  readonly publish?: PublishWay;
  readonly warmPorts?: number;
}

/** Ports of one network that nobody uses yet: more would only take addresses from others. */
const MOST_WARM = 200;

/** Who lets published ports in: Docker's own gateway bridge, port forwardings of a floating IP, or security group rules alone. */
export type PublishWay = (typeof PUBLISH_WAYS)[number];
const PUBLISH_WAYS = ['engine', 'floating-ip', 'security-group'] as const;

const object = (name: string, what: string, help: string): readonly OptionSpec[] => [
  { name: `${name}.uuid`, values: 'a UUID', default: 'none', help },
  {
    name: `${name}.name`,
    values: 'a name',
    default: 'none',
    help: `The same by its name, which only one ${what} may have.`,
  },
];

const subnet = 'Use this subnet of Neutron instead of making one. --subnet is its CIDR, or is left out.';
const pool = 'Cut the subnet from this subnet pool of Neutron.';

export const networkOptions: readonly OptionSpec[] = [
  ...object(
    'neutron.net',
    'network',
    'Use this network of Neutron instead of making one. It is never renamed and never removed.',
  ),
  {
    name: 'neutron.net.shared',
    values: 'true, false',
    default: 'false',
    help: 'Make the network for all projects. With a network that is there already: it must be so.',
  },
  ...object('neutron.subnet', 'subnet', subnet),
  ...object('neutron.subnet.v6', 'subnet', subnet),
  ...object('neutron.pool', 'subnet pool', pool),
  ...object('neutron.pool.v6', 'subnet pool', pool),
  {
    name: 'neutron.dhcp',
    values: 'true, false',
    default: 'enable_dhcp of kuryr.conf, which is true',
    help: "Whether Neutron's DHCP serves the subnets that are made.",
  },
  {
    name: 'neutron.security_groups',
    values: 'UUIDs or names, with commas between them; or none',
    default: "the project's default group",
    help: 'Security groups of the ports.',
  },
  {
    name: 'neutron.port_security',
    values: 'true, false',
    default: "the network's",
    help: 'With false, ports may send with any address, and have no security groups. Of a network that is made, this is the default of all its ports.',
  },
  {
    name: 'neutron.qos_policy',
    values: 'UUID or name',
    default: 'none',
    help: 'QoS policy of the network that is made, or of the ports.',
  },
  {
    name: 'neutron.dns_domain',
    values: 'a domain',
    default: 'none',
    help: 'Domain in which Neutron enters the names of the ports.',
  },
  {
    name: 'neutron.router',
    values: 'UUID or name',
    default: 'none',
    help: 'Router that the subnets are attached to while the network is there. What is attached to it already is left as it is.',
  },
  {
    name: 'neutron.floating_network',
    values: 'UUID or name',
    default: 'none',
    help: 'External network of which each container has a floating IP while it runs; with neutron.publish=floating-ip, the network has one for all.',
  },
  {
    name: 'neutron.publish',
    values: PUBLISH_WAYS.join(', '),
    default: 'engine',
    help: "How -p lets packets in: through Docker's own gateway bridge; by port forwardings of a floating IP of neutron.floating_network; or at the container's own address, by security group rules.",
  },
  {
    name: 'neutron.warm_ports',
    aliases: ['neutron.warm-ports'],
    values: `0 to ${MOST_WARM}`,
    default: '0',
    help: 'Ports that are made ahead, bound to this host, so that a container starts without a call of Neutron. They take addresses and quota. Needs neutron-macs = neutron in the configuration.',
  },
  {
    name: 'mtu',
    aliases: ['com.docker.network.driver.mtu'],
    values: '1280 to 65535',
    default: "that of Neutron's network",
    help: 'MTU of every hop from the container to the switch; at most what Neutron says that its network carries.',
  },
  {
    name: 'interface_prefix',
    aliases: ['com.docker.network.container_iface_prefix'],
    values: 'up to 12 characters',
    default: 'veth_dst_prefix of kuryr.conf, which is eth',
    help: 'What the interface is called in the container; the engine appends a number.',
  },
  ...networkContainerOptions,
];

/** `--driver-opt` of one container. */
export const endpointOptions: readonly OptionSpec[] = [
  {
    name: 'neutron.port.uuid',
    values: 'a UUID',
    default: 'none',
    help: 'The port must be this one, which is there already. Docker must ask for its address, too: --ip.',
  },
  {
    name: 'neutron.security_groups',
    values: 'UUIDs or names, with commas between them; or none',
    default: "the network's",
    help: 'Security groups of the port.',
  },
  {
    name: 'neutron.port_security',
    values: 'true, false',
    default: "the network's",
    help: 'With false, the container may send with any address, and has no security groups.',
  },
  {
    name: 'neutron.allowed_address_pairs',
    values: 'ADDRESS or PREFIX, perhaps with a MAC address behind a space; with commas between them',
    default: 'none',
    help: 'Addresses with which the container may send and receive besides its own.',
  },
  { name: 'neutron.qos_policy', values: 'UUID or name', default: "the network's", help: 'QoS policy of the port.' },
  {
    name: 'neutron.dns_name',
    values: 'a name',
    default: 'none',
    help: 'Name by which Neutron enters the port into DNS.',
  },
  {
    name: 'neutron.floating_network',
    values: 'UUID or name; or none',
    default: "the network's",
    help: 'External network of which the container has a floating IP while it runs.',
  },
  {
    name: 'neutron.floating_ip',
    values: 'an address or a UUID',
    default: 'none',
    help: 'Floating IP that is there already, and is associated with the container while it runs. Nobody may have it.',
  },
  ...containerOptions,
];

/** What one container wants of its port. */
export interface PortWishes {
  readonly port?: string;
  readonly securityGroups?: readonly Reference[];
  readonly portSecurity?: boolean;
  readonly allowedAddressPairs?: readonly { readonly ip_address: string; readonly mac_address?: string }[];
  readonly qosPolicy?: Reference;
  readonly dnsName?: string;
  /** `none`: not even the network's. */
  readonly floatingNetwork?: Reference | 'none';
  readonly floatingIp?: { readonly uuid: string } | { readonly address: string };
}

/**
 * What the options of an endpoint ask for, and what is left of them: what all fabrics' containers have.
 *
 * @throws BerthError BAD_OPTION
 */
export function readPortWishes(given: Readonly<Record<string, string>>): {
  readonly wishes: PortWishes;
  readonly rest: Readonly<Record<string, string>>;
} {
  const values = readOptions(given, endpointOptions);
  const [qos, outside] = [values.get('neutron.qos_policy'), values.get('neutron.floating_network')];
  const wishes = withoutUndefined({
    port: idOption(values, 'neutron.port.uuid'),
    securityGroups: listOption(values, 'neutron.security_groups'),
    portSecurity: optionalBoolean(values, 'neutron.port_security'),
    allowedAddressPairs: values.get('neutron.allowed_address_pairs')?.split(',').map(readPair),
    qosPolicy: qos === undefined ? undefined : eitherOf('neutron.qos_policy', qos),
    dnsName: values.get('neutron.dns_name'),
    floatingNetwork: outside === undefined ? undefined : referenceOrNone('neutron.floating_network', outside),
    floatingIp: floatingIpOption(values),
  });
  if (wishes.floatingIp !== undefined && outside !== undefined)
    throw new BerthError('BAD_OPTION', "give 'neutron.floating_ip' or 'neutron.floating_network', not both");
  if (wishes.portSecurity === false && wishes.securityGroups !== undefined && wishes.securityGroups.length > 0)
    throw new BerthError('BAD_OPTION', "'neutron.security_groups' needs 'neutron.port_security'");
  return { wishes, rest: Object.fromEntries(Object.entries(given).filter(([name]) => !name.startsWith('neutron.'))) };
}

function readPair(text: string): { ip_address: string; mac_address?: string } {
  const [on = '', mac, ...more] = text.trim().split(/\s+/);
  const isPlace = parseAddress(on) !== undefined || parsePrefix(on) !== undefined;
  if (!isPlace || more.length > 0 || (mac !== undefined && parseMac(mac) === undefined))
    throw new BerthError(
      'BAD_OPTION',
      `the option 'neutron.allowed_address_pairs' is such as '10.0.0.9' or '10.0.1.0/24 02:00:00:00:00:09', not '${printable(text)}'`,
    );
  return { ip_address: on, ...(mac && { mac_address: mac }) };
}

const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;

/** In Neutron's own form: lower case, with hyphens. */
function uuidOf(text: string): string | undefined {
  if (!UUID.test(text)) return undefined;
  const digits = text.toLowerCase().replaceAll('-', '');
  return [8, 12, 16, 20].reduceRight((all, at) => `${all.slice(0, at)}-${all.slice(at)}`, digits);
}

/** @throws BerthError BAD_OPTION when both are given, or what is given is neither. */
function referenceOption(values: OptionValues, name: string): Reference | undefined {
  const [uuid, called] = [values.get(`${name}.uuid`), values.get(`${name}.name`)];
  if (uuid !== undefined && called !== undefined)
    throw new BerthError('BAD_OPTION', `give '${name}.uuid' or '${name}.name', not both`);
  if (called !== undefined) return { name: nameOf(`${name}.name`, called) };
  const id = idOption(values, `${name}.uuid`);
  return id === undefined ? undefined : { uuid: id };
}

function idOption(values: OptionValues, name: string): string | undefined {
  const text = values.get(name);
  if (text === undefined) return undefined;
  const id = uuidOf(text);
  if (id !== undefined) return id;
  throw new BerthError('BAD_OPTION', `the option '${name}' is a UUID, not '${printable(text)}'`);
}

function nameOf(option: string, text: string): string {
  // Neutron's own limit (NAME_MAX_LEN, neutron-lib db/constants.py).
  if (text !== '' && text.length <= 255) return text;
  throw new BerthError(
    'BAD_OPTION',
    `the option '${option}' is a name of 1 to 255 characters, not '${printable(text)}'`,
  );
}

const referenceOrNone = (option: string, text: string): Reference | 'none' =>
  text === 'none' ? 'none' : eitherOf(option, text);

function floatingIpOption(values: OptionValues): PortWishes['floatingIp'] {
  const text = values.get('neutron.floating_ip');
  if (text === undefined) return undefined;
  const uuid = uuidOf(text);
  if (uuid !== undefined) return { uuid };
  // Floating IPs are IPv4 (neutron.db.l3_db).
  const address = parseAddress(text);
  if (address?.family === 4) return { address: formatAddress(address) };
  throw new BerthError(
    'BAD_OPTION',
    `the option 'neutron.floating_ip' is an IPv4 address or a UUID, not '${printable(text)}'`,
  );
}

const eitherOf = (option: string, text: string): Reference => {
  const uuid = uuidOf(text);
  return uuid === undefined ? { name: nameOf(option, text) } : { uuid };
};

function listOption(values: OptionValues, name: string): readonly Reference[] | undefined {
  const text = values.get(name);
  if (text === undefined) return undefined;
  return text === 'none' ? [] : text.split(',').map((one) => eitherOf(name, one.trim()));
}

/** Also as Python writes it: so Zun does. */
function optionalBoolean(values: OptionValues, name: string): boolean | undefined {
  const text = values.get(name);
  return text === undefined ? undefined : booleanOption(new Map([[name, text.toLowerCase()]]), name, false);
}

/**
 * What the options of a network ask for.
 *
 * @throws BerthError BAD_OPTION
 */
export function readWishes(given: Readonly<Record<string, string>>): Wishes {
  const values = readOptions(given, networkOptions);
  const byFamily = (name: string) => {
    const [v4, v6] = [referenceOption(values, `neutron.${name}`), referenceOption(values, `neutron.${name}.v6`)];
    return { ...(v4 && { 4: v4 }), ...(v6 && { 6: v6 }) };
  };
  const named = (name: string) => {
    const text = values.get(name);
    return text === undefined ? undefined : eitherOf(name, text);
  };
  const publish = values.has('neutron.publish')
    ? choiceOption(values, 'neutron.publish', PUBLISH_WAYS, 'engine')
    : undefined;
  return withoutUndefined({
    network: referenceOption(values, 'neutron.net'),
    shared: optionalBoolean(values, 'neutron.net.shared'),
    subnets: byFamily('subnet'),
    pools: byFamily('pool'),
    dhcp: optionalBoolean(values, 'neutron.dhcp'),
    portSecurity: optionalBoolean(values, 'neutron.port_security'),
    qosPolicy: named('neutron.qos_policy'),
    dnsDomain: values.get('neutron.dns_domain'),
    securityGroups: listOption(values, 'neutron.security_groups'),
    mtu: integerOption(values, 'mtu', LEAST_MTU, GREATEST_MTU),
    interfacePrefix: linkOption(values, 'interface_prefix', 12),
    router: named('neutron.router'),
    floatingNetwork: named('neutron.floating_network'),
    publish,
    warmPorts: integerOption(values, 'neutron.warm_ports', 0, MOST_WARM),
  });
}

type Given<Of> = { [Key in keyof Of as undefined extends Of[Key] ? never : Key]: Of[Key] } & {
  [Key in keyof Of as undefined extends Of[Key] ? Key : never]?: Exclude<Of[Key], undefined>;
};

function withoutUndefined<Of extends object>(of: Of): Given<Of> {
  return Object.fromEntries(Object.entries(of).filter(([, value]) => value !== undefined)) as Given<Of>;
}

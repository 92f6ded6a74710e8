/** Requests of the wire as the typed requests of `driver.ts`. Everything that can be wrong in itself is refused here. */

import type { z } from 'zod';
import { type Family, parseAddress } from '../model/address.ts';
import { BerthError } from '../model/errors.ts';
import type { Subnet } from '../model/network.ts';
import { covers, formatPrefix, type InterfaceAddress } from '../model/prefix.ts';
import type {
  CreateEndpoint,
  CreateNetwork,
  GatewayCheck,
  Join,
  PublishedPort,
  RequestAddress,
  RequestPool,
  TransportPort,
} from './driver.ts';
import {
  absolutePath,
  addressIn,
  addressOfPool,
  addressSpace,
  containerName,
  endpointId,
  interfaceAddress,
  macField,
  macFromBase64,
  networkId,
  poolIdField,
  subnetField,
} from './fields.ts';
import { shown } from './text.ts';
import {
  type CreateEndpointRequest,
  type CreateNetworkRequest,
  type GwAllocCheckRequest,
  type JoinRequest,
  label,
  type RequestAddressRequest,
  type RequestPoolRequest,
} from './wire.ts';

/**
 * Checks a parsed body against a schema.
 *
 * @throws BerthError BAD_REQUEST naming the first field that is wrong.
 */
export function checkShape<S extends z.ZodType>(method: string, schema: S, body: unknown): z.output<S> {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const field = issue.path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('');
  const found = issue.path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown>)[key], body);
  const wanted = 'expected' in issue ? `must be ${articles[issue.expected] ?? issue.expected}` : 'is out of range';
  throw new BerthError('BAD_REQUEST', `${method}: ${field.slice(1) || 'the body'} ${wanted}, not ${shown(found)}`);
}

const articles: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
};

type NetworkOptions = CreateNetworkRequest['Options'];

function settings(options: NetworkOptions): { options: CreateNetwork['options']; internal: boolean } {
  return { options: options?.[label.generic] ?? {}, internal: options?.[label.internal] ?? false };
}

/** @throws BerthError BAD_REQUEST, BAD_SUBNET, BAD_ADDRESS, ADDRESS_OUTSIDE */
export function decodeCreateNetwork(wire: CreateNetworkRequest): CreateNetwork {
  const subnets = [
    ...decodeSubnets('CreateNetwork: IPv4Data', wire.IPv4Data, 4),
    ...decodeSubnets('CreateNetwork: IPv6Data', wire.IPv6Data, 6),
  ];
  return {
    id: networkId('CreateNetwork: NetworkID', wire.NetworkID),
    subnets,
    ipv6: wire.Options?.[label.enableIpv6] ?? subnets.some((subnet) => subnet.prefix.address.family === 6),
    ...settings(wire.Options),
  };
}

/** The wish of a network that is about to be created, before it has addresses. */
export function decodeGatewayCheck(wire: GwAllocCheckRequest): GatewayCheck {
  return { ipv6: wire.Options?.[label.enableIpv6] ?? false, ...settings(wire.Options) };
}

/**
 * The subnets of one family. The engine's `null` IPAM gives the pool 0.0.0.0/0, which stands for having no subnet.
 *
 * @throws BerthError BAD_SUBNET, BAD_ADDRESS, ADDRESS_OUTSIDE
 */
export function decodeSubnets(where: string, data: CreateNetworkRequest['IPv4Data'], wanted: Family): Subnet[] {
  return data.flatMap((item, index) => {
    const at = `${where}[${index}]`;
    const prefix = subnetField(`${at}.Pool`, item.Pool);
    if (prefix.address.family !== wanted)
      throw new BerthError('BAD_SUBNET', `${at}.Pool ${shown(item.Pool)} is not IPv${wanted}`);
    if (prefix.length === 0) return [];
    const auxiliary = Object.entries(item.AuxAddresses).map(
      ([name, text]) => [name, addressIn(`${at}.AuxAddresses.${shown(name)}`, text, prefix)] as const,
    );
    return {
      prefix,
      ...(item.Gateway === '' ? {} : { gateway: addressIn(`${at}.Gateway`, item.Gateway, prefix) }),
      auxiliary: Object.fromEntries(auxiliary),
    };
  });
}

/** @throws BerthError BAD_REQUEST, BAD_ADDRESS */
export function decodeCreateEndpoint(wire: CreateEndpointRequest): CreateEndpoint {
  const at = 'CreateEndpoint: ';
  const addresses: InterfaceAddress[] = [];
  const { Address = '', AddressIPv6 = '', MacAddress = '' } = wire.Interface ?? {};
  if (Address !== '') addresses.push(interfaceAddress(`${at}Interface.Address`, Address, 4));
  if (AddressIPv6 !== '') addresses.push(interfaceAddress(`${at}Interface.AddressIPv6`, AddressIPv6, 6));
  const base64 = wire.Options?.[label.macAddress] ?? '';
  const fromOption = base64 === '' ? undefined : macFromBase64(`${at}Options.${label.macAddress}`, base64);
  const mac = MacAddress === '' ? fromOption : macField(`${at}Interface.MacAddress`, MacAddress);
  return {
    network: networkId(`${at}NetworkID`, wire.NetworkID),
    endpoint: endpointId(`${at}EndpointID`, wire.EndpointID),
    addresses,
    ...(mac === undefined ? {} : { mac }),
    options: driverOptions(wire.Options ?? {}),
    publishes: publishes(wire.Options),
    ...exposes(wire.Options),
  };
}

/** Protocol numbers of IP. */
const protocols: Readonly<Record<number, string>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' };

function exposes(options: CreateEndpointRequest['Options']): Pick<CreateEndpoint, 'exposes'> {
  const ports = options?.[label.exposedPorts] ?? [];
  if (ports.length === 0) return {};
  return { exposes: ports.map(({ Proto, Port }) => `${Port}/${protocols[Proto] ?? Proto}`).toSorted() };
}

const ofInterface: ReadonlySet<string> = new Set([
  'com.docker.network.endpoint.sysctls',
  'com.docker.network.endpoint.ifname',
]);

/**
 * The user's `--driver-opt`, which stand beside the engine's own keys. The engine's are `com.docker.network.portmap` and
 * all of `com.docker.network.endpoint.`, but for the two that engines before 27 and 28 do nothing about.
 */
function driverOptions(all: Readonly<Record<string, unknown>>): Record<string, string> {
  const options: [string, string][] = [];
  for (const [key, value] of Object.entries(all)) {
    if (key === label.portMap || (key.startsWith('com.docker.network.endpoint.') && !ofInterface.has(key))) continue;
    if (typeof value === 'string') options.push([key, value]);
    else if (!key.startsWith('com.docker.'))
      throw new BerthError('BAD_REQUEST', `CreateEndpoint: Options.${shown(key)} must be text, not ${shown(value)}`);
  }
  return Object.fromEntries(options);
}

/** A port that is only exposed is not published; `portmap` holds what `-p` and `-P` asked for. */
function publishes(options: JoinRequest['Options']): boolean {
  return (options?.[label.portMap] ?? []).length > 0;
}

/** @throws BerthError BAD_REQUEST */
export function decodeJoin(wire: JoinRequest): Join {
  return {
    network: networkId('Join: NetworkID', wire.NetworkID),
    endpoint: endpointId('Join: EndpointID', wire.EndpointID),
    sandbox: absolutePath('Join: SandboxKey', wire.SandboxKey),
    publishes: publishes(wire.Options),
    ...portsOf(wire.Options),
  };
}

/** @throws BerthError BAD_REQUEST */
function portsOf(options: JoinRequest['Options']): Pick<Join, 'published' | 'exposed'> {
  const published = (options?.[label.portMap] ?? []).map((told): PublishedPort => {
    const { Proto: protocol, Port: port, HostIP, HostPort, HostPortEnd } = told;
    const at = parseAddress(HostIP);
    if (HostIP !== '' && at === undefined)
      throw new BerthError('BAD_REQUEST', `Join: Options.${label.portMap}: HostIP ${shown(HostIP)} is not an address`);
    const first = HostPort ?? 0;
    return {
      protocol,
      port,
      // 0 is what `-P` and `-p 80` say.
      ...(first === 0 ? {} : { outside: { first, last: Math.max(first, HostPortEnd ?? first) } }),
      ...(at === undefined || at.value === 0n ? {} : { at }),
    };
  });
  const exposed = (options?.[label.exposedPorts] ?? []).map(
    ({ Proto: protocol, Port: port }): TransportPort => ({ protocol, port }),
  );
  return {
    ...(published.length === 0 ? {} : { published }),
    ...(exposed.length === 0 ? {} : { exposed }),
  };
}

/**
 * Engines from 29 on ask for "any subnet of this length" with the unspecified address, such as `0.0.0.0/24`.
 *
 * @throws BerthError BAD_REQUEST, BAD_SUBNET
 */
export function decodeRequestPool(wire: RequestPoolRequest): RequestPool {
  const space = addressSpace('RequestPool: AddressSpace', wire.AddressSpace);
  const options = wire.Options;
  if (wire.Pool === '') {
    if (wire.SubPool !== '')
      throw new BerthError(
        'BAD_SUBNET',
        `RequestPool: SubPool ${shown(wire.SubPool)} without a Pool that it is part of`,
      );
    return { space, family: wire.V6 ? 6 : 4, options };
  }
  const subnet = subnetField('RequestPool: Pool', wire.Pool);
  // Repeated by a restarted engine, of a pool that stands for what a DHCP server gives.
  if (subnet.length === 0 && options.dhcp === 'true') return { space, family: subnet.address.family, options };
  const family = subnet.address.family;
  if (wire.V6 && family === 4) throw new BerthError('BAD_SUBNET', `RequestPool: Pool ${shown(wire.Pool)} is not IPv6`);
  if (subnet.length === 0)
    throw new BerthError('BAD_SUBNET', `RequestPool: Pool ${shown(wire.Pool)} holds every address there is`);
  const range = wire.SubPool === '' ? undefined : subnetField('RequestPool: SubPool', wire.SubPool);
  if (subnet.address.value === 0n) {
    if (range !== undefined)
      throw new BerthError(
        'BAD_SUBNET',
        `RequestPool: SubPool ${shown(wire.SubPool)} of a Pool that is yet to be chosen`,
      );
    return { space, family, length: subnet.length, options };
  }
  if (range !== undefined && !covers(subnet, range))
    throw new BerthError(
      'BAD_SUBNET',
      `RequestPool: SubPool ${shown(wire.SubPool)} is not part of ${formatPrefix(subnet)}`,
    );
  return { space, subnet, ...(range === undefined ? {} : { range }), family, options };
}

/** @throws BerthError BAD_REQUEST, BAD_ADDRESS */
export function decodeRequestAddress(wire: RequestAddressRequest): RequestAddress {
  const at = 'RequestAddress: ';
  const mac = wire.Options[label.macAddress] ?? '';
  const name = wire.Options[label.endpointName] ?? '';
  const pool = poolIdField(`${at}PoolID`, wire.PoolID);
  return {
    pool,
    ...(wire.Address === '' ? {} : { address: addressOfPool(`${at}Address`, wire.Address, pool) }),
    purpose: wire.Options[label.addressType] === label.gateway ? 'gateway' : 'endpoint',
    ...(mac === '' ? {} : { mac: macField(`${at}Options.${label.macAddress}`, mac) }),
    ...(name === '' ? {} : { name: containerName(`${at}Options.${label.endpointName}`, name) }),
    ...(wire.Options[label.serial] === 'true' ? { swarm: true } : {}),
  };
}

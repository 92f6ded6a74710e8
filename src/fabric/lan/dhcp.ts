/** The options by which a LAN network has its addresses from the LAN's own DHCP server. */

import { type Address, parseAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import type { Network } from '../../model/network.ts';
import type { EndpointRequest, NetworkRequest, OptionSpec } from '../fabric.ts';
import { booleanOption, choiceOption, integerOption, type OptionValues, printable } from '../options.ts';

export const dhcpOptions: readonly OptionSpec[] = [
  {
    name: 'dhcp',
    values: 'true, false',
    default: 'false',
    help: "Containers get their addresses from the LAN's own DHCP server. Goes with `--ipam-driver null`.",
  },
  {
    name: 'ipv6',
    values: 'none, auto, dhcp, slaac',
    default: 'none',
    help: 'With dhcp: gives containers an IPv6 address, too. dhcp: of a DHCPv6 server; slaac: of the prefix that a router advertises, and their MAC; auto: as the router says.',
  },
  {
    name: 'ipv4',
    values: 'dhcp, none',
    default: 'dhcp',
    help: 'With dhcp: none leaves IPv4 out, for a LAN that has only IPv6.',
  },
  {
    name: 'dhcp_client_id',
    values: 'mac, identity',
    default: 'mac',
    help: "With dhcp: as whom the server knows a container again: by its MAC, which most servers' reservations go by, or by an id of its own (RFC 4361).",
  },
  {
    name: 'dhcp_vendor_class',
    values: 'up to 64 letters, digits, and `. : _ -`',
    default: 'none',
    help: 'With dhcp: sent as the vendor class (option 60), by which a server may tell containers from other machines.',
  },
  {
    name: 'dhcp_domain',
    values: 'a domain name',
    default: 'none',
    help: "With dhcp: the server is asked to put the container's name in this domain into the DNS (option 81, RFC 4702). Without, it gets the bare name (option 12), which is enough for most.",
  },
  {
    name: 'dhcp_lease_time',
    values: '60 to 31536000 seconds',
    default: 'what the server likes',
    help: 'With dhcp: how long a lease should last (option 51). The server has the last word.',
  },
];

export const dhcpEndpointOptions: readonly OptionSpec[] = [
  {
    name: 'identity',
    values: 'up to 64 letters, digits, and `. : _ -`',
    default: "the container's name, or its Compose project and service",
    help: 'With dhcp: under which name the container keeps its MAC, its address and its lease, also when it is made anew.',
  },
  {
    name: 'hostname',
    values: 'up to 63 letters, digits and hyphens',
    default: "its `--hostname`, or else the container's name",
    help: 'With dhcp: the host name that is sent to the server (option 12). With mdns or dns_update: what the container is called.',
  },
  {
    name: 'ip',
    values: 'an IPv4 address',
    default: 'what the server gives',
    help: 'With dhcp: the address that the server is asked for (option 50). The start fails when it gives another one.',
  },
  {
    name: 'client_id',
    values: 'up to 64 letters, digits, and `. : _ -`; or bytes, such as `01:52:54:00:12:34:56`',
    default: 'see dhcp_client_id',
    help: "With dhcp: the client id that is sent (option 61), for a server's reservation by it. Text is sent after a zero byte (RFC 2132).",
  },
];

const ipv4Ways = ['dhcp', 'none'] as const;
const ipv6Ways = ['none', 'auto', 'dhcp', 'slaac'] as const;

/** What a network, and one container on it, want of DHCP. */
export interface DhcpWish {
  readonly clientId: 'mac' | 'identity';
  readonly ipv4: (typeof ipv4Ways)[number];
  readonly ipv6: (typeof ipv6Ways)[number];
  readonly vendorClass?: string;
  readonly domain?: string;
  readonly leaseTime?: number;
  readonly identity?: string;
  readonly hostName?: string;
  readonly ownClientId?: Uint8Array;
  readonly address?: Address;
}

/** @throws BerthError BAD_OPTION */
export function checkDhcp(options: OptionValues, request: NetworkRequest): void {
  const on = booleanOption(options, 'dhcp', false);
  const [stray] = ['dhcp_client_id', 'dhcp_vendor_class', 'dhcp_domain', 'dhcp_lease_time', 'ipv6', 'ipv4'].filter(
    (name) => options.has(name),
  );
  if (!on && stray !== undefined) throw new BerthError('BAD_OPTION', `the option '${stray}' goes with 'dhcp'`);
  choiceOption(options, 'dhcp_client_id', ['mac', 'identity'], 'mac');
  const ipv6 = choiceOption(options, 'ipv6', ipv6Ways, 'none');
  if (choiceOption(options, 'ipv4', ipv4Ways, 'dhcp') === 'none' && ipv6 === 'none')
    throw new BerthError('BAD_OPTION', "with 'ipv4=none' containers need an IPv6 address: say with 'ipv6' from where");
  word(options, 'dhcp_vendor_class', 64);
  leaseTime(options);
  domain(options);
  if (on && request.subnets.length > 0) {
    throw new BerthError(
      'BAD_OPTION',
      "with dhcp=true the DHCP server says what the subnet is: give no --subnet, and --ipam-driver null, so that Docker's own addresses stay out of it",
    );
  }
}

/**
 * Checks what of a container's options is about DHCP.
 *
 * @returns the others.
 * @throws BerthError BAD_OPTION
 */
export function checkDhcpEndpoint(given: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const options = only(given, dhcpEndpointOptions);
  word(options, 'identity', 64);
  const name = word(options, 'hostname', 63);
  if (name !== undefined && !/^[0-9A-Za-z]([0-9A-Za-z-]*[0-9A-Za-z])?$/.test(name))
    throw new BerthError('BAD_OPTION', `the option 'hostname' is a host name without dots, not '${printable(name)}'`);
  clientId(options);
  address(options);
  return Object.fromEntries(Object.entries(given).filter(([key]) => !options.has(key)));
}

/** @returns undefined for a network with other addresses. */
export function readDhcp(network: Network, request: EndpointRequest): DhcpWish | undefined {
  const options = only(network.options, dhcpOptions);
  if (!booleanOption(options, 'dhcp', false)) return undefined;
  const own = only(request.options, dhcpEndpointOptions);
  const vendorClass = options.get('dhcp_vendor_class');
  const inDomain = domain(options);
  const seconds = leaseTime(options);
  const identity = own.get('identity');
  const hostName = own.get('hostname');
  const ownClientId = clientId(own);
  const wanted = address(own);
  return {
    clientId: choiceOption(options, 'dhcp_client_id', ['mac', 'identity'], 'mac'),
    ipv4: choiceOption(options, 'ipv4', ipv4Ways, 'dhcp'),
    ipv6: choiceOption(options, 'ipv6', ipv6Ways, 'none'),
    ...(vendorClass === undefined ? {} : { vendorClass }),
    ...(inDomain === undefined ? {} : { domain: inDomain }),
    ...(seconds === undefined ? {} : { leaseTime: seconds }),
    ...(identity === undefined ? {} : { identity }),
    ...(hostName === undefined ? {} : { hostName }),
    ...(ownClientId === undefined ? {} : { ownClientId }),
    ...(wanted === undefined ? {} : { address: wanted }),
  };
}

/** The options of a table, of those that were checked when they were given. */
function only(given: Readonly<Record<string, string>>, specs: readonly OptionSpec[]): OptionValues {
  const values = specs.flatMap(({ name }) => (given[name] === undefined ? [] : [[name, given[name]] as const]));
  return new Map(values);
}

const leaseTime = (options: OptionValues): number | undefined =>
  integerOption(options, 'dhcp_lease_time', 60, 31_536_000);

/** Without a last dot. Together with a host name of 63 it has to fit into a name of the DNS. */
function domain(options: OptionValues): string | undefined {
  const value = options.get('dhcp_domain')?.replace(/\.$/, '');
  if (value === undefined) return undefined;
  const label = '[0-9A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?';
  if (new RegExp(`^${label}(\\.${label})*$`).test(value) && value.length <= 180) return value;
  throw new BerthError('BAD_OPTION', `the option 'dhcp_domain' is the name of a domain, not '${printable(value)}'`);
}

function clientId(options: OptionValues): Uint8Array | undefined {
  const value = word(options, 'client_id', 64);
  if (value === undefined) return undefined;
  // RFC 2132 §9.14: type 0 stands for what is no hardware address.
  return /^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2})+$/.test(value)
    ? Uint8Array.from(Buffer.from(value.replaceAll(':', ''), 'hex'))
    : Uint8Array.of(0, ...Buffer.from(value, 'latin1'));
}

function address(options: OptionValues): Address | undefined {
  const value = options.get('ip');
  if (value === undefined) return undefined;
  const parsed = parseAddress(value);
  if (parsed?.family === 4) return parsed;
  throw new BerthError('BAD_OPTION', `the option 'ip' is an IPv4 address, not '${printable(value)}'`);
}

function word(options: OptionValues, name: string, longest: number): string | undefined {
  const value = options.get(name);
  if (value === undefined) return undefined;
  if (/^[0-9A-Za-z.:_-]+$/.test(value) && value.length <= longest) return value;
  throw new BerthError(
    'BAD_OPTION',
    `the option '${name}' is up to ${longest} letters, digits, '.', ':', '_', '-', not '${printable(value)}'`,
  );
}

/** Networks: a subnet or two, and a VNI or VLAN of their own. */

import { parseAddress } from '../address.ts';
import { contains, formatPrefix, overlaps, type Prefix, parseInterfaceAddress, prefixOf } from '../prefix.ts';
import { choiceField, IPV4, nameField, optionalNameField } from './field.ts';
import { type Allocated, type ClusterObject, integer, type Kind, type Objects, refuse, text } from './kind.ts';
import { parseSubnetText, type SubnetText } from './ranges.ts';
import { allocateTag, type Encapsulation, parseTagRange } from './tags.ts';

export const network: Kind = {
  name: 'network',
  path: 'networks',
  summary: 'A network across all hosts.',
  fields: {
    cfgdTag: optionalNameField('The name that a Docker network finds it by, instead of NETWORK.TENANT.', 128),
    encap: choiceField(['vlan', 'vxlan'], 'How its packets travel between hosts.'),
    gateway: {
      type: 'text',
      pattern: new RegExp(`^(${IPV4})?$`),
      values: 'an IPv4 address, or empty',
      help: "The containers' default gateway. Without one they have Docker's.",
    },
    ipv6Gateway: {
      type: 'text',
      check: (value) => value === '' || parseAddress(value)?.family === 6,
      values: 'an IPv6 address, or empty',
      help: 'The IPv6 default gateway.',
    },
    ipv6Subnet: {
      type: 'text',
      check: (value) => value === '' || parseSubnet6(value) !== undefined,
      values: 'an IPv6 subnet with 1 to 127 bits, or empty',
      help: 'Its IPv6 subnet.',
    },
    networkName: nameField('Name.'),
    nwType: choiceField(['infra', 'data'], 'For containers, or for the hosts themselves.', 'data'),
    pktTag: {
      type: 'integer',
      least: 0,
      most: 0x1000000,
      values: '0 to 16777216',
      help: 'The VNI or VLAN; 0 is the lowest that is free.',
    },
    subnet: {
      type: 'text',
      pattern: new RegExp(`^${IPV4}(-${IPV4})?/(3[0-1]|2[0-9]|1[0-9]|[1-9])$`),
      values: '10.1.1.0/24, or 10.1.1.10-10.1.1.20/24',
      help: 'Its IPv4 subnet, and with a range the addresses of it that are given out.',
    },
    tenantName: nameField('Its tenant.'),
  },
  key: ['tenantName', 'networkName'],
  linkSets: true,
  links: ['Tenant'],
  oper: true,
  create: (config, objects): Allocated => {
    const encap = text(config, 'encap') as Encapsulation;
    const range = tagRange(encap, objects);
    const tenant = text(config, 'tenantName');
    checkAddresses(config);
    const { low, high } = subnetOf(config);
    const subnet6 = text(config, 'ipv6Subnet');
    for (const other of objects.ofTenant('network', tenant)) {
      if (subnet6 !== '' && overlaps6(subnet6, text(other.config, 'ipv6Subnet'))) {
        refuse('OBJECT_CONFLICT', `network ${text(other.config, 'networkName')} conflicts with subnetv6  ${subnet6}`);
      }
      const taken = networkSubnet(other);
      if (low <= taken.high && taken.low <= high) {
        const name = text(other.config, 'networkName');
        refuse('OBJECT_CONFLICT', `network ${name} conflicts with subnet ${text(config, 'subnet')}`);
      }
    }
    const name = text(config, 'networkName');
    if (objects.get('endpointGroup', `${tenant}:${name}`) !== undefined) {
      refuse('OBJECT_CONFLICT', `EndpointGroup ${name} conflicts with the network name`);
    }
    return { tag: allocateTag(encap, range, tagsInUse(objects, encap), integer(config, 'pktTag')) };
  },
  update: () => refuse('OBJECT_IMMUTABLE', 'Cant change network parameters after its created'),
};

function tagRange(encap: Encapsulation, objects: Objects) {
  const notReady = (why: string) => refuse('CLUSTER_NOT_READY', `Global configuration is not ready: ${why}`);
  const global = objects.get('global', 'global');
  if (global === undefined) return notReady('global configuration is not ready');
  if (text(global.config, 'fwdMode') === '') return notReady('global forwarding mode is not set');
  const ranges = text(global.config, `${encap}s`);
  return ranges === '' ? notReady(`global ${encap} range is not set`) : parseTagRange(ranges, encap);
}

/** The tags that networks of this encapsulation have. */
export function tagsInUse(objects: Objects, encap: Encapsulation): Set<number> {
  const tags = new Set<number>();
  for (const { config, allocated } of objects.list('network')) if (config.encap === encap) tags.add(allocated.tag!);
  return tags;
}

function checkAddresses(config: ClusterObject['config']): void {
  const length = Number(text(config, 'subnet').split('/')[1]);
  if (length < 8) refuse('OBJECT_INVALID', `subnet length ${length} not supported`);
  const { prefix } = subnetOf(config);
  const gateway = text(config, 'gateway');
  if (gateway !== '' && !contains(prefix, parseAddress(gateway)!)) {
    refuse('OBJECT_INVALID', `hostIP ${gateway} is exceeding beyond subnet ${formatPrefix(prefix)}`);
  }
  const gateway6 = text(config, 'ipv6Gateway');
  const subnet6 = parseSubnet6(text(config, 'ipv6Subnet'));
  if (gateway6 === '') return;
  if (subnet6 === undefined) refuse('OBJECT_INVALID', 'ipv6Gateway is given without ipv6Subnet');
  if (!contains(subnet6!, parseAddress(gateway6)!)) {
    refuse('OBJECT_INVALID', `hostIP ${gateway6} is exceeding beyond subnet ${formatPrefix(subnet6!)}`);
  }
}

/** @throws BerthError OBJECT_INVALID when the range is not within the subnet. */
function subnetOf(config: ClusterObject['config']): SubnetText {
  return parseSubnetText(text(config, 'subnet')) ?? refuse('OBJECT_INVALID', 'Network subnet format not valid');
}

const subnets = new WeakMap<ClusterObject, SubnetText>();

/** The IPv4 subnet of a network that has been checked. */
export function networkSubnet(object: ClusterObject): SubnetText {
  const known = subnets.get(object);
  if (known !== undefined) return known;
  const subnet = subnetOf(object.config);
  subnets.set(object, subnet);
  return subnet;
}

/** The subnets of a network that has been checked: IPv4, and IPv6 when it has one. */
export function networkPrefixes(object: ClusterObject): readonly Prefix[] {
  const v6 = parseSubnet6(text(object.config, 'ipv6Subnet'));
  return [networkSubnet(object).prefix, ...(v6 === undefined ? [] : [v6])];
}

/** Host bits are allowed, as in `2001:db8::1/64`. */
export function parseSubnet6(value: string): Prefix | undefined {
  const parsed = parseInterfaceAddress(value);
  if (parsed === undefined || parsed.address.family !== 6 || parsed.length < 1 || parsed.length > 127) return undefined;
  return prefixOf(parsed);
}

function overlaps6(a: string, b: string): boolean {
  if (a === '' || b === '') return false;
  return overlaps(parseSubnet6(a)!, parseSubnet6(b)!);
}

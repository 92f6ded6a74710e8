/** Groups of endpoints on a network: what policies, profiles and services apply to, with a range of addresses if they like. */

import { formatAddress, parseAddress } from '../address.ts';
import { formatPrefix } from '../prefix.ts';
import { type Config, IPV4, nameField, namesField, optionalNameField, profileNameField } from './field.ts';
import { type Allocated, type ClusterObject, type Kind, lowestId, type Objects, refuse, text, texts } from './kind.ts';
import { networkSubnet } from './network.ts';
import { intersect, parseAddressRange, type Range, within } from './ranges.ts';

export const group: Kind = {
  name: 'endpointGroup',
  path: 'endpointGroups',
  summary: 'A group of containers on a network.',
  fields: {
    cfgdTag: optionalNameField('The name that a Docker network finds it by, instead of GROUP.TENANT.', 128),
    extContractsGrps: namesField('Groups of external contracts.'),
    groupName: nameField('Name.'),
    ipPool: {
      type: 'text',
      // Colons only so that an IPv6 range is answered in its own words.
      pattern: new RegExp(`^$|^${IPV4}(-${IPV4})?$|^[0-9a-fA-F:-]*:[0-9a-fA-F:-]*$`),
      longest: 128,
      values: '10.1.1.10-10.1.1.20, or empty',
      help: 'The addresses of its network that are for this group alone; empty: any that is free.',
    },
    netProfile: profileNameField('Its network profile.', true),
    networkName: nameField('Its network.'),
    policies: namesField('Its policies.'),
    tenantName: nameField('Its tenant.'),
  },
  key: ['tenantName', 'groupName'],
  linkSets: true,
  links: ['AppProfile', 'NetProfile', 'Network', 'Tenant'],
  oper: true,
  check: refuseRepeated,
  create: (config, objects): Allocated => {
    const tenant = text(config, 'tenantName');
    const name = text(config, 'groupName');
    if (objects.get('network', `${tenant}:${name}`) !== undefined) {
      refuse('OBJECT_CONFLICT', `Network ${name} conflicts with the endpointGroup name`);
    }
    const network = objects.get('network', `${tenant}:${text(config, 'networkName')}`)!;
    const infra = objects.get('global', 'global')?.config.networkInfraType;
    if (infra === 'aci' && network.config.encap !== 'vlan') {
      refuse('OBJECT_CONFLICT', 'network type must be VLAN for ACI mode');
    }
    checkPool(text(config, 'ipPool'), network, objects);
    return { id: lowestId(objects, 'endpointGroup') };
  },
  update: (existing, config) => {
    refuseRepeated(config);
    if (existing.config.networkName !== config.networkName) {
      refuse('OBJECT_IMMUTABLE', 'Cannot change network association after epg is created.');
    }
    if (existing.config.ipPool !== config.ipPool) {
      refuse('OBJECT_IMMUTABLE', 'Cannot change IP pool after epg is created.');
    }
    // netctl does not send it when it only changes the policies.
    return config.cfgdTag === '' ? { ...config, cfgdTag: existing.config.cfgdTag! } : config;
  },
};

function refuseRepeated(config: Config): void {
  for (const field of ['policies', 'extContractsGrps']) {
    const names = texts(config, field);
    if (new Set(names).size < names.length) refuse('OBJECT_INVALID', `${field} names one of them twice`);
  }
}

function checkPool(pool: string, network: ClusterObject, objects: Objects): void {
  if (pool === '') return;
  if (pool.includes(':')) refuse('OBJECT_INVALID', 'ipv6 address pool is not supported for Endpoint Groups');
  const range = parseAddressRange(pool) ?? refuse('OBJECT_INVALID', `invalid ip-pool ${pool}`);
  const { hosts, prefix } = networkSubnet(network);
  if (hosts === undefined ? !fitsIn31(range, network) : !within(range, hosts)) {
    refuse('OBJECT_INVALID', `bad ip-pool ${pool}, EPG ip-pool must be a subset of network ${formatPrefix(prefix)}`);
  }
  for (const taken of reservedRanges(network, objects)) {
    const shared = intersect(taken, range);
    if (shared === undefined) continue;
    refuse('OBJECT_CONFLICT', `ip address ${formatAddress({ family: 4, value: shared.first })} is not available`);
  }
}

/** Contiv gives no address of a /31 by itself, and lets a group have them. */
function fitsIn31(range: Range, network: ClusterObject): boolean {
  return within(range, networkSubnet(network).claimed);
}

/** Addresses of a network that nobody gets who only asks for any: its gateway, and the ranges of its groups. */
export function reservedRanges(network: ClusterObject, objects: Objects): Range[] {
  const gateway = parseAddress(text(network.config, 'gateway'));
  return [
    ...(gateway === undefined ? [] : [{ first: gateway.value, last: gateway.value }]),
    ...groupRanges(network, objects),
  ];
}

function groupRanges(network: ClusterObject, objects: Objects): Range[] {
  const tenant = text(network.config, 'tenantName');
  return objects
    .ofTenant('endpointGroup', tenant)
    .filter(({ config }) => config.networkName === network.config.networkName)
    .flatMap(({ config }) => parseAddressRange(text(config, 'ipPool')) ?? []);
}

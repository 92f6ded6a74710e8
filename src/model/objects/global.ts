/** The settings of the whole cluster. */

import { type Config, choiceField, IPV4 } from './field.ts';
import { type ClusterObject, type Kind, type Objects, refuse, text } from './kind.ts';
import { tagsInUse } from './network.ts';
import { formatTags } from './ranges.ts';
import { type Encapsulation, parseTagRange } from './tags.ts';

export const global: Kind = {
  name: 'global',
  path: 'globals',
  summary: 'The settings of the whole cluster; there is one object, global.',
  fields: {
    arpMode: choiceField(['proxy', 'flood', ''], 'Who answers for an address: the host, or its owner.', 'proxy'),
    fwdMode: choiceField(
      ['bridge', 'routing', ''],
      'Whether the networks of a tenant are apart (bridge) or reach each other (routing).',
    ),
    name: choiceField(['global'], 'Always global.', 'global'),
    networkInfraType: choiceField(['aci', 'aci-opflex', 'default', ''], 'What the hosts are connected by.', 'default'),
    pvtSubnet: {
      type: 'text',
      pattern: new RegExp(`^${IPV4}/16$`),
      standard: '172.19.0.0/16',
      values: 'an IPv4 subnet with 16 bits',
      help: 'Kept for programs that set it; Berth needs no such subnet.',
    },
    vlans: {
      type: 'text',
      pattern: /^[0-9]{1,4}-[0-9]{1,4}$/,
      standard: '1-4094',
      values: '1-4094',
      help: 'The VLANs that networks may have.',
    },
    vxlans: {
      type: 'text',
      pattern: /^[0-9]{1,8}-[0-9]{1,8}$/,
      standard: '1-10000',
      values: '1-10000, at most 1-16777215',
      help: 'The VNIs that networks may have.',
    },
  },
  key: ['name'],
  linkSets: false,
  links: [],
  oper: true,
  check: (config) => {
    parseTagRange(text(config, 'vlans'), 'vlan');
    parseTagRange(text(config, 'vxlans'), 'vxlan');
  },
  create: () => ({}),
  update: (existing, config, objects) => {
    if (config.fwdMode !== existing.config.fwdMode) {
      refuseWithNetworks('forwarding mode', objects);
      if (existing.config.fwdMode === 'routing' && objects.list('Bgp').length > 0) {
        refuse('OBJECT_IN_USE', 'please delete existing Bgp configs');
      }
    }
    if (config.pvtSubnet !== existing.config.pvtSubnet) refuseWithNetworks('private subnet', objects);
    checkRange('vlan', existing, config, objects);
    checkRange('vxlan', existing, config, objects);
    return config;
  },
  delete: (_, objects) => refuseWithNetworks('global', objects),
};

function refuseWithNetworks(what: string, objects: Objects): void {
  const existing = (['vlan', 'vxlan'] as const)
    .map((encap) => ({ encap, count: tagsInUse(objects, encap).size }))
    .filter(({ count }) => count > 0)
    .map(({ encap, count }) => `${count} ${encap}s`);
  if (existing.length > 0) {
    refuse('OBJECT_IN_USE', `Unable to update ${what} due to existing ${existing.join(' and ')}`);
  }
}

/** A range may change as long as it holds every tag that is in use. */
function checkRange(encap: Encapsulation, existing: ClusterObject, config: Config, objects: Objects): void {
  const given = text(config, `${encap}s`);
  if (given === existing.config[`${encap}s`]) return;
  const [least, most] = given.split('-').map(Number) as [number, number];
  const used = [...tagsInUse(objects, encap)].sort((a, b) => a - b);
  if (used.every((tag) => tag >= least && tag <= most)) return;
  refuse('OBJECT_IN_USE', `cannot update the ${encap} range due to existing ${encap}s ${formatTags(used)}`);
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAddress } from '../../model/address.ts';
import type { ClusterObject, KindName } from '../../model/objects/kind.ts';
import { createObjectSet } from '../../model/objects/object-set.ts';
import { formatPrefix } from '../../model/prefix.ts';
import { type ClusterNetwork, clusterNetwork } from './view.ts';

const object = (
  kind: KindName,
  key: string,
  config: ClusterObject['config'],
  allocated: ClusterObject['allocated'] = {},
): ClusterObject => ({ kind, key, config, allocated, createdAt: 0, revision: 1 });

const of = (tenantName: string, networkName: string, more: ClusterObject['config']): ClusterObject['config'] => ({
  tenantName,
  networkName,
  gateway: '',
  ipv6Gateway: '',
  ipv6Subnet: '',
  encap: 'vxlan',
  nwType: 'data',
  ...more,
});

const objects = createObjectSet();
objects.put(object('global', 'global', { name: 'global', fwdMode: 'routing', arpMode: 'flood' }));
objects.put(
  object('network', 'blue:lan', of('blue', 'lan', { encap: 'vlan', nwType: 'infra', subnet: '10.7.0.0/16' }), {
    tag: 12,
  }),
);
objects.put(
  object(
    'network',
    'red:shop',
    of('red', 'shop', {
      subnet: '10.1.1.10-10.1.1.20/24',
      gateway: '10.1.1.254',
      ipv6Subnet: '2001:db8::7/64',
      ipv6Gateway: '2001:db8::1',
    }),
    { tag: 4711 },
  ),
);
objects.put(
  object('endpointGroup', 'red:web', { tenantName: 'red', groupName: 'web', networkName: 'shop' }, { id: 1 }),
);

const shown = ({ subnets, ...rest }: ClusterNetwork) => ({
  ...rest,
  subnets: subnets.map(({ prefix, gateway }) => [formatPrefix(prefix), gateway && formatAddress(gateway)]),
});

const shop = {
  key: 'red:shop',
  tenant: 'red',
  name: 'shop',
  encapsulation: 'vxlan',
  tag: 4711,
  kind: 'data',
  forwarding: 'routing',
  arp: 'flood',
  subnets: [
    ['10.1.1.0/24', '10.1.1.254'],
    ['2001:db8::/64', '2001:db8::1'],
  ],
};

test('a network is what its object says, in whole subnets', () => {
  assert.deepEqual(shown(clusterNetwork(objects, 'red:shop')!), shop);
  const lan = shown(clusterNetwork(objects, 'blue:lan')!);
  assert.deepEqual(lan.subnets, [['10.7.0.0/16', undefined]]);
  assert.deepEqual([lan.encapsulation, lan.tag, lan.kind], ['vlan', 12, 'infra']);
});

test('a group leads to its network', () => {
  assert.deepEqual(shown(clusterNetwork(objects, 'red:web')!), { ...shop, group: 'web' });
});

test('what is neither is nothing, and names of other tenants are others', () => {
  assert.equal(clusterNetwork(objects, 'red:none'), undefined);
  assert.equal(clusterNetwork(objects, 'blue:shop'), undefined);
});

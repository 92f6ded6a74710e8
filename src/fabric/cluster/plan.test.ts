import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '../../model/address.ts';
import type { NetworkId } from '../../model/ids.ts';
import type { Network } from '../../model/network.ts';
import { parsePrefix } from '../../model/prefix.ts';
import type { FabricContext, NetworkRequest } from '../fabric.ts';
import { planVirtual } from './plan.ts';
import type { ClusterNetwork } from './view.ts';

const address = (text: string) => parseAddress(text)!;
const subnet = (prefix: string, gateway?: string) => ({
  prefix: parsePrefix(prefix)!,
  auxiliary: {},
  ...(gateway === undefined ? {} : { gateway: address(gateway) }),
});

function network(key: string, more: Partial<ClusterNetwork> = {}): ClusterNetwork {
  const [tenant, name] = key.split(':') as [string, string];
  return {
    key,
    tenant,
    name,
    encapsulation: 'vxlan',
    tag: 7,
    kind: 'data',
    forwarding: 'bridge',
    arp: 'proxy',
    subnets: [subnet('10.1.0.0/24', '10.1.0.254')],
    ...more,
  };
}

const known = new Map([
  ['red:shop', network('red:shop')],
  ['red:web', network('red:shop', { group: 'web' })],
  ['default:shop', network('default:shop', { tag: 8 })],
  ['blue:bare', network('blue:bare', { subnets: [subnet('10.1.0.0/24')] })],
  ['blue:wire', network('blue:wire', { encapsulation: 'vlan', tag: 12 })],
]);
const wire = { index: 2, name: 'eth0', mtu: 1500, up: true, running: true, loopback: false };

function context(networks: readonly Network[] = [], more: Partial<FabricContext> = {}): FabricContext {
  return {
    host: {
      links: [wire],
      addresses: [{ link: 'eth0', scope: 'global', address: { address: address('10.9.0.1'), length: 24 } }],
      routes: [],
    },
    networks,
    cluster: {
      host: 'one',
      vtep: address('10.9.0.1'),
      vxlanPort: 4789,
      uplinks: ['eth0'],
      network: (key: string) => known.get(key),
      remotes: () => [],
    },
    ...more,
  } as unknown as FabricContext;
}

const request = (
  id: string,
  options: Record<string, string>,
  ...subnets: NetworkRequest['subnets']
): NetworkRequest => ({
  id: id.padEnd(64, '0') as NetworkId,
  plugin: 'berth',
  subnets: subnets.length === 0 ? [subnet('10.1.0.0/24', '10.1.0.254')] : subnets,
  internal: false,
  options,
});

function made(of: NetworkRequest, networks: readonly Network[] = []): Network {
  return { ...of, fabric: 'cluster', leased: true, settings: planVirtual(of, context(networks)), createdAt: 0 };
}

const refuses = (of: NetworkRequest, code: string, words: RegExp, networks: readonly Network[] = [], more = {}) =>
  assert.throws(() => planVirtual(of, context(networks, more)), { code, message: words });

test('a network of the cluster is kept with all that its kernel objects follow from', () => {
  const { cluster, bridge } = planVirtual(request('a', { tenant: 'red', network: 'shop', group: 'web' }), context());
  assert.deepEqual(cluster, {
    tenant: 'red',
    network: 'shop',
    group: 'web',
    encapsulation: 'vxlan',
    tag: 7,
    kind: 'data',
    forwarding: 'bridge',
    gateways: ['10.1.0.254'],
  });
  assert.equal(planVirtual(request('b', { tenant: 'red', network: 'shop' }), context()).bridge, bridge);
  assert.equal(planVirtual(request('c', { network: 'shop' }), context()).cluster?.tenant, 'default');
});

test('what the cluster has not, or has otherwise, is refused', () => {
  const shop = { tenant: 'red', network: 'shop' };
  refuses(request('a', shop), 'CLUSTER_ABSENT', /red:shop: the agent of this host shares no store/, [], {
    cluster: undefined,
  });
  refuses(request('a', { tenant: 'red', network: 'none' }), 'OBJECT_UNKNOWN', /no network red:none/);
  refuses(request('a', { tenant: 'red', network: 'web' }), 'OBJECT_UNKNOWN', /no network red:web/);
  refuses(request('a', { ...shop, group: 'none' }), 'OBJECT_UNKNOWN', /no group none on a network red:shop/);
  refuses(
    request('a', { ...shop, network: 'wire', group: 'web' }),
    'OBJECT_UNKNOWN',
    /group web on a network red:wire/,
  );
  refuses(request('a', { group: 'web' }), 'BAD_OPTION', /'group' is given without 'network'/);
  refuses(request('a', { tenant: 'red' }), 'BAD_OPTION', /'tenant' is given without 'network'/, [], {
    cluster: undefined,
  });
  refuses(request('a', shop, subnet('10.2.0.0/24')), 'BAD_OPTION', /has the subnet 10.1.0.0\/24, not 10.2.0.0\/24/);
  refuses(request('a', shop, subnet('10.1.0.0/24', '10.1.0.1')), 'BAD_OPTION', /gateway 10.1.0.254, not 10.1.0.1/);
  refuses(request('a', { ...shop, mtu: '1451' }), 'BAD_OPTION', /'mtu' is 1451, .* takes 1450 bytes/);
});

test('Docker networks on one segment are alike', () => {
  const first = made(request('a', { tenant: 'red', network: 'shop' }));
  made(request('b', { tenant: 'red', network: 'shop', group: 'web' }), [first]);
  const other = request('b', { tenant: 'red', network: 'shop', group: 'web', masquerade: 'false' });
  refuses(other, 'BAD_OPTION', /red:shop stands on this host already.* with another -o masquerade/, [first]);
});

test('a host is the gateway of one network with a subnet; in others with it, it has no part itself', () => {
  const first = made(request('a', { tenant: 'red', network: 'shop' }));
  refuses(request('b', { network: 'shop' }), 'SUBNET_OVERLAP', /of the network red:shop; a host can be the gateway/, [
    first,
  ]);
  made(request('b', { tenant: 'blue', network: 'bare' }, subnet('10.1.0.0/24', '10.1.0.0')), [first]);
  made(request('b', { tenant: 'blue', network: 'wire' }), [first]);
  refuses(request('b', {}), 'SUBNET_OVERLAP', /of the network red:shop$/, [first]);
  refuses(request('b', { network: 'shop' }), 'SUBNET_OVERLAP', /of the network a0000/, [made(request('a', {}))]);
});

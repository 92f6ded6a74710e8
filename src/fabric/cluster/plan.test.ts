import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '../../model/address.ts';
import type { NetworkId } from '../../model/ids.ts';
import type { Network } from '../../model/network.ts';
import { parsePrefix } from '../../model/prefix.ts';
import type { FabricContext, NetworkRequest } from '../fabric.ts';
import { planVirtual } from './plan.ts';
import { settingsOf } from './settings.ts';
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
  ['red:again', network('red:again', { tag: 9 })],
  ['blue:shop', network('blue:shop', { tag: 10 })],
  ['blue:other', network('blue:other', { tag: 11, subnets: [subnet('10.1.0.0/24', '10.1.0.1')] })],
  ['blue:large', network('blue:large', { tag: 13, subnets: [subnet('10.0.0.0/8', '10.0.0.1')] })],
  ['blue:hosts', network('blue:hosts', { tag: 14, kind: 'infra' })],
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

test('tenants have the same subnet and gateway, each in a routing domain of its own; the tenant default has none', () => {
  const red = made(request('a', { tenant: 'red', network: 'shop' }));
  const main = made(request('b', { network: 'shop' }), [red]);
  const blue = made(request('c', { tenant: 'blue', network: 'shop' }), [red, main]);
  const group = made(request('d', { tenant: 'red', network: 'shop', group: 'web' }), [blue, main, red]);
  const domains = [red, main, blue, group].map((one) => settingsOf(one).domain);
  assert.equal(domains[1], undefined);
  assert.equal(domains[0], domains[3]);
  assert.notEqual(domains[0], domains[2]);
  // The same again on another host, or later.
  assert.equal(settingsOf(made(request('e', { tenant: 'red', network: 'shop' }))).domain, domains[0]);
});

test('a number that another tenant has is not given out again', () => {
  const { domain } = settingsOf(made(request('a', { tenant: 'red', network: 'shop' })));
  const blue = made(request('b', { tenant: 'blue', network: 'shop' }));
  const squatter = { ...blue, settings: { ...settingsOf(blue), domain: domain! } } as Network;
  assert.equal(settingsOf(made(request('c', { tenant: 'red', network: 'shop' }), [squatter])).domain, domain! + 1);
});

test('while networks of a tenant are in the main table, its others are too', () => {
  const { domain: _, ...before } = settingsOf(made(request('a', { tenant: 'red', network: 'shop' })));
  const old = { ...made(request('a', { tenant: 'red', network: 'shop' })), settings: before } as Network;
  assert.equal(
    settingsOf(made(request('b', { tenant: 'red', network: 'shop', group: 'web' }), [old])).domain,
    undefined,
  );
  refuses(request('c', { network: 'shop' }), 'SUBNET_OVERLAP', /of the network red:shop$/, [old]);
});

test("one subnet twice in a routing domain is refused, and one address that would be the host's and a container's", () => {
  const red = made(request('a', { tenant: 'red', network: 'shop' }));
  const here = made(request('a', {}));
  refuses(request('b', { network: 'shop' }), 'SUBNET_OVERLAP', /of the network a0000/, [here]);
  refuses(request('b', { tenant: 'red', network: 'again' }), 'SUBNET_OVERLAP', /of the network red:shop$/, [red]);
  const other = request('b', { tenant: 'blue', network: 'other' }, subnet('10.1.0.0/24', '10.1.0.1'));
  refuses(other, 'SUBNET_OVERLAP', /; 10.1.0.1 is the gateway of one, .*: give both the same gateway/, [red]);
  const large = request('b', { tenant: 'blue', network: 'large' }, subnet('10.0.0.0/8', '10.0.0.1'));
  refuses(large, 'SUBNET_OVERLAP', /; 10.1.0.254 is the gateway of one/, [red]);
  const hosts = request('b', { tenant: 'blue', network: 'hosts' });
  refuses(hosts, 'SUBNET_OVERLAP', /; hosts have addresses of their own in blue:hosts/, [red]);
});

test("networks that are only bridged are in nobody's way", () => {
  const first = made(request('a', { tenant: 'red', network: 'shop' }));
  made(request('b', { tenant: 'blue', network: 'bare' }, subnet('10.1.0.0/24', '10.1.0.0')), [first]);
  made(request('b', { tenant: 'blue', network: 'wire' }), [first]);
});

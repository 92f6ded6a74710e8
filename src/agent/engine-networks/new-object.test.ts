import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EngineSubnet } from '../../docker/engine.ts';
import { parseAddress } from '../../model/address.ts';
import { parsePrefix } from '../../model/prefix.ts';
import { isSameNetwork, objectOf } from './new-object.ts';
import { testObjects } from './testing/objects.ts';

function subnet(text: string, gateway?: string, range?: string): EngineSubnet {
  return {
    subnet: parsePrefix(text)!,
    auxiliary: {},
    ...(gateway === undefined ? {} : { gateway: parseAddress(gateway)! }),
    ...(range === undefined ? {} : { range: parsePrefix(range)! }),
  };
}
const shop = { name: 'shop', options: {} };

test('a Docker network is an object as the API takes it', () => {
  const objects = testObjects();
  const given = [
    [objectOf(shop, [subnet('10.1.0.0/24', '10.1.0.1')]), '10.1.0.0/24'],
    [
      objectOf({ name: 'ranged', options: { tenant: 'blue' } }, [
        subnet('10.2.0.0/24', '10.2.0.65', '10.2.0.64/26'),
        subnet('fd02::/64', 'fd02::1'),
      ]),
      '10.2.0.64-10.2.0.127/24',
    ],
    [objectOf({ name: 'bare', options: {} }, [subnet('10.3.0.0/24')]), '10.3.0.0/24'],
  ] as const;
  for (const [{ key, body }, wanted] of given) {
    objects.make('network', key, body);
    assert.equal(objects.get('network', key)!.config.subnet, wanted);
  }
  const { ipv6Subnet, ipv6Gateway, gateway } = objects.get('network', 'blue:ranged')!.config;
  assert.deepEqual([ipv6Subnet, ipv6Gateway, gateway], ['fd02::/64', 'fd02::1', '10.2.0.65']);
});

test('what the cluster has no networks of is refused', () => {
  const two = [subnet('10.1.0.0/24'), subnet('10.2.0.0/24')];
  assert.throws(() => objectOf(shop, two), { code: 'OBJECT_INVALID', message: /one subnet of each family/ });
  assert.throws(() => objectOf(shop, [subnet('fd01::/64')]), { code: 'OBJECT_INVALID', message: /an IPv4 subnet/ });
});

test('a network of the same name, subnets and gateways is the same, and no other', () => {
  const objects = testObjects();
  objects.network('default:shop', '10.1.0.0/24', { gateway: '10.1.0.1' });
  const existing = objects.get('network', 'default:shop')!;
  const same = (...subnets: EngineSubnet[]) => isSameNetwork(existing, objectOf(shop, subnets));
  assert.equal(same(subnet('10.1.0.0/24', '10.1.0.1')), true);
  assert.equal(same(subnet('10.1.0.0/24', '10.1.0.2')), false);
  assert.equal(same(subnet('10.1.0.0/25', '10.1.0.1')), false);
  assert.equal(same(subnet('10.1.0.0/24', '10.1.0.1'), subnet('fd01::/64')), false);
});

import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { EngineNetwork } from '../../docker/engine.ts';
import { networkRequest } from '../../docker/engine-wire.ts';
import type { NetworkId } from '../../model/ids.ts';
import { type Plan, planNetworks } from './plan.ts';
import { type TestObjects, testObjects } from './testing/objects.ts';
import { type WantedNetwork, wantedNetworks } from './wanted.ts';

let objects: TestObjects;
beforeEach(() => {
  objects = testObjects();
});

const wanted = () => wantedNetworks(objects, 'berth');

/** As an engine lists what it was asked to make. */
function made(one: WantedNetwork, more: Partial<EngineNetwork> = {}): EngineNetwork {
  const { name, driver, ipamDriver, options, ipamOptions, labels } = one;
  return {
    id: name.padEnd(64, '0') as NetworkId,
    scope: 'local',
    internal: false,
    subnets: [],
    endpoints: [],
    name,
    driver,
    ipamDriver,
    options,
    ipamOptions,
    labels,
    ...more,
  };
}

const listed = (): EngineNetwork[] => [...wanted().values()].map((one) => made(one));
const shown = ({ make, remove, blocked }: Plan) => ({
  make: make.map(({ name }) => name),
  remove: remove.map(({ network, reason }) => `${network.name} ${reason}`),
  blocked: blocked.map(({ wanted: { key }, by }) => `${key} by ${by.id.slice(0, 4)}`),
});
const nothing = { make: [], remove: [], blocked: [] };

describe('what an engine is to have', () => {
  test('a network with both families, as docker network create is told', () => {
    objects.network('default:shop', '10.1.0.0/24', {
      gateway: '10.1.0.254',
      ipv6Subnet: 'fd01::/64',
      ipv6Gateway: 'fd01::1',
    });
    const [one] = wanted().values();
    const options = { tenant: 'default', network: 'shop' };
    const made = String(objects.get('network', 'default:shop')!.createdAt);
    assert.deepEqual(networkRequest(one!), {
      Name: 'shop',
      CheckDuplicate: true,
      Driver: 'berth',
      EnableIPv6: true,
      IPAM: {
        Driver: 'berth',
        Options: options,
        Config: [
          { Subnet: '10.1.0.0/24', Gateway: '10.1.0.254' },
          { Subnet: 'fd01::/64', Gateway: 'fd01::1' },
        ],
      },
      Options: options,
      Labels: { 'net.berth.cluster': 'default:shop', 'net.berth.cluster.made': made },
    });
  });

  test('a range of addresses is within the whole subnet', () => {
    objects.network('default:shop', '10.1.0.10-10.1.0.20/24');
    const { IPAM } = networkRequest([...wanted().values()][0]!) as { IPAM: { Config: unknown } };
    assert.deepEqual(IPAM.Config, [{ Subnet: '10.1.0.0/24' }]);
  });

  test('names with the tenant, unless it is the default one; or as the user chose', () => {
    objects.network('default:shop', '10.1.0.0/24');
    objects.network('blue:shop', '10.1.0.0/24');
    objects.network('blue:named', '10.2.0.0/24', { cfgdTag: 'chosen' });
    objects.group('default:web', 'shop');
    objects.group('blue:web', 'shop');
    objects.group('blue:db', 'shop', { cfgdTag: 'database' });
    assert.deepEqual(
      [...wanted().values()].map(({ key, name }) => `${key}: ${name}`),
      [
        'network blue:named: chosen',
        'network blue:shop: shop/blue',
        'network default:shop: shop',
        'group blue:db: database',
        'group blue:web: web/blue',
        'group default:web: web',
      ],
    );
  });

  test('a group has the subnet of its network, and says both', () => {
    objects.network('blue:shop', '10.1.0.0/24', { gateway: '10.1.0.1' });
    objects.group('blue:web', 'shop');
    const group = wanted().get('group blue:web')!;
    const options = { tenant: 'blue', network: 'shop', group: 'web' };
    assert.deepEqual([group.options, group.ipamOptions], [options, options]);
    assert.deepEqual(group.subnets, wanted().get('network blue:shop')!.subnets);
  });
});

describe('what must be done', () => {
  beforeEach(() => {
    objects.network('default:shop', '10.1.0.0/24');
    objects.group('default:web', 'shop');
  });

  test('everything on an empty engine, and then nothing', () => {
    assert.deepEqual(shown(planNetworks(wanted(), [])), { ...nothing, make: ['shop', 'web'] });
    assert.deepEqual(shown(planNetworks(wanted(), listed())), nothing);
  });

  test('what the cluster has no more goes, and what users made stays', () => {
    const before = listed();
    const own = made(wanted().get('network default:shop')!, { name: 'mine', labels: {}, options: {} });
    objects.remove('endpointGroup', 'default:web');
    assert.deepEqual(shown(planNetworks(wanted(), [...before, own])), { ...nothing, remove: ['web gone'] });
  });

  test('what was deleted and made anew under the same name is another network', () => {
    const before = listed();
    objects.remove('endpointGroup', 'default:web');
    objects.remove('network', 'default:shop');
    objects.network('default:shop', '10.1.0.0/24');
    assert.deepEqual(shown(planNetworks(wanted(), before)), {
      ...nothing,
      make: ['shop'],
      remove: ['shop changed', 'web gone'],
    });
  });

  test('one that is to be called otherwise, or has another plugin, is replaced', () => {
    const before = listed();
    objects.make('endpointGroup', 'default:web', {
      tenantName: 'default',
      groupName: 'web',
      networkName: 'shop',
      cfgdTag: 'www',
    });
    assert.deepEqual(shown(planNetworks(wanted(), before)), { ...nothing, make: ['www'], remove: ['web changed'] });
    const managed = before.map((network) => ({ ...network, driver: 'other' }));
    assert.deepEqual(shown(planNetworks(wanted(), managed)).remove, ['shop changed', 'web changed']);
  });

  test('of two of the same one goes', () => {
    const double = made(wanted().get('network default:shop')!, { id: 'd'.repeat(64) as NetworkId });
    assert.deepEqual(shown(planNetworks(wanted(), [...listed(), double])), { ...nothing, remove: ['shop double'] });
  });

  test("another's network of the same name is in the way, whatever its driver", () => {
    const others = ['berth', 'bridge'].map((driver) =>
      made(wanted().get('network default:shop')!, { driver, labels: {}, options: {}, id: 'a'.repeat(64) as NetworkId }),
    );
    for (const other of others) {
      assert.deepEqual(shown(planNetworks(wanted(), [other])), {
        ...nothing,
        make: ['web'],
        blocked: ['network default:shop by aaaa'],
      });
    }
  });

  test('one that a user made as we would have serves, and is not ours to remove', () => {
    const byHand = made(wanted().get('network default:shop')!, { labels: {} });
    assert.deepEqual(shown(planNetworks(wanted(), [byHand])), { ...nothing, make: ['web'] });
    objects.remove('endpointGroup', 'default:web');
    objects.remove('network', 'default:shop');
    assert.deepEqual(shown(planNetworks(wanted(), [byHand])), nothing);
  });

  test("a user's network that has become the cluster's is the one", () => {
    const adopted = made(wanted().get('network default:shop')!, { labels: {}, options: {} });
    const plan = planNetworks(wanted(), [adopted], new Map([[adopted.id, 'network default:shop']]));
    assert.deepEqual(shown(plan), { ...nothing, make: ['web'] });
    objects.remove('endpointGroup', 'default:web');
    objects.remove('network', 'default:shop');
    const after = planNetworks(wanted(), [adopted], new Map([[adopted.id, 'network default:shop']]));
    assert.deepEqual(shown(after), { ...nothing, remove: ['shop gone'] }, 'it is the cluster that removes it now');
  });
});

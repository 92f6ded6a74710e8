/** Whatever is asked for in whatever order: no reference dangles, and no two objects have one tag, id or address. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BerthError } from '../model/errors.ts';
import { keys } from '../model/keys.ts';
import type { ClusterObject, KindName } from '../model/objects/kind.ts';
import { kindOf, references, targetsOf } from '../model/objects/kinds.ts';
import { networkSubnet } from '../model/objects/network.ts';
import { intersect } from '../model/objects/ranges.ts';
import { createMemoryStore } from '../store/memory.ts';
import type { Store } from '../store/store.ts';
import { decodeObject } from './codec.ts';
import { networkPools } from './pools.ts';
import { openRegistry, type Registry } from './registry.ts';

// Drawn so that much of it is there already, and much is not.
const tenant = fc.constantFrom('default', 'default', 'default', 'blue');
const name = fc.constantFrom('a', 'a', 'b', 'c');
const maybe = fc.constantFrom('', '', '', '', 'a', 'b');
const names = fc.oneof(fc.constant([]), fc.constant([]), fc.uniqueArray(name, { maxLength: 2 }));

interface Step {
  readonly do: 'put' | 'delete';
  readonly kind: KindName;
  readonly body: Readonly<Record<string, unknown>>;
}

function bodies(kind: KindName): fc.Arbitrary<Readonly<Record<string, unknown>>> {
  switch (kind) {
    case 'tenant':
      return fc.record({ tenantName: tenant });
    case 'network':
      return fc.record({
        tenantName: tenant,
        networkName: name,
        encap: fc.constantFrom('vlan', 'vxlan'),
        pktTag: fc.constantFrom(0, 0, 0, 1, 2, 3),
        subnet: fc.constantFrom(
          '10.1.1.0/24',
          '10.1.1.128/25',
          '10.1.2.0/24',
          '10.1.3.10-10.1.3.20/24',
          '10.1.3.15/28',
        ),
        ipv6Subnet: fc.constantFrom('', '', 'fd00:1::/64', 'fd00:2::1/64'),
      });
    case 'endpointGroup':
      return fc.record({
        tenantName: tenant,
        groupName: fc.constantFrom('x', 'y', 'a'),
        networkName: name,
        policies: names,
        netProfile: maybe,
        extContractsGrps: names,
        ipPool: fc.constantFrom('', '10.1.1.10-10.1.1.20', '10.1.1.20-10.1.1.30'),
      });
    case 'policy':
      return fc.record({ tenantName: tenant, policyName: name });
    case 'rule':
      return fc.record({
        tenantName: tenant,
        policyName: name,
        ruleId: name,
        direction: fc.constantFrom('in', 'out'),
        action: fc.constant('allow'),
        fromEndpointGroup: fc.constantFrom('', '', '', 'x'),
        toEndpointGroup: fc.constantFrom('', '', '', 'x'),
        fromNetwork: maybe,
        toNetwork: maybe,
      });
    case 'netprofile':
      return fc.record({ tenantName: tenant, profileName: name });
    case 'serviceLB':
      return fc.record({
        tenantName: tenant,
        serviceName: name,
        networkName: name,
        ipAddress: fc.constantFrom('', '', '10.1.1.200'),
        ports: fc.constant(['80:8080:TCP']),
        selectors: fc.constant(['app=web']),
      });
    case 'extContractsGroup':
      return fc.record({ tenantName: tenant, contractsGroupName: name, contractsType: fc.constant('provided') });
    case 'appProfile':
      return fc.record({
        tenantName: tenant,
        appProfileName: name,
        endpointGroups: fc.constantFrom([], ['x'], ['x', 'y']),
      });
    case 'Bgp':
      return fc.record({ hostname: name, routerip: fc.constant('50.1.1.2/24') });
    case 'global':
      return fc.record({
        vlans: fc.constantFrom('', '1-4', '1-4094'),
        vxlans: fc.constantFrom('', '1-4', '2-10'),
        fwdMode: fc.constantFrom('', 'bridge', 'routing'),
      });
    case 'aciGw':
      return fc.record({ physicalDomain: fc.constant('phys') });
  }
}

const steps: fc.Arbitrary<Step> = fc
  .tuple(
    fc.constantFrom('put' as const, 'put' as const, 'put' as const, 'delete' as const),
    fc.constantFrom<KindName>(
      'tenant',
      'network',
      'network',
      'endpointGroup',
      'endpointGroup',
      'policy',
      'rule',
      'rule',
      'netprofile',
      'serviceLB',
      'serviceLB',
      'extContractsGroup',
      'appProfile',
      'Bgp',
      'global',
      'aciGw',
    ),
  )
  .chain(([what, kind]) => bodies(kind).map((body) => ({ do: what, kind, body })));

function keyOfBody(kind: KindName, body: Step['body']): string {
  if (kind === 'global' || kind === 'aciGw') return kind;
  return kindOf(kind)
    .key.map((field) => body[field] as string)
    .join(':');
}

/** Runs a step. @returns the code of the refusal; a defect is thrown. */
async function run(registry: Registry, { do: what, kind, body }: Step): Promise<string> {
  const key = keyOfBody(kind, body);
  try {
    if (what === 'put') await registry.put(kindOf(kind), key, body);
    else await registry.delete(kindOf(kind), key);
    return 'done';
  } catch (error) {
    if (!(error instanceof BerthError) || error.code === 'INTERNAL') throw error;
    return error.code;
  }
}

async function stored(store: Store): Promise<ClusterObject[]> {
  const { entries } = await store.list(keys.objects);
  return entries.flatMap((entry) => decodeObject(entry) ?? []);
}

function assertDistinct(values: readonly (number | string | undefined)[], what: string): void {
  const given = values.filter((value) => value !== undefined);
  assert.equal(new Set(given).size, given.length, `${what}: ${given.join(' ')}`);
}

async function assertWhole(store: Store): Promise<void> {
  const objects = await stored(store);
  const known = new Set(objects.map(({ kind, key }) => `${kind}/${key}`));
  for (const object of objects) {
    for (const reference of references) {
      if (reference.from !== object.kind) continue;
      for (const target of targetsOf(reference, object.config)) {
        assert.ok(known.has(`${reference.to}/${target.key}`), `${object.kind} ${object.key} refers to ${target.key}`);
      }
    }
  }
  const of = (kind: KindName) => objects.filter((object) => object.kind === kind);
  for (const encap of ['vlan', 'vxlan']) {
    const networks = of('network').filter(({ config }) => config.encap === encap);
    assertDistinct(
      networks.map(({ allocated }) => allocated.tag!),
      `${encap} tags`,
    );
  }
  for (const kind of ['tenant', 'endpointGroup'] as const) {
    assertDistinct(
      of(kind).map(({ allocated }) => allocated.id!),
      `ids of ${kind}`,
    );
  }
  assertDistinct(
    of('serviceLB').map(
      ({ config, allocated }) => `${config.tenantName as string}:${config.networkName as string}/${allocated.vip}`,
    ),
    'addresses of services',
  );
  for (const a of of('network')) {
    for (const b of of('network')) {
      if (a === b || a.config.tenantName !== b.config.tenantName) continue;
      assert.ok(
        intersect(networkSubnet(a).claimed, networkSubnet(b).claimed) === undefined,
        `${a.key} overlaps ${b.key}`,
      );
    }
    assert.ok(!known.has(`endpointGroup/${a.key}`), `${a.key} is a network and a group`);
  }
  // An address of a service is leased as long as the service is there, and no longer.
  const leases = await store.list(keys.leases);
  assert.equal(leases.entries.length, of('serviceLB').length);
  // Each network has its pools, and nothing else has one.
  assert.deepEqual(
    (await store.list(keys.pools)).entries.map(({ key }) => key),
    of('network')
      .flatMap(networkPools)
      .map(({ id }) => keys.pool(id))
      .toSorted(),
  );
  // No gate is left closed.
  assert.deepEqual((await store.list('berth/gate/')).entries, []);
}

test('no reference dangles, and nothing is given out twice, whatever is done in whatever order', async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { minLength: 40, maxLength: 100 }), async (given) => {
      const store = createMemoryStore();
      const registry = openRegistry(store);
      // Most of what is drawn at random needs these.
      const global: Step = { do: 'put', kind: 'global', body: { fwdMode: 'bridge' } };
      const tenants = ['default', 'blue'].map(
        (tenantName): Step => ({ do: 'put', kind: 'tenant', body: { tenantName } }),
      );
      for (const step of [global, ...tenants, ...given]) {
        seen.add(`${step.do} ${step.kind} ${await run(registry, step)}`);
        await assertWhole(store);
      }
      registry.close();
      await store.close();
    }),
    { numRuns: 60 },
  );
  // It is no test of refusals only.
  for (const kind of ['network', 'endpointGroup', 'policy', 'serviceLB']) {
    assert.ok(seen.has(`put ${kind} done`), `no ${kind} was ever made`);
  }
  assert.ok(seen.has('delete network done') && seen.has('delete policy done'));
  assert.ok(seen.has('delete network OBJECT_IN_USE') && seen.has('put endpointGroup REFERENCE_UNKNOWN'));
});

test('the same when several do it at once, each with a memory of its own', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { minLength: 30, maxLength: 60 }), async (given) => {
      const store = createMemoryStore();
      const registries = Array.from({ length: 3 }, () => openRegistry(store));
      await run(registries[0]!, { do: 'put', kind: 'global', body: { fwdMode: 'bridge' } });
      for (const tenantName of ['default', 'blue'])
        await run(registries[0]!, { do: 'put', kind: 'tenant', body: { tenantName } });
      await Promise.all(
        registries.map(async (registry, index) => {
          for (const step of given.filter((_, at) => at % registries.length === index)) await run(registry, step);
        }),
      );
      await assertWhole(store);
      for (const registry of registries) registry.close();
      await store.close();
    }),
    { numRuns: 100 },
  );
});

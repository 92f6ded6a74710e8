import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseAddress } from '../model/address.ts';
import { parseInterfaceAddress } from '../model/prefix.ts';
import { createFakeDriver } from './fake-driver.ts';
import { type KernelObject, type Link, type LinkAddress, type ObjectKey, objectKey, type Sysctl } from './objects.ts';
import { createReconciler } from './reconciler.ts';

function bridge(name: string, more: Partial<Link> = {}): Link {
  return { kind: 'link', type: 'bridge', name, ...more } as Link;
}

function port(name: string, master: string): Link {
  return { kind: 'link', type: 'veth', name, master, peer: { name: `${name}p` } };
}

function address(link: string, text: string): LinkAddress {
  return { kind: 'address', link, address: parseInterfaceAddress(text)! };
}

const forwarding: Sysctl = { kind: 'sysctl', path: 'net/ipv4/ip_forward', value: '1' };

function fixture() {
  const driver = createFakeDriver();
  return { driver, reconciler: createReconciler([driver]) };
}

const keys = (objects: readonly KernelObject[]): string[] => objects.map(objectKey).sort();

test('applying again what is there calls no driver', () => {
  const { driver, reconciler } = fixture();
  const objects = [bridge('br1', { mtu: 1450 }), address('br1', '10.1.0.1/24')];
  reconciler.apply('network/1', objects);
  driver.log.length = 0;
  reconciler.apply('network/1', structuredClone(objects));
  assert.deepEqual(driver.log, []);
});

test('a change of one object touches that object only, and what is not declared any more goes', () => {
  const { driver, reconciler } = fixture();
  reconciler.apply('network/1', [
    bridge('br1', { mtu: 1450 }),
    address('br1', '10.1.0.1/24'),
    address('br1', '10.2.0.1/24'),
  ]);
  driver.log.length = 0;
  reconciler.apply('network/1', [bridge('br1', { mtu: 1400 }), address('br1', '10.1.0.1/24')]);
  assert.deepEqual(driver.log, ['make link br1', 'unmake address br1 10.2.0.1/24']);
});

test('a failed apply undoes what was new, puts back what was changed, and touches nothing else', () => {
  const { driver, reconciler } = fixture();
  reconciler.apply('network/1', [bridge('br1', { mtu: 1450 }), address('br1', '10.1.0.1/24')]);
  const before = new Map(driver.there);
  driver.failing.add('make link bt1');
  driver.log.length = 0;
  const objects = [bridge('br1', { mtu: 1400 }), bridge('br2'), port('bt1', 'br1'), address('br1', '10.3.0.1/24')];
  assert.throws(() => reconciler.apply('network/1', objects), {
    code: 'KERNEL_REFUSED',
    message: 'cannot make link bt1',
  });
  assert.deepEqual(driver.there, before);
  assert.deepEqual(driver.log, ['make link br1', 'make link br2', 'make link bt1', 'make link br1', 'unmake link br2']);
  assert.ok(reconciler.doubtful);
  driver.failing.clear();
  reconciler.apply('network/1', objects);
  assert.deepEqual([...driver.there.keys()].sort(), keys(objects));
});

test('an object that could not be made is not deleted either: it may be somebody else’s', () => {
  const { driver, reconciler } = fixture();
  driver.there.set(objectKey(bridge('br1')), bridge('br1'));
  driver.failing.add('make link br1');
  assert.throws(() => reconciler.apply('network/1', [bridge('br1')]));
  assert.deepEqual(driver.log, ['make link br1']);
});

test('where the old is in the way of the new, it is deleted first', () => {
  const { driver, reconciler } = fixture();
  reconciler.apply('network/1', [bridge('old')]);
  const make = driver.make.bind(driver);
  driver.make = (object) => {
    if (objectKey(object) === 'link new' && driver.there.has('link old' as ObjectKey))
      driver.failing.add('make link new');
    else driver.failing.delete('make link new');
    make(object);
  };
  reconciler.apply('network/1', [bridge('new')]);
  assert.deepEqual([...driver.there.keys()], ['link new']);
});

test('an object of two owners stays until both have let go, and is as the remaining one wants it', () => {
  const { driver, reconciler } = fixture();
  reconciler.apply('network/1', [bridge('br1', { mtu: 1450 })]);
  reconciler.apply('network/2', [bridge('br1', { mtu: 1400 })]);
  assert.deepEqual(reconciler.remove([{ owner: 'network/2', known: [] }]), [undefined]);
  assert.deepEqual([...driver.there.values()], [bridge('br1', { mtu: 1450 })]);
  reconciler.remove([{ owner: 'network/1', known: [] }]);
  assert.equal(driver.there.size, 0);
});

test('removal deletes a link and leaves what stands on it to the kernel', () => {
  const { driver, reconciler } = fixture();
  reconciler.apply('endpoint/1', [bridge('br1'), address('br1', '10.1.0.1/24'), forwarding]);
  driver.log.length = 0;
  reconciler.remove([{ owner: 'endpoint/1', known: [] }]);
  assert.deepEqual(driver.log, ['unmake link br1', 'unmake sysctl net/ipv4/ip_forward']);
  assert.equal(driver.there.size, 0);
});

test('when the link cannot be deleted, what stands on it is, one by one', () => {
  const { driver, reconciler } = fixture();
  reconciler.apply('endpoint/1', [bridge('br1'), address('br1', '10.1.0.1/24')]);
  driver.failing.add('unmake link br1');
  const [error] = reconciler.remove([{ owner: 'endpoint/1', known: [] }]);
  assert.equal(error?.message, 'cannot unmake link br1');
  assert.deepEqual([...driver.there.keys()], ['link br1']);
});

test('a removal that failed fails for its owner only, is done by the next audit, and by a repeated removal', () => {
  const { driver, reconciler } = fixture();
  for (const name of ['br1', 'br2', 'br3']) reconciler.apply(name, [bridge(name)]);
  driver.failing.add('unmake link br2');
  const outcome = reconciler.remove(['br1', 'br2', 'br3'].map((owner) => ({ owner, known: [] })));
  assert.deepEqual(
    outcome.map((error) => error?.message),
    [undefined, 'cannot unmake link br2', undefined],
  );
  assert.equal(reconciler.remove([{ owner: 'br2', known: [] }])[0]?.code, 'KERNEL_REFUSED');
  driver.failing.clear();
  reconciler.audit({ repair: false });
  assert.equal(driver.there.size, 1);
  assert.deepEqual(reconciler.audit({ repair: true }), []);
  assert.equal(driver.there.size, 0);
  assert.ok(!reconciler.doubtful);
});

test('what an earlier process made is removed when it is named, unless somebody wants it', () => {
  const { driver, reconciler } = fixture();
  for (const name of ['br1', 'br2']) driver.there.set(objectKey(bridge(name)), bridge(name));
  reconciler.declare('network/2', [bridge('br2')]);
  reconciler.remove([{ owner: 'network/1', known: [bridge('br1'), bridge('br2')] }]);
  assert.deepEqual([...driver.there.keys()], ['link br2']);
});

test('an audit names what is missing and what differs, with owners and fields, and mends it only if asked', () => {
  const { driver, reconciler } = fixture();
  const objects = [bridge('br1', { mtu: 1450, up: true }), address('br1', '10.1.0.1/24'), forwarding];
  reconciler.declare('network/1', objects);
  reconciler.declare('fabric/cluster', [forwarding]);
  driver.there.set(objectKey(objects[0]!), bridge('br1', { mtu: 1500, up: true, alias: 'somebody' }));
  driver.there.set(objectKey(forwarding), { ...forwarding, value: '0' });
  const expected = [
    {
      key: 'link br1',
      owners: ['network/1'],
      what: 'different',
      fields: [{ name: 'mtu', declared: '1450', found: '1500' }],
    },
    { key: 'address br1 10.1.0.1/24', owners: ['network/1'], what: 'missing', fields: [] },
    {
      key: 'sysctl net/ipv4/ip_forward',
      owners: ['network/1', 'fabric/cluster'],
      what: 'different',
      fields: [{ name: 'value', declared: '1', found: '0' }],
    },
  ];
  const before = new Map(driver.there);
  assert.deepEqual(
    reconciler.audit({ repair: false }),
    expected.map((drift) => ({ ...drift, repaired: false })),
  );
  assert.deepEqual(driver.there, before);
  assert.deepEqual(
    reconciler.audit({ repair: true }),
    expected.map((drift) => ({ ...drift, repaired: true })),
  );
  assert.deepEqual(reconciler.audit({ repair: true }), []);
  assert.deepEqual([...driver.there.keys()].sort(), keys(objects));
});

test('an audit mends what it can, and says why it could not mend the rest', () => {
  const { driver, reconciler } = fixture();
  driver.failing.add('make link br1');
  reconciler.declare('network/1', [bridge('br1'), address('br1', '10.1.0.1/24'), bridge('br2')]);
  const drifts = reconciler.audit({ repair: true });
  assert.deepEqual(
    drifts.map((drift) => [drift.key, drift.repaired, drift.error]),
    [
      ['link br1', false, 'cannot make link br1'],
      ['address br1 10.1.0.1/24', false, 'cannot make address br1 10.1.0.1/24: there is no br1'],
      ['link br2', true, undefined],
    ],
  );
});

test('an audit of some objects looks at these only', () => {
  const { driver, reconciler } = fixture();
  reconciler.apply('network/1', [bridge('br1'), bridge('br2'), address('br1', '10.1.0.1/24')]);
  driver.there.clear();
  driver.log.length = 0;
  const drifts = reconciler.audit({ repair: true, keys: reconciler.dependents.onLink('br1') });
  assert.deepEqual(
    drifts.map((drift) => drift.key),
    ['link br1', 'address br1 10.1.0.1/24'],
  );
  assert.deepEqual(driver.log, ['find 2', 'make link br1', 'make address br1 10.1.0.1/24']);
});

test('what needs a link is known while it is declared, and forgotten afterwards', () => {
  const { reconciler } = fixture();
  reconciler.declare('network/1', [bridge('br1')]);
  reconciler.declare('endpoint/1', [port('bt1', 'br1')]);
  assert.deepEqual([...reconciler.dependents.onLink('br1')], ['link br1', 'link bt1']);
  reconciler.declare('endpoint/1', [port('bt1', 'br2')]);
  assert.deepEqual([...reconciler.dependents.onLink('br1')], ['link br1']);
  reconciler.declare('endpoint/1', []);
  assert.deepEqual([...reconciler.dependents.onLink('br2')], []);
});

test('a namespace that is gone: its objects drift and cannot be mended, the others are audited, removal succeeds', () => {
  const { driver, reconciler } = fixture();
  const netns = '/run/netns/bkt-none';
  const find = driver.find.bind(driver);
  driver.find = (wanted, where) => {
    if (where !== undefined) throw new Error('no such namespace');
    return find(wanted, where);
  };
  driver.failing.add(`make link@${netns} br1`).add(`unmake link@${netns} br1`);
  reconciler.declare('endpoint/1', [{ ...bridge('br1'), netns }, bridge('br2')]);
  const drifts = reconciler.audit({ repair: true });
  assert.deepEqual(
    drifts.map((drift) => [drift.key, drift.repaired, drift.error]),
    [
      [`link@${netns} br1`, false, 'no such namespace'],
      ['link br2', true, undefined],
    ],
  );
  assert.deepEqual(reconciler.remove([{ owner: 'endpoint/1', known: [] }]), [undefined]);
});

test('steps are taken in the order given, and the one that fails is named', () => {
  const { driver, reconciler } = fixture();
  driver.failing.add('unmake link br1');
  assert.throws(
    () =>
      reconciler.execute([{ make: bridge('br1') }, { make: address('br1', '10.1.0.1/24') }, { unmake: bridge('br1') }]),
    {
      message: 'step 3 of 3 (remove link br1): cannot unmake link br1',
    },
  );
  assert.deepEqual(driver.log, ['make link br1', 'make address br1 10.1.0.1/24', 'unmake link br1']);
});

test('a step that changes a declared object is noticed by the next apply', () => {
  const { driver, reconciler } = fixture();
  reconciler.apply('network/1', [bridge('br1', { mtu: 1450 })]);
  reconciler.execute([{ make: bridge('br1', { mtu: 1400 }) }]);
  reconciler.apply('network/1', [bridge('br1', { mtu: 1450 })]);
  assert.equal(driver.there.get(objectKey(bridge('br1')))?.kind === 'link' && driver.log.length, 3);
  reconciler.execute([{ unmake: bridge('br1') }]);
  reconciler.apply('network/1', [bridge('br1', { mtu: 1450 })]);
  assert.ok(driver.there.has(objectKey(bridge('br1'))));
});

test('a link is ours when we made it, or when it bears the alias that we declare', () => {
  const { driver, reconciler } = fixture();
  reconciler.apply('network/1', [bridge('br1')]);
  assert.ok(reconciler.owns(bridge('br1')));
  reconciler.remove([{ owner: 'network/1', known: [] }]);
  assert.ok(!reconciler.owns(bridge('br1')));
  for (const alias of ['berth 1', 'somebody']) {
    driver.there.set(objectKey(bridge('br1')), bridge('br1', { mtu: 1500, alias }));
    reconciler.declare('network/1', [bridge('br1', { mtu: 1450, alias: 'berth 1' })]);
    reconciler.audit({ repair: false });
    assert.equal(reconciler.owns(bridge('br1', { mtu: 1450, alias: 'berth 1' })), alias === 'berth 1');
  }
});

test('what is in a table is known by the table', () => {
  const { reconciler } = fixture();
  const objects: KernelObject[] = [
    { kind: 'nft-table', family: 'inet', name: 'berth', body: '' },
    { kind: 'nft-element', family: 'inet', table: 'berth', set: 's', element: '1' },
    { kind: 'nft-table', family: 'ip', name: 'berth', body: '' },
    { kind: 'forward-accept', family: 6, input: 'br1' },
  ];
  reconciler.declare('fabric/cluster', objects);
  assert.deepEqual([...reconciler.dependents.onTable('inet', 'berth')], objects.slice(0, 2).map(objectKey));
  assert.deepEqual([...reconciler.dependents.onTable('ip6', 'filter')], [objectKey(objects[3]!)]);
  assert.deepEqual([...reconciler.dependents.onTable('ip', 'filter')], []);
});

const universe: readonly KernelObject[] = [
  bridge('br1', { mtu: 1450 }),
  bridge('br2', { mtu: 1450 }),
  bridge('br1', { mtu: 1400 }),
  address('br1', '10.1.0.1/24'),
  address('br2', '10.2.0.1/24'),
  { kind: 'neighbour', link: 'br1', address: parseAddress('10.1.0.9')!, proxy: true },
  { kind: 'nft-table', family: 'inet', name: 'berth', body: 'chain a { }' },
  { kind: 'nft-element', family: 'inet', table: 'berth', set: 's', element: '"br1"' },
];
const declaration = fc.subarray([...universe]).map((objects) => {
  // The last of two objects with one key counts; a declaration that lacks the link it stands on is a defect of its maker.
  const links = new Set(objects.flatMap((object) => (object.kind === 'link' ? [object.name] : [])));
  return objects.filter((object) => !('link' in object) || typeof object.link !== 'string' || links.has(object.link));
});
const failure = fc.constantFrom(
  ...universe.flatMap((object) => [`make ${objectKey(object)}`, `unmake ${objectKey(object)}`]),
);
const operation = fc.oneof(
  fc.record({
    type: fc.constant('apply' as const),
    owner: fc.constantFrom('x', 'y'),
    objects: declaration,
    failures: fc.array(failure, { maxLength: 1 }),
  }),
  fc.record({
    type: fc.constant('remove' as const),
    owners: fc.subarray(['x', 'y']),
    failures: fc.array(failure, { maxLength: 1 }),
  }),
  fc.record({ type: fc.constant('somebody deletes' as const), object: fc.constantFrom(...universe) }),
  fc.record({ type: fc.constant('audit' as const) }),
);

test('whatever fails and whoever meddles: after an audit the kernel is as declared, with nothing left over', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 25 }), (operations) => {
      const { driver, reconciler } = fixture();
      const declared = new Map<string, readonly KernelObject[]>();
      for (const step of operations) {
        switch (step.type) {
          case 'apply':
            for (const one of step.failures) driver.failing.add(one);
            try {
              reconciler.apply(step.owner, step.objects);
              declared.set(step.owner, step.objects);
            } catch {
              // It stays as it was declared before.
            }
            break;
          case 'remove':
            for (const one of step.failures) driver.failing.add(one);
            reconciler.remove(step.owners.map((owner) => ({ owner, known: [] })));
            for (const owner of step.owners) declared.delete(owner);
            break;
          case 'somebody deletes':
            driver.unmake(step.object);
            break;
          case 'audit':
            reconciler.audit({ repair: true });
            break;
        }
        driver.failing.clear();
      }
      reconciler.audit({ repair: true });
      assert.deepEqual(
        [...driver.there.keys()].sort(),
        [...new Set([...declared.values()].flat().map(objectKey))].sort(),
      );
      assert.deepEqual(reconciler.audit({ repair: false }), []);
    }),
    { numRuns: 2000 },
  );
});

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import type { ObjectDriver } from '../driver.ts';
import { isolate } from '../isolate.ts';
import { type Namespaces, openNamespaces } from '../namespace.ts';
import { type KernelObject, type NftElement, type NftTable, objectKey } from '../objects.ts';
import { openSyscalls } from '../syscalls.ts';
import { createNftDriver } from './driver.ts';

const body = `
  set links { type ifname; }
  set pairs { type ifname . ifname; }
  set subnets { type ipv4_addr; flags interval; }
  set six { type ipv6_addr; flags interval; }
  map verdicts { type ifname : verdict; }
  chain guard { drop; }
  chain forward {
    type filter hook forward priority filter; policy accept;
    counter
    iifname @links accept
    iifname . oifname @pairs accept
    ip saddr { 9.9.9.9, 1.1.1.1, 2.2.2.2 } tcp dport vmap { 80 : accept, 22 : drop }
    iifname vmap @verdicts
  }`;
const table: NftTable = { kind: 'nft-table', family: 'inet', name: 'bkt', body };

function element(set: string, key: string, value?: string): NftElement {
  const common = { kind: 'nft-element', family: 'inet', table: 'bkt', set, element: key } as const;
  return value === undefined ? common : { ...common, value };
}

const elements = [
  element('links', '"bt1"'),
  element('pairs', '"bt1" . "bt1"'),
  element('subnets', '10.1.0.0/24'),
  element('subnets', '10.9.0.1 - 10.9.0.6'),
  element('six', 'FD00:0::/64'),
  element('verdicts', '"bt1"', 'jump guard'),
  element('verdicts', '"bt2"', 'accept'),
];
const all = [table, ...elements];

let namespaces: Namespaces;
let driver: ObjectDriver;

before(() => {
  isolate();
  // Only now: it remembers which namespace is our own.
  namespaces = openNamespaces(openSyscalls());
});

after(() => {
  driver.close();
  namespaces.close();
});

function fresh(): ObjectDriver {
  driver?.close();
  driver = createNftDriver({ namespaces });
  return driver;
}

function nft(...args: string[]): string {
  return execFileSync('nft', args, { encoding: 'utf8' });
}

function missing(driver: ObjectDriver, wanted: readonly KernelObject[]): string[] {
  const found = driver.find(wanted, undefined);
  return wanted.filter((object) => !found.has(objectKey(object))).map((object) => objectKey(object));
}

/** Whether the table is found, and found as it was wanted. */
function asWanted(driver: ObjectDriver): boolean {
  const found = driver.find([table], undefined).get(objectKey(table)) as NftTable | undefined;
  return found?.body === table.body;
}

function makeAll(driver: ObjectDriver): void {
  driver.makeAll!(all);
}

test('a table and elements of every shape are made in one transaction, and found as they were wanted', () => {
  const driver = fresh();
  assert.deepEqual(missing(driver, all), all.map(objectKey));
  makeAll(driver);
  const found = driver.find(all, undefined);
  for (const object of all) assert.deepEqual(found.get(objectKey(object)), object);
  assert.match(nft('list', 'table', 'inet', 'bkt'), /"bt1" : jump guard/);
});

test('a driver of a later process finds the same table without touching it', () => {
  makeAll(fresh());
  const handles = nft('-a', 'list', 'table', 'inet', 'bkt');
  const later = fresh();
  assert.deepEqual(missing(later, all), []);
  assert.ok(asWanted(later));
  assert.equal(nft('-a', 'list', 'table', 'inet', 'bkt'), handles);
});

for (const [what, change] of [
  ['a rule added', ['add', 'rule', 'inet', 'bkt', 'forward', 'drop']],
  ['a rule inserted', ['insert', 'rule', 'inet', 'bkt', 'forward', 'drop']],
  ['a chain flushed', ['flush', 'chain', 'inet', 'bkt', 'forward']],
  ['a chain added', ['add', 'chain', 'inet', 'bkt', 'other']],
  ['a set added', ['add', 'set', 'inet', 'bkt', 'other', '{ type ifname; }']],
  ['the policy changed', ['add', 'chain', 'inet', 'bkt', 'forward', '{ policy drop; }']],
] as const) {
  test(`${what} by somebody is found, by the driver that made the table and by a later one, and mended with all elements`, () => {
    for (const again of [(driver: ObjectDriver) => driver, fresh]) {
      const maker = fresh();
      makeAll(maker);
      assert.ok(asWanted(maker));
      nft(...change);
      const finder = again(maker);
      const found = finder.find(all, undefined);
      assert.notEqual((found.get(objectKey(table)) as NftTable).body, table.body);
      finder.make(table);
      assert.deepEqual(missing(finder, all), []);
      assert.ok(asWanted(finder));
    }
  });
}

test('one rule deleted by somebody is found and named', () => {
  const driver = fresh();
  makeAll(driver);
  const handle = /iifname @links accept # handle (\d+)/.exec(nft('-a', 'list', 'table', 'inet', 'bkt'))![1]!;
  nft('delete', 'rule', 'inet', 'bkt', 'forward', 'handle', handle);
  const found = driver.find([table], undefined).get(objectKey(table)) as NftTable;
  assert.match(found.body, /without \{"rule".*@links/);
});

test('counting packets is not a change', () => {
  const driver = fresh();
  driver.make({ ...table, body: 'chain out { type filter hook output priority 0; counter; }' });
  execFileSync('bash', ['-c', 'echo > /dev/udp/127.0.0.1/9']);
  assert.match(nft('list', 'table', 'inet', 'bkt'), /packets [1-9]/);
  const wanted = { ...table, body: 'chain out { type filter hook output priority 0; counter; }' };
  assert.equal((driver.find([wanted], undefined).get(objectKey(wanted)) as NftTable).body, wanted.body);
});

test('a table that is gone takes its elements with it; making it again brings those back that were declared', () => {
  const driver = fresh();
  makeAll(driver);
  nft('delete', 'table', 'inet', 'bkt');
  assert.deepEqual(missing(driver, all), all.map(objectKey));
  driver.make(table);
  assert.deepEqual(missing(driver, all), []);
});

test('elements that somebody deleted are missing, whether few are looked for or many', () => {
  const driver = fresh();
  makeAll(driver);
  const many = Array.from({ length: 40 }, (_, index) => element('links', `"many${index}"`));
  driver.makeAll!(many);
  nft('delete', 'element', 'inet', 'bkt', 'pairs', '{ "bt1" . "bt1" }');
  nft('delete', 'element', 'inet', 'bkt', 'subnets', '{ 10.1.0.0/24 }');
  const expected = [objectKey(elements[1]!), objectKey(elements[2]!)];
  assert.deepEqual(missing(driver, elements), expected);
  assert.deepEqual(missing(driver, [...all, ...many]), expected);
});

test('an element spelled with a name is found although the kernel lists a number', () => {
  const driver = fresh();
  const ports: NftTable = { ...table, body: 'set ports { type inet_proto . inet_service; }' };
  const named = [element('ports', 'tcp . http'), element('ports', '17 . 0x35')];
  driver.makeAll!([ports, ...named]);
  assert.deepEqual(missing(driver, named), []);
  const others = Array.from({ length: 10 }, (_, index) => element('ports', `tcp . ${index + 1000}`));
  driver.makeAll!(others);
  assert.deepEqual(missing(driver, [...named, ...others]), []);
});

test('a new body keeps the elements of the sets that it still has', () => {
  const driver = fresh();
  makeAll(driver);
  const smaller: NftTable = { ...table, body: 'set links { type ifname; }' };
  driver.make(smaller);
  assert.deepEqual(missing(driver, [smaller, elements[0]!]), []);
  assert.equal(missing(driver, elements).length, elements.length - 1);
});

test('a body that the kernel refuses leaves the table as it was, and the error names table and reason', () => {
  const driver = fresh();
  makeAll(driver);
  const before = nft('-a', 'list', 'table', 'inet', 'bkt');
  for (const bad of ['chain x { jump nowhere; }', 'chain {']) {
    assert.throws(() => driver.make({ ...table, body: bad }), {
      code: 'KERNEL_REFUSED',
      message: /^nftables refused nft-table inet bkt: [^\n]+$/,
    });
  }
  assert.equal(nft('-a', 'list', 'table', 'inet', 'bkt'), before);
  assert.ok(asWanted(driver));
});

test('many elements are made together or not at all', () => {
  const driver = fresh();
  makeAll(driver);
  const good = element('links', '"bt8"');
  assert.throws(() => driver.makeAll!([good, element('nowhere', '"bt9"')]), { code: 'KERNEL_REFUSED' });
  assert.deepEqual(missing(driver, [good]), [objectKey(good)]);
});

test('the value of a map element is compared and can be changed', () => {
  const driver = fresh();
  makeAll(driver);
  const changed = element('verdicts', '"bt1"', 'drop');
  const found = driver.find([changed], undefined).get(objectKey(changed)) as NftElement;
  assert.equal(found.value, 'jump guard');
  driver.make(changed);
  assert.deepEqual(driver.find([changed], undefined).get(objectKey(changed)), changed);
});

test('deleting is idempotent: elements, tables, elements of tables that are gone', () => {
  const driver = fresh();
  makeAll(driver);
  driver.unmake(elements[0]!);
  driver.unmake(elements[0]!);
  driver.unmake(elements[2]!);
  driver.unmake(elements[2]!);
  assert.throws(() => driver.unmakeAll!(elements), { code: 'KERNEL_REFUSED' }, 'two are gone already');
  for (const one of elements) driver.unmake(one);
  assert.equal(missing(driver, elements).length, elements.length);
  makeAll(driver);
  driver.unmakeAll!(all);
  driver.unmakeAll!(all);
  assert.equal(nft('list', 'ruleset'), '');
  driver.unmake(table);
  driver.unmake(elements[1]!);
  assert.equal(nft('list', 'ruleset'), '');
  driver.make(table);
  assert.deepEqual(missing(driver, all), elements.map(objectKey), 'what was deleted does not come back');
  driver.unmake(table);
});

test('in another namespace, which no connection keeps alive afterwards', () => {
  execFileSync('ip', ['netns', 'add', 'bkt-nft']);
  try {
    const driver = fresh();
    const netns = '/run/netns/bkt-nft';
    const there = all.map((object) => ({ ...object, netns }));
    driver.makeAll!(there);
    assert.equal(driver.find(there, netns).size, there.length);
    assert.deepEqual(missing(driver, all), all.map(objectKey), 'nothing in our own');
    assert.match(
      execFileSync('ip', ['netns', 'exec', 'bkt-nft', 'nft', 'list', 'tables'], { encoding: 'utf8' }),
      /bkt/,
    );
    driver.unmakeAll!(there);
    assert.equal(driver.find(there, netns).size, 0);
  } finally {
    execFileSync('ip', ['netns', 'del', 'bkt-nft']);
  }
  assert.throws(() => fresh().make({ ...table, netns: '/run/netns/bkt-nft' }), { code: 'KERNEL_REFUSED' });
});

test('one element costs well under a millisecond beside ten thousand others', () => {
  const driver = fresh();
  const many = Array.from({ length: 10_000 }, (_, index) => element('addresses', `10.${index >> 8}.${index & 255}.1`));
  driver.makeAll!([{ ...table, body: 'set addresses { type ipv4_addr; }\n set links { type ifname; }' }, ...many]);
  const times: number[] = [];
  for (let round = 0; round < 25; round++) {
    for (const one of [element('addresses', '11.0.0.1'), element('links', '"bt1"')]) {
      const start = performance.now();
      driver.make(one);
      const middle = performance.now();
      driver.unmake(one);
      times.push(middle - start, performance.now() - middle);
    }
  }
  times.sort((a, b) => a - b);
  assert.ok(times[times.length >> 1]! < 1, `median ${times[times.length >> 1]} ms`);
  driver.unmake(table);
});

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { parseAddress } from '../model/address.ts';
import { parseMac } from '../model/mac.ts';
import { parseInterfaceAddress, parsePrefix } from '../model/prefix.ts';
import { isolate } from './isolate.ts';
import type { Drift, Kernel } from './kernel.ts';
import { openKernel } from './linux.ts';
import type { KernelObject } from './objects.ts';

let kernel: Kernel;
let drifts: Drift[] = [];
let changes = 0;

before(async () => {
  isolate();
  kernel = await openKernel();
  kernel.onDrift((found) => drifts.push(...found));
  kernel.onChange(() => {
    changes += 1;
  });
});

after(() => kernel.close());

beforeEach(() => {
  drifts = [];
});

function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8' });
}

function nft(...args: string[]): string {
  return execFileSync('nft', args, { encoding: 'utf8' });
}

const body = `
  set links { type ifname; }
  set pairs { type ifname . ifname; }
  chain forward { type filter hook forward priority filter; policy accept; iifname @links drop; }`;

/** With a MAC of its own: otherwise it takes that of a port that joins, and the kernel drops its neighbours each time. */
const bridge: KernelObject = {
  kind: 'link',
  type: 'bridge',
  name: 'bkbr1',
  mac: parseMac('02:00:00:00:00:01')!,
  mtu: 1450,
  up: true,
  alias: 'berth test',
  noLinkLocal: true,
};

const network: readonly KernelObject[] = [
  { kind: 'sysctl', path: 'net/ipv4/ip_forward', value: '1' },
  { kind: 'nft-table', family: 'inet', name: 'berth', body },
  { kind: 'nft-element', family: 'inet', table: 'berth', set: 'pairs', element: '"bkbr1" . "bkbr1"' },
  bridge,
  {
    kind: 'link',
    type: 'vxlan',
    name: 'bkvx1',
    vni: 4242,
    udpPort: 4790,
    mtu: 1450,
    up: true,
    master: 'bkbr1',
    learning: false,
  },
  { kind: 'address', link: 'bkbr1', address: parseInterfaceAddress('10.77.0.1/24')! },
  { kind: 'address', link: 'bkbr1', address: parseInterfaceAddress('fd77::1/64')! },
  { kind: 'route', link: 'bkbr1', destination: parsePrefix('10.78.0.0/24')! },
  { kind: 'fdb', link: 'bkvx1', mac: parseMac('02:00:00:00:00:09')!, dst: parseAddress('192.0.2.9')! },
  { kind: 'fdb', link: 'bkvx1', mac: '00:00:00:00:00:00', dst: parseAddress('192.0.2.10')! },
  { kind: 'neighbour', link: 'bkbr1', address: parseAddress('10.77.0.9')!, mac: parseMac('02:00:00:00:00:09')! },
  {
    kind: 'qdisc',
    link: 'bkvx1',
    parent: 'root',
    discipline: { type: 'tbf', rate: 10_000_000, burst: 10_000, latencyMs: 50 },
  },
];

function endpoint(name: string): readonly KernelObject[] {
  return [
    { kind: 'nft-element', family: 'inet', table: 'berth', set: 'links', element: `"${name}"` },
    { kind: 'link', type: 'veth', name, up: true, mtu: 1450, master: 'bkbr1', peer: { name: `${name}p` } },
  ];
}

/** What is there, in the kernel's words, without what counts and ages. */
function snapshot(): string {
  return [ip('-br', 'link'), ip('-br', 'address'), ip('route'), ip('-6', 'route'), nft('list', 'ruleset')].join('\n');
}

async function waitFor(what: string, condition: () => boolean, ms = 2000): Promise<number> {
  const start = performance.now();
  while (!condition()) {
    if (performance.now() - start > ms) assert.fail(`not within ${ms} ms: ${what}`);
    await setTimeout(10);
  }
  return performance.now() - start;
}

test('what is declared is there, once applied; applying it again changes nothing; an audit finds nothing', async () => {
  await kernel.apply('network/1', network);
  await kernel.apply('endpoint/1', endpoint('bkt1'));
  assert.match(ip('link', 'show', 'bkt1'), /mtu 1450 .*master bkbr1 .*state/);
  assert.match(ip('-d', 'link', 'show', 'bkvx1'), /vxlan id 4242 .*dstport 4790/s);
  assert.match(ip('address', 'show', 'bkbr1'), /inet 10\.77\.0\.1\/24 .*inet6 fd77::1\/64/s);
  assert.match(ip('route'), /10\.78\.0\.0\/24 dev bkbr1/);
  assert.match(nft('list', 'table', 'inet', 'berth'), /"bkt1".*"bkbr1" \. "bkbr1"/s);
  assert.equal(readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8').trim(), '1');
  const before = snapshot();
  await kernel.apply('network/1', network);
  await kernel.apply('endpoint/1', endpoint('bkt1'));
  assert.deepEqual(await kernel.audit({ repair: true }), []);
  assert.equal(snapshot(), before);
});

test('our own changes are no drift, and cause no audit', async () => {
  await Promise.all(
    Array.from({ length: 10 }, (_, index) => kernel.apply(`endpoint/x${index}`, endpoint(`bkx${index}`))),
  );
  await Promise.all(Array.from({ length: 10 }, (_, index) => kernel.remove(`endpoint/x${index}`)));
  await setTimeout(500);
  assert.deepEqual(drifts, []);
});

const meddling: readonly { what: string; meddle: () => void; key: string; mended: () => boolean }[] = [
  {
    what: 'a link deleted',
    meddle: () => ip('link', 'del', 'bkt1'),
    key: 'link bkt1',
    mended: () => ip('link', 'show', 'bkt1').includes('master bkbr1'),
  },
  {
    what: 'an MTU changed',
    meddle: () => ip('link', 'set', 'bkt1', 'mtu', '1300'),
    key: 'link bkt1',
    mended: () => ip('link', 'show', 'bkt1').includes('mtu 1450'),
  },
  {
    what: 'a port taken from its bridge',
    meddle: () => ip('link', 'set', 'bkt1', 'nomaster'),
    key: 'link bkt1',
    mended: () => ip('link', 'show', 'bkt1').includes('master bkbr1'),
  },
  {
    what: 'a link set down',
    meddle: () => ip('link', 'set', 'bkbr1', 'down'),
    key: 'link bkbr1',
    mended: () =>
      /bkbr1 +\S+ .*10\.77\.0\.1.*fd77::1/.test(ip('-br', 'address')) && ip('route').includes('10.78.0.0/24'),
  },
  {
    what: 'a link down and up again, which loses its routes',
    meddle: () => {
      ip('link', 'set', 'bkbr1', 'down');
      ip('link', 'set', 'bkbr1', 'up');
    },
    key: 'route table 254 10.78.0.0/24 metric 0',
    mended: () => ip('route').includes('10.78.0.0/24'),
  },
  {
    what: 'a bridge deleted, with all that stands on it',
    meddle: () => ip('link', 'del', 'bkbr1'),
    key: 'link bkbr1',
    mended: () =>
      ip('link', 'show', 'bkt1').includes('master bkbr1') &&
      ip('link', 'show', 'bkvx1').includes('master bkbr1') &&
      ip('route').includes('10.78.0.0/24') &&
      ip('neigh', 'show', 'dev', 'bkbr1').includes('10.77.0.9'),
  },
  {
    what: 'addresses flushed',
    meddle: () => ip('address', 'flush', 'dev', 'bkbr1'),
    key: 'address bkbr1 10.77.0.1/24',
    mended: () => /10\.77\.0\.1.*fd77::1/.test(ip('-br', 'address', 'show', 'bkbr1')),
  },
  {
    what: 'a route deleted',
    meddle: () => ip('route', 'del', '10.78.0.0/24'),
    key: 'route table 254 10.78.0.0/24 metric 0',
    mended: () => ip('route').includes('10.78.0.0/24'),
  },
  {
    what: 'a route replaced',
    meddle: () => ip('route', 'replace', '10.78.0.0/24', 'dev', 'lo'),
    key: 'route table 254 10.78.0.0/24 metric 0',
    mended: () => ip('route').includes('10.78.0.0/24 dev bkbr1'),
  },
  {
    what: 'a forwarding table flushed',
    meddle: () => execFileSync('bridge', ['fdb', 'flush', 'dev', 'bkvx1']),
    key: 'fdb bkvx1 02:00:00:00:00:09 192.0.2.9',
    mended: () => {
      const entries = execFileSync('bridge', ['fdb', 'show', 'dev', 'bkvx1'], { encoding: 'utf8' });
      return (
        entries.includes('02:00:00:00:00:09 dst 192.0.2.9') && entries.includes('00:00:00:00:00:00 dst 192.0.2.10')
      );
    },
  },
  {
    what: 'a neighbour deleted',
    meddle: () => ip('neigh', 'del', '10.77.0.9', 'dev', 'bkbr1'),
    key: 'neighbour bkbr1 10.77.0.9',
    mended: () => ip('neigh', 'show', 'dev', 'bkbr1').includes('02:00:00:00:00:09 PERMANENT'),
  },
  {
    what: 'a queueing discipline deleted',
    meddle: () => execFileSync('tc', ['qdisc', 'del', 'dev', 'bkvx1', 'root']),
    key: 'qdisc bkvx1 root',
    mended: () => execFileSync('tc', ['qdisc', 'show', 'dev', 'bkvx1'], { encoding: 'utf8' }).includes('tbf'),
  },
  {
    what: 'a table deleted',
    meddle: () => nft('delete', 'table', 'inet', 'berth'),
    key: 'nft-table inet berth',
    mended: () => /"bkt1".*"bkbr1" \. "bkbr1".*drop/s.test(nft('list', 'ruleset')),
  },
  {
    what: 'a rule deleted',
    meddle: () => nft('flush', 'chain', 'inet', 'berth', 'forward'),
    key: 'nft-table inet berth',
    mended: () => /"bkt1".*@links drop/s.test(nft('list', 'ruleset')),
  },
  {
    what: 'an element deleted',
    meddle: () => nft('delete', 'element', 'inet', 'berth', 'links', '{ "bkt1" }'),
    key: 'nft-element inet berth links "bkt1"',
    mended: () => nft('list', 'ruleset').includes('"bkt1"'),
  },
];

for (const { what, meddle, key, mended } of meddling) {
  test(`${what} by somebody is mended and named within two seconds`, async () => {
    await setTimeout(20);
    meddle();
    await waitFor(`a drift of ${key}, found: ${drifts.map((drift) => drift.key).join(', ')}`, () =>
      drifts.some((drift) => drift.key === key && drift.repaired),
    );
    await waitFor(`${what} mended`, mended);
    const drift = drifts.find((one) => one.key === key)!;
    assert.deepEqual(drift.owners, [key.includes('bkt1') ? 'endpoint/1' : 'network/1']);
    await setTimeout(400);
    assert.ok(
      drifts.every((one) => one.repaired),
      JSON.stringify(drifts),
    );
    assert.deepEqual(await kernel.audit({ repair: false }), [], 'nothing else is left wrong');
    const count = drifts.length;
    await setTimeout(300);
    assert.equal(drifts.length, count, 'and mending it is not found again');
  });
}

test('a rule in the engine’s chain is put back when the chain is flushed, and taken along in the end', async () => {
  const rules = () => execFileSync('iptables', ['-S', 'DOCKER-USER'], { encoding: 'utf8' });
  execFileSync('iptables', ['-N', 'DOCKER-USER']);
  await kernel.apply('network/accept', [{ kind: 'forward-accept', family: 4, input: 'bkbr1' }]);
  assert.match(rules(), /-i bkbr1 .*berth -j ACCEPT/);
  await setTimeout(300);
  assert.deepEqual(drifts, []);
  execFileSync('iptables', ['-F', 'DOCKER-USER']);
  await waitFor('the drift', () =>
    drifts.some((drift) => drift.key === 'forward-accept inet bkbr1 *' && drift.repaired),
  );
  assert.match(rules(), /-i bkbr1 .*berth -j ACCEPT/);
  await kernel.remove('network/accept');
  assert.doesNotMatch(rules(), /ACCEPT/);
  nft('delete', 'table', 'ip', 'filter');
});

test('what no event tells is found by an audit', async () => {
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '0');
  const expected = { key: 'sysctl net/ipv4/ip_forward', what: 'different', owners: ['network/1'] };
  const fields = [{ name: 'value', declared: '1', found: '0' }];
  assert.deepEqual(await kernel.audit({ repair: false }), [{ ...expected, fields, repaired: false }]);
  assert.deepEqual(await kernel.audit({ repair: true }), [{ ...expected, fields, repaired: true }]);
  assert.equal(readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8').trim(), '1');
});

test('a failed apply names the object, and leaves nothing of it', async () => {
  const before = snapshot();
  const objects: readonly KernelObject[] = [
    ...endpoint('bkt2'),
    { kind: 'address', link: 'bknone', address: parseInterfaceAddress('10.79.0.1/24')! },
  ];
  await assert.rejects(kernel.apply('endpoint/2', objects), {
    name: 'BerthError',
    code: 'INTERFACE_UNKNOWN',
    message: /10\.79\.0\.1\/24.*bknone/,
  });
  assert.equal(snapshot(), before);
});

test('a link of two owners outlives the first that goes', async () => {
  const shared: KernelObject = { kind: 'link', type: 'bridge', name: 'bkshared', up: true };
  await kernel.apply('network/a', [shared]);
  await kernel.apply('network/b', [shared]);
  await kernel.remove('network/a');
  assert.match(ip('-br', 'link'), /bkshared/);
  await kernel.remove('network/b');
  assert.doesNotMatch(ip('-br', 'link'), /bkshared/);
});

test('steps are executed in order', async () => {
  const link: KernelObject = { kind: 'link', type: 'ifb', name: 'bkifb' };
  await kernel.execute([
    { make: link },
    { make: { kind: 'address', link: 'bkifb', address: parseInterfaceAddress('10.80.0.1/24')! } },
  ]);
  assert.match(ip('address', 'show', 'bkifb'), /10\.80\.0\.1/);
  await assert.rejects(
    kernel.execute([
      { unmake: link },
      { make: { kind: 'address', link: 'bkifb', address: parseInterfaceAddress('10.80.0.1/24')! } },
    ]),
    {
      message: /^step 2 of 2 \(make address bkifb 10\.80\.0\.1\/24\)/,
    },
  );
  assert.doesNotMatch(ip('-br', 'link'), /bkifb/);
});

test('the view shows what there is', async () => {
  const view = await kernel.view();
  const port = view.links.find((link) => link.name === 'bkt1');
  assert.deepEqual([port?.type, port?.master, port?.mtu, port?.up], ['veth', 'bkbr1', 1450, true]);
  assert.ok(view.routes.some((route) => route.link === 'bkbr1' && route.destination.address.family === 6));
});

test('a change of the host is told, whoever makes it, soon and not once for each message', async () => {
  await setTimeout(300);
  changes = 0;
  for (let index = 0; index < 5; index++) ip('address', 'add', `10.81.0.${index + 1}/32`, 'dev', 'lo');
  await waitFor('a change', () => changes > 0, 1000);
  await setTimeout(300);
  assert.ok(changes <= 4, `${changes} changes`);
  ip('address', 'flush', 'to', '10.81.0.0/24', 'dev', 'lo');
});

test('many removals at once take hardly longer than a few, and a start does not wait for them all', async () => {
  const names = Array.from({ length: 100 }, (_, index) => `bkm${index}`);
  for (const name of names) await kernel.apply(`endpoint/${name}`, endpoint(name));
  const start = performance.now();
  const removals = names.map((name) => kernel.remove(`endpoint/${name}`));
  await kernel.apply('endpoint/between', endpoint('bkbetween'));
  const started = performance.now() - start;
  await Promise.all(removals);
  const removed = performance.now() - start;
  // One by one, a hundred take at least 1.5 s.
  assert.ok(removed < 700, `removals took ${removed} ms`);
  assert.ok(started < 400, `the start took ${started} ms`);
  await kernel.remove('endpoint/between');
  assert.doesNotMatch(ip('-br', 'link'), /bkm|bkbetween/);
});

test('who removes is told when the kernel is about to, before all is done, and not when there is nothing', async () => {
  const pair: KernelObject = { kind: 'link', type: 'veth', name: 'bkv0', up: true, peer: { name: 'bkp0' } };
  const order: string[] = [];
  for (const known of [false, true]) {
    await kernel.apply('endpoint/begun', [pair]);
    const begun = Promise.withResolvers<void>();
    if (known) kernel.declare('endpoint/begun', []);
    const removed = kernel
      .remove('endpoint/begun', known ? [pair] : [], begun.resolve)
      .then(() => order.push('removed'));
    await begun.promise;
    order.push('begun');
    await removed;
    assert.throws(() => ip('link', 'show', 'bkv0'), /does not exist/);
  }
  assert.deepEqual(order, ['begun', 'removed', 'begun', 'removed']);
  let told = 0;
  await kernel.remove('endpoint/begun', [pair], () => {
    told += 1;
  });
  assert.equal(told, 0, 'there was nothing to delete');
});

test('what an earlier process made is taken over without being touched, and removed by name', async () => {
  const other = await openKernel();
  try {
    const before = snapshot();
    other.declare('network/1', network);
    other.declare('endpoint/1', endpoint('bkt1'));
    assert.deepEqual(await other.audit({ repair: true }), []);
    assert.equal(snapshot(), before);
  } finally {
    await other.close();
  }
});

test('what is removed leaves nothing, also when it is not all there', async () => {
  ip('link', 'del', 'bkvx1');
  nft('delete', 'table', 'inet', 'berth');
  await Promise.all([kernel.remove('endpoint/1', endpoint('bkt1')), kernel.remove('network/1', network)]);
  await setTimeout(400);
  assert.equal(nft('list', 'ruleset'), '');
  assert.deepEqual(
    ip('-br', 'link')
      .trim()
      .split('\n')
      .map((line) => line.split(' ')[0])
      .filter((name) => name?.startsWith('bk')),
    [],
  );
  assert.deepEqual(await kernel.audit({ repair: true }), []);
  await kernel.remove('network/1', network);
});

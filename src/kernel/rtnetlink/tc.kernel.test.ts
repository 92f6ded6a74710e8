import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { after, before, test } from 'node:test';
import { isolate } from '../isolate.ts';
import type { Filter, Qdisc, TrafficClass } from '../objects.ts';
import { openRtnetlinkDriver, type RtnetlinkDriver } from './driver.ts';
import { drift, lifecycle, records, run, type Shown } from './testing.ts';

let driver: RtnetlinkDriver;

before(() => {
  isolate();
  driver = openRtnetlinkDriver();
  driver.make({ kind: 'link', type: 'veth', name: 'bv1', up: true, peer: { name: 'bp1' } });
  driver.make({ kind: 'link', type: 'ifb', name: 'if1', up: true });
  driver.make({ kind: 'link', type: 'ifb', name: 'if2', up: true });
});

after(() => driver.close());

const tbf: Qdisc = {
  kind: 'qdisc',
  link: 'if1',
  parent: 'root',
  discipline: { type: 'tbf', rate: 100_000_000, burst: 32_000, latencyMs: 50 },
};
const htb: Qdisc = {
  kind: 'qdisc',
  link: 'bv1',
  parent: 'root',
  handle: '1:',
  discipline: { type: 'htb', defaultClass: 0x10 },
};
const top: TrafficClass = { kind: 'class', link: 'bv1', parent: '1:', classid: '1:1', rate: 1e9 };
const leaf: TrafficClass = {
  kind: 'class',
  link: 'bv1',
  parent: '1:1',
  classid: '1:10',
  rate: 1e8,
  ceil: 2e8,
  burst: 20_000,
};
const clsact: Qdisc = { kind: 'qdisc', link: 'bv1', parent: 'clsact', discipline: { type: 'clsact' } };
const redirect: Filter = {
  kind: 'filter',
  link: 'bv1',
  parent: 'ingress',
  priority: 5,
  action: { redirect: 'if1' },
};

function qdisc(link: string, kind: string): Shown | undefined {
  return records(`tc -j qdisc show dev ${link}`).find((record) => record.kind === kind);
}

function redirectsTo(link: string, where: string): string[] {
  return records(`tc -j filter show dev ${link} ${where}`).flatMap(({ options }) =>
    (options?.actions ?? []).map((action: { to_dev: string }) => action.to_dev),
  );
}

test('qdiscs come and go', () => {
  lifecycle(driver, tbf, () => qdisc('if1', 'tbf')?.root === true);
  lifecycle(driver, htb, () => qdisc('bv1', 'htb')?.handle === '1:');
  lifecycle(driver, clsact, () => qdisc('bv1', 'clsact') !== undefined);
  lifecycle(
    driver,
    { ...clsact, parent: 'ingress', discipline: { type: 'ingress' } },
    () => qdisc('bv1', 'ingress') !== undefined,
  );
});

test('a token bucket is what tc makes of the same words', () => {
  for (const [rate, burst, latencyMs] of [
    [100_000_000, 32_000, 50],
    [1_000_000, 1_600, 400],
    [9_999_999, 15_151, 33],
    [20_000_000_000, 5_000_000, 1],
  ] as const) {
    const object: Qdisc = { ...tbf, discipline: { type: 'tbf', rate, burst, latencyMs } };
    run(`tc qdisc replace dev if2 root tbf rate ${rate}bit burst ${burst} latency ${latencyMs}ms`);
    driver.make(object);
    const [ours, theirs] = ['if1', 'if2'].map((link) => qdisc(link, 'tbf')!.options);
    assert.equal(ours.rate, theirs.rate);
    // tc gives the burst in ticks, and rounds it otherwise than the kernel does.
    assert.ok(Math.abs(ours.burst - theirs.burst) <= 2 + burst / 100, `${ours.burst} ${theirs.burst}`);
    assert.ok(Math.abs(ours.lat - theirs.lat) <= 1 + theirs.lat / 100, `${ours.lat} ${theirs.lat}`);
    assert.deepEqual(drift(driver, object), []);
  }
  run('tc qdisc replace dev if1 root tbf rate 1mbit burst 32000 latency 50ms');
  const found = drift(driver, tbf) as { name: string; found: string }[];
  assert.equal(found.length, 1);
  assert.match(found[0]!.found, /rate 1000000/);
  driver.make(tbf);
  assert.deepEqual(drift(driver, tbf), []);
  driver.unmake(tbf);
});

test('what the kernel puts at the root by itself is no declared qdisc', () => {
  assert.ok(qdisc('bv1', 'noqueue'));
  const fair: Qdisc = { ...htb, discipline: { type: 'fq_codel' } };
  assert.equal(drift(driver, fair), 'missing');
  driver.unmake(fair);
});

test('another qdisc in the place is replaced, but not removed for ours', () => {
  run('tc qdisc add dev bv1 root handle 1: tbf rate 1mbit burst 32000 latency 50ms');
  driver.unmake(htb);
  assert.ok(qdisc('bv1', 'tbf'), 'not ours');
  assert.deepEqual(
    (drift(driver, htb) as { name: string }[]).map(({ name }) => name),
    ['discipline'],
  );
  driver.make(htb);
  assert.deepEqual(drift(driver, htb), []);
  const other: Qdisc = { ...htb, discipline: { type: 'htb', defaultClass: 0x20 } };
  driver.make(other);
  assert.deepEqual(drift(driver, other), []);
  assert.equal(qdisc('bv1', 'htb')!.options.default, '0x20');
  driver.unmake(other);
});

test('classes come and go, and change', () => {
  driver.make(htb);
  // tc has no JSON for classes.
  lifecycle(driver, top, () => run('tc class show dev bv1').includes('class htb 1:1 root'));
  driver.make(top);
  lifecycle(driver, leaf, () => run('tc class show dev bv1').includes('class htb 1:10 parent 1:1'));
  driver.make(leaf);
  assert.match(run('tc class show dev bv1 classid 1:10'), /rate 100Mbit ceil 200Mbit burst 20000b/);
  const faster: TrafficClass = { ...leaf, rate: 3e8, ceil: 4e8 };
  driver.make(faster);
  assert.match(run('tc class show dev bv1 classid 1:10'), /rate 300Mbit ceil 400Mbit/);
  assert.deepEqual(
    (drift(driver, leaf) as { name: string; found: string }[]).slice(0, 2).map(({ name, found }) => [name, found]),
    [
      ['rate', '300000000'],
      ['ceil', '400000000'],
    ],
  );
  const moved: TrafficClass = { ...leaf, parent: '1:' };
  assert.deepEqual((drift(driver, { ...moved, rate: 3e8, ceil: 4e8 }) as { name: string }[])[0]?.name, 'parent');
  driver.make(moved);
  assert.deepEqual(drift(driver, moved), []);
  driver.unmake(moved);
  driver.unmake(top);
  driver.unmake(htb);
});

test('filters that redirect come and go, on clsact and on ingress', () => {
  const both: readonly Qdisc[] = [clsact, { ...clsact, parent: 'ingress', discipline: { type: 'ingress' } }];
  for (const place of both) {
    driver.make(place);
    lifecycle(driver, redirect, () => redirectsTo('bv1', 'ingress').includes('if1'));
    driver.unmake(place);
  }
  driver.make(clsact);
  lifecycle(driver, { ...redirect, parent: 'egress', protocol: 'ip' }, () =>
    redirectsTo('bv1', 'egress').includes('if1'),
  );
});

test('a filter is one however often it is made, and is led elsewhere', () => {
  driver.make(clsact);
  driver.make(redirect);
  driver.make(redirect);
  assert.deepEqual(redirectsTo('bv1', 'ingress'), ['if1']);
  const other: Filter = { ...redirect, action: { redirect: 'if2' } };
  assert.deepEqual(drift(driver, other), [{ name: 'action', declared: 'redirect if2', found: 'redirect if1' }]);
  driver.make(other);
  assert.deepEqual(redirectsTo('bv1', 'ingress'), ['if2']);
  const narrower: Filter = { ...other, protocol: 'ipv6' };
  driver.make(narrower);
  assert.deepEqual(drift(driver, narrower), []);
  assert.deepEqual(redirectsTo('bv1', 'ingress'), ['if2']);
  driver.unmake(narrower);
  assert.deepEqual(redirectsTo('bv1', 'ingress'), []);
});

test("somebody else's filter of the same priority is not taken for ours", () => {
  driver.make(clsact);
  run(
    'tc filter add dev bv1 ingress prio 5 protocol all u32 match ip dst 10.0.0.0/8 action mirred egress redirect dev if2',
  );
  assert.equal(drift(driver, redirect), 'missing');
  driver.unmake(redirect);
  assert.deepEqual(redirectsTo('bv1', 'ingress'), ['if2']);
  run('tc filter del dev bv1 ingress');
});

test('a filter that classifies', () => {
  driver.make(htb);
  driver.make(leaf.parent === '1:1' ? top : leaf);
  driver.make(leaf);
  for (const parent of ['1:', 'root']) {
    const classify: Filter = { kind: 'filter', link: 'bv1', parent, priority: 3, action: { classid: '1:10' } };
    lifecycle(driver, classify, () => run('tc filter show dev bv1').includes('flowid 1:10'));
  }
  driver.unmake(htb);
});

test('what must be there, and what this kernel must have', () => {
  assert.throws(() => driver.make({ ...redirect, action: { redirect: 'nolink' } }), {
    code: 'INTERFACE_UNKNOWN',
    message: 'cannot make the filter 5 on bv1 (ingress): there is no interface nolink',
  });
  const nosuch = { ...htb, discipline: { type: 'nosuch' } } as unknown as Qdisc;
  assert.throws(() => driver.make(nosuch), { code: 'KERNEL_LACKS', message: /Specified qdisc kind is unknown/ });
  assert.throws(() => driver.make({ ...top, link: 'if2' }), { code: 'KERNEL_REFUSED' });
  for (const object of [tbf, top, redirect]) {
    const gone = { ...object, link: 'nolink' };
    assert.equal(drift(driver, gone), 'missing');
    driver.unmake(gone);
  }
});

test('redirected traffic arrives where it is shaped', async () => {
  // What the other end sends comes in at bv1, is led to if1 and goes through the bucket there.
  run('ip link set bp1 up');
  run('ip addr add 10.5.0.1/24 dev bp1');
  run('ip neigh add 10.5.0.2 lladdr 02:42:0a:05:00:02 dev bp1');
  driver.make(tbf);
  driver.make(clsact);
  driver.make({ ...redirect, protocol: 'ip' });
  const socket = createSocket('udp4');
  for (let number = 0; number < 5; number++) {
    await new Promise((resolve) => socket.send(Buffer.alloc(1000), 9, '10.5.0.2', resolve));
  }
  socket.close();
  const shaped = records('tc -j -s qdisc show dev if1').find(({ kind }) => kind === 'tbf')!;
  assert.ok(shaped.packets >= 5 && shaped.bytes >= 5000, `${shaped.packets} packets, ${shaped.bytes} bytes`);
});

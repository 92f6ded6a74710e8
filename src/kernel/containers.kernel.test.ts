import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { parseMac } from '../model/mac.ts';
import { parseInterfaceAddress, parsePrefix } from '../model/prefix.ts';
import { isolate } from './isolate.ts';
import type { Drift, Kernel } from './kernel.ts';
import { openKernel } from './linux.ts';
import type { KernelObject, MacvlanLink } from './objects.ts';

const DEADLINE = 30_000;

const container = `bct-${randomBytes(4).toString('hex')}`;
const netns = `/run/netns/${container}`;
const link: MacvlanLink = {
  kind: 'link',
  type: 'macvlan',
  name: 'bp1',
  parent: 'par',
  mode: 'bridge',
  mac: parseMac('02:42:0a:01:00:05')!,
  alias: 'berth endpoint 1',
  plugged: 'somewhere',
};
const placed: MacvlanLink = { ...link, plugged: { netns, name: 'eth0' } };
const address: KernelObject = { kind: 'address', netns, link: 'eth0', address: parseInterfaceAddress('10.1.0.5/24')! };
const up: KernelObject = { kind: 'link', type: 'adopted', netns, name: 'eth0', up: true };
const route: KernelObject = { kind: 'route', netns, link: 'eth0', destination: parsePrefix('10.2.0.0/24')! };
const limit: KernelObject = {
  kind: 'qdisc',
  netns,
  link: 'eth0',
  parent: 'root',
  handle: '1:',
  discipline: { type: 'tbf', rate: 1e6, burst: 32768, latencyMs: 50 },
};
const all = [placed, up, address, route, limit];

let kernel: Kernel;
let drifts: Drift[] = [];
const arrived: string[] = [];

const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
const inside = (...args: string[]): string => ip('-n', container, ...args);

before(async () => {
  isolate();
  ip('link', 'add', 'par', 'type', 'veth', 'peer', 'name', 'parp');
  ip('link', 'set', 'par', 'up');
  kernel = await openKernel();
  kernel.onDrift((found) => drifts.push(...found));
  kernel.onArrival((links) => arrived.push(...links));
});

after(() => kernel.close());

beforeEach(async () => {
  ip('netns', 'add', container);
  await kernel.apply('c', all);
  drifts = [];
});

afterEach(async () => {
  await kernel.remove('c');
  if (existsSync(netns)) ip('netns', 'del', container);
});

async function until(what: string, done: () => boolean): Promise<void> {
  const end = performance.now() + DEADLINE;
  while (!done()) {
    assert.ok(performance.now() < end, `${what}; seen: ${JSON.stringify(drifts)}`);
    await setTimeout(10);
  }
}

const repaired = (key: string) => drifts.some((drift) => drift.repaired && drift.key === key);

for (const { damage, key } of [
  { damage: ['link', 'del', 'eth0'], key: 'link bp1' },
  { damage: ['link', 'set', 'eth0', 'down'], key: `link@${netns} eth0` },
  { damage: ['addr', 'del', '10.1.0.5/24', 'dev', 'eth0'], key: `address@${netns} eth0 10.1.0.5/24` },
  { damage: ['route', 'del', '10.2.0.0/24'], key: `route@${netns} table 254 10.2.0.0/24 metric 0` },
]) {
  test(`in a container, ip ${damage.slice(0, 2).join(' ')} is repaired at once`, async () => {
    inside(...damage);
    await until(`${key} is repaired`, () => repaired(key));
    await until('all is as declared', () => /10\.1\.0\.5\/24/.test(inside('addr', 'show', 'dev', 'eth0')));
    assert.deepEqual(await kernel.audit({ repair: false }), []);
  });
}

test('a limit that a container takes off is put back at once', async () => {
  execFileSync('ip', ['netns', 'exec', container, 'tc', 'qdisc', 'del', 'dev', 'eth0', 'root']);
  await until('the limit is back', () => repaired(`qdisc@${netns} eth0 root`));
});

test('an interface that a container gives another name to is its own, not missing', async () => {
  await kernel.apply('c', [placed]);
  inside('link', 'set', 'eth0', 'down');
  inside('link', 'set', 'eth0', 'name', 'lan0');
  await setTimeout(500);
  assert.deepEqual(await kernel.audit({ repair: true }), []);
  assert.doesNotMatch(inside('link'), /eth0/);
});

test('no namespace is held: with the last process of a container it goes, and its links', async () => {
  ip('netns', 'del', container);
  ip('link', 'add', 'probe', 'link', 'par', 'address', placed.mac!, 'type', 'macvlan', 'mode', 'bridge');
  // No two links that are up have the same MAC address on one parent.
  await until('the link has gone', () => spawnSync('ip', ['link', 'set', 'probe', 'up']).status === 0);
  ip('link', 'del', 'probe');
});

test('what happens in a container of which nothing is declared is nobody’s concern', async () => {
  await kernel.remove('c');
  drifts = [];
  ip('link', 'add', 'bp1', 'link', 'par', 'type', 'macvlan');
  ip('link', 'set', 'bp1', 'netns', container);
  inside('link', 'set', 'bp1', 'up');
  inside('link', 'del', 'bp1');
  await setTimeout(500);
  assert.deepEqual(drifts, []);
});

test('a link that is held back has no carrier in the container until it is let go', async () => {
  await kernel.remove('c');
  const held: MacvlanLink = { ...link, protoDown: true };
  await kernel.apply('c', [held]);
  assert.deepEqual(await kernel.audit({ repair: false }), []);
  ip('link', 'set', 'bp1', 'netns', container, 'name', 'eth0');
  inside('address', 'add', '10.1.0.5/24', 'dev', 'eth0');
  inside('link', 'set', 'eth0', 'up');
  inside('route', 'add', 'default', 'via', '10.1.0.1');
  assert.match(inside('link', 'show', 'eth0'), /NO-CARRIER/);
  const letGo: KernelObject = { kind: 'link', type: 'adopted', netns, name: 'eth0', protoDown: false };
  await kernel.apply('c', [placed, limit, letGo]);
  assert.match(inside('link', 'show', 'eth0'), /LOWER_UP.* qdisc tbf/);
  assert.deepEqual(await kernel.audit({ repair: false }), []);
});

test('a link that arrives in a container is told of by the name it had here', async () => {
  await kernel.remove('c');
  await kernel.apply('c', [link]);
  arrived.length = 0;
  ip('link', 'set', 'bp1', 'netns', container);
  inside('link', 'set', 'bp1', 'name', 'eth0');
  inside('link', 'set', 'eth0', 'up');
  await until('the arrival is told', () => arrived.includes('bp1'));
  assert.deepEqual(arrived, ['bp1']);
  await kernel.apply('c', [placed]);
});

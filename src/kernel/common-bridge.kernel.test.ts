/** A bridge that agents of Neutron plug into as well, and may have made. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { isolate } from './isolate.ts';
import type { Kernel } from './kernel.ts';
import { openKernel } from './linux.ts';
import type { KernelObject } from './objects.ts';

let kernel: Kernel;
before(async () => {
  isolate();
  kernel = await openKernel();
});
after(() => kernel.close());

const ip = (line: string): string => execFileSync('ip', line.split(' '), { encoding: 'utf8' });
const links = (): string[] =>
  [...ip('-br link').matchAll(/^(brq\S*|tap[^@\s]*)/gm)].map(([, name]) => name!).toSorted();

const bridge = (mtu: number): KernelObject => ({
  kind: 'link',
  type: 'bridge',
  name: 'brq0',
  common: true,
  mtu,
  up: true,
  alias: 'berth of neutron',
});
const port = (name: string): KernelObject => ({
  kind: 'link',
  type: 'veth',
  name,
  master: 'brq0',
  up: true,
  peer: { name: `t_c${name}` },
});

test('one that we made goes with the last port, and not before', async () => {
  await kernel.apply('network', [bridge(1450)]);
  await kernel.apply('endpoint', [port('tap1')]);
  assert.deepEqual(await kernel.audit({ repair: false }), []);
  ip('link add tap9 type veth peer name other9');
  ip('link set tap9 master brq0');
  await kernel.remove('endpoint');
  await kernel.remove('network');
  assert.deepEqual(links(), ['brq0', 'tap9'], 'somebody else has a port there');

  // Another container comes and goes, after the other port has gone.
  ip('link del tap9');
  await kernel.apply('network', [bridge(1450)]);
  await kernel.apply('endpoint', [port('tap1'), port('tap2')]);
  await kernel.remove('endpoint');
  await kernel.remove('network');
  assert.deepEqual(links(), []);
});

test('with its ports at once it goes after them', async () => {
  await kernel.apply('network', [bridge(1450), port('tap1'), port('tap2')]);
  await kernel.remove('network');
  assert.deepEqual(links(), []);
});

test('one that somebody else made is used as it is, and stays', async () => {
  ip('link add brq0 type bridge');
  ip('link set brq0 mtu 1400');
  await kernel.apply('network', [bridge(1450)]);
  await kernel.apply('endpoint', [port('tap1')]);
  assert.match(ip('-o link show tap1'), /master brq0/);
  assert.deepEqual(await kernel.audit({ repair: true }), []);
  assert.match(ip('-o link show brq0'), /mtu 1400/);
  assert.doesNotMatch(ip('-o link show brq0'), /alias/);
  await kernel.remove('endpoint');
  await kernel.remove('network');
  assert.deepEqual(links(), ['brq0']);
  ip('link del brq0');
});

test('one of ours that was taken away is made again, and what is wrong with it is mended', async () => {
  await kernel.apply('network', [bridge(1450)]);
  ip('link del brq0');
  // By this, or by what the kernel told of it before.
  await kernel.audit({ repair: true });
  assert.deepEqual(links(), ['brq0']);
  ip('link set brq0 down');
  await kernel.audit({ repair: true });
  assert.match(ip('-o link show brq0'), /[<,]UP[,>]/);
  await kernel.remove('network');
  assert.deepEqual(links(), []);
});

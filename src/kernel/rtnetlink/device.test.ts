import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { deviceOf } from './device.ts';

/** As the kernel lays it out for a NIC with two virtual functions, and for a bridge. */
const root = mkdtempSync(join(tmpdir(), 'berth-sysfs-'));
const bus = join(root, 'devices/pci0000:00/0000:00:02.0');
const classes = join(root, 'class/net');
mkdirSync(classes, { recursive: true });
for (const [device, link] of [
  ['0000:03:00.0', 'eth2'],
  ['0000:03:02.0', 'eth2v0'],
  ['0000:03:02.1', 'eth2v1'],
] as const) {
  const folder = join(bus, device, 'net', link);
  mkdirSync(folder, { recursive: true });
  symlinkSync(`../../../${device}`, join(folder, 'device'));
  symlinkSync(`../../devices/pci0000:00/0000:00:02.0/${device}/net/${link}`, join(classes, link));
}
mkdirSync(join(root, 'devices/virtual/net/br0'), { recursive: true });
symlinkSync('../../devices/virtual/net/br0', join(classes, 'br0'));
writeFileSync(join(classes, 'bonding_masters'), 'bond0\n');

after(() => rmSync(root, { recursive: true }));

test('the device of a NIC and of a virtual function is its address on the PCI bus; a bridge has none', () => {
  assert.deepEqual(
    ['eth2', 'eth2v0', 'eth2v1', 'br0', 'bonding_masters', 'absent'].map((link) => deviceOf(link, classes)),
    ['0000:03:00.0', '0000:03:02.0', '0000:03:02.1', undefined, undefined, undefined],
  );
});

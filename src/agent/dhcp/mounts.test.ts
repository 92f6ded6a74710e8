import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMounted, mountPoints, parseMountInfo } from './mounts.ts';

const id = 'c0ffee'.padEnd(64, '0');

test('mount points, with what is escaped in them', () => {
  const text = [
    '36 35 98:0 / /var/lib/docker/overlay2/abc/merged rw,noatime shared:1 - overlay overlay rw',
    '37 35 98:0 / /mnt/with\\040blank rw - ext4 /dev/sda rw',
    '',
  ].join('\n');
  assert.deepEqual([...parseMountInfo(text)], ['/var/lib/docker/overlay2/abc/merged', '/mnt/with blank']);
  assert.ok(mountPoints().has('/proc'));
});

test('a container by the path that the engine told, or by its id', () => {
  const points = new Set(['/var/lib/docker/overlay2/abc/merged', `/var/lib/docker/rootfs/overlayfs/${id}`]);
  assert.ok(isMounted({ id, root: '/var/lib/docker/overlay2/abc/merged' }, points));
  assert.ok(!isMounted({ id, root: '/var/lib/docker/overlay2/abd/merged' }, points));
  assert.ok(isMounted({ id }, points));
  assert.ok(!isMounted({ id: 'decaf'.padEnd(64, '0') }, points));
});

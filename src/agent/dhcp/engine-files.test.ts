import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { readMarks } from './engine-files.ts';

const folder = mkdtempSync(join(tmpdir(), 'engine-files-'));
after(() => rmSync(folder, { recursive: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}

test('where a container is mounted, and its ports', () => {
  write(
    'containers/aa/config.v2.json',
    '{"Driver":"overlay2","Config":{"ExposedPorts":{"80":{},"443/tcp":{}},"Hostname":"nas.lan"},"State":{}}',
  );
  write('image/overlay2/layerdb/mounts/aa/mount-id', 'c0ffee');
  assert.deepEqual(readMarks(folder, 'aa'), {
    root: join(folder, 'overlay2/c0ffee/merged'),
    exposes: ['443/tcp', '80/tcp'],
    hostName: 'nas',
  });
});

test("with containerd's image store its id is in the mount point, so nothing is said of it", () => {
  write('containers/bb/config.v2.json', '{"Driver":"overlayfs","Config":{"ExposedPorts":null,"Hostname":"bb"}}');
  assert.deepEqual(readMarks(folder, 'bb'), {});
});

test('what is not there, or not written as it should be, says nothing', () => {
  write('containers/cc/config.v2.json', '{"Driver":"overlay2","Config":{}}');
  write('containers/dd/config.v2.json', '{"Driver":');
  for (const id of ['cc', 'dd', 'ee']) assert.equal(readMarks(folder, id), undefined, id);
});

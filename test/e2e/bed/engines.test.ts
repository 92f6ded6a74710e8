import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { debianMirror } from './engines.ts';
import { claimBed, removeBed } from './ownership.ts';

test('the mirror is the one that apt is set up with, in either format', () => {
  const { id, dir } = claimBed('apt');
  const list = join(dir, 'sources.list.d');
  try {
    mkdirSync(list);
    assert.throws(() => debianMirror(dir), /No Debian mirror/);
    writeFileSync(
      join(list, 'debian.sources'),
      `# a remark
Types: deb
URIs: http://one.test/debian-security
Suites: stable-security
Components: main

Types: deb-src
URIs: http://two.test/debian
Suites: stable

Types: deb
# URIs: http://three.test/debian
URIs:
 https://four.test/debian/
Suites: stable stable-updates
Signed-By: /usr/share/keyrings/x.gpg

Enabled: no
Types: deb
URIs: http://five.test/debian
Suites: stable
`,
    );
    assert.equal(debianMirror(dir), 'https://four.test/debian/');
    rmSync(join(list, 'debian.sources'));
    writeFileSync(join(list, 'off.list.disabled'), 'deb http://six.test/debian stable main\n');
    writeFileSync(
      join(dir, 'sources.list'),
      `deb [signed-by=/x.gpg] http://seven.test/packages stable main
# deb http://eight.test/debian stable main
deb [arch=amd64] http://nine.test/debian stable main contrib
`,
    );
    assert.equal(debianMirror(dir), 'http://nine.test/debian');
  } finally {
    removeBed(id);
  }
});

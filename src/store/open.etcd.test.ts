import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, it } from 'node:test';
import { startEtcd } from './etcd/testing/etcd.ts';
import { parseStoreLocation } from './location.ts';
import { openStore } from './open.ts';

const folder = mkdtempSync(join(tmpdir(), 'berth-open-'));
after(() => rmSync(folder, { recursive: true }));

it('opens what is configured, as the user whose password is in the file, and says what is wrong with it', async () => {
  await using etcd = await startEtcd();
  const [member] = etcd.members;
  for (const words of [
    ['user', 'add', 'root:root'],
    ['user', 'grant-role', 'root', 'root'],
    ['user', 'add', 'berth:secret'],
    ['role', 'add', 'berth'],
    ['role', 'grant-permission', 'berth', '--prefix=true', 'readwrite', '/lab/berth/'],
    ['user', 'grant-role', 'berth', 'berth'],
    ['auth', 'enable'],
  ]) {
    await member!.ctl(...words);
  }
  const passwordFile = join(folder, 'password');
  writeFileSync(passwordFile, 'secret\nwhatever else\n');
  const locate = (prefix: string, access = {}) =>
    parseStoreLocation(`etcd://${member!.address}${prefix}`, '--store', '/unused', access);
  const user = { user: 'berth', passwordFile };

  const store = await openStore(locate('/lab', user));
  await store.transact({ then: [{ do: 'put', key: 'berth/a', value: '1' }] });
  await store.close();
  assert.match(await member!.ctl('--user=root:root', 'get', '--keys-only', '--prefix', '/'), /^\/lab\/berth\/a$/m);

  const denied = (message: RegExp) => ({ code: 'STORE_DENIED', message });
  await assert.rejects(openStore(locate('/other', user)), denied(/permission denied/));
  await assert.rejects(openStore(locate('/lab')), denied(/user name is empty/));
  await assert.rejects(openStore(locate('/lab', { ...user, user: 'nobody' })), denied(/the user 'nobody'/));
  await assert.rejects(openStore(locate('/lab', { ...user, passwordFile: '/nowhere' })), {
    code: 'BAD_CONFIG',
    message: /etcd-password-file cannot be read/,
  });
  await assert.rejects(openStore(locate('/lab', { ca: '/nowhere' })), { code: 'BAD_CONFIG', message: /etcd-ca/ });
});

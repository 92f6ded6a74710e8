import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { BerthError } from '../model/errors.ts';
import { loadConfig } from './config.ts';
import { configKeys } from './config-keys.ts';

const folder = mkdtempSync(join(tmpdir(), 'berth-config-'));
after(() => rmSync(folder, { recursive: true }));

function file(content: string): string {
  const path = join(folder, 'berth.json');
  writeFileSync(path, content);
  return path;
}

const refuses = (work: () => unknown, words: RegExp) =>
  assert.throws(
    work,
    (error) => error instanceof BerthError && error.code === 'BAD_CONFIG' && words.test(error.message),
  );

test('without anything, the documented defaults', () => {
  const config = loadConfig({}, {});
  assert.equal(config.stateDir, '/var/lib/berth');
  assert.deepEqual(config.plugins, [
    { name: 'berth', fabric: 'cluster', scope: 'local' },
    { name: 'berth-lan', fabric: 'lan', scope: 'local' },
    { name: 'local', fabric: 'lan', scope: 'local' },
  ]);
  assert.equal(config.auditInterval, 60_000);
});

test('a flag beats the environment, which beats the file', () => {
  const config = file('{"state-dir": "/file", "run-dir": "/file", "bridge": "lan0", "audit-interval": 5}');
  const loaded = loadConfig({ config, 'state-dir': '/flag' }, { BERTH_STATE_DIR: '/env', BERTH_RUN_DIR: '/env' });
  assert.deepEqual(
    [loaded.stateDir, loaded.runDir, loaded.bridge, loaded.auditInterval],
    ['/flag', '/env', 'lan0', 5000],
  );
  assert.equal(loadConfig({}, { BERTH_CONFIG: config }).bridge, 'lan0');
});

test('each key has its own message when it is wrong', () => {
  refuses(() => loadConfig({ 'state-dir': 'relative' }, {}), /--state-dir is an absolute path, not 'relative'/);
  refuses(() => loadConfig({}, { BERTH_LOG_LEVEL: 'loud' }), /BERTH_LOG_LEVEL is one of trace.*, not 'loud'/);
  refuses(() => loadConfig({ docker: '/run/docker.sock' }, {}), /unix:\/\/\/path/);
  refuses(() => loadConfig({ plugins: 'berth' }, {}), /name=fabric/);
  refuses(() => loadConfig({ plugins: '../x=lan' }, {}), /name=fabric/);
  refuses(() => loadConfig({ plugins: 'a=lan,a=cluster' }, {}), /each name stands once/);
  refuses(() => loadConfig({ 'default-pools': '10.0.0.1/16:24' }, {}), /base:length/);
  refuses(() => loadConfig({ 'default-pools': '10.0.0.0/16:8' }, {}), /base:length/);
  refuses(() => loadConfig({ 'audit-interval': '0' }, {}), /from 1 to 3600/);
  refuses(() => loadConfig({ 'metrics-address': '9470' }, {}), /address:port/);
  refuses(() => loadConfig({ 'tls-address': '127.0.0.1' }, {}), /needs tls-ca, tls-cert/);
  refuses(() => loadConfig({ 'tls-ca': '/ca' }, {}), /tls-address is missing/);
  refuses(() => loadConfig({ store: 'mysql' }, {}), /store is sqlite/);
  refuses(() => loadConfig({ store: 'etcd://h', 'etcd-user': 'u' }, {}), /etcd-password-file/);
});

test('where the store is', () => {
  assert.deepEqual(loadConfig({ 'state-dir': '/s' }, {}).store, { kind: 'sqlite', path: '/s/berth.db' });
  assert.deepEqual(loadConfig({ store: 'etcd://h/x' }, { BERTH_ETCD_CA: '/ca' }).store, {
    kind: 'etcd',
    urls: ['https://h:2379'],
    prefix: '/x/',
    ca: '/ca',
  });
});

test('a broken file is named, and so is an unknown key in it', () => {
  refuses(() => loadConfig({ config: join(folder, 'absent.json') }, {}), /absent\.json cannot be read/);
  refuses(() => loadConfig({ config: file('{') }, {}), /cannot be read/);
  refuses(() => loadConfig({ config: file('[]') }, {}), /not a JSON object/);
  refuses(
    () => loadConfig({ config: file('{"state_dir": "/x"}') }, {}),
    /unknown key 'state_dir'; did you mean 'state-dir'/,
  );
  refuses(() => loadConfig({ config: file('{"bridge": true}') }, {}), /text or a number/);
});

test('every key in the table is read', () => {
  for (const { key, default: fallback } of configKeys) {
    if (fallback === 'none' || ['bridge'].includes(key)) continue;
    refuses(() => loadConfig({ [key]: '\u0000' }, {}), new RegExp(key));
  }
});

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { loadConfig, type RawConfig } from '../../agent/config.ts';
import { BerthError } from '../../model/errors.ts';
import { berth } from '../fake-agent.ts';
import { runBerth } from '../run.ts';
import { readKuryrServerFlags, runKuryrServer } from './kuryr-server.ts';

const folder = mkdtempSync(join(tmpdir(), 'kuryr-server-'));
after(() => rmSync(folder, { recursive: true }));
const neutron = '[neutron]\nauth_type = none\nendpoint = http://127.0.0.1:9696\n';
const file = join(folder, 'kuryr.conf');
writeFileSync(file, `[DEFAULT]\ncapability_scope = global\n${neutron}`);
const local = join(folder, 'local.conf');
writeFileSync(local, neutron);
const dir = join(folder, 'more.d');
mkdirSync(dir);
writeFileSync(join(dir, '10-scope.conf'), '[DEFAULT]\ncapability_scope = local\ndebug = true\n');

const read = (...words: string[]) => readKuryrServerFlags(words, {});

describe('kuryr-server', () => {
  it('serves kuryr in the scope that kuryr.conf says', () => {
    assert.deepEqual(read('--config-file', file), {
      config: { 'kuryr-conf': file, plugins: 'kuryr=neutron:global' },
      remarks: [],
    });
    const { plugins, kuryrConf } = loadConfig(read(`--config-file=${local}`).config, {});
    assert.deepEqual(plugins, [{ name: 'kuryr', fabric: 'neutron', scope: 'local' }]);
    assert.deepEqual(kuryrConf, [local]);
  });

  it('reads several files, and folders after them', () => {
    const { config } = read('--config-dir', dir, '--config-file', local, '--config-file', file);
    assert.deepEqual(config, {
      'kuryr-conf': [local, file, dir].join(','),
      plugins: 'kuryr=neutron:local',
      'log-level': 'debug',
    });
    assert.deepEqual(loadConfig(config, {}).kuryrConf, [local, file, dir]);
  });

  it('takes the flags of the process as oslo.config does, and says which have no effect', () => {
    const all = [
      '-d',
      '--log-file',
      '/x',
      '--logdir=/y',
      '--use-syslog',
      '--nouse-json',
      '--use-j',
      '--log-date-f',
      '%H',
    ];
    assert.throws(() => read('--config-file', local, ...all), /there is no flag '--use-j'/);
    const clear = all.map((word) => word.replace(/^--use-j$/, '--use-jo'));
    const { config, remarks } = read('--config-file', local, ...clear);
    assert.equal(config['log-level'], 'debug');
    assert.deepEqual(
      remarks.map((remark) => remark.split(' ')[0]),
      ['--log-date-format', '--log-file', '--log-dir', '--use-syslog', '--use-journal', '--use-json'],
    );
    assert.equal(read('--config-dir', dir, '--config-file', local, '--nodebug').config['log-level'], undefined);
  });

  it('takes the flags of the agent too, and its variables', () => {
    const { config } = read('--config-file', local, '--state-dir', '/s', '--plugins=kuryr=neutron');
    assert.deepEqual(config, { 'kuryr-conf': local, 'state-dir': '/s', plugins: 'kuryr=neutron' });
    const env = { BERTH_KURYR_CONF: `${local},${dir}`, BERTH_PLUGINS: 'x=neutron', BERTH_LOG_LEVEL: 'warn' };
    assert.deepEqual(readKuryrServerFlags([], env).config, {});
  });

  const refused: readonly (readonly [words: readonly string[], why: RegExp])[] = [
    [['--nosuch'], /^there is no flag '--nosuch'$/],
    [['word'], /^there is no flag 'word'$/],
    [['-file'], /^there is no flag '-file'$/],
    [['--config-file'], /^--config-file needs a value$/],
    [['--debug=true'], /^--debug has no value$/],
    [['--config-file', '/a,b'], /^the path '\/a,b' has a comma$/],
    [['--config-file', '/nosuch/kuryr.conf'], /^\/nosuch\/kuryr.conf cannot be read/],
  ];
  for (const [words, why] of refused) {
    it(`refuses ${words.join(' ')}`, async () => {
      assert.throws(
        () => read(...words),
        (error) => error instanceof BerthError && why.test(error.message),
      );
      const outcome = await berth(['kuryr-server', ...words]);
      // The service manager does not try again.
      assert.equal(outcome.code, 2);
      assert.match(outcome.stderr, /^berth: .*\n {2}next: /);
    });
  }

  it('teaches, and runs an agent', async () => {
    let stdout = '';
    const surroundings = {
      stdout: { write: (text: string) => (stdout += text) },
      stderr: { write: () => true },
      now: Date.now,
    };
    assert.equal(await runBerth(['kuryr-server', '--help'], surroundings), 0);
    assert.match(stdout, /--config-file .*\n.*--config-dir/);
    const ran: [RawConfig, readonly string[]][] = [];
    const words = ['--config-file', local, '--log-file', '/x'];
    assert.equal(await runKuryrServer(words, surroundings, async (...given) => void ran.push(given)), 0);
    assert.deepEqual([ran[0]![0].plugins, ran[0]![1].length], ['kuryr=neutron:local', 1]);
    assert.equal((await berth(['--json', 'kuryr-server'])).code, 2);
  });
});

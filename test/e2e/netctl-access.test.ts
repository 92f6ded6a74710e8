/** netctl and masters that ask who one is, over TLS; masters that are away; and the shell's completion. */

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { repository } from './bed/machine.ts';
import { type Master, netctl, startMaster } from './suites/netctl-master.ts';

const admin = 'admin-token-0123456789';
const reader = 'reader-token-0123456789';
const expired = 'expired-token-0123456789';

describe('a master with tokens and TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-netctl-'));
  const [cert, key, tokens] = ['m.pem', 'm.key', 'tokens'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  let master: Master;
  before(async () => {
    const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    const subject = ['-subj', '/CN=master', '-addext', 'subjectAltName=IP:127.0.0.1'];
    execFileSync('openssl', ['req', ...kind, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' });
    const lines = [`ann admin ${admin}`, `bob read ${reader}`, `old admin ${expired} 2020-01-01T00:00:00Z`];
    writeFileSync(tokens, `${lines.join('\n')}\n`);
    master = await startMaster(folder, { flags: ['--tls-cert', cert, '--tls-key', key, '--token-file', tokens] });
  });
  after(async () => {
    await master.stop();
    rmSync(folder, { recursive: true });
  });

  const create = ['network', 'create', '-s', '10.1.0.0/24', 'n'];
  const list = ['network', 'ls', '-q'];
  const refused: readonly (readonly [
    what: string,
    words: string[],
    environment: Record<string, string>,
    says: RegExp,
  ])[] = [
    ['no token', list, {}, /msg="a token is needed"\n.*\n {2}next: Give a token with --token or NETCTL_TOKEN/],
    ['a wrong token', list, { NETCTL_TOKEN: 'wrong-token-0123456789' }, /msg="the token is not known"\n/],
    ['an expired token', list, { NETCTL_TOKEN: expired }, /msg="the token of old has expired"\n/],
    ['a token for reading', create, { NETCTL_TOKEN: reader }, /msg="the token of bob is for reading only"\n {2}next: /],
  ];
  for (const [what, words, environment, says] of refused) {
    test(`${what} is refused`, async () => {
      const { exit, stdout, stderr } = await netctl(master, words, { NETCTL_CACERT: cert, ...environment });
      assert.match(stderr, says);
      assert.equal(stdout, '');
      assert.equal(exit, 3);
    });
  }

  test('a certificate of nobody known is refused, and taken with --insecure', async () => {
    const strict = await netctl(master, [...list, '--token', admin]);
    assert.match(
      strict.stderr,
      /x509: certificate signed by unknown authority"\n {2}next: Name its authority with --cacert/,
    );
    assert.equal(strict.exit, 3);
    const lax = await netctl(master, [...list, '--token', admin], { INSECURE: 'true' });
    assert.deepEqual(lax, { exit: 0, stdout: '', stderr: '' });
  });

  test('login keeps a token that works, and none that does not', async () => {
    const wrong = await netctl(master, ['--token', 'wrong-token-0123456789', 'login'], { NETCTL_CACERT: cert });
    assert.equal(wrong.exit, 3);
    assert.throws(() => statSync(join(folder, '.netctl/config.json')));
    const right = await netctl(master, ['--token', admin, 'login'], { NETCTL_CACERT: cert });
    assert.deepEqual(right, { exit: 0, stdout: 'Login succeeded.\n', stderr: '' });
    assert.equal(statSync(join(folder, '.netctl/config.json')).mode & 0o777, 0o600);
    const made = await netctl(master, create, { NETCTL_CACERT: cert });
    assert.deepEqual([made.exit, made.stdout], [0, 'Creating network default:n\n']);
    assert.equal((await netctl(master, [...list, '--token', reader], { NETCTL_CACERT: cert })).stdout, 'n\n');
  });
});

describe('a master without either', () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-netctl-'));
  let master: Master;
  before(async () => {
    master = await startMaster(folder);
    for (const line of [
      'tenant create blue',
      'network create -s 10.1.0.0/24 shop',
      'network create -s 10.2.0.0/24 -t blue sea',
    ]) {
      assert.equal((await netctl(master, line.split(' '))).exit, 0);
    }
  });
  after(async () => {
    await master.stop();
    rmSync(folder, { recursive: true });
  });

  test('the next one is asked when one is away', async () => {
    const { exit, stdout } = await netctl({ ...master, url: `http://127.0.0.1:1,${master.url}` }, [
      'network',
      'ls',
      '-q',
    ]);
    assert.equal(stdout, 'shop\n');
    assert.equal(exit, 0);
  });

  test('what is asked for in JSON is JSON, what is made too', async () => {
    const { stdout } = await netctl(master, ['group', 'create', 'shop', 'web', '-j']);
    assert.equal((JSON.parse(stdout) as { key: string }).key, 'default:web');
    assert.equal((await netctl(master, ['group', 'rm', 'web', '--json'])).stdout, '"default:web"\n');
  });

  test('a name of a megabyte, as far as a command line can hold it', async () => {
    const { exit, stderr } = await netctl(master, ['network', 'inspect', 'x'.repeat(100_000)]);
    assert.match(stderr, /^time="[^"]+" level=error msg=".{1,600}"\n/);
    assert.equal(exit, 3);
  });

  test('berth shows the same', async () => {
    const words = ['network', 'ls', '--cluster', '--tenant', 'blue', '--master', master.url];
    const stdout = execFileSync(join(repository, 'bin/berth'), words, { encoding: 'utf8' });
    assert.match(stdout, /^TENANT +NETWORK +NW TYPE .*\nblue +sea +data +vxlan +0 +10\.2\.0\.0\/24 .*\n$/);
  });

  /** What bash offers after these words, the last one unfinished. */
  async function offered(program: string, line: string): Promise<string[]> {
    const ask = `
      source <(${program} completion bash)
      COMP_WORDS=(${line}) COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
      _${program}
      printf '%s\\n' "\${COMPREPLY[@]}"`;
    const path = `${join(repository, 'bin')}${delimiter}${process.env.PATH}`;
    const env = { PATH: path, HOME: folder, NETMASTER: master.url, BERTH_MASTER: master.url };
    const child = spawn('bash', ['-c', ask], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (data: Buffer) => (text += data.toString()));
    await once(child, 'close');
    return text.split('\n').filter((word) => word !== '');
  }
  const completions: readonly (readonly [line: string, words: string[]])[] = [
    ["netctl network ''", ['ls', 'inspect', 'rm', 'create']],
    ['netctl netw', ['network']],
    ["netctl network rm ''", ['shop']],
    ["netctl network rm -t blue ''", ['sea']],
    ["netctl network ls --tenant ''", ['blue', 'default']],
    ['netctl network create --sub', ['--subnet', '--subnetv6']],
    ["netctl network create -e ''", ['vxlan', 'vlan']],
    ["netctl completion ''", ['bash', 'zsh', 'fish']],
    ["berth network rm --tenant blue ''", ['sea']],
    ["berth tenant inspect ''", ['blue', 'default']],
    ["berth group create --tenant ''", ['blue', 'default']],
  ];
  for (const [line, words] of completions) {
    test(`completion of ${line}`, async () => assert.deepEqual(await offered(line.split(' ')[0]!, line), words));
  }
});

/** The command as a process: pipes, signals, the shell's completion, and the script that finds Node. */

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fakeAgent } from './fake-agent.ts';

const main = join(import.meta.dirname, 'main.ts');
const checkout = join(import.meta.dirname, '../..');

let folder: string;
before(() => (folder = mkdtempSync(join(tmpdir(), 'berth-process-'))));
after(() => rmSync(folder, { recursive: true }));

function script(path: string, text: string): void {
  writeFileSync(path, text);
  chmodSync(path, 0o755);
}

it('output that nobody reads any more is no error', async () => {
  const networks = Array.from({ length: 5000 }, (_, i) => ({
    id: String(i).padStart(64, '0'),
    plugin: 'berth',
    fabric: 'cluster',
    subnets: [],
    createdAt: '2026-11-20T00:00:00Z',
  }));
  await using agent = await fakeAgent({ 'GET /v1/networks': networks });
  const command = `"${process.execPath}" "${main}" network ls --run-dir "${agent.runDir}" | head -n 1; echo "\${PIPESTATUS[0]}"`;
  const child = spawn('bash', ['-c', command], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  await once(child, 'close');
  assert.match(stdout, /^ID .*\n0\n$/);
  assert.equal(stderr, '');
});

it('Ctrl-C ends events with 130', async () => {
  await using agent = await fakeAgent({
    'GET /v1/events': (_: unknown, response: { write(text: string): void }) => {
      response.write('{"time":"t","event":"e","message":"m"}\n');
    },
  });
  const child = spawn(process.execPath, [main, 'events', '--run-dir', agent.runDir]);
  await once(child.stdout, 'data');
  child.kill('SIGINT');
  const [code] = (await once(child, 'close')) as [number];
  assert.equal(code, 130);
});

describe('completion', () => {
  /** What bash offers after these words, the last one unfinished. */
  async function offered(line: string, runDir: string): Promise<string[]> {
    const bin = join(folder, 'bin');
    mkdirSync(bin, { recursive: true });
    script(join(bin, 'berth'), `#!/bin/sh\nexec "${process.execPath}" "${main}" "$@"\n`);
    const ask = `
      source <(berth completion bash)
      COMP_WORDS=(${line}) COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
      _berth
      printf '%s\\n' "\${COMPREPLY[@]}"`;
    const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}`, BERTH_RUN_DIR: runDir };
    const child = spawn('bash', ['-c', ask], { env });
    let text = '';
    child.stdout.on('data', (data: Buffer) => (text += data.toString()));
    child.stderr.on('data', (data: Buffer) => (text += data.toString()));
    await once(child, 'close');
    return text.split('\n').filter((word) => word !== '');
  }

  const agentAnswers = {
    'GET /v1/networks': [
      { id: 'a'.repeat(64), name: 'shop', plugin: 'berth' },
      { id: 'b'.repeat(64), plugin: 'local' },
    ],
    'GET /v1/attachments': [{ container: 'web', interface: 'eth1', addresses: [] }],
    'GET /v1/endpoints': [{ id: 'e'.repeat(64), container: 'web', networkName: 'shop' }],
    'GET /v1/hosts': [{ name: 'h1', vtep: '10.0.0.1', state: 'heard' }],
    'GET /v1/pools': [{ id: 'local/10.1.0.0-24', leases: 3 }],
  };
  const cases: readonly (readonly [line: string, words: string[]])[] = [
    [
      "berth ''",
      [
        'status',
        'host',
        'network',
        'endpoint',
        'attachment',
        'pool',
        'lease',
        'reservation',
        'name',
        'uplink',
        'events',
        'ping',
        'test',
        'tenant',
        'group',
        'policy',
        'netprofile',
        'service',
        'bgp',
        'global',
        'app-profile',
        'external-contracts',
        'aci-gw',
        'attach',
        'detach',
        'reserve',
        'unreserve',
        'doctor',
        'audit',
        'gc',
        'store',
        'agent',
        'master',
        'netplugin',
        'kuryr-server',
        'completion',
        'version',
      ],
    ],
    ['berth ne', ['network', 'netprofile', 'netplugin']],
    ["berth network ''", ['ls', 'inspect', 'rm', 'create', 'confirm']],
    ["berth network inspect ''", ['shop', 'bbbbbbbbbbbb']],
    ["berth network show shop ''", ['shop', 'bbbbbbbbbbbb']],
    ['berth --json network confirm s', ['shop']],
    ["berth lease ls --pool ''", ['local/10.1.0.0-24']],
    ['berth audit --r', ['--repair', '--run-dir']],
    ["berth completion ''", ['bash', 'zsh', 'fish']],
    ["berth network confirm shop ''", []],
    ["berth reserve ''", ['ls']],
    ["berth reserve 10.1.0.5 ''", []],
    ["berth attach ''", ['ls', 'web']],
    ["berth detach ''", ['web']],
    ["berth ping ''", ['web', 'h1']],
    ["berth host inspect ''", ['h1']],
  ];
  for (const [line, words] of cases) {
    it(`of ${line}`, async () => {
      await using agent = await fakeAgent(agentAnswers);
      assert.deepEqual(await offered(line, agent.runDir), words);
    });
  }

  it('asks the agent of the --run-dir on the line, and is silent without one', async () => {
    await using agent = await fakeAgent(agentAnswers);
    assert.deepEqual(await offered(`berth --run-dir ${agent.runDir} network inspect s`, '/nonexistent'), ['shop']);
    assert.deepEqual(await offered('berth network inspect s', '/nonexistent'), []);
  });
});

describe('bin/berth', () => {
  /** A checkout with nothing in it but the script, and a program that says how it was called. */
  function tree(name: string): string {
    const root = join(folder, name);
    mkdirSync(join(root, 'bin'), { recursive: true });
    mkdirSync(join(root, 'dist'));
    copyFileSync(join(checkout, 'bin/berth'), join(root, 'bin/berth'));
    writeFileSync(join(root, 'dist/berth.mjs'), 'console.log(process.argv.slice(2).join("|"));');
    return root;
  }
  const start = (file: string, args: string[], env: Record<string, string> = {}) =>
    spawnSync(file, args, { encoding: 'utf8', cwd: '/', env: { PATH: '/usr/bin:/bin', ...env } });

  it('hands its arguments on as they are', () => {
    const root = tree('plain');
    const { stdout } = start(join(root, 'bin/berth'), ['a b', '', '*'], { BERTH_NODE: process.execPath });
    assert.equal(stdout, 'a b||*\n');
  });

  it('finds its root through symbolic links, relative ones too', () => {
    const root = tree('linked');
    mkdirSync(join(folder, 'usr/bin'), { recursive: true });
    symlinkSync('../../linked/bin/berth', join(folder, 'usr/bin/berth'));
    symlinkSync(join(folder, 'usr/bin/berth'), join(folder, 'b'));
    const { stdout, stderr } = start(join(folder, 'b'), ['x'], { BERTH_NODE: process.execPath });
    assert.equal(stderr, '');
    assert.equal(stdout, 'x\n');
    assert.ok(root);
  });

  it('prefers the Node that is installed beside it', () => {
    const root = tree('installed');
    script(join(root, 'node'), '#!/bin/sh\necho "own node"\n');
    assert.equal(start(join(root, 'bin/berth'), []).stdout, 'own node\n');
  });

  it('refuses a Node that is too old, and says what to do', () => {
    const root = tree('old');
    const old = join(folder, 'old-bin');
    mkdirSync(old);
    script(join(old, 'node'), '#!/bin/sh\nexit 1\n');
    const { status, stderr } = start(join(root, 'bin/berth'), [], { PATH: `${old}:/usr/bin:/bin` });
    assert.equal(status, 1);
    assert.match(stderr, /needs Node 24 or later, and this machine has .*old-bin\/node\n {2}next: set BERTH_NODE/);
  });

  it('says when nothing was built', () => {
    const root = tree('unbuilt');
    rmSync(join(root, 'dist'), { recursive: true });
    const { status, stderr } = start(join(root, 'bin/berth'), []);
    assert.equal(status, 1);
    assert.match(stderr, /has not been built.*\n {2}next: make -C .* build\n/);
  });
});

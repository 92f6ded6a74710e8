import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { agentClient } from './client.ts';
import { Failure } from './failure.ts';
import { berth, fakeAgent, sendError } from './fake-agent.ts';

/** Every error is two lines: what failed and why, and what to do next. */
const shape = /^berth: [^\n]+[^.\n]\n( {2}similar: [^\n]+\n)? {2}next: [^\n]+\n$/;

describe('a wrong command line', () => {
  const cases: readonly (readonly [words: string[], what: RegExp])[] = [
    [['netwrok'], /unknown command 'netwrok'\n.*Did you mean network\?/],
    [['network', 'inspct'], /unknown command 'inspct'\n.*inspect/],
    [['endpoint', 'rm', 'x'], /unknown command 'rm'\n {2}next: Endpoints are made and removed with: docker network/],
    [['attachment', 'add'], /next: Attachments are made and removed with: berth attach, berth detach\n/],
    [['reservation', 'delete'], /next: Reservations are made and removed with: berth reserve, berth unreserve\n/],
    [['reservations'], /unknown command 'reservations'\n.*Did you mean reservation\?/],
    [['unresreve'], /Did you mean unreserve\?/],
    [['attach'], /missing required argument 'container'/],
    [['reserve'], /missing required argument 'address'/],
    [['network', 'inspect'], /missing required argument 'network'/],
    [['audit', '--repare'], /unknown option '--repare'\n.*--repair/],
    [['network', 'ls', 'more'], /too many arguments/],
    [['completion', 'tcsh'], /Allowed choices are bash, zsh, fish/],
    [['status', '--run-dir'], /argument missing/],
    [['--frobnicate'], /unknown option/],
  ];
  for (const [words, what] of cases) {
    it(`berth ${words.join(' ')}`, async () => {
      const { code, stdout, stderr } = await berth(words);
      assert.equal(code, 2);
      assert.equal(stdout, '');
      assert.match(stderr, what);
      assert.match(stderr, /^berth: [^\n]+\n {2}next: [^\n]+\n$/);
    });
  }

  it('a group without a command shows what there is', async () => {
    const { code, stderr } = await berth(['network']);
    assert.equal(code, 2);
    assert.match(stderr, /inspect\|show/);
  });
});

describe('help and version are no errors', () => {
  for (const words of [[], ['--help'], ['help'], ['network', 'ls', '--help'], ['help', 'audit'], ['--version']]) {
    it(`berth ${words.join(' ')}`, async () => {
      const { code, stdout, stderr } = await berth(words);
      assert.deepEqual([code, stderr], [0, '']);
      assert.notEqual(stdout, '');
    });
  }
});

describe('an agent that is not there', () => {
  it('because nothing was ever started', async () => {
    const { code, stderr } = await berth(['network', 'ls', '--run-dir', '/nonexistent/']);
    assert.equal(code, 3);
    assert.match(stderr, /there is no \/nonexistent\/berth\.sock\n.*systemctl start berth/);
    assert.match(stderr, shape);
  });

  it('because its socket is no socket', async () => {
    const runDir = mkdtempSync(join(tmpdir(), 'berth-cli-'));
    writeFileSync(join(runDir, 'berth.sock'), '');
    const { code, stderr } = await berth(['status', '--run-dir', runDir]);
    rmSync(runDir, { recursive: true });
    assert.equal(code, 3);
    assert.match(stderr, /nothing listens on/);
    assert.match(stderr, shape);
  });
});

describe('an agent that answers badly', () => {
  const answer = (send: (response: ServerResponse) => void) => ({
    'GET /v1/networks': (_: unknown, response: ServerResponse) => send(response),
  });
  const cases: readonly (readonly [
    name: string,
    send: (response: ServerResponse) => void,
    code: number,
    text: RegExp,
  ])[] = [
    [
      'with an error',
      (response) => sendError(response, 503, 'STORE_UNAVAILABLE', 'the disk is gone'),
      1,
      /the disk is gone\n {2}next: Do what STORE/,
    ],
    ['with what is not JSON', (response) => response.end('<html>'), 3, /not a Berth agent/],
    [
      'with an error of another kind',
      (response) => response.writeHead(500).end('{"message":"x"}'),
      3,
      /not a Berth agent/,
    ],
    ['with nothing', (response) => response.end(), 3, /not a Berth agent/],
    ['and dies before', (response) => response.destroy(), 3, /ended in the middle/],
    [
      'and dies within',
      (response) => {
        response.writeHead(200, { 'content-length': 100 }).write('[');
        setImmediate(() => response.destroy());
      },
      3,
      /ended in the middle|no answer/,
    ],
  ];
  for (const [name, send, expected, text] of cases) {
    it(name, async () => {
      await using agent = await fakeAgent(answer(send));
      const { code, stdout, stderr } = await berth(['network', 'ls', '--run-dir', agent.runDir]);
      assert.equal(stdout, '');
      assert.match(stderr, text);
      assert.match(stderr, shape);
      assert.equal(code, expected);
    });
  }

  it('in another language', async (t) => {
    const runDir = mkdtempSync(join(tmpdir(), 'berth-cli-'));
    const server = createServer((socket) => socket.end('220 smtp ready\r\n'));
    await new Promise<void>((resolve) => server.listen(join(runDir, 'berth.sock'), resolve));
    t.after(() => {
      server.close();
      rmSync(runDir, { recursive: true });
    });
    const { code, stderr } = await berth(['status', '--run-dir', runDir]);
    assert.match(stderr, /not a Berth agent/);
    assert.equal(code, 3);
  });

  it('never', async () => {
    await using agent = await fakeAgent(answer(() => undefined));
    const client = agentClient(join(agent.runDir, 'berth.sock'), 50);
    await assert.rejects(client.get('/v1/networks'), (error: Failure) => {
      assert.match(error.message, /did not answer within 0\.05 s/);
      return error instanceof Failure && error.exitCode === 3;
    });
  });

  it('without an end', async () => {
    await using agent = await fakeAgent(answer((response) => response.writeHead(200).write('[')));
    const client = agentClient(join(agent.runDir, 'berth.sock'), 50);
    await assert.rejects(client.get('/v1/networks'), /did not answer within/);
  });
});

it('progress: a line on a terminal after a second, gone at the end', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const answered = Promise.withResolvers<ServerResponse>();
  await using agent = await fakeAgent({
    'POST /v1/audit': (_: unknown, response: ServerResponse) => answered.resolve(response),
  });
  const running = berth(['audit', '--run-dir', agent.runDir], { tty: true });
  const response = await answered.promise;
  t.mock.timers.tick(2000);
  response.end('[]');
  const { stderr, stdout } = await running;
  assert.equal(stderr, '\r\x1b[Kcomparing … 1 s\r\x1b[Kcomparing … 2 s\r\x1b[K');
  assert.match(stdout, /no drift/);
});

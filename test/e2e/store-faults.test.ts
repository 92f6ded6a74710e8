/**
 * The state file's disk is full or hangs, and the file itself is damaged, from the future, or taken: Docker gets a sentence in
 * time, running containers notice nothing, the file is not touched, and once the fault is over all is as it should be.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, test } from 'node:test';
import { type ErrorCode, errorCatalogue } from '../../src/model/errors.ts';
import type { Host } from './bed/host.ts';
import { waitFor } from './bed/process.ts';
import { ask, assertPlainError, failingStart, pluginCall, settled } from './suites/agent.ts';
import { addressOf, docker, dockerFails, reaches, start } from './suites/containers.ts';
import { setStage } from './suites/stage.ts';

const ENGINE = '20.10';
/** Short, so that what is left over is freed while the test looks on. */
const FLAGS = ['--gc-grace', '1', '--audit-interval', '1', '--linger', '0'];
const STATE = '/var/lib/berth';
/** Seconds: whoever waited for the disk would wait longer than anybody here does. */
const DISK_HANGS = 90;

/** Two containers on a network of Berth, and one on a network of the engine. */
async function populate(host: Host): Promise<void> {
  await docker(host, 'network create -d berth --ipam-driver berth --subnet 10.88.0.0/24 net');
  await start(host, 'one', '--network net');
  await start(host, 'two', '--network net');
  await docker(host, 'network create theirs');
  await start(host, 'other', '--network theirs');
}

/** A `docker run` that must fail, with what it said, within so many seconds. */
async function runFails(host: Host, flags: string, most = 10): Promise<string> {
  const before = performance.now();
  const said = await dockerFails(host, `run --rm ${flags} ${await host.image()} true`);
  const seconds = (performance.now() - before) / 1000;
  assert.ok(seconds < most, `docker run took ${seconds.toFixed(1)} s`);
  assert.doesNotMatch(said, /\n\s+at /);
  return said;
}

const problemsOf = async (host: Host): Promise<string> => (await ask(host, '/health')).problems.join('\n');

describe('the disk of the state file is full', () => {
  const stage = setStage(ENGINE, async (bed, engine) => {
    const host = await bed.host('h1', { engine });
    await host.sh(`mount -t tmpfs -o size=2m none ${STATE}`);
    await host.startBerth(FLAGS);
    return { host };
  });

  test('what needs it fails with a sentence, everything else goes on, and nothing is left once there is room', async () => {
    const { host } = stage();
    await populate(host);
    const one = await addressOf(host, 'one');
    await host.sh(`dd if=/dev/zero of=${STATE}/fill bs=4k 2>/dev/null || true; echo >>${STATE}/fill`, { check: false });

    assert.match(await runFails(host, '--network net'), /no space is left on the disk of \/var\/lib\/berth\/berth\.db/);
    assert.match(
      await dockerFails(host, 'network create -d berth --ipam-driver berth more'),
      /no space is left on the disk/,
    );
    const status = await host.berth('status');
    assert.equal(status.code, 1, status.stdout);
    assert.match(status.stdout, /^not healthy\n {2}! no space is left on the disk/);
    assert.equal((await host.berthApi('/health')).status, 503);
    await reaches([host, 'one'], await addressOf(host, 'two'));
    await docker(host, `run --rm --network theirs ${await host.image()} true`);
    // Docker does not wait for our consent to a removal.
    await docker(host, 'rm -f two');
    await reaches([host, 'one'], '10.88.0.1');

    await host.sh(`rm ${STATE}/fill`);
    await settled(host, ['one'], [one]);
    await waitFor('the agent to be healthy', async () => (await problemsOf(host)) === '');
    await start(host, 'three', '--network net');
    await reaches([host, 'one'], await addressOf(host, 'three'));
    assert.equal(await addressOf(host, 'three'), '10.88.0.3');
  });
});

describe('the disk of the state file hangs', () => {
  const IMAGE = '/var/tmp/disk.img';
  const stage = setStage(ENGINE, async (bed, engine) => {
    const host = await bed.host('h1', { engine });
    await host.sh(`truncate -s 24M ${IMAGE}; mkfs.ext4 -q ${IMAGE}; mount -o loop ${IMAGE} ${STATE}`);
    await host.startBerth(FLAGS);
    return { host };
  });

  /** Whatever becomes of this test, and of the host: a process outside of both thaws the disk, unless it is told that it need not. */
  function thawLater(host: Host, seconds: number): () => void {
    const script = `sleep ${seconds}; fsfreeze -u ${STATE} 2>/dev/null`;
    const options = { stdio: 'ignore', detached: true } as const;
    const thawing = spawn('nsenter', ['-t', `${host.pid()}`, '-m', '--', 'sh', '-c', script], options);
    thawing.unref();
    return () => process.kill(-thawing.pid!);
  }

  test('each call is answered in ten seconds, nobody else waits, and all is well when it goes on', async () => {
    const { host } = stage();
    await populate(host);
    const one = await addressOf(host, 'one');
    const network = (await ask(host, '/v1/networks'))[0]!.id;
    const [endpoint] = (await ask(host, '/v1/endpoints')).filter(({ addresses }) => addresses[0] === '10.88.0.3/24');
    const neverMind = thawLater(host, DISK_HANGS);
    await host.sh(`fsfreeze -f ${STATE}`);
    const began = performance.now();

    const pool = { PoolID: 'berth/10.88.0.0-24' };
    const calls: readonly (readonly [method: string, body: object])[] = [
      ['IpamDriver.RequestPool', { AddressSpace: 'berth', Pool: '10.89.0.0/24' }],
      ['IpamDriver.ReleasePool', pool],
      ['IpamDriver.RequestAddress', pool],
      ['IpamDriver.ReleaseAddress', { ...pool, Address: '10.88.0.3' }],
      ['NetworkDriver.CreateNetwork', { NetworkID: 'c'.repeat(64), IPv4Data: [{ Pool: '10.90.0.0/24' }] }],
      ['NetworkDriver.DeleteNetwork', { NetworkID: 'd'.repeat(64) }],
      [
        'NetworkDriver.CreateEndpoint',
        { NetworkID: network, EndpointID: 'e'.repeat(64), Interface: { Address: '10.88.0.77/24' } },
      ],
      [
        'NetworkDriver.Join',
        { NetworkID: network, EndpointID: endpoint!.id, SandboxKey: endpoint!.sandbox ?? '/var/run/docker/netns/x' },
      ],
      ['NetworkDriver.Leave', { NetworkID: network, EndpointID: 'f'.repeat(64) }],
      ['NetworkDriver.DeleteEndpoint', { NetworkID: network, EndpointID: 'f'.repeat(64) }],
    ];
    const working = Promise.all(
      calls.map(async ([method, body]) => ({ method, ...(await pluginCall(host, method, body)) })),
    );
    // Docker asks for one address of a network at a time: the second waits for the first.
    const running = Promise.all([runFails(host, '--network net', 40), runFails(host, '--network net', 40)]);
    let answered = false;
    void working.then(
      () => (answered = true),
      () => (answered = true),
    );
    // What does not need the file waits for none of these calls.
    await docker(host, 'ps');
    await reaches([host, 'one'], '10.88.0.3');
    assert.equal((await host.berth('network', 'ls')).code, 0);
    assert.equal(answered, false, 'nobody waits for a call that hangs');
    await docker(host, `run --rm --network theirs ${await host.image()} true`);
    for (const { method, status, json, milliseconds } of await working) {
      assert.equal(status, 200, method);
      // The agent gives up after 9.5 s; on a busy machine its answer takes a while to get here.
      assert.ok(milliseconds < 15_000, `${method} took ${milliseconds} ms`);
      const message = json?.Err;
      if (typeof message === 'string')
        assert.match(message, /the state file .* did not answer in \d+ ms|no result within/, method);
    }
    for (const said of await running)
      assert.match(said, /the state file \/var\/lib\/berth\/berth\.db did not answer in 5000 ms|no result within/);
    await docker(host, 'rm -f two');
    const status = await host.berth('status');
    assert.equal(status.code, 1, status.stderr);
    assert.match(status.stdout, /^not healthy\n {2}! the state file .* did not answer/);
    await reaches([host, 'one'], '10.88.0.1');
    assert.ok(performance.now() - began < (DISK_HANGS - 1) * 1000, 'the disk hung during all of this');

    await host.sh(`fsfreeze -u ${STATE}`);
    neverMind();
    await settled(host, ['one'], [one]);
    await waitFor('the agent to be healthy', async () => (await problemsOf(host)) === '');
    await start(host, 'three', '--network net');
    await reaches([host, 'one'], await addressOf(host, 'three'));
  });
});

describe('the state file is damaged, from the future, or taken', () => {
  const FILE = `${STATE}/berth.db`;
  const stage = setStage(ENGINE, async (bed, engine) => {
    const host = await bed.host('h1', { engine });
    await host.startBerth(FLAGS);
    return { host };
  });

  /** On a copy: SQLite does not open what lies behind a link of /proc. */
  function alter(file: string, sql: string): void {
    const folder = mkdtempSync(join(tmpdir(), 'berth-alter-'));
    const copy = join(folder, 'copy.db');
    copyFileSync(file, copy);
    const database = new DatabaseSync(copy);
    database.exec(sql);
    database.close();
    copyFileSync(copy, file);
    rmSync(folder, { recursive: true });
  }

  const damages: readonly {
    readonly name: string;
    readonly code: string;
    readonly sentence: RegExp;
    readonly damage: (file: string) => void;
  }[] = [
    {
      name: 'a page of it is noise',
      code: 'STORE_CORRUPT',
      sentence: /the state file \/var\/lib\/berth\/berth\.db is damaged: /,
      damage: (file) => {
        const bytes = readFileSync(file);
        bytes.set(randomBytes(4096), 2 * 4096);
        writeFileSync(file, bytes);
      },
    },
    {
      name: 'its end is missing',
      code: 'STORE_CORRUPT',
      sentence: /is damaged: /,
      damage: (file) => truncateSync(file, Math.floor(statSync(file).size / 8192) * 4096),
    },
    {
      name: 'it is not a database',
      code: 'STORE_CORRUPT',
      sentence: /is damaged: file is not a database$/,
      damage: (file) => writeFileSync(file, 'Dear diary, '.repeat(1000)),
    },
    {
      name: 'a later version made it',
      code: 'STORE_NEWER',
      sentence: /has layout 99; this version of Berth knows \d+$/,
      damage: (file) => alter(file, 'PRAGMA user_version = 99'),
    },
    {
      name: 'a later version wrote into it',
      code: 'STORE_NEWER',
      sentence: /berth\/network\/\S+ .*version/,
      damage: (file) =>
        alter(file, `UPDATE kv SET value = json_set(value, '$.version', 99) WHERE key LIKE 'berth/network/%'`),
    },
    {
      name: 'a record in it is cut off',
      code: 'STORE_CORRUPT',
      sentence: /berth\/endpoint\/\S+ in the store is not JSON$/,
      damage: (file) => alter(file, `UPDATE kv SET value = substr(value, 1, 40) WHERE key LIKE 'berth/endpoint/%'`),
    },
    {
      name: 'its journal is cut off',
      code: 'STORE_CORRUPT',
      sentence: /berth\/journal\/h1\/x in the store is not JSON$/,
      damage: (file) => alter(file, `INSERT INTO kv VALUES ('berth/journal/h1/x', '{"name', 1, 1, NULL)`),
    },
  ];

  const fingerprint = (host: Host): string =>
    readdirSync(host.path(STATE))
      // Looking at a file makes shared memory for it, and an empty journal.
      .filter((name) => !name.endsWith('-shm') && statSync(join(host.path(STATE), name)).size > 0)
      .map(
        (name) =>
          `${name} ${createHash('sha256')
            .update(readFileSync(join(host.path(STATE), name)))
            .digest('hex')}`,
      )
      .join('\n');

  test('the agent says so and touches nothing; containers and engine go on', async () => {
    const { host } = stage();
    await populate(host);
    const two = await addressOf(host, 'two');
    assert.equal(await host.stopBerth(), 0);
    const file = host.path(FILE);
    const intact = readFileSync(file);
    for (const { name, code, sentence, damage } of damages) {
      damage(file);
      const damaged = fingerprint(host);
      const { code: exit, output } = await failingStart(host, FLAGS);
      assert.equal(exit, 1, `${name}: ${output}`);
      assertPlainError(output, sentence);
      assert.ok(output.includes(errorCatalogue[code as ErrorCode].next), `${name}: ${output}`);
      assert.equal(fingerprint(host), damaged, `${name}: the files were changed`);
      // No name is left behind which nobody answers: the engine would wait for it.
      assert.deepEqual(readdirSync(host.path('/run/docker/plugins')), [], name);
      writeFileSync(file, intact);
    }
    await docker(host, `run --rm --network theirs ${await host.image()} true`);
    await reaches([host, 'one'], two);
    await host.startBerth(FLAGS);
    await settled(host, ['one', 'two'], ['10.88.0.2', '10.88.0.3']);
  });

  test('two agents do not share a state folder, nor a plugin name', async () => {
    const { host } = stage();
    await populate(host);
    const other = ['--run-dir', '/run/other', '--plugin-dir', '/run/other/plugins', ...FLAGS];
    const locked = await failingStart(host, other);
    assert.equal(locked.code, 1, locked.output);
    assertPlainError(locked.output, /the state file \/var\/lib\/berth\/berth\.db is in use by another process/);
    const taken = await failingStart(host, ['--state-dir', '/var/lib/other', '--run-dir', '/run/other', ...FLAGS]);
    assert.equal(taken.code, 1, taken.output);
    assertPlainError(taken.output, /another process listens on \/run\/docker\/plugins\/berth\.sock$/);
    const api = await failingStart(host, [
      '--state-dir',
      '/var/lib/other',
      '--plugin-dir',
      '/run/other/plugins',
      ...FLAGS,
    ]);
    assert.equal(api.code, 1, api.output);
    assertPlainError(api.output, /another process listens on \/run\/berth\/berth\.sock$/);
    // The one that was there first has noticed nothing.
    assert.equal((await host.berth('status')).code, 0);
    await start(host, 'three', '--network net');
    await reaches([host, 'three'], await addressOf(host, 'one'));
    assert.deepEqual(JSON.parse((await host.berth('audit', '--json')).stdout), []);
  });
});

/** One host that shares a store on etcd: its life, and what Docker sees while etcd is killed or frozen. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Host } from './bed/host.ts';
import { type Process, waitFor } from './bed/process.ts';
import { ask, assertPlainError, failingStart, settled } from './suites/agent.ts';
import { addressOf, docker, dockerFails, reaches, start } from './suites/containers.ts';
import { setStage } from './suites/stage.ts';

const STORE = ['--store', 'etcd://127.0.0.1:2379/e2e'];
const FLAGS = [...STORE, '--gc-grace', '1', '--audit-interval', '1', '--linger', '0'];

async function startEtcd(host: Host): Promise<Process> {
  const args = ['--data-dir', '/var/lib/etcd-e2e', '--logger', 'zap', '--log-level', 'warn'];
  const etcd = await host.spawn(['etcd', ...args], { name: 'etcd' });
  await waitFor('etcd to serve', async () => {
    const { code } = await host.exec(['etcdctl', 'get', 'x'], { env: { ETCDCTL_API: '3' }, check: false });
    return code === 0;
  });
  return etcd;
}

/** A `docker run` that must fail, with what it said, in time. */
async function runFails(host: Host): Promise<string> {
  const before = performance.now();
  const said = await dockerFails(host, `run --rm --network net ${await host.image()} true`);
  const milliseconds = performance.now() - before;
  assert.ok(milliseconds < 30_000, `docker run took ${milliseconds} ms`);
  return said;
}

/** A container that comes and goes, whatever becomes of it. */
async function runOnce(host: Host): Promise<void> {
  await host.exec(['docker', 'run', '--rm', '--network', 'net', await host.image(), 'true'], { check: false });
}

const healthy = (host: Host) =>
  waitFor('the agent to be healthy', async () => (await ask(host, '/health')).problems.length === 0);

describe('a host on etcd', () => {
  const servers: { etcd: Process | undefined } = { etcd: undefined };
  const stage = setStage('20.10', async (bed, engine) => {
    const host = await bed.host('h1', { engine });
    servers.etcd = await startEtcd(host);
    await host.startBerth(FLAGS);
    return { host };
  });

  const keysIn = async (host: Host): Promise<string[]> => {
    const args = ['get', '--prefix', '/e2e/', '--keys-only'];
    const { stdout } = await host.exec(['etcdctl', ...args], { env: { ETCDCTL_API: '3' } });
    return stdout.split('\n').filter((line) => line !== '');
  };

  async function populate(host: Host): Promise<void> {
    await docker(host, 'network create -d berth --ipam-driver berth --subnet 10.88.0.0/24 net');
    await start(host, 'one', '--network net');
    await start(host, 'two', '--network net');
  }

  test('lives its life there: create, run, restart of the agent, rm; and leaves nothing', async () => {
    const { host } = stage();
    await populate(host);
    await reaches([host, 'one'], await addressOf(host, 'two'));
    const keys = await keysIn(host);
    assert.ok(keys.some((key) => key.startsWith('/e2e/berth/lease/')));
    assert.deepEqual(
      keys.filter((key) => /\/berth\/(network|endpoint|journal|note)\//.test(key)),
      [],
      'what is of this host alone stays on it',
    );
    assert.deepEqual(
      keys.filter((key) => /\/berth\/(host|agent)\//.test(key)),
      ['/e2e/berth/agent/h1', '/e2e/berth/host/h1'],
    );
    assert.match((await host.berth('status')).stdout, /etcd/);

    await host.killBerth();
    await host.startBerth(FLAGS);
    await start(host, 'three', '--network net');
    await reaches([host, 'three'], await addressOf(host, 'one'));
    await docker(host, 'rm -f one two three');
    await docker(host, 'network rm net');
    await waitFor('the keys to go', async () => {
      const left = await keysIn(host);
      return !left.some((key) => /\/(lease|pool)\//.test(key));
    });
  });

  test('etcd is killed: Docker gets a sentence in time, containers notice nothing, and all goes on when it is back', async () => {
    const { host } = stage();
    await populate(host);
    const one = await addressOf(host, 'one');
    const two = await addressOf(host, 'two');
    await servers.etcd!.stop('SIGKILL');
    assert.match(await runFails(host), /etcd could not do .*connection refused/);
    await reaches([host, 'one'], two);
    await docker(host, 'ps');
    assert.match((await host.berth('status')).stdout, /^not healthy\n {2}! etcd could not do/);
    servers.etcd = await startEtcd(host);
    await healthy(host);
    await settled(host, ['one', 'two'], [one, two]);
    await start(host, 'three', '--network net');
    await reaches([host, 'three'], one);
  });

  test('etcd is frozen while containers start and stop: nothing hangs, and nothing is left over', async () => {
    const { host } = stage();
    await populate(host);
    const one = await addressOf(host, 'one');
    const starting = runOnce(host);
    await servers.etcd!.freeze();
    assert.match(await runFails(host), /etcd could not do|no result within|the hosts share does not answer/);
    const before = performance.now();
    await docker(host, 'rm -f two');
    assert.ok(performance.now() - before < 50_000, `docker rm took ${performance.now() - before} ms`);
    await reaches([host, 'one'], '10.88.0.1');
    servers.etcd!.thaw();
    await starting;
    await healthy(host);
    await settled(host, ['one'], [one]);
    await start(host, 'three', '--network net');
    await reaches([host, 'three'], one);
  });

  test('etcd is away: containers restart with their addresses, also under an agent that was started meanwhile', async () => {
    const { host } = stage();
    await populate(host);
    const [one, two] = [await addressOf(host, 'one'), await addressOf(host, 'two')];
    await servers.etcd!.stop('SIGKILL');
    await waitFor('the agent to notice', async () => (await ask(host, '/health')).problems.length > 0);
    await docker(host, 'restart -t 0 one two');
    assert.deepEqual([await addressOf(host, 'one'), await addressOf(host, 'two')], [one, two]);
    await reaches([host, 'one'], two);

    await host.killBerth();
    await host.startBerth(FLAGS);
    await reaches([host, 'one'], two);
    await docker(host, 'restart -t 0 one');
    assert.equal(await addressOf(host, 'one'), one);
    await reaches([host, 'two'], one);
    await docker(host, 'rm -f two');

    servers.etcd = await startEtcd(host);
    await healthy(host);
    await settled(host, ['one'], [one]);
    await waitFor('the lease of what was removed to go', async () => {
      const left = (await keysIn(host)).filter((key) => key.startsWith('/e2e/berth/lease/'));
      return !left.some((key) => key.endsWith(`=${two}`)) && left.some((key) => key.endsWith(`=${one}`));
    });
    await start(host, 'three', '--network net');
    await reaches([host, 'three'], one);
  });

  test('moves into a state file and back, while containers run; refuses while the agent runs, and what is not empty', async () => {
    const { host } = stage();
    const [etcd, file] = [STORE[1]!, 'sqlite'];
    const local = FLAGS.slice(STORE.length);
    const migrate = (from: string, to: string, ...flags: string[]) =>
      host.berth('store', 'migrate', '--from', from, '--to', to, ...flags);
    await populate(host);
    const [one, two] = [await addressOf(host, 'one'), await addressOf(host, 'two')];

    const refused = await migrate(etcd, file);
    assert.equal(refused.code, 1);
    assertPlainError(refused.stderr, /in use by another process/);
    await host.stopBerth();
    const looked = await migrate(etcd, file, '--dry-run');
    assert.match(looked.stdout, /\d+ to write, 0 to remove\nNothing was changed/);
    const moved = await migrate(etcd, file);
    assert.equal(moved.code, 0, moved.stderr);

    await host.startBerth(local);
    await settled(host, ['one', 'two'], [one, two]);
    await docker(host, 'rm -f two');
    await start(host, 'three', '--network net');
    await reaches([host, 'three'], one);
    const three = await addressOf(host, 'three');
    assertPlainError((await migrate(file, etcd)).stderr, /in use by another process/);

    await host.stopBerth();
    const taken = await migrate(file, etcd);
    assertPlainError(taken.stderr, /the target holds \d+ keys of Berth/);
    const back = await migrate(file, etcd, '--force');
    assert.equal(back.code, 0, back.stderr);
    await host.startBerth(FLAGS);
    await settled(host, ['one', 'three'], [one, three]);
    await start(host, 'four', '--network net');
    await reaches([host, 'four'], one);
  });

  test('refuses the name of another machine that is there, with a sentence', async () => {
    const { host } = stage();
    const beside = ['--state-dir', '/tmp/b', '--run-dir', '/tmp/b', '--plugin-dir', '/tmp/b'];
    const record = JSON.stringify({ version: 1, identity: 'another', berth: '1.0.0' });
    for (const [key, value] of [
      ['host', record],
      ['agent', '{}'],
    ]) {
      await host.exec(['etcdctl', 'put', `/other/berth/${key}/h7`, value!], { env: { ETCDCTL_API: '3' } });
    }
    const other = await failingStart(host, [...beside, '--host', 'h7', '--store', 'etcd://127.0.0.1:2379/other']);
    assertPlainError(other.output, /another machine in the cluster goes by the name 'h7'/);
  });
});

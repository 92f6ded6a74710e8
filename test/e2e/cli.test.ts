/** The command line, against an agent that lives and containers that run. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Host } from './bed/host.ts';
import { unixRequest } from './bed/http.ts';
import { repository } from './bed/machine.ts';
import { waitFor } from './bed/process.ts';
import { addressOf, start } from './suites/containers.ts';
import { setStage } from './suites/stage.ts';

const BERTH = join(repository, 'bin/berth');

interface Finding {
  readonly check: string;
  readonly level: 'ok' | 'warn' | 'fail';
  readonly fix?: string;
}

const json = async <Value>(host: Host, ...args: readonly string[]): Promise<Value> => {
  const { stdout, stderr } = await host.berth(...args, '--json');
  assert.doesNotThrow(() => JSON.parse(stdout), `berth ${args.join(' ')}: ${stdout}${stderr}`);
  return JSON.parse(stdout) as Value;
};

describe('the command line', () => {
  const stage = setStage('20.10', async (bed, engine) => {
    const host = await bed.host('h1', { engine });
    const flags = [
      '--gc-grace',
      '600',
      '--audit-interval',
      '3600',
      '--linger',
      '0',
      '--metrics-address',
      '127.0.0.1:9470',
    ];
    await host.startBerth(flags);
    return { host };
  });

  const setUp = async (): Promise<Host> => {
    const { host } = stage();
    await host.docker('network', 'create', '-d', 'berth', '--ipam-driver', 'berth', '--subnet', '10.66.0.0/24', 'shop');
    await start(host, 'web', '--network shop');
    await waitFor(
      () => 'the agent to know the container by its name',
      async () => (await host.berth('endpoint', 'ls')).stdout.includes('web'),
      30_000,
    );
    return host;
  };

  test('status, ls and inspect show what is there, by name, id and the beginning of an id', async () => {
    const host = await setUp();
    const status = await host.berth('status');
    assert.equal(status.code, 0, status.stderr);
    assert.match(status.stdout, /healthy[\s\S]*1 network, 1 endpoint, 1 pool, 2 leases/);
    const [network] = await json<{ id: string; name: string; subnets: { subnet: string }[] }[]>(host, 'network', 'ls');
    assert.deepEqual([network!.name, network!.subnets[0]!.subnet], ['shop', '10.66.0.0/24']);
    for (const wanted of ['shop', network!.id, network!.id.slice(0, 12)]) {
      assert.deepEqual(
        (await json<{ id: string }[]>(host, 'network', 'inspect', wanted)).map(({ id }) => id),
        [network!.id],
      );
    }
    const [endpoint] = await json<{ addresses: string[]; mac: string }[]>(host, 'endpoint', 'inspect', 'web');
    assert.deepEqual(endpoint!.addresses, [`${await addressOf(host, 'web')}/24`]);
    const [pool] = await json<{ id: string; leases: number }[]>(host, 'pool', 'ls');
    assert.equal(pool!.leases, 2);
    assert.equal((await json<unknown[]>(host, 'pool', 'inspect', pool!.id)).length, 1);
    const lease = await host.berth('lease', 'inspect', '10.66.0.2');
    assert.match(lease.stdout, /web/);
  });

  test('a beginning that several ids share is no name', async () => {
    const host = await setUp();
    // Of 17 ids two begin alike.
    for (let n = 0; n < 16; n++) await host.docker('network', 'create', '-d', 'berth', `n${n}`);
    const ids = (await json<{ id: string }[]>(host, 'network', 'ls')).map(({ id }) => id);
    const shared = ids.map((id) => id[0]!).find((letter, index, all) => all.indexOf(letter) !== index)!;
    const { code, stderr } = await host.berth('network', 'inspect', shared);
    assert.equal(code, 4);
    assert.match(stderr, new RegExp(`networks have an id that begins with '${shared}'`));
  });

  test('what is not there has an exit code of its own, and near names', async () => {
    const host = await setUp();
    const { code, stderr } = await host.berth('network', 'inspect', 'shopp');
    assert.equal(code, 4);
    assert.match(stderr, /there is no network 'shopp'; did you mean shop\?/);
    assert.equal((await host.berth('netwrok', 'ls')).code, 2);
    assert.equal((await host.exec([BERTH, 'status', '--run-dir', '/nowhere'], { check: false })).code, 3);
  });

  test('audit finds what no event tells of, and mends it', async () => {
    const host = await setUp();
    await host.net(['sysctl', '-qw', 'net.ipv4.ip_forward=0']);
    const found = await host.berth('audit');
    assert.equal(found.code, 1);
    assert.match(found.stdout, /net\/ipv4\/ip_forward/);
    assert.equal((await host.berth('audit', '--repair')).code, 0);
    assert.equal((await host.net(['sysctl', '-n', 'net.ipv4.ip_forward'])).stdout.trim(), '1');
    assert.deepEqual(await json(host, 'audit'), []);
  });

  test('gc shows first, and frees only when told', async () => {
    const host = await setUp();
    const [pool] = await json<{ id: string }[]>(host, 'pool', 'ls');
    // An address that no container ever uses, as after an engine that died between two requests.
    const request = { PoolID: pool!.id, Address: '10.66.0.77', Options: null };
    const socket = host.path('/run/docker/plugins/berth.sock');
    const { body } = await unixRequest(socket, '/IpamDriver.RequestAddress', { method: 'POST', body: request });
    assert.deepEqual(JSON.parse(body), { Address: '10.66.0.77/24', Data: {} });
    const garbage = async (...args: string[]) =>
      (await json<{ kind: string; id: string; removed: boolean }[]>(host, 'gc', ...args)).map(
        ({ kind, id, removed }) => `${kind} ${id.split(' ')[1]} ${removed}`,
      );
    assert.deepEqual(await garbage(), ['lease 10.66.0.77 false']);
    assert.deepEqual(await garbage('--apply'), ['lease 10.66.0.77 true']);
    assert.deepEqual(await garbage(), []);
  });

  test('events are followed as they happen', async () => {
    const host = await setUp();
    const following = await host.spawn([BERTH, 'events', '--json'], {
      env: { BERTH_RUN_DIR: '/run/berth' },
      name: 'events',
    });
    await waitFor(
      () => 'an event to be printed',
      async () => {
        await host.docker('network', 'create', '-d', 'berth', 'other');
        await host.docker('network', 'rm', 'other');
        return (await following.output()).includes('network.created');
      },
      30_000,
    );
    await start(host, 'late', '--network shop');
    const endpoints = await json<{ container?: string; link: string }[]>(host, 'endpoint', 'ls');
    await host.ip(`link set ${endpoints.find(({ container }) => container === 'late')!.link} nomaster`);
    await following.waitForOutput(/"drift\.repaired"/);
    await following.stop('SIGTERM');
    const lines = (await following.output()).trim().split('\n');
    const seen = lines.map((line) => JSON.parse(line) as { event: string; message: string });
    for (const { event } of seen) assert.match(event, /^[a-z]+\.[a-z]+$/);
    assert.ok(seen.some(({ event }) => event === 'endpoint.attached'));
    const drift = seen.find(({ event }) => event === 'drift.repaired');
    assert.match(drift!.message, /^link bv[0-9a-f]+ is different \(master .*\) and was repaired$/);
  });

  test('completion knows the names of what is there', async () => {
    const host = await setUp();
    const script = `source <(${BERTH} completion bash); COMP_WORDS=(berth network inspect sh); COMP_CWORD=3; COMP_LINE="berth network inspect sh"; COMP_POINT=\${#COMP_LINE}
$(complete -p berth | sed 's/.*-F \\([^ ]*\\).*/\\1/') berth sh inspect; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = await host.exec(
      ['bash', '-c', `PATH=${BERTH.replace(/\/berth$/, '')}:$PATH; ${script}`],
      { check: false, env: { BERTH_RUN_DIR: '/run/berth' } },
    );
    assert.match(stdout, /^shop\s*$/m, stderr);
  });

  test('metrics and health are served on TCP when asked for', async () => {
    const host = await setUp();
    const get = async (path: string) =>
      (await host.net(['sh', '-c', `printf 'GET ${path} HTTP/1.0\\r\\n\\r\\n' | busybox nc 127.0.0.1 9470`])).stdout;
    assert.match(await get('/metrics'), /berth_objects\{kind="endpoints"\} 1/);
    assert.match(await get('/health'), /200 OK[\s\S]*"healthy":true/);
    assert.match(await get('/v1/status'), /404/);
  });

  test('doctor is content with a good host, and its command mends a bad one', async () => {
    const host = await setUp();
    const wrong = async () => (await json<Finding[]>(host, 'doctor')).filter(({ level }) => level !== 'ok');
    assert.deepEqual(await wrong(), []);
    await host.net(['sysctl', '-qw', 'net.ipv4.ip_forward=0']);
    const [finding, ...others] = await wrong();
    assert.deepEqual([finding?.check, others], ['forwarding', []]);
    await host.net(['sh', '-c', finding!.fix!]);
    assert.deepEqual(await wrong(), []);
  });
});

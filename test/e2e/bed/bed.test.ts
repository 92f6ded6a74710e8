import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Bed, openBed } from './bed.ts';
import { engineVersions } from './engines.ts';
import { outside4, outside6, receivedBytes } from './lan.ts';
import { processState, waitFor } from './process.ts';
import { namespacesOf, remains } from './remains.ts';

async function close(bed: Bed): Promise<string[]> {
  const namespaces = namespacesOf(bed.dir);
  assert.ok(namespaces.size >= 2);
  await bed[Symbol.asyncDispose]();
  return remains(bed.id, namespaces);
}

test('two hosts: containers reach the other host, and the outside', async (t) => {
  await using bed = await openBed('pair');
  bed.watch(t);
  const [h1, h2] = await Promise.all([bed.host('h1'), bed.host('h2')]);
  const image = await h1.image();
  await h1.docker('run', '-d', '--name', 'c1', image, 'sleep', '600');
  for (const address of ['10.8.65.80', outside4]) {
    assert.match(await h1.docker('exec', 'c1', 'ping', '-c', '1', '-W', '2', address), / 0% packet loss/);
  }
  assert.match((await h1.exec(['ping', '-c', '1', outside6])).stdout, / 0% packet loss/);

  // Published ports, across the underlay.
  await h1.docker('run', '-d', '-p', '8080:80', image, 'httpd', '-f', '-h', '/etc');
  const page = await waitFor('the web server', async () => {
    const { code, stdout } = await h2.exec(['wget', '-qO-', 'http://10.8.65.79:8080/group'], { check: false });
    return code === 0 ? stdout : undefined;
  });
  assert.match(page, /^root:/);

  // Hosts are hosts: `docker exec` is in the container, names and files are the host's own.
  assert.match(await h1.docker('exec', 'c1', 'ls', '/bin/busybox'), /busybox/);
  assert.equal((await h1.exec(['hostname'])).stdout.trim(), 'h1');
  await h1.sh('echo here >/etc/berth/note; echo 1 >/var/lib/berth/x; echo 2 >/tmp/y');
  assert.ok(!existsSync('/etc/berth/note'));
  assert.equal((await h2.sh('ls /etc/berth /var/lib/berth /tmp')).stdout.includes('note'), false);
  assert.equal((await h1.sh('touch /usr/x', { check: false })).code, 1);
  assert.equal((await h1.sh('ls /run/netns')).stdout, '');
  assert.deepEqual((await h1.sh('ls /sys/class/net')).stdout.split('\n').includes('eth0'), true);
  assert.deepEqual(await close(bed), []);
});

test('a host comes back from a power failure with its data and its network', async (t) => {
  await using bed = await openBed('power');
  bed.watch(t);
  const host = await bed.host('h1');
  const image = await host.image();
  await host.docker('run', '-d', '--name', 'c1', image, 'sleep', '600');
  await host.sh('echo kept >/var/lib/berth/x; ip link add gone0 type bridge');
  const namespaces = namespacesOf(bed.dir);
  const init = host.pid();
  await host.powerOff();
  assert.equal(host.isOn(), false);
  assert.ok([undefined, 'Z'].includes(processState(init)));
  await assert.rejects(async () => host.exec(['true']), /Machine h1 is off/);

  await host.powerOn();
  await host.startEngine();
  assert.match(await host.docker('ps', '-a', '--format', '{{.Names}} {{.Status}}'), /^c1 Exited \(255\)/);
  await host.docker('start', 'c1');
  assert.match(await host.docker('exec', 'c1', 'ping', '-c', '1', '-W', '2', outside4), / 0% packet loss/);
  assert.equal((await host.sh('cat /var/lib/berth/x')).stdout, 'kept\n');
  assert.equal(existsSync(host.path('/sys/class/net/gone0')), false);

  await host.killEngine();
  await assert.rejects(async () => host.engine(), /not running/);
  await host.startEngine();
  await host.stopEngine();
  await host.startEngine(['--live-restore']);
  assert.equal(JSON.parse((await host.api('/info')).body).LiveRestoreEnabled, true);
  await bed[Symbol.asyncDispose]();
  assert.deepEqual(remains(bed.id, namespaces), []);
});

for (const version of engineVersions) {
  test(`engine ${version} runs containers and Compose`, async (t) => {
    await using bed = await openBed('engine');
    bed.watch(t);
    const host = await bed.host('h1', { engine: version });
    const info = JSON.parse((await host.api('/version')).body);
    assert.match(info.Version, new RegExp(`^${version.replace('.', '\\.')}\\.`));
    assert.ok((await host.docker('version', '--format', '{{.Client.Version}}')).startsWith(version));
    const image = await host.image();
    const iperf = await host.image('iperf3');
    await host.docker('network', 'create', 'n1');
    await host.docker('run', '-d', '--name', 'server', '--network', 'n1', iperf, 'iperf3', '-s');
    assert.match(
      await host.docker('run', '--rm', '--network', 'n1', image, 'ping', '-c', '1', 'server'),
      / 0% packet loss/,
    );
    const report = await host.docker(
      'run',
      '--rm',
      '--network',
      'n1',
      iperf,
      'iperf3',
      '-c',
      'server',
      '-t',
      '1',
      '-J',
    );
    assert.ok(JSON.parse(report).end.sum_received.bits_per_second > 1e6);
    // Enters the container's root, not the machine's.
    assert.equal(await host.docker('exec', 'server', 'cat', '/etc/group'), 'root:x:0:');

    const file = join(host.dir, 'compose.yaml');
    writeFileSync(
      file,
      `services:\n  web:\n    image: ${image}\n    command: sleep 600\n    networks: [n1]\nnetworks:\n  n1: { external: true }\n`,
    );
    await host.compose('-f', file, 'up', '-d');
    assert.match(await host.docker('ps', '--format', '{{.Names}}'), /web/);
    await host.compose('-f', file, 'down', '-t', '1');
    assert.doesNotMatch(await host.docker('ps', '-a', '--format', '{{.Names}}'), /web/);
    assert.deepEqual(await close(bed), []);
  });
}

test('a process stands still while frozen, and its end is seen', async (t) => {
  await using bed = await openBed('freeze');
  bed.watch(t);
  const host = await bed.host('h1', { underlay: false });
  await host.engine().freeze();
  await assert.rejects(host.api('/_ping', { timeout: 500 }), /abort/i);
  host.engine().thaw();
  assert.equal((await host.api('/_ping')).status, 200);

  const sleeper = await host.spawn(['sleep', '600']);
  await sleeper.freeze();
  assert.equal(processState(sleeper.pid), 'T');
  sleeper.thaw();
  assert.equal(await sleeper.stop(), 128 + 15);
  const speaker = await host.spawn(['sh', '-c', 'echo one; echo two >&2; exit 3'], { name: 'speaker' });
  assert.equal(await speaker.exited(), 3);
  assert.equal(await speaker.output(), 'one\ntwo\n');
  await assert.rejects(speaker.waitForOutput(/three/), /ended without writing/);
  await assert.rejects(host.exec(['sleep', '60'], { timeout: 200 }), /no end after 200 ms/);
});

test('a LAN with a gateway, a workstation, and a host on a bridge', async (t) => {
  await using bed = await openBed('lan');
  bed.watch(t);
  const lan = await bed.lan({
    subnet: '192.168.159.0/24',
    gateway: '192.168.159.2',
    subnet6: 'fd59::/64',
    gateway6: 'fd59::2',
  });
  const [ws, host] = await Promise.all([
    lan.machine('ws', '192.168.159.10/24', 'fd59::10/64'),
    bed.host('h1', { underlay: false, start: false }),
  ]);
  const cable = await lan.plug(host, {
    name: 'eth1',
    bridge: 'br0',
    addresses: ['192.168.159.130/24', 'fd59::130/64'],
    gateway: true,
  });
  const reach = async (address: string) =>
    (await host.exec(['ping', '-c', '1', '-W', '1', address], { check: false })).code === 0;
  for (const address of ['192.168.159.10', 'fd59::10', outside4, outside6]) assert.ok(await reach(address), address);
  assert.match((await ws.exec(['ping', '-c', '1', '192.168.159.130'])).stdout, / 0% packet loss/);
  assert.ok(receivedBytes(ws) > 0);
  // The gateway masquerades: from outside there is no way in.
  assert.equal((await lan.outside.exec(['ping', '-c', '1', '-W', '1', '192.168.159.10'], { check: false })).code, 1);

  await cable.pull();
  assert.equal(await reach('192.168.159.10'), false);
  await waitFor('the carrier to go', () => readFileSync(host.path('/sys/class/net/eth1/carrier'), 'utf8') === '0\n');
  await cable.push();
  await waitFor('the LAN to be back', () => reach('192.168.159.10'));

  const server = await lan.outside.netSpawn(['iperf3', '-s', '-1', '--forceflush']);
  await server.waitForOutput(/listening/);
  await ws.net(['iperf3', '-c', outside4, '-t', '1']);
  assert.equal(await server.exited(), 0);
});

test('a host starts Berth, kills it and stops it', async (t) => {
  await using bed = await openBed('berth');
  bed.watch(t);
  const host = await bed.host('h1', { underlay: false, start: false });
  // Stands in for the agent: its sockets only, in the directories it is told.
  const program = join(host.dir, 'agent');
  writeFileSync(
    program,
    `#!/usr/bin/env node
const { createServer } = require('node:http');
const flag = (name) => process.argv[process.argv.lastIndexOf('--' + name) + 1];
console.error('arguments', process.argv.slice(2).join(' '), process.env.BERTH_TEST);
require('node:fs').mkdirSync(flag('run-dir'), { recursive: true });
process.on('SIGTERM', () => process.exit(7));
setTimeout(() => {
  for (const file of [flag('run-dir') + '/berth.sock', ...['berth', 'berth-lan', 'local'].map((name) => flag('plugin-dir') + '/' + name + '.sock')]) {
    require('node:fs').rmSync(file, { force: true });
    createServer((request, response) => response.writeHead(503).end('{"healthy":false,"problems":["x"]}')).listen(file);
  }
}, 200);
`,
    { mode: 0o755 },
  );
  const agent = await host.startBerth(['--run-dir', '/run/other'], { BERTH_TEST: 'yes' }, { program });
  assert.match(await agent.output(), /^arguments agent --state-dir \/var\/lib\/berth .*yes$/m);
  assert.equal((await host.berthApi('/health')).status, 503);
  await host.killBerth();
  assert.equal(await agent.exited(), 128 + 9);
  await host.startBerth([], {}, { program });
  assert.equal(await host.stopBerth(), 7);
  await assert.rejects(host.startBerth([], {}, { program: join(host.dir, 'log') }), /The agent on h1 ended with/);
});

test('a failing test shows what the programs have logged since it began', async () => {
  await using bed = await openBed('watch');
  const host = await bed.host('h1', { underlay: false, start: false });
  await (await host.spawn(['echo', 'before'], { name: 'talk' })).exited();
  for (const passed of [true, false]) {
    const lines: string[] = [];
    let after = () => {};
    bed.watch({
      after: (action: unknown) => (after = action as () => void),
      diagnostic: (line: string) => lines.push(line),
      passed,
    } as never);
    await (await host.spawn(['echo', 'during'], { name: 'talk' })).exited();
    after();
    assert.deepEqual(lines, passed ? [] : ['h1/log/talk.log:\nduring']);
  }
});

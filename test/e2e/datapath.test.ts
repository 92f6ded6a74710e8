/**
 * Promise 3 and 4: the kernel is as declared, whoever changed it, within two seconds; and traffic does not notice when the
 * agent is killed, is away, and comes back.
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Host } from './bed/host.ts';
import { waitFor } from './bed/process.ts';
import { mendedInTime } from './suites/agent.ts';
import { addressOf, enter, interfaces, reaches, start } from './suites/containers.ts';
import { setStage } from './suites/stage.ts';

const ENGINE = '20.10';

interface EndpointRow {
  readonly container?: string;
  readonly link: string;
  readonly sandboxInterface?: string;
}

const api = async <Value>(host: Host, path: string): Promise<Value> =>
  JSON.parse((await host.berthApi(path)).body) as Value;

async function endpointOf(host: Host, container: string): Promise<EndpointRow> {
  let rows: EndpointRow[] = [];
  await waitFor(
    () => `the agent to know where ${container} is plugged in: ${JSON.stringify(rows)}`,
    async () => {
      rows = await api<EndpointRow[]>(host, '/v1/endpoints');
      return rows.some((row) => row.container === container && row.sandboxInterface !== undefined);
    },
    30_000,
  );
  return rows.find((row) => row.container === container)!;
}

async function counter(host: Host, name: string): Promise<number> {
  const { body } = await host.berthApi('/metrics');
  const rows = body.split('\n').filter((line) => line.startsWith(name) && line.includes('repaired="true"'));
  return rows.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

describe('what somebody else changes is put back within two seconds, and counted', () => {
  const stage = setStage(ENGINE, async (bed, engine) => {
    const host = await bed.host('h1', { engine });
    // A rolling pass would mend it too: only kernel events may, here.
    await host.startBerth(['--audit-interval', '3600', '--linger', '0']);
    return { host };
  });

  const damages = [
    { name: 'the bridge is set down', damage: 'link set BRIDGE down' },
    { name: 'the MTU of the bridge is changed', damage: 'link set BRIDGE mtu 1300' },
    { name: 'the gateway is taken off the bridge', damage: 'address flush dev BRIDGE' },
    { name: 'the bridge is deleted', damage: 'link delete BRIDGE' },
    { name: "a container's port is taken off the bridge", damage: 'link set PORT nomaster' },
    { name: "a container's port is set down", damage: 'link set PORT down' },
    { name: "the MTU of a container's port is changed", damage: 'link set PORT mtu 1300' },
    { name: "a container's link is deleted, with the end in the container", damage: 'link delete PORT' },
  ] as const;
  for (const { name, damage } of damages) {
    test(name, async () => {
      const { host } = stage();
      const { bridge, port } = await setUp(host);
      const before = await counter(host, 'berth_drifts_total');
      const damaging = damage.replace('BRIDGE', bridge).replace('PORT', port);
      await mendedInTime(
        () => host.ip(damaging),
        () => whole(host),
      );
      assert.ok((await counter(host, 'berth_drifts_total')) > before, 'the drift was counted');
    });
  }

  const filters = [
    { name: 'the whole table is deleted', damage: 'delete table inet berth' },
    { name: 'all rules are flushed', damage: 'flush table inet berth' },
    { name: 'a chain is flushed', damage: 'flush chain inet berth postrouting' },
    { name: 'the networks are taken out of a set', damage: 'flush set inet berth networks' },
  ] as const;
  for (const { name, damage } of filters) {
    test(`packet filter: ${name}`, async () => {
      const { host } = stage();
      await setUp(host);
      const intact = await ruleset(host);
      const before = await counter(host, 'berth_drifts_total');
      await mendedInTime(
        () => host.net(['nft', damage]),
        () => waitFor('the packet filter to be as it was', async () => (await ruleset(host)) === intact),
      );
      assert.ok((await counter(host, 'berth_drifts_total')) > before, 'the drift was counted');
    });
  }

  test('a flushed forwarding database is learnt again without loss', async () => {
    const { host } = stage();
    const { bridge } = await setUp(host);
    await host.net(['bridge', 'fdb', 'flush', 'dev', bridge], { check: false });
    await whole(host);
  });

  test('what differs is shown by berth audit, and mended by --repair', async () => {
    const { host } = stage();
    const { bridge } = await setUp(host);
    await host.agent().freeze();
    await host.ip(`link set ${bridge} mtu 1300`);
    host.agent().thaw();
    // Events that came in while it stood still are worked off first; either way the end is the same.
    const shown = await host.berth('audit', '--repair', '--json');
    assert.equal(shown.code, 0, shown.stderr);
    await whole(host);
    const clean = await host.berth('audit', '--json');
    assert.deepEqual([clean.code, JSON.parse(clean.stdout)], [0, []]);
  });
});

describe('traffic does not notice the agent', () => {
  const stage = setStage(ENGINE, async (bed, engine) => {
    const host = await bed.host('h1', { engine });
    await host.image('iperf3');
    await host.startBerth();
    return { host };
  });

  for (const [name, end] of [
    ['killed', (host: Host) => host.killBerth()],
    ['stopped', async (host: Host) => void (await host.stopBerth())],
  ] as const) {
    test(`an iperf3 stream and a ping lose nothing while it is ${name} and starts again`, async () => {
      const { host } = stage();
      await host.docker('network', 'create', '-d', 'berth', '--ipam-driver', 'berth', 'net');
      const image = await host.image('iperf3');
      await host.docker('run', '-d', '--name', 'server', '--network', 'net', image, 'iperf3', '-s');
      await host.docker('run', '-d', '--name', 'client', '--network', 'net', image, 'sleep', '1000000');
      const server = await addressOf(host, 'server');
      await reaches([host, 'client'], server);

      const before = await linksOf(host);
      const ping = enter(host, 'client', 'busybox', 'ping', '-i', '0.02', '-c', '200', server);
      const stream = host.exec(['docker', 'exec', 'client', 'iperf3', '-c', server, '-t', '4', '-b', '200M', '-J'], {
        timeout: 30_000,
      });
      await end(host);
      await host.startBerth();
      const { stdout } = await ping;
      assert.match(stdout, /200 packets transmitted, 200 packets received, 0% packet loss/);
      const { intervals } = JSON.parse((await stream).stdout) as { intervals: { sum: { bits_per_second: number } }[] };
      for (const { sum } of intervals) {
        // The ping tells of the shortest break; that a stream gets less for a second is what a busy machine does to it.
        assert.ok(sum.bits_per_second > 10e6, `an interval had ${Math.round(sum.bits_per_second / 1e6)} Mb/s of 200`);
      }
      assert.deepEqual(await linksOf(host), before, 'no link was made anew, none lost its carrier');
      const audit = await host.berth('audit', '--json');
      assert.deepEqual(JSON.parse(audit.stdout), [], 'the new agent found everything as declared');
    });
  }
});

/** Index and carrier changes of each link of ours: they tell whether anybody touched it. */
async function linksOf(host: Host): Promise<string> {
  const { stdout } = await host.net([
    'sh',
    '-c',
    'cd /sys/class/net && for l in bt* bv*; do echo $l $(cat $l/ifindex $l/carrier_changes); done',
  ]);
  return stdout;
}

async function setUp(host: Host): Promise<{ bridge: string; port: string }> {
  await host.docker('network', 'create', '-d', 'berth', '--ipam-driver', 'berth', '--subnet', '10.88.0.0/24', 'net');
  await start(host, 'one', '--network net');
  await start(host, 'two', '--network net');
  const { link } = await endpointOf(host, 'one');
  await endpointOf(host, 'two');
  await whole(host);
  const [network] = await api<{ settings: { bridge: string } }[]>(host, '/v1/networks');
  return { bridge: network!.settings.bridge, port: link };
}

/** Both containers reach each other, the gateway and the outside, on interfaces that are as the engine made them. */
async function whole(host: Host): Promise<void> {
  await waitFor(
    () => 'the kernel to be as declared',
    async () => {
      const { body } = await host.berthApi('/v1/audit', { method: 'POST', body: { repair: false } });
      return body.trim() === '[]';
    },
    30_000,
    20,
  );
  const two = await addressOf(host, 'two');
  await reaches([host, 'one'], two);
  await reaches([host, 'one'], '10.88.0.1');
  await reaches([host, 'one'], '10.8.65.1');
  const [card] = await interfaces(host, 'one');
  assert.deepEqual([card?.name, card?.addresses, card?.mtu], ['eth0', ['10.88.0.2/24'], 1500]);
}

const ruleset = async (host: Host): Promise<string> =>
  (await host.net(['nft', '-s', 'list', 'table', 'inet', 'berth'], { check: false })).stdout;

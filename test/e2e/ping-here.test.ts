/** `berth ping` and `berth test` on one host that is in no cluster. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { docker, start } from './suites/containers.ts';
import { setStage } from './suites/stage.ts';

describe('who is reached on one host', () => {
  const stage = setStage('20.10', async (bed, engine) => {
    const host = await bed.host('h1', { engine });
    await host.startBerth(['--gc-grace', '1', '--linger', '0']);
    return { host };
  });

  test('ping and test of a network with IPv6', async (t) => {
    const { host } = stage();
    await docker(
      host,
      'network create -d berth --ipam-driver berth --ipv6 --subnet 10.88.0.0/24 --subnet fd88::/64 net',
    );
    await start(host, 'one', '--network net');
    await start(host, 'two', '--network net');
    const ping = await host.berth('ping', 'one', 'two');
    t.diagnostic(`\n${ping.stdout}${ping.stderr}`);
    assert.equal(ping.code, 0, ping.stdout + ping.stderr);
    assert.match(ping.stdout, /^ {2}10\.88\.0\.3: round trip .* ms \(.*\), largest packet 1500 bytes$/m);
    assert.match(ping.stdout, /^ {2}fd88::3: round trip .* largest packet 1500 bytes$/m);
    const view = JSON.parse((await host.berth('ping', 'h1/one', 'two', '--json')).stdout);
    assert.deepEqual(
      view.path.map(({ kind }: { kind: string }) => kind),
      ['interface', 'veth', 'bridge', 'veth', 'interface'],
    );

    const all = await host.berth('test', 'net');
    t.diagnostic(`\n${all.stdout}${all.stderr}`);
    assert.equal(all.code, 0, all.stdout + all.stderr);
    assert.match(all.stdout, /^net: 2 containers, 2 pairs, 2 well, 0 not$/m);
    assert.match(all.stdout, /^h1\/one +· +46nm$/m);
  });

  test('what is wrong is named', async (t) => {
    const { host } = stage();
    await docker(host, 'network create -d berth --ipam-driver berth --subnet 10.88.0.0/24 net');
    await start(host, 'one', '--network net');
    await start(host, 'two', '--network net --cap-add NET_ADMIN');
    // Nothing is repaired: it is the container's own interface.
    await docker(host, 'exec two ip link set eth0 mtu 1300');
    const narrow = await host.berth('ping', 'one', 'two');
    t.diagnostic(`\n${narrow.stdout}`);
    assert.equal(narrow.code, 1);
    assert.match(
      narrow.stdout,
      /^! packets to 10\.88\.0\.3 of more than 1304 bytes are lost, while the interface sends up to 1500: .*two.* takes 1300$/m,
    );
    await docker(host, 'exec two ip link set eth0 down');
    const silent = await host.berth('ping', 'one', 'two');
    t.diagnostic(`\n${silent.stdout}`);
    assert.equal(silent.code, 1);
    assert.match(silent.stdout, /^! 10\.88\.0\.3 does not answer: /m);
    assert.match(silent.stdout, /^! on h1: the interface eth0 in two is down$/m);
    const test = await host.berth('test', 'net');
    assert.equal(test.code, 1);
    assert.match(test.stdout, /^! h1\/one → h1\/two: 10\.88\.0\.3 does not answer/m);
  });

  test('who is not there, is one, or is in no cluster', async () => {
    const { host } = stage();
    for (const [line, said] of [
      [['ping', 'nosuch', 'two'], /there is no container 'nosuch' on a network of Berth/],
      [['ping', 'h9/one', 'two'], /there is no host 'h9'/],
      [['test', 'nosuch'], /there is no network 'nosuch', here or in the cluster/],
      [['host', 'ls'], /this host is in no cluster/],
    ] as const) {
      const { code, stderr } = await host.berth(...line);
      assert.ok(code === 4 || code === 1, String(code));
      assert.match(stderr, said);
    }
  });
});

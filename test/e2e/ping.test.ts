/** `berth ping`, `berth test`, `berth status` and `berth host` over three hosts. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Cluster, type ClusterHost, openCluster } from './bed/cluster.ts';
import { waitFor } from './bed/process.ts';

interface PingJson {
  readonly echoes: readonly { readonly received: number; readonly mtu?: number; readonly interfaceMtu?: number }[];
  readonly path: readonly { readonly host: string; readonly kind: string; readonly mtu?: number }[];
  readonly problems: readonly string[];
}

describe('what the cluster says of itself', () => {
  let cluster: Cluster;
  let hosts: readonly [ClusterHost, ClusterHost, ClusterHost];

  before(async () => {
    cluster = await openCluster('ping');
    hosts = cluster.hosts as unknown as typeof hosts;
    await cluster.netctl('network create --subnet 10.30.1.0/24 --gateway 10.30.1.254 --subnetv6 fd30:1::/64 shop');
    for (const [index, host] of hosts.entries()) {
      await waitFor('the network on every engine', async () => {
        const names = await host.docker('network', 'ls', '--format', '{{.Name}}');
        return names.split('\n').includes('shop');
      });
      await host.docker(
        'run',
        '-d',
        '--name',
        `c${index + 1}`,
        '--network',
        'shop',
        await host.image(),
        'sleep',
        '600',
      );
    }
  });
  after(() => cluster[Symbol.asyncDispose]());

  const ping = async (on: ClusterHost, from: string, to: string): Promise<PingJson & { readonly code: number }> => {
    const { code, stdout, stderr } = await on.berth('ping', from, to, '--json');
    assert.ok(stdout.startsWith('{'), stderr);
    return { ...(JSON.parse(stdout) as PingJson), code };
  };

  it('ping tells the way between two hosts, link by link', async (t) => {
    cluster.watch(t);
    const [h1] = hosts;
    const text = await h1.berth('ping', 'c1', 'h2/c2');
    t.diagnostic(text.stdout + text.stderr);
    assert.equal(text.code, 0, text.stdout + text.stderr);
    const view = await ping(h1, 'c1', 'h2/c2');
    assert.deepEqual(view.problems, []);
    assert.deepEqual(
      view.path.map(({ kind }) => kind),
      ['interface', 'veth', 'bridge', 'vxlan', 'underlay', 'wire', 'underlay', 'vxlan', 'bridge', 'veth', 'interface'],
    );
    assert.equal(view.echoes[0]!.received, 5);
    assert.equal(view.echoes[0]!.mtu, 1450);
  });

  it('whichever host is asked, and with hosts in the place of containers', async (t) => {
    cluster.watch(t);
    const [, , h3] = hosts;
    assert.deepEqual((await ping(h3, 'c1', 'c2')).problems, []);
    const between = await ping(h3, 'h1', 'h2');
    assert.deepEqual(between.problems, []);
    assert.equal(between.echoes[0]!.mtu, 1500);
  });

  it('test tries all of them', async (t) => {
    cluster.watch(t);
    let said = '';
    // The hosts tell of a container a moment after it has started.
    await waitFor(
      () => `all to be well: ${said}`,
      async () => {
        const { code, stdout, stderr } = await hosts[1].berth('test', 'shop');
        said = stdout + stderr;
        return code === 0;
      },
    );
    assert.match(said, /^default:shop: 3 containers, 6 pairs, 6 well, 0 not$/m);
    assert.match(said, /^h1\/c1 +· +46nm +46nm$/m);
  });

  it('test tries the containers of a group only, on all hosts', async (t) => {
    cluster.watch(t);
    await cluster.netctl('group create shop web');
    const members = hosts.slice(1);
    for (const [index, host] of members.entries()) {
      await waitFor('the group on the engine', async () => (await host.api('/networks/web')).status === 200);
      await host.docker('run', '-d', '--name', `w${index}`, '--network', 'web', await host.image(), 'sleep', '600');
    }
    try {
      for (const name of ['web', 'default:web', 'web/default']) {
        let said = '';
        // The hosts tell of a container a moment after it has started.
        await waitFor(
          () => said,
          async () => {
            said = (await hosts[0].berth('test', name)).stdout;
            return said.includes('2 pairs, 2 well');
          },
        );
        assert.match(said, /^group default:web of default:shop: 2 containers, 2 pairs, 2 well, 0 not$/m);
        assert.match(said, /^h2\/w0 +· +46nm$/m);
      }
      assert.match((await hosts[0].berth('test', 'shop')).stdout, /^default:shop: 5 containers, 20 pairs/m);
    } finally {
      for (const [index, host] of members.entries()) await host.docker('rm', '-f', `w${index}`);
    }
  });

  it('a cable that is pulled is found, and where', async (t) => {
    cluster.watch(t);
    const [h1, h2] = hosts;
    await h2.underlay.pull();
    try {
      const view = await ping(h1, 'c1', 'h2/c2');
      t.diagnostic(view.problems.join('\n'));
      assert.equal(view.code, 1);
      assert.ok(view.problems.some((problem) => /h2/.test(problem)));
      const { code, stdout } = await h1.berth('test', 'shop');
      assert.equal(code, 1);
      assert.match(stdout, /! h1\/c1 → h2\/c2: 10\.30\.1\.\d+ does not answer/);
    } finally {
      await h2.underlay.push();
    }
  });

  it('status shows the hosts and when they were heard; a host that is gone is removed', async (t) => {
    cluster.watch(t);
    const [h1, h2, h3] = hosts;
    assert.match((await h1.berth('status')).stdout, /^cluster +3 hosts, 3 heard, kept in etcd:\/\//m);
    const refused = await h1.berth('host', 'rm', 'h3');
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /the agent of the host h3 runs/);
    await h3.powerOff();
    await waitFor(
      'h3 to be silent',
      async () => /h3 at .*, (silent|gone)/.test((await h1.berth('status')).stdout),
      60_000,
    );
    const removed = await h1.berth('host', 'rm', 'h3');
    assert.equal(removed.stdout, 'h3 is removed, with 1 endpoint and 2 leases\n', removed.stderr);
    assert.ok(!(await h2.berth('host', 'ls', '-q')).stdout.includes('h3'));
    const left = await cluster.members[0]!.ctl(['get', '--prefix', '/berth/', '--keys-only']);
    assert.ok(!left.stdout.includes('h3'), left.stdout);
  });
});

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { reaches } from '../suites/containers.ts';
import { type Cluster, openCluster } from './cluster.ts';
import type { EtcdMember } from './control.ts';
import { waitFor } from './process.ts';
import { namespacesOf, remains } from './remains.ts';

let cluster: Cluster;
before(async () => {
  cluster = await openCluster('cluster', {
    engines: ['20.10', '26.1', '28.5'],
    members: 3,
    masters: 2,
    agents: false,
  });
});
after(async () => {
  const { id, dir } = cluster.bed;
  const namespaces = namespacesOf(dir);
  await cluster[Symbol.asyncDispose]();
  assert.deepEqual(remains(id, namespaces), []);
});

test('hosts differ in name and engine, and reach each other, etcd and the masters', async () => {
  const { hosts, members, masters } = cluster;
  const [h1] = hosts;
  for (const [n, host] of hosts.entries()) {
    assert.equal((await host.sh('hostname')).stdout.trim(), `h${n + 1}`);
    const info = JSON.parse((await host.api('/info')).body) as { Name: string; ServerVersion: string };
    assert.equal(info.Name, `h${n + 1}`);
    assert.ok(info.ServerVersion.startsWith(`${host.version}.`), info.ServerVersion);
    await reaches(h1!, host.address);
    for (const member of members) {
      await host.net(['etcdctl', `--endpoints=${member.url}`, 'get', 'x'], { env: { ETCDCTL_API: '3' } });
    }
  }
  await cluster.netctl('network create --subnet 10.103.1.0/24 test-net');
  for (const { url } of masters) {
    assert.match((await h1!.net(['busybox', 'wget', '-qO-', `${url}/api/v1/networks/`])).stdout, /test-net/);
  }
});

test('a member that is killed, frozen or cut off is not missed; it comes back with what was written', async () => {
  const [first, second, third] = cluster.members;
  const put = (member: EtcdMember | undefined, value: string) =>
    // A write that the member sent to a leader that is gone is lost.
    waitFor(
      `${value} to be written`,
      async () => (await member!.ctl(['put', 'k', value], { check: false })).code === 0,
      30_000,
    );
  await first!.kill();
  await put(second, '1');
  await first!.start();
  assert.match((await first!.ctl(['get', 'k'])).stdout, /^k\n1\n/);
  await third!.freeze();
  await put(first, '2');
  third!.thaw();
  assert.match((await third!.ctl(['get', 'k'])).stdout, /^k\n2\n/);
});

test('a host is cut off the underlay, or off etcd; and comes back after a power failure', async () => {
  const [h1, h2] = cluster.hosts;
  const [member] = cluster.members;
  const reads = async () => {
    const get = ['etcdctl', `--endpoints=${member!.url}`, '--dial-timeout=1s', '--command-timeout=1s', 'get', 'x'];
    return (await h1!.net(get, { check: false, env: { ETCDCTL_API: '3' } })).code === 0;
  };
  const pings = async () =>
    (await h1!.net(['busybox', 'ping', '-c1', '-W1', h2!.address], { check: false })).code === 0;
  await h1!.underlay.pull();
  assert.deepEqual([await pings(), await reads()], [false, true]);
  await h1!.underlay.push();
  await reaches(h1!, h2!.address);
  await h1!.management.pull();
  assert.deepEqual([await pings(), await reads()], [true, false]);
  await h1!.management.push();
  await reaches(h1!, member!.address);
  await h2!.powerOff();
  // The kernel takes the network of the dead apart in its own time.
  await waitFor('h2 to be silent', async () => !(await pings()));
  await h2!.powerOn();
  await reaches(h1!, h2!.address);
});

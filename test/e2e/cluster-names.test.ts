import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { type Bind, startBind } from './bed/bind.ts';
import { type Cluster, type ClusterHost, openCluster } from './bed/cluster.ts';
import { waitFor } from './bed/process.ts';

/** Names across hosts, on every engine: what a container knows of containers on other hosts, and that all else is as without Berth. */

let cluster: Cluster;
let bind: Bind;
let [h1, h2, h3]: ClusterHost[] = [];
const outside = '10.8.65.5';

before(async () => {
  cluster = await openCluster('cluster-names', { engines: ['20.10', '26.1', '28.5'], agents: false });
  [h1, h2, h3] = cluster.hosts as [ClusterHost, ClusterHost, ClusterHost];
  const machine = await cluster.underlay.machine('ns', `${outside}/24`);
  bind = await startBind(machine, ['outside.example']);
  await bind.change('zone outside.example', 'update add www.outside.example 60 A 192.0.2.7');
  for (const host of cluster.hosts) {
    writeFileSync(host.path('/etc/resolv.conf'), `nameserver ${outside}\n`);
    await host.startAgent();
  }
  await cluster.ready();
  await cluster.netctl('network create --subnet 10.103.1.0/24 --subnetv6 fd00:103::/64 shop');
  await cluster.netctl('tenant create blue');
  await cluster.netctl('network create --tenant blue --subnet 10.103.2.0/24 shop');
  await cluster.netctl('group create shop front');
  for (const host of cluster.hosts) {
    await waitFor(`the networks on ${host.name}`, async () => {
      const there = (await host.docker('network', 'ls', '--format', '{{.Name}}')).split('\n');
      return ['shop', 'shop/blue', 'front'].every((name) => there.includes(name));
    });
  }
  await Promise.all([
    run(h1, 'web1', '--net', 'shop'),
    run(h2, 'web2', '--net', 'shop', '--network-alias', 'api'),
    run(h3, 'web3', '--net', 'shop', '--network-alias', 'api', '-p', '8080:80'),
    run(h2, 'member2', '--net', 'front'),
    run(h3, 'member3', '--net', 'front'),
    run(h1, 'other1', '--net', 'shop/blue'),
    run(h2, 'secret', '--net', 'shop/blue'),
    run(h1, 'dns1', '--net', 'shop', '--dns', outside),
    run(h1, 'ports1', '--net', 'shop', '-p', '8080:80'),
  ]);
});
after(() => cluster[Symbol.asyncDispose]());

async function run(host: ClusterHost | undefined, name: string, ...args: readonly string[]): Promise<void> {
  await host!.docker('run', '-d', '--name', name, ...args, await host!.image(), 'sleep', '900');
}

/** As a program in the container sees it. @returns the addresses, in order; none when the name is not known. */
async function addresses(host: ClusterHost | undefined, from: string, name: string, kind = 'a'): Promise<string[]> {
  const { stdout } = await host!.exec(['docker', 'exec', from, 'nslookup', `-type=${kind}`, name], {
    check: false,
    timeout: 40_000,
  });
  const found = stdout.split('\n').flatMap((line) => /^Address:\s*(\S+)$/.exec(line)?.[1] ?? []);
  return found.filter((address) => !address.startsWith('127.0.0.11')).toSorted();
}

const own = async (host: ClusterHost | undefined, name: string, family: 4 | 6 = 4): Promise<string> => {
  const what = family === 4 ? 'IPAddress' : 'GlobalIPv6Address';
  return host!.docker('inspect', '-f', `{{range .NetworkSettings.Networks}}{{.${what}}}{{end}}`, name);
};

/** The names of a container take a moment to get about. */
const knows = (host: ClusterHost | undefined, from: string, name: string, expected: readonly string[], kind = 'a') =>
  waitFor(
    `${from} to know ${name} as ${expected.join()}`,
    async () => (await addresses(host, from, name, kind)).join() === expected.toSorted().join(),
    30_000,
  );

test('a container is known by its name on every other host, and reached by it', async () => {
  const hosts = { web1: h1, web2: h2, web3: h3 };
  for (const [from, at] of Object.entries(hosts)) {
    for (const [to, where] of Object.entries(hosts)) await knows(at, from, to, [await own(where, to)]);
  }
  await h1!.docker('exec', 'web1', 'ping', '-c', '1', 'web2');
  await h3!.docker('exec', 'web3', 'ping', '-c', '1', 'WEB1.shop');
});

test('with --dns, and with published ports', async () => {
  for (const from of ['dns1', 'ports1']) await knows(h1, from, 'web2', [await own(h2, 'web2')]);
  await knows(h2, 'web2', 'ports1', [await own(h1, 'ports1')]);
});

test('aliases, groups, IPv6 and reverse names', async () => {
  await knows(h1, 'web1', 'api', [await own(h2, 'web2'), await own(h3, 'web3')]);
  await knows(h1, 'web1', 'front', [await own(h2, 'member2'), await own(h3, 'member3')]);
  await knows(h1, 'web1', 'web2', [await own(h2, 'web2', 6)], 'aaaa');
  const { stdout } = await h1!.exec(['docker', 'exec', 'web1', 'nslookup', await own(h2, 'web2')]);
  assert.match(stdout, /name = web2\.shop/);
});

test('over TCP too', async () => {
  const pid = await h1!.docker('inspect', '-f', '{{.State.Pid}}', 'web1');
  const dig = (...question: readonly string[]) =>
    h1!.net(['nsenter', `--net=${h1!.path(`/proc/${pid}/ns/net`)}`, 'dig', '+short', '@127.0.0.11', ...question]);
  assert.equal((await dig('+tcp', 'web2')).stdout.trim(), await own(h2, 'web2'));
  assert.equal((await dig('+tcp', 'web1')).stdout.trim(), await own(h1, 'web1'));
  assert.equal((await dig('+tcp', 'www.outside.example')).stdout.trim(), '192.0.2.7');
});

test('names of another tenant or network are not known, and those outside are', async () => {
  await knows(h1, 'other1', 'secret', [await own(h2, 'secret')]);
  for (const [from, name] of [
    ['web1', 'secret'],
    ['web1', 'secret.shop'],
    ['other1', 'web2'],
    ['other1', 'web2.shop'],
    ['other1', 'front'],
  ] as const)
    assert.deepEqual(await addresses(h1, from, name), [], `${from} knows ${name}`);
  assert.deepEqual(await addresses(h1, 'web1', 'www.outside.example'), ['192.0.2.7']);
  assert.deepEqual(await addresses(h1, 'dns1', 'www.outside.example'), ['192.0.2.7']);
  assert.deepEqual(await addresses(h3, 'web3', 'www.outside.example'), ['192.0.2.7']);
});

test('a container that is gone is known no more, and its name to another one', async () => {
  await run(h2, 'once', '--net', 'shop');
  await knows(h1, 'web1', 'once', [await own(h2, 'once')]);
  await h2!.docker('rm', '-f', 'once');
  await run(h3, 'once', '--net', 'shop');
  await knows(h1, 'web1', 'once', [await own(h3, 'once')]);
  await h3!.docker('rm', '-f', 'once');
  await knows(h1, 'web1', 'once', []);
});

test('while the agent is dead only the names of other hosts are not known, and afterwards they are again', async () => {
  for (const [host, from, other] of [
    [h1, 'web1', 'web2'],
    [h2, 'web2', 'web1'],
    [h3, 'web3', 'web1'],
  ] as const) {
    await host!.killBerth();
    assert.deepEqual(await addresses(host, from, from), [await own(host, from)]);
    assert.deepEqual(await addresses(host, from, 'www.outside.example'), ['192.0.2.7']);
    assert.deepEqual(await addresses(host, from, other), []);
    await host!.startAgent();
    await knows(host, from, other, [await own(other === 'web2' ? h2 : h1, other)]);
  }
});

test('after a restart of the engine', async () => {
  await h1!.stopEngine();
  await h1!.startEngine();
  await h1!.docker('start', 'web1');
  await knows(h1, 'web1', 'web2', [await own(h2, 'web2')]);
  await knows(h2, 'web2', 'web1', [await own(h1, 'web1')]);
});

/** Transcript T5: two hosts with Contiv's own command lines, on engines with a cluster store, without one, and of two generations. */

import assert from 'node:assert/strict';
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type Bed, openBed } from './bed/bed.ts';
import { etcdMembers, masterService } from './bed/control.ts';
import type { EngineVersion } from './bed/engines.ts';
import type { Host } from './bed/host.ts';
import { repository } from './bed/machine.ts';
import { waitFor } from './bed/process.ts';
import { networkOn, networksAppear, networksVanish, reachesName } from './suites/cluster.ts';

const [ADDRESS1, ADDRESS2] = ['172.16.112.128', '172.16.112.133'];
const FLAGS = `--etcd-endpoints http://${ADDRESS1}:2379 --mode docker --netmode vlan --fwdmode bridge`.split(' ');
const MASTERS = [`http://${ADDRESS1}:9999`, `http://${ADDRESS2}:9999`];

interface Scene {
  readonly engines: readonly [EngineVersion, EngineVersion];
  readonly clusterStore: boolean;
}

async function playOn(bed: Bed, { engines, clusterStore }: Scene): Promise<void> {
  const lan = await bed.lan({ subnet: '172.16.112.0/24', gateway: '172.16.112.2' });
  const [host1, host2] = (await Promise.all(
    ([ADDRESS1, ADDRESS2] as const).map(async (address, n) => {
      const host = await bed.host(`host${n + 1}`, { engine: engines[n]!, underlay: false, start: false });
      await lan.plug(host, { addresses: [`${address}/24`], gateway: true });
      return host;
    }),
  )) as [Host, Host];
  const both = [host1, host2];
  await etcdMembers([{ machine: host1, address: ADDRESS1 }])[0]!.start();
  const store = ['--cluster-store', `etcd://${ADDRESS1}:2379`, '--cluster-advertise', 'eth0:2376'];
  await Promise.all(both.map((host) => host.startEngine(clusterStore ? store : [])));
  await Promise.all(both.map((host) => host.image()));

  const masters = [
    masterService(host1, ADDRESS1, ['netmaster', ...FLAGS]),
    masterService(host2, ADDRESS2, ['netmaster', ...FLAGS]),
  ];
  await masters[0]!.start();
  for (const host of both) {
    await host.spawn([join(repository, 'bin/netplugin'), ...FLAGS], { name: 'netplugin' });
    const socket = '/run/docker/plugins/netplugin.sock';
    await waitFor(`${socket} on ${host.name}`, () => isSocket(host.path(socket)), 30_000, 50);
  }
  const netctl = async (host: Host, words: readonly string[], at = MASTERS[0]!) =>
    (await host.exec([join(repository, 'bin/netctl'), '--netmaster', at, ...words])).stdout;

  assert.equal(
    await netctl(host1, ['network', 'create', '--subnet', '10.103.1.0/24', 'test-net']),
    'Creating network default:test-net\n',
  );
  for (const host of both) {
    assert.equal(
      (await netctl(host, ['network', 'ls'])).replaceAll(/ +$/gm, ''),
      [
        'Tenant   Network   Nw Type  Encap type  Packet tag  Subnet         Gateway  IPv6Subnet  IPv6Gateway  Cfgd Tag',
        '------   -------   -------  ----------  ----------  -------        ------   ----------  -----------  ---------',
        'default  test-net  data     vxlan       0           10.103.1.0/24',
        '',
      ].join('\n'),
    );
  }
  await networksAppear(both, 'test-net');
  for (const host of both) {
    const { Driver, Scope } = (await networkOn(host, 'test-net'))!;
    assert.deepEqual([Driver, Scope], ['netplugin', clusterStore ? 'global' : 'local']);
  }

  const run = async (host: Host, name: string) =>
    host.docker('run', '--net', 'test-net', '--name', name, '-tid', await host.image());
  await run(host1, 'contiv-bbox');
  await run(host1, 'cbox1');
  await run(host2, 'cbox2');
  const ifconfig = await host1.docker('exec', 'cbox1', 'ifconfig');
  const [, last] = /inet addr:10\.103\.1\.(\d+) /.exec(ifconfig) ?? [];
  assert.ok(last !== undefined, ifconfig);
  const end = Number(last).toString(16).toUpperCase().padStart(2, '0');
  assert.match(ifconfig, new RegExp(`HWaddr 02:02:0A:67:01:${end}\\b`));
  assert.match(ifconfig, /MTU:1450 /);
  // The engine is asked for a container's name when it has started, so that it is known elsewhere a moment later.
  await reachesName([host1, 'cbox1'], 'cbox2');
  await reachesName([host2, 'cbox2'], 'contiv-bbox');
  assert.match(await host1.docker('exec', 'cbox1', 'ping', '-c', '4', 'cbox2'), / 0% packet loss/);
  assert.match(await host2.docker('exec', 'cbox2', 'ping', '-c', '4', 'cbox1'), / 0% packet loss/);
  assert.match(await host2.docker('exec', 'cbox2', 'ping', '-c', '1', 'contiv-bbox'), / 0% packet loss/);

  // "netmaster runs several times at once; one may be killed and nothing is lost."
  await masters[1]!.start();
  await masters[0]!.kill();
  assert.match(await netctl(host1, ['network', 'ls'], MASTERS.join(',')), /test-net/);
  await netctl(host2, ['network', 'create', '--subnet', '10.103.2.0/24', 'second'], MASTERS.join(','));
  await networksAppear(both, 'second');
  await netctl(host1, ['network', 'rm', 'second'], MASTERS[1]);
  await networksVanish(both, 'second');
  for (const [host, name] of [
    [host1, 'contiv-bbox'],
    [host1, 'cbox1'],
    [host2, 'cbox2'],
  ] as const) {
    await host.docker('rm', '-f', name);
  }
  await waitFor(
    'the network to be removed',
    async () => {
      const rm = [join(repository, 'bin/netctl'), '--netmaster', MASTERS[1]!, 'network', 'rm', 'test-net'];
      return (await host2.exec(rm, { check: false })).code === 0;
    },
    30_000,
    200,
  );
  await networksVanish(both, 'test-net');
}

function isSocket(path: string): boolean {
  try {
    return lstatSync(path).isSocket();
  } catch {
    return false;
  }
}

describe('T5, the cluster fabric under its old names', () => {
  const scenes: readonly Scene[] = [
    { engines: ['20.10', '20.10'], clusterStore: true },
    { engines: ['20.10', '26.1'], clusterStore: false },
    { engines: ['28.5', '28.5'], clusterStore: false },
  ];
  for (const scene of scenes) {
    const where = `${scene.engines.join(' and ')} ${scene.clusterStore ? 'with' : 'without'} a cluster store`;
    test(`on ${where}`, async (t) => {
      await using bed = await openBed('t5');
      bed.watch(t);
      await playOn(bed, scene);
    });
  }
});

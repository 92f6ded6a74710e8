/** Containers come and go, are connected and disconnected, restarted and renamed. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Host } from '../bed/host.ts';
import { waitFor } from '../bed/process.ts';
import {
  addressOf,
  defaultRoute,
  docker,
  inspect,
  inspectNetwork,
  interfaces,
  onlyInterface,
  reaches,
  start,
} from './containers.ts';
import { type DockerStage, NEIGHBOUR } from './docker-stage.ts';

const create = 'network create --driver berth --ipam-driver berth';

export function attaching(stage: DockerStage): void {
  test('a chosen MAC address is kept; others follow from the address', async () => {
    const { host } = stage();
    await docker(host, `${create} --subnet 10.77.1.0/24 n`);
    await start(host, 'chosen', '--network n --mac-address 0A:00:27:00:00:05');
    assert.equal((await onlyInterface(host, 'chosen')).mac, '0a:00:27:00:00:05');
    await start(host, 'derived', '--network n');
    assert.equal((await onlyInterface(host, 'derived')).mac, '02:42:0a:4d:01:03');
    await reaches([host, 'chosen'], '10.77.1.3');
    const { Containers } = await inspectNetwork(host, 'n');
    assert.deepEqual(
      Object.values(Containers)
        .map(({ MacAddress }) => MacAddress)
        .sort(),
      ['02:42:0a:4d:01:03', '0a:00:27:00:00:05'],
    );
  });

  test('connect and disconnect while running', async () => {
    const { host } = stage();
    await twoNetworks(host);
    await start(host, 'box', '--network n1');
    await start(host, 'peer', '--network n2');
    await docker(host, 'network connect --ip 10.77.2.9 --alias other-name n2 box');
    assert.deepEqual(
      (await interfaces(host, 'box')).map(({ name, addresses }) => [name, addresses[0]]),
      [
        ['eth0', '10.77.1.2/24'],
        ['eth1', '10.77.2.9/24'],
      ],
    );
    await reaches([host, 'box'], '10.77.1.1');
    await reaches([host, 'peer'], '10.77.2.9');
    await docker(host, 'exec peer ping -c 1 -W 2 other-name');
    // The way out moves to the network that is left.
    const routes = new Set<string>();
    for (const [network, rest] of [
      ['n1', '10.77.2.1 eth1'],
      ['n2', ''],
    ] as const) {
      routes.add(await defaultRoute(host, 'box'));
      await docker(host, `network disconnect ${network} box`);
      assert.equal(await defaultRoute(host, 'box'), rest);
    }
    assert.match([...routes][0]!, /^10\.77\.[12]\.1 eth[01]$/);
    assert.deepEqual(await interfaces(host, 'box'), []);
    await docker(host, 'network connect n1 box');
    assert.equal(await addressOf(host, 'box'), '10.77.1.2');
    await reaches([host, 'box'], NEIGHBOUR);
  });

  test('connect and disconnect while stopped', async () => {
    const { host } = stage();
    await twoNetworks(host);
    await start(host, 'box', '--network n1');
    await docker(host, 'stop box');
    await docker(host, 'network connect --ip 10.77.2.9 n2 box');
    await docker(host, 'start box');
    assert.deepEqual((await interfaces(host, 'box')).flatMap(({ addresses }) => addresses).sort(), [
      '10.77.1.2/24',
      '10.77.2.9/24',
    ]);
    await reaches([host, 'box'], '10.77.1.1');
    await reaches([host, 'box'], '10.77.2.1');
    await docker(host, 'stop box');
    await docker(host, 'network disconnect n1 box');
    await docker(host, 'start box');
    assert.equal(await addressOf(host, 'box'), '10.77.2.9');
    assert.equal(await defaultRoute(host, 'box'), '10.77.2.1 eth0');
  });

  test('stop, start, restart and rename', async () => {
    const { host } = stage();
    await docker(host, `${create} --subnet 10.77.1.0/24 n`);
    await start(host, 'fixed', '--network n --ip 10.77.1.9');
    await start(host, 'peer', '--network n --network-alias also-peer');
    await docker(host, 'stop fixed');
    assert.deepEqual(
      Object.values((await inspectNetwork(host, 'n')).Containers).map(({ Name }) => Name),
      ['peer'],
    );
    await docker(host, 'start fixed');
    await reaches([host, 'fixed'], await addressOf(host, 'peer'));
    await docker(host, 'restart fixed');
    assert.equal(await addressOf(host, 'fixed'), '10.77.1.9');
    await reaches([host, 'peer'], '10.77.1.9');
    for (const name of ['fixed', '10.77.1.9']) await docker(host, `exec peer ping -c 1 -W 2 ${name}`);
    for (const name of ['peer', 'also-peer', 'peer.n']) await docker(host, `exec fixed ping -c 1 -W 2 ${name}`);
    await docker(host, 'rename fixed renamed');
    await docker(host, 'exec peer ping -c 1 -W 2 renamed');
    await waitFor('Berth to know the new name', async () =>
      (await host.berth('endpoint', 'ls', '--json')).stdout.includes('"renamed"'),
    );
  });

  test('restart policies', async () => {
    const { host } = stage();
    await docker(host, `${create} --subnet 10.77.1.0/24 n`);
    await start(host, 'always', '--network n --restart always --ip 10.77.1.9');
    await start(host, 'twice', '--network n --restart on-failure:2', 'false');
    const before = await inspect(host, 'always');
    await host.exec(['kill', '-9', `${before.State.Pid}`]);
    await waitFor('the container to be started again', async () => {
      const { State, RestartCount } = await inspect(host, 'always');
      return State.Running && RestartCount === 1 && State.Pid !== before.State.Pid;
    });
    await reaches([host, 'always'], '10.77.1.1');
    assert.equal(await addressOf(host, 'always'), '10.77.1.9');
    await waitFor('the engine to give up', async () => {
      const { State, RestartCount } = await inspect(host, 'twice');
      return !State.Running && RestartCount === 2;
    });
    await waitFor('one endpoint to be left', async () => {
      const { body } = await host.berthApi('/v1/endpoints');
      return (JSON.parse(body) as unknown[]).length === 1;
    });
  });
}

async function twoNetworks(host: Host): Promise<void> {
  await docker(host, `${create} --subnet 10.77.1.0/24 n1`);
  await docker(host, `${create} --subnet 10.77.2.0/24 n2`);
}

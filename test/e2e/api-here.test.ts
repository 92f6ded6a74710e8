/** One host without etcd and without a master: its agent serves the cluster's API, and networks made there are networks of its engine. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { repository } from './bed/machine.ts';
import { waitFor } from './bed/process.ts';
import { addressOf, docker, reaches, start } from './suites/containers.ts';
import { setStage } from './suites/stage.ts';

const FLAGS = ['--api', '127.0.0.1:9999', '--gc-grace', '1', '--audit-interval', '1', '--linger', '0'];

describe('a host that is a cluster of its own', () => {
  const stage = setStage('26.1', async (bed, engine) => {
    const host = await bed.host('h1', { engine });
    await host.startBerth(FLAGS);
    return { host };
  });
  const tryNetctl = (line: string) =>
    stage().host.exec([join(repository, 'bin/netctl'), ...line.split(' ')], {
      check: false,
      env: { NETMASTER: 'http://127.0.0.1:9999' },
    });
  const netctl = async (line: string) => {
    const { code, stdout, stderr } = await tryNetctl(line);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const networks = async () =>
    (await docker(stage().host, 'network ls --filter driver=berth --format {{.Name}}')).split('\n').toSorted();

  test('networks and groups are made, used, kept over a restart of the agent, and removed', async () => {
    const { host } = stage();
    await netctl('net create --subnet 10.1.1.0/24 --gateway 10.1.1.254 shop');
    await netctl('group create shop web');
    await waitFor('the networks', async () => (await networks()).join() === 'shop,web');
    await start(host, 'one', '--network shop');
    await start(host, 'two', '--network web');
    assert.deepEqual([await addressOf(host, 'one'), await addressOf(host, 'two')], ['10.1.1.1', '10.1.1.2']);
    await reaches([host, 'one'], '10.1.1.2');
    await reaches([host, 'one'], '10.1.1.254');
    await host.killBerth();
    await host.startBerth(FLAGS);
    await reaches([host, 'two'], '10.1.1.1');
    assert.match(await netctl('net inspect shop'), /"containerName": "two"/);
    await docker(host, 'rm -f one two');
    for (const line of ['group rm web', 'net rm shop']) {
      await waitFor(line, async () => (await tryNetctl(line)).code === 0);
    }
    await waitFor('the networks to go', async () => {
      const { body } = await host.berthApi('/v1/networks');
      return (await networks()).join() === '' && body.trim() === '[]';
    });
  });
});

/** Transcript T4 with Berth's own plugin: two engines 20.10 with a cluster store, where networks have scope global and are made once. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { networkOn, reachesName } from './suites/cluster.ts';
import { setClusterStage } from './suites/cluster-stage.ts';
import { addressOf, inspectNetwork, reaches, start } from './suites/containers.ts';

describe('T4, a subnet shared through the cluster store of Docker', () => {
  const stage = setClusterStage('t4', {
    engines: ['20.10', '20.10'],
    clusterStore: true,
    // An engine with a cluster store tells only the plugin of the host where a network is removed.
    agentFlags: ['--plugins', 'berth=cluster:global', '--audit-interval', '2'],
    plugins: ['berth'],
  });

  test('as the transcript says', async () => {
    const { hosts, members } = stage();
    const [first, second] = [hosts[0]!, hosts[1]!];
    const ranges = ['--subnet', '10.0.0.0/16', '--gateway', '10.0.0.1', '--ip-range', '10.0.0.0/24'];
    const drivers = ['--driver=berth', '--ipam-driver=berth'];
    const id = await first.docker('network', 'create', ...drivers, ...ranges, '-o', 'mtu=1400', 'kuryr');

    const shown = await inspectNetwork(first, 'kuryr');
    assert.equal((await networkOn(first, 'kuryr'))!.Scope, 'global');
    assert.deepEqual(shown.IPAM.Config, [{ Subnet: '10.0.0.0/16', IPRange: '10.0.0.0/24', Gateway: '10.0.0.1' }]);
    assert.equal(shown.Options.mtu, '1400');
    assert.match(await second.docker('network', 'ls', '--no-trunc'), new RegExp(`^${id} +kuryr +berth +global`, 'm'));

    await start(first, 'c1', '--net kuryr');
    await start(second, 'c2', '--net kuryr');
    const addresses = [await addressOf(first, 'c1'), await addressOf(second, 'c2')];
    assert.deepEqual(addresses.toSorted(), ['10.0.0.2', '10.0.0.3']);
    await reaches([first, 'c1'], addresses[1]!);
    await reaches([second, 'c2'], addresses[0]!);
    await reachesName([first, 'c1'], 'c2');
    await reachesName([second, 'c2'], 'c1');

    const { Containers } = await inspectNetwork(first, 'kuryr');
    const [own, other] = Object.entries(Containers).toSorted(([a]) => (a.startsWith('ep-') ? 1 : -1));
    assert.equal(own![1].Name, 'c1');
    assert.deepEqual(
      [own![1].IPv4Address, other![1].IPv4Address],
      addresses.map((address) => `${address}/16`),
    );
    assert.equal(other![0], `ep-${other![1].EndpointID}`);
    assert.match(other![1].MacAddress, /^02:02:0a:00:00:0[23]$/);

    const listed = (await members[0]!.ctl2(['ls', '/docker/network/v1.0'])).stdout;
    for (const folder of ['network', 'endpoint', 'endpoint_count']) {
      assert.match(listed, new RegExp(`^/docker/network/v1.0/${folder}$`, 'm'));
    }
    // Made on one engine, removed on another, which is then the only one that calls its plugin.
    await first.docker('rm', '-f', 'c1');
    await second.docker('rm', '-f', 'c2');
    await second.docker('network', 'rm', 'kuryr');
    assert.equal(await networkOn(first, 'kuryr'), undefined);
  });
});

/** `-o mode=nic`: a whole card of the host goes into the container, and comes back. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../bed/process.ts';
import { defaultRoute, docker, dockerFails, inspect, onlyInterface, reaches, start } from './containers.ts';
import type { LanStage } from './lan-stage.ts';

const GATEWAY = '192.168.160.2';
const create = `network create -d berth-lan --subnet=192.168.160.0/24 --gateway=${GATEWAY} -o mode=nic`;

export function nic(stage: LanStage): void {
  /** How a card of the host is. */
  const card = async (name: string) => {
    const { stdout } = await stage().host.net(['ip', '-j', 'link']);
    const found = (JSON.parse(stdout) as Record<string, unknown>[]).find(({ ifname }) => ifname === name);
    if (found === undefined) return undefined;
    const { address, mtu, flags, ifalias } = found;
    return { address, mtu, ifalias, up: (flags as string[]).includes('UP') };
  };
  /** Two cards more on the second segment, without addresses. */
  const cards = async () => {
    const { host, second } = stage();
    for (const name of ['nic0', 'nic1']) {
      if ((await card(name)) === undefined) await second.plug(host, { name });
      await host.net(['ip', 'link', 'set', name, 'up', 'mtu', '1450']);
    }
  };
  const back = (name: string, as: unknown) =>
    waitFor(`${name} to be back`, async () => JSON.stringify(await card(name)) === JSON.stringify(as));

  test('it is the container’s, and comes back as it was', async () => {
    const { host, elsewhere } = stage();
    await cards();
    const before = await card('nic0');
    await docker(host, `${create} -o nic=nic0 -o mtu=1400 lan`);
    await start(host, 'c1', '--ip=192.168.160.140 --net=lan');
    const { mac, mtu, addresses } = await onlyInterface(host, 'c1');
    assert.deepEqual([mac, mtu, addresses], [before?.address, 1400, ['192.168.160.140/24']]);
    assert.equal((await inspect(host, 'c1')).NetworkSettings.Networks.lan!.MacAddress, mac);
    assert.equal(await defaultRoute(host, 'c1'), `${GATEWAY} eth0`);
    await reaches(elsewhere, '192.168.160.140');
    await reaches([host, 'c1'], '192.168.160.10');
    assert.equal(await card('nic0'), undefined);
    assert.match(
      await dockerFails(host, `run --rm --net=lan ${await host.image()} true`),
      /each NIC .* is in a container/,
    );
    await docker(host, 'restart -t 0 c1');
    await reaches(elsewhere, '192.168.160.140');
    await host.killBerth();
    await host.startBerth();
    await docker(host, 'stop -t 0 c1');
    await back('nic0', before);
    await docker(host, 'start c1');
    await reaches(elsewhere, '192.168.160.140');
    await docker(host, 'network disconnect lan c1');
    await back('nic0', before);
  });

  test('of several, each container takes one; by name or by MAC, and with a MAC of its own choice', async () => {
    const { host, elsewhere } = stage();
    await cards();
    const [first, second] = [await card('nic0'), await card('nic1')];
    await docker(host, `${create} -o nic=${String(first?.address).toUpperCase()},nic1 lan`);
    await start(host, 'c1', '--ip=192.168.160.140 --net=lan');
    await start(host, 'c2', '--ip=192.168.160.141 --mac-address 02:42:aa:00:00:07 --net=lan');
    assert.equal((await onlyInterface(host, 'c1')).mac, first?.address);
    assert.equal((await onlyInterface(host, 'c2')).mac, '02:42:aa:00:00:07');
    for (const address of ['192.168.160.140', '192.168.160.141']) await reaches(elsewhere, address);
    await docker(host, 'rm -f c1 c2');
    await back('nic0', first);
    await back('nic1', second);
  });

  test('the host is not cut off by mistake', async () => {
    const { host } = stage();
    await cards();
    for (const [options, message] of [
      ['', /mode=nic needs the NICs to give: -o nic=/],
      ['-o nic=absent0', /there is no interface absent0/],
      ['-o nic=0000:03:00.1', /there is no interface 0000:03:00\.1/],
      ['-o nic=eth0', /eth0 cannot be given to a container: it is a port of br0/],
      ['-o nic=eth1', /eth1 cannot be given to a container: it has an address of the host, which would be cut off/],
      ['-o nic=lo', /lo cannot be given to a container: it is no Ethernet interface/],
      ['-o nic=br0', /br0 cannot be given to a container: it is a bridge/],
      ['-o nic=nic0 -o parent=eth1', /the option 'parent'/],
    ] as const) {
      assert.match(await dockerFails(host, `${create} ${options} x`), message);
    }
  });
}

/** The commands that users of the old `local` plugin know, word for word, and what goes beyond them. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { outside4, outside6 } from '../bed/lan.ts';
import {
  addressOf,
  defaultRoute,
  docker,
  dockerFails,
  enter,
  inspectNetwork,
  onlyInterface,
  reaches,
  start,
} from './containers.ts';
import { GATEWAY, HOST, HOST6, type LanStage, OTHER, OTHER6 } from './lan-stage.ts';
import { seenAs } from './observer.ts';

export function transcript(stage: LanStage): void {
  for (const ipam of ['', '--ipam-driver=local']) {
    test(`a container at a static address of the LAN${ipam && `, ${ipam}`}`, async () => {
      const { host, other } = stage();
      const image = await host.image();
      await docker(host, `network create --driver=local ${ipam} --gateway=${GATEWAY} --subnet=192.168.159.0/24 lan`);
      const id = await docker(host, `run -itd --ip=192.168.159.140 --net=lan ${image}`);
      const { addresses, mtu } = await onlyInterface(host, id);
      assert.deepEqual(addresses, ['192.168.159.140/24']);
      assert.equal(mtu, 1500);
      assert.equal(await defaultRoute(host, id), `${GATEWAY} eth0`);
      for (const from of [other, host]) await reaches(from, '192.168.159.140');
      for (const to of [OTHER, HOST, GATEWAY, outside4]) await reaches([host, id], to);
      for (const observer of [OTHER, outside4]) assert.equal(await seenAs(host, id, observer), '192.168.159.140');

      // A second one without an address of its choice, and both on the same segment.
      await start(host, 'second', '--net=lan');
      await reaches([host, 'second'], '192.168.159.140');
      const { Containers } = await inspectNetwork(host, 'lan');
      assert.deepEqual(
        Object.values(Containers)
          .map(({ IPv4Address }) => IPv4Address)
          .toSorted(),
        ['192.168.159.1/24', '192.168.159.140/24'],
      );
      await docker(host, `restart -t 0 ${id}`);
      assert.equal(await addressOf(host, id), '192.168.159.140');
      await reaches(other, '192.168.159.140');
    });
  }

  test('several networks at once: another bridge, and one subnet shared by ranges', async () => {
    const { host, other, elsewhere } = stage();
    const create = 'network create --driver=berth-lan --ipam-driver=berth-lan';
    const subnet = `--subnet=192.168.159.0/24 --gateway=${GATEWAY}`;
    await docker(host, `${create} ${subnet} --ip-range=192.168.159.128/26 low`);
    await docker(host, `${create} ${subnet} --ip-range=192.168.159.192/26 high`);
    await docker(host, `${create} -o bridge=br1 -o mtu=1400 --subnet=192.168.160.0/24 --gateway=192.168.160.2 far`);
    await Promise.all(['low', 'high', 'far'].map((network) => start(host, `in-${network}`, `--network ${network}`)));
    assert.equal(await addressOf(host, 'in-low'), '192.168.159.128');
    assert.equal(await addressOf(host, 'in-high'), '192.168.159.192');
    assert.equal(await addressOf(host, 'in-far'), '192.168.160.1');
    assert.equal((await onlyInterface(host, 'in-far')).mtu, 1400);
    for (const address of ['192.168.159.128', '192.168.159.192']) await reaches(other, address);
    await reaches([host, 'in-low'], '192.168.159.192');
    await reaches(elsewhere, '192.168.160.1');
    await reaches([host, 'in-far'], '192.168.160.10');
    await reaches([host, 'in-far'], outside4);
    // An address that the other network has given away is not given again.
    assert.match(
      await dockerFails(host, `run -d --network low --ip 192.168.159.192 ${await host.image()}`),
      /192\.168\.159\.192 is held by/,
    );
    // A container on two of them is a machine on two segments.
    await docker(host, 'network connect far in-low');
    await reaches(elsewhere, '192.168.160.3');
    await reaches(other, '192.168.159.128');
    // One goes, and the other keeps what they share.
    await docker(host, 'rm -f in-high');
    await docker(host, 'network rm high');
    await reaches(other, '192.168.159.128');
    await start(host, 'next', '--network low');
    assert.equal(await addressOf(host, 'next'), '192.168.159.129');
  });

  for (const ipam of ['default', 'local']) {
    test(`IPv6, addresses from the IPAM driver ${ipam}`, async () => {
      const { host, other } = stage();
      await docker(
        host,
        `network create --driver=local --ipam-driver=${ipam} --ipv6
          --subnet=192.168.159.0/24 --gateway=${GATEWAY} --ip-range=192.168.159.128/25
          --subnet=fd00:159::/64 --gateway=fd00:159::2 lan`,
      );
      await start(host, 'box', '--network=lan --ip6=fd00:159::140');
      assert.deepEqual((await onlyInterface(host, 'box')).addresses, ['192.168.159.128/24', 'fd00:159::140/64']);
      assert.equal(await defaultRoute(host, 'box', 6), 'fd00:159::2 eth0');
      for (const from of [other, host]) await reaches(from, 'fd00:159::140');
      for (const to of [OTHER6, HOST6, outside6]) await reaches([host, 'box'], to);
      assert.equal(await seenAs(host, 'box', OTHER6), 'fd00:159::140');
      assert.equal(await seenAs(host, 'box', outside6), 'fd00:159::140');
    });
  }

  test('the gateway of the LAN is found where the host has it', async () => {
    const { host } = stage();
    await docker(host, 'network create -d berth-lan --ipam-driver=berth-lan --subnet=192.168.159.0/24 lan');
    await start(host, 'box', '--network=lan --ip=192.168.159.140');
    assert.equal(await defaultRoute(host, 'box'), `${GATEWAY} eth0`);
    await reaches([host, 'box'], outside4);
  });

  test('without addresses, a container is a machine that has yet to get one', async () => {
    const { host, other } = stage();
    await docker(host, 'network create -d local --ipam-driver null bare');
    await start(host, 'box', '--network bare');
    // No gateway is known, and yet Docker adds no way out of its own.
    assert.deepEqual((await onlyInterface(host, 'box')).addresses, []);
    await enter(host, 'box', 'ip', 'address', 'add', '192.168.159.150/24', 'dev', 'eth0');
    await reaches(other, '192.168.159.150');
  });

  test('a chosen MAC address and interface name', async () => {
    const { host, other } = stage();
    await docker(
      host,
      `network create -d local -o interface_prefix=lan --subnet=192.168.159.0/24 --gateway=${GATEWAY} lan`,
    );
    await start(host, 'box', '--network=lan --ip=192.168.159.140 --mac-address=0a:00:27:00:00:05');
    const { name, mac } = await onlyInterface(host, 'box');
    assert.deepEqual([name, mac], ['lan0', '0a:00:27:00:00:05']);
    await reaches(other, '192.168.159.140');
    const { stdout } = await other.net(['ip', 'neigh', 'show', '192.168.159.140']);
    assert.match(stdout, /lladdr 0a:00:27:00:00:05/);
  });

  test('an interface that is not there, or is no bridge, is refused', async () => {
    const { host } = stage();
    const refused = (flags: string) =>
      dockerFails(host, `network create -d local --subnet=192.168.161.0/24 ${flags} lan`);
    assert.match(await refused('-o bridge=br9'), /there is no bridge br9 on this host; name one with -o bridge=/);
    assert.match(
      await refused('-o bridge=eth1'),
      /eth1 is not a bridge but a veth; have one made from it with -o parent=eth1/,
    );
    assert.match(await refused('-o parent=eth9'), /there is no interface eth9/);
    assert.match(await refused('-o parent=br0'), /br0 is a bridge itself: use it with -o bridge=br0/);
    assert.match(await refused('-o parent=eth0'), /eth0 is already a port of br0: use that with -o bridge=br0/);
    assert.match(await refused('-o parent=lo'), /the loopback interface lo/);
  });
}

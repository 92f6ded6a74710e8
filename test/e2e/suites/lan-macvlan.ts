/** `-o mode=macvlan`: the transcript again without a bridge, and what is special about it. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { outside4, outside6 } from '../bed/lan.ts';
import { waitFor } from '../bed/process.ts';
import { addressOf, defaultRoute, docker, dockerFails, enter, onlyInterface, reaches, start } from './containers.ts';
import type { LanStage } from './lan-stage.ts';
import { seenAs } from './observer.ts';

const GATEWAY = '192.168.160.2';
const ELSEWHERE = '192.168.160.10';
const HOST = '192.168.160.20';
const create = `network create -d berth-lan --subnet=192.168.160.0/24 --gateway=${GATEWAY} -o mode=macvlan -o parent=eth1`;

export function macvlan(stage: LanStage): void {
  for (const ipam of ['', '--ipam-driver=berth-lan']) {
    test(`a container at a static address of the LAN${ipam && `, ${ipam}`}`, async () => {
      const { host, elsewhere } = stage();
      await docker(host, `${create} ${ipam} lan`);
      await start(host, 'c1', '--ip=192.168.160.140 --net=lan');
      const { addresses, mtu } = await onlyInterface(host, 'c1');
      assert.deepEqual(addresses, ['192.168.160.140/24']);
      assert.equal(mtu, 1500);
      assert.equal(await defaultRoute(host, 'c1'), `${GATEWAY} eth0`);
      for (const from of [elsewhere, host]) await reaches(from, '192.168.160.140');
      for (const to of [ELSEWHERE, HOST, GATEWAY, outside4]) await reaches([host, 'c1'], to);
      assert.equal(await seenAs(host, 'c1', ELSEWHERE), '192.168.160.140');
      await start(host, 'c2', '--net=lan');
      await reaches([host, 'c2'], '192.168.160.140');
      await docker(host, 'restart -t 0 c1');
      assert.equal(await addressOf(host, 'c1'), '192.168.160.140');
      await reaches(elsewhere, '192.168.160.140');
      await reaches(host, '192.168.160.140');
    });
  }

  test('IPv6', async () => {
    const { host, elsewhere } = stage();
    await docker(host, `${create} --ipv6 --subnet=fd00:160::/64 --gateway=fd00:160::2 lan`);
    await start(host, 'c1', '--ip6=fd00:160::140 --net=lan');
    for (const from of [elsewhere, host]) await reaches(from, 'fd00:160::140');
    for (const to of ['fd00:160::10', 'fd00:160::20', 'fd00:160::2', outside6]) await reaches([host, 'c1'], to);
  });

  test('the LAN hears of the host what it heard before: the way in answers nobody else', async () => {
    const { host, elsewhere } = stage();
    /** The MAC addresses that answer for the host; its second card on this LAN is one of them. */
    const answering = async (): Promise<readonly string[]> => {
      await elsewhere.net(['ip', 'neigh', 'flush', 'all']);
      await reaches(elsewhere, 'fd00:160::20');
      const heard = await elsewhere.exec(['arping', '-b', '-c', '3', '-I', 'eth0', HOST], { check: false });
      const { stdout } = await elsewhere.net(['ip', '-j', 'neigh', 'show', 'fd00:160::20']);
      const [neighbour] = JSON.parse(stdout) as { lladdr: string }[];
      return [
        ...new Set([...(heard.stdout.match(/[0-9a-f]{2}(:[0-9a-f]{2}){5}/gi) ?? []), neighbour!.lladdr]),
      ].toSorted();
    };
    const before = await answering();
    await docker(host, `${create} --ipv6 --subnet=fd00:160::/64 --gateway=fd00:160::2 lan`);
    await start(host, 'c1', '--ip=192.168.160.140 --net=lan');
    await reaches(host, '192.168.160.140');
    assert.deepEqual(await answering(), before);
    // That this can be seen at all: without its filter it answers.
    const [, shim] = / (bs[0-9a-f]{13})/.exec((await host.net(['ip', 'link'])).stdout)!;
    await host.stopBerth();
    await host.net(['nft', 'delete', 'table', 'netdev', shim!]);
    assert.notDeepEqual(await answering(), before);
    // Nobody else is to look for the host where it was heard of then.
    await elsewhere.net(['ip', 'neigh', 'flush', 'all']);
    await host.startBerth();
    await elsewhere.net(['ip', 'neigh', 'flush', 'all']);
  });

  test('the way in follows the addresses of the host', async () => {
    const { host } = stage();
    await docker(host, `${create} lan`);
    await start(host, 'c1', '--ip=192.168.160.140 --net=lan');
    await reaches(host, '192.168.160.140');
    await host.net(['ip', 'addr', 'add', '192.168.160.21/24', 'dev', 'eth1']);
    await host.net(['ip', 'addr', 'del', `${HOST}/24`, 'dev', 'eth1']);
    await host.net(['ip', 'addr', 'replace', '192.168.160.21/24', 'dev', 'eth1']);
    try {
      await reaches(host, '192.168.160.140');
      await reaches([host, 'c1'], '192.168.160.21');
      assert.equal((await host.berth('audit')).code, 0);
    } finally {
      await host.net(['ip', 'addr', 'add', `${HOST}/24`, 'dev', 'eth1']);
      await host.net(['ip', 'addr', 'del', '192.168.160.21/24', 'dev', 'eth1']);
      await host.net(['ip', 'addr', 'replace', `${HOST}/24`, 'dev', 'eth1']);
    }
  });

  test('without host access there is none, and private containers do not see each other', async () => {
    const { host, elsewhere } = stage();
    await docker(host, `${create} -o macvlan_mode=private lan`);
    await start(host, 'c1', '--ip=192.168.160.140 --net=lan');
    await start(host, 'c2', '--ip=192.168.160.141 --net=lan');
    for (const address of ['192.168.160.140', '192.168.160.141']) await reaches(elsewhere, address);
    for (const address of [HOST, '192.168.160.141']) {
      const { code } = await enter(host, 'c1', 'ping', '-c1', '-W1', address);
      assert.notEqual(code, 0, address);
    }
    await docker(host, 'rm -f c1 c2');
    await docker(host, 'network rm lan');
    await docker(host, `${create} -o host_access=false lan`);
    await start(host, 'c1', '--ip=192.168.160.140 --net=lan');
    assert.notEqual((await enter(host, 'c1', 'ping', '-c1', '-W1', HOST)).code, 0);
    assert.doesNotMatch((await host.net(['ip', 'link'])).stdout, / bs[0-9a-f]{13}/);
  });

  test('passthru gives the interface to one container only', async () => {
    const { host, elsewhere } = stage();
    await docker(host, `${create} -o macvlan_mode=passthru lan`);
    await start(host, 'c1', '--ip=192.168.160.140 --net=lan');
    await reaches(elsewhere, '192.168.160.140');
    const refused = await dockerFails(host, `run --rm --net=lan ${await host.image()} true`);
    assert.match(refused, /eth1 is passed through as a whole .*, and another container has it/);
    await docker(host, 'restart -t 0 c1');
    await reaches(elsewhere, '192.168.160.140');
  });

  test('two networks on one interface, connect and disconnect while running', async () => {
    const { host, elsewhere } = stage();
    await docker(host, `${create} --ip-range=192.168.160.128/26 low`);
    const other = create.replace('192.168.160.0/24', '10.77.0.0/24').replace(GATEWAY, '10.77.0.1');
    await docker(host, `${other} high`);
    await start(host, 'c1', '--ip=192.168.160.140 --net=low');
    await docker(host, 'network connect --ip 10.77.0.5 high c1');
    await reaches(elsewhere, '192.168.160.140');
    assert.match((await enter(host, 'c1', 'ip', 'address')).stdout, /10\.77\.0\.5\/24/);
    await docker(host, 'network disconnect high c1');
    assert.doesNotMatch((await enter(host, 'c1', 'ip', 'address')).stdout, /10\.77\.0\.5/);
    await docker(host, 'network disconnect low c1');
    await waitFor('the link to be gone', async () => !/ bp[0-9a-f]{13}/.test((await host.net(['ip', 'link'])).stdout));
    await docker(host, 'network connect --ip 192.168.160.141 low c1');
    await reaches(elsewhere, '192.168.160.141');
  });

  test('what is deleted is made again, in the container and on the host', async () => {
    const { host, elsewhere } = stage();
    await docker(host, `${create} lan`);
    await start(host, 'c1', '--ip=192.168.160.140 --net=lan');
    await host.killBerth();
    await host.startBerth();
    await waitFor('the interface to be known', async () =>
      JSON.stringify(JSON.parse((await host.berth('endpoint', 'ls', '--json')).stdout)).includes(
        '"sandboxInterface":"eth0"',
      ),
    );
    await enter(host, 'c1', 'ip', 'link', 'del', 'eth0');
    // Long before the next audit.
    await waitFor(
      'the container to be back',
      async () => (await elsewhere.exec(['ping', '-c1', '-W1', '192.168.160.140'], { check: false })).code === 0,
      30_000,
    );
    assert.match(
      (await host.berthApi('/metrics')).body,
      /berth_drifts_total\{kind="link",what="missing",repaired="true"\} 1/,
    );
    assert.equal(await defaultRoute(host, 'c1'), `${GATEWAY} eth0`);
    const [shim] = / (bs[0-9a-f]{13})/.exec((await host.net(['ip', 'link'])).stdout)!.slice(1);
    await host.net(['ip', 'link', 'del', shim!]);
    await waitFor(
      'the host to reach it again',
      async () => (await host.exec(['ping', '-c1', '-W1', '192.168.160.140'], { check: false })).code === 0,
    );
    assert.equal((await host.berth('audit')).code, 0);
  });

  test('what cannot be is refused, with the way out', async () => {
    const { host } = stage();
    const refused = (options: string) =>
      dockerFails(host, `network create -d berth-lan --subnet 192.168.160.0/24 ${options} x`);
    for (const [options, message] of [
      ['-o mode=macvlan', /mode=macvlan needs an interface to stand on: -o parent=/],
      ['-o mode=macvlan -o parent=eth9', /there is no interface eth9 on this host/],
      ['-o mode=macvlan -o parent=lo', /the loopback interface lo leads to no other machine/],
      ['-o mode=macvlan -o parent=eth0', /eth0 is a port of br0, which takes its frames/],
      [
        '-o mode=macvlan -o parent=eth1 -o bridge=br0',
        /the option 'bridge' goes with mode=bridge or mode=ovs, not with mode=macvlan/,
      ],
      ['-o mode=macvlan -o parent=eth1 -o ipvlan_mode=l3', /the option 'ipvlan_mode' goes with mode=ipvlan/],
      ['-o mode=macvlan -o parent=eth1 -o macvlan_mode=x', /'macvlan_mode' is one of bridge, private, vepa, passthru/],
      ['-o mode=macvtap -o parent=eth1', /'mode' is one of bridge, .*, not 'macvtap'/],
      ['-o mode=macvlan -o parent=eth1 -o vlan=4095', /'vlan' is a whole number from 1 to 4094/],
    ] as const) {
      assert.match(await refused(options), message);
    }
  });
}

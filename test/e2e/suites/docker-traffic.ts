/** Who reaches whom, as which address, and how large a packet may be. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { outside4, outside6 } from '../bed/lan.ts';
import type { Machine } from '../bed/machine.ts';
import {
  addressOf,
  cannotReach,
  defaultRoute,
  docker,
  enter,
  interfaces,
  onlyInterface,
  reaches,
  start,
} from './containers.ts';
import { type DockerStage, HOST, HOST6, NEIGHBOUR, NEIGHBOUR6 } from './docker-stage.ts';
import { seenAs, WGET } from './observer.ts';

const create = 'network create --driver berth --ipam-driver berth';

export function traffic(stage: DockerStage): void {
  test('out as the host, or as itself', async () => {
    const { host, neighbour } = stage();
    await docker(host, `${create} --subnet 10.77.1.0/24 --ipv6 --subnet fd77:1::/64 hidden`);
    await start(host, 'masked', '--network hidden');
    assert.equal(await seenAs(host, 'masked', NEIGHBOUR), HOST);
    assert.equal(await seenAs(host, 'masked', NEIGHBOUR6), HOST6);
    await reaches([host, 'masked'], outside4);
    await reaches([host, 'masked'], outside6);
    await docker(host, `${create} -o masquerade=false --subnet 10.77.2.0/24 --ipv6 --subnet fd77:2::/64 routed`);
    await start(host, 'plain', '--network routed');
    await neighbour.ip(`route add 10.77.0.0/16 via ${HOST}`, `route add fd77::/16 via ${HOST6}`);
    try {
      assert.equal(await seenAs(host, 'plain', NEIGHBOUR), '10.77.2.2');
      assert.equal(await seenAs(host, 'plain', NEIGHBOUR6), 'fd77:2::2');
      await reaches(neighbour, '10.77.2.2');
      await reaches(neighbour, 'fd77:2::2');
      // Nobody opens a connection into a hidden network, even who knows the way.
      await cannotReach(neighbour, '10.77.1.2');
      await cannotReach(neighbour, 'fd77:1::2');
    } finally {
      await neighbour.ip('route del 10.77.0.0/16', 'route del fd77::/16');
    }
  });

  test("networks are closed to each other and to the engine's own", async () => {
    const { host, neighbour } = stage();
    await docker(host, `${create} -o masquerade=false --subnet 10.77.1.0/24 --ipv6 --subnet fd77:1::/64 n1`);
    await docker(host, `${create} --subnet 10.77.2.0/24 --ipv6 --subnet fd77:2::/64 n2`);
    await docker(host, 'network create --subnet 10.77.3.0/24 theirs');
    const containers: [string, string, string][] = [
      ['one', 'n1', '10.77.1.2'],
      ['two', 'n2', '10.77.2.2'],
      ['docker0', 'bridge', ''],
      ['bridged', 'theirs', '10.77.3.2'],
    ];
    await Promise.all(containers.map(([name, network]) => start(host, name, `--network ${network}`)));
    containers[2]![2] = await addressOf(host, 'docker0');
    // All of them have a way out …
    await neighbour.ip(`route add 10.77.1.0/24 via ${HOST}`, `route add fd77:1::/64 via ${HOST6}`);
    try {
      await Promise.all(containers.map(([name]) => reaches([host, name], NEIGHBOUR)));
      await Promise.all(['one', 'two'].map((name) => reaches([host, name], NEIGHBOUR6)));
    } finally {
      await neighbour.ip('route del 10.77.1.0/24', 'route del fd77:1::/64');
    }
    // … and none to each other.
    const pairs = containers.flatMap(([from]) =>
      containers.filter(([to]) => to !== from && (isOurs(from) || isOurs(to))).map(([, , to]) => [from, to] as const),
    );
    await Promise.all(pairs.map(([from, to]) => cannotReach([host, from], to)));
    await cannotReach([host, 'one'], 'fd77:2::2');
    await cannotReach([host, 'two'], 'fd77:1::2');
  });

  test('--internal has no way out and no way in', async () => {
    const { host, neighbour } = stage();
    await docker(host, `${create} --internal --subnet 10.77.1.0/24 --ipv6 --subnet fd77:1::/64 closed`);
    await start(host, 'one', '--network closed');
    await start(host, 'two', '--network closed');
    await reaches([host, 'one'], '10.77.1.3');
    await reaches([host, 'one'], 'fd77:1::3');
    await docker(host, 'exec one ping -c 1 -W 2 two');
    assert.equal((await interfaces(host, 'one')).length, 1);
    assert.equal(await defaultRoute(host, 'one'), '');
    // Even with a route of its own.
    await enter(host, 'one', 'ip', 'route', 'add', 'default', 'via', '10.77.1.1');
    await enter(host, 'one', 'ip', '-6', 'route', 'add', 'default', 'via', 'fd77:1::1');
    await reaches([host, 'one'], '10.77.1.1');
    await cannotReach([host, 'one'], NEIGHBOUR);
    await cannotReach([host, 'one'], NEIGHBOUR6);
    await neighbour.ip(`route add 10.77.1.0/24 via ${HOST}`);
    try {
      await cannotReach(neighbour, '10.77.1.2');
    } finally {
      await neighbour.ip('route del 10.77.1.0/24');
    }
  });

  test('published ports', async () => {
    const { host, neighbour } = stage();
    await docker(host, `${create} --subnet 10.77.1.0/24 n`);
    await start(host, 'web', '--network n -p 8080:80', 'httpd -f -p 80 -h /etc');
    await start(host, 'peer', '--network n');
    assert.match(await docker(host, 'port web'), /^80\/tcp -> 0\.0\.0\.0:8080/);
    const fetched = async (machine: Machine, url: string) =>
      (await machine.net([...WGET, url], { check: false })).stdout;
    assert.match(await fetched(neighbour, `http://${HOST}:8080/passwd`), /^root:/);
    assert.match(await fetched(host, `http://${HOST}:8080/passwd`), /^root:/);
    assert.match(await fetched(host, 'http://127.0.0.1:8080/passwd'), /^root:/);
    // On its own network it is reached without the port's translation, and it still gets out.
    const { stdout } = await enter(host, 'peer', ...WGET, 'http://10.77.1.2/passwd');
    assert.match(stdout, /^root:/);
    assert.equal(await seenAs(host, 'web', NEIGHBOUR), HOST);
    await docker(host, 'stop web');
    assert.equal(await fetched(neighbour, `http://${HOST}:8080/passwd`), '');
    await docker(host, 'start web');
    assert.match(await fetched(neighbour, `http://${HOST}:8080/passwd`), /^root:/);
    // Whoever publishes nothing has no second interface.
    assert.equal((await interfaces(host, 'peer')).length, 1);
  });

  test('the MTU follows from the uplink, or is chosen, and a packet of that size passes whole', async () => {
    const { host, neighbour } = stage();
    const full = async (container: string, mtu: number) => {
      assert.equal((await onlyInterface(host, container)).mtu, mtu);
      const before = await reassembled(neighbour);
      await reaches([host, container], NEIGHBOUR, ['-s', `${mtu - 28}`]);
      assert.equal(await reassembled(neighbour), before, 'the packet came in pieces');
    };
    await docker(host, `${create} n`);
    await start(host, 'standard', '--network n');
    await full('standard', 1500);
    await docker(host, `${create} -o com.docker.network.driver.mtu=1300 small`);
    await start(host, 'chosen', '--network small');
    await full('chosen', 1300);
    await host.ip('link set eth0 mtu 1400');
    try {
      await docker(host, `${create} narrow`);
      await start(host, 'computed', '--network narrow');
      await full('computed', 1400);
    } finally {
      await host.ip('link set eth0 mtu 1500');
    }
  });
}

const isOurs = (container: string): boolean => ['one', 'two'].includes(container);

/** Fragments that a machine has put together, from its kernel's counters (RFC 4293 ipReasmReqds). */
async function reassembled(machine: Machine): Promise<number> {
  const { stdout } = await machine.net(['cat', '/proc/self/net/snmp']);
  const [names, values] = stdout
    .split('\n')
    .filter((line) => line.startsWith('Ip:'))
    .map((line) => line.split(' '));
  return Number(values![names!.indexOf('ReasmReqds')]);
}

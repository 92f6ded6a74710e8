/** Options of a container's interface: limits, routes and rules, sysctls, name, MAC, MTU; as a network's and as an endpoint's. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { EngineVersion } from '../bed/engines.ts';
import type { Host } from '../bed/host.ts';
import type { Machine } from '../bed/machine.ts';
import { type Result, waitFor } from '../bed/process.ts';
import { attach, attachStage, berth } from './attach-stage.ts';
import {
  defaultRoute,
  docker,
  dockerFails,
  enter,
  inspect,
  interfaces,
  onlyInterface,
  reaches,
  start,
} from './containers.ts';
import { GATEWAY, OTHER } from './lan-stage.ts';

const LAN = `--subnet 192.168.159.0/24 --gateway ${GATEWAY} --ip-range 192.168.159.128/25`;
/** Megabits per second; far from what the wire does without a limit, and from each other. */
const IN = 40;
const OUT = 15;

/** A network in each of these modes: a pair of links, and a link that is in the container altogether. */
const MODES = [
  ['bridge', '-o bridge=br0'],
  ['macvlan', '-o mode=macvlan -o parent=lan0'],
] as const;

export function limitsSuite(engine: EngineVersion): void {
  describe(`options of a container's interface, engine ${engine}`, () => {
    const stage = attachStage(engine);

    /** A second card of the host, for links that stand on one. */
    async function secondCard(): Promise<void> {
      const { host, lan } = stage();
      const links = await host.net(['ip', '-j', 'link']);
      if (!links.stdout.includes('"lan0"')) await lan.plug(host, { name: 'lan0' });
    }

    for (const [mode, options] of MODES) {
      test(`bandwidth both ways, ${mode}: measured, and put back when it is removed`, {
        timeout: 180_000,
      }, async () => {
        const { host, other } = stage();
        await secondCard();
        await docker(
          host,
          `network create -d berth-lan ${options} -o rate_in=${IN}mbit -o rate_out=${OUT}mbit ${LAN} lan`,
        );
        await start(host, 'box', '--network lan --ip 192.168.159.140');
        await reaches(other, '192.168.159.140');
        await limited(host, other, 'box');
        // Inside where the link has no other end; on the host where it has.
        const undo = mode === 'bridge' ? hostQdiscs : containerQdiscs;
        await undo(host, 'box');
        await limited(host, other, 'box');
      });
    }

    test('macvlan: limited before anything leaves the container', { timeout: 180_000 }, async () => {
      const { host } = stage();
      await secondCard();
      const rates = `-o rate_in=${IN}mbit -o rate_out=${OUT}mbit`;
      await docker(host, `network create -d berth-lan -o mode=macvlan -o parent=lan0 ${rates} ${LAN} lan`);
      const image = await host.image();
      for (const network of ['lan', 'name=lan,driver-opt=interface_name=uplink']) {
        // With a name of its own the interface is renamed later on, which must not cost it its limits.
        const run = ['docker', 'run', '--rm', '--network', network, image, 'ip', 'link'];
        for (let round = 0; round < 5; round += 1) {
          const { stdout } = await host.exec(run);
          // Without a carrier nothing leaves it. That is how the engines before 28 may find it, on a busy host.
          assert.match(stdout, /(eth0|uplink0?)@\S+ .*(NO-CARRIER|LOWER_UP.* qdisc tbf )/);
        }
      }
      await start(host, 'box', '--network name=lan,ip=192.168.159.140,driver-opt=interface_name=uplink');
      await reaches(stage().other, '192.168.159.140');
      await limited(host, stage().other, 'box');
    });

    test('bandwidth of an attachment, and without a limit there is none', { timeout: 180_000 }, async () => {
      const { host, other } = stage();
      await start(host, 'box', '--network none');
      await attach(host, 'box --bridge br0 --address 192.168.159.141/24');
      assert.ok((await measure(host, other, 'box', 'out')) > 4 * IN);
      await berth(host, 'detach box');
      await attach(host, `box --bridge br0 --address 192.168.159.141/24 --rate-in ${IN}mbit --rate-out ${OUT}mbit`);
      await limited(host, other, 'box');
    });

    test('routes and rules: there from the first instruction, and again when somebody removes them', async () => {
      const { host } = stage();
      await docker(host, `network create -d berth-lan -o route=10.1.0.0/16 ${LAN} lan`);
      const image = await host.image();
      const { stdout } = await host.exec(['docker', 'run', '--rm', '--network', 'lan', image, 'ip', 'route']);
      assert.match(stdout, /10\.1\.0\.0\/16 dev eth0/);
      await start(host, 'box', '--network none');
      const route = '10.2.0.0/16 via 192.168.159.10';
      const line = 'box --network lan --address 192.168.159.140';
      const flags = [
        '--route',
        route,
        '--route',
        'default via 192.168.159.10 table 100',
        '--rule',
        'from 192.168.159.140 table 100',
      ];
      const plugged = await host.berth('attach', ...line.split(' '), ...flags);
      assert.equal(plugged.code, 0, plugged.stderr);
      const seen = async () => ({
        main: (await enter(host, 'box', 'ip', 'route')).stdout,
        table: (await enter(host, 'box', 'ip', 'route', 'show', 'table', '100')).stdout,
        rules: (await enter(host, 'box', 'ip', 'rule')).stdout,
      });
      const complete = async () => {
        let said = '';
        await waitFor(
          () => `routes and rules to be complete: ${said}`,
          async () => {
            const { main, table, rules } = await seen();
            said = `${main}\n${table}\n${rules}`;
            return (
              /10\.2\.0\.0\/16 via 192\.168\.159\.10 dev eth1/.test(main) &&
              /default via 192\.168\.159\.10 dev eth1/.test(table) &&
              /from 192\.168\.159\.140 lookup 100/.test(rules)
            );
          },
          30_000,
          100,
        );
      };
      await complete();
      await enter(host, 'box', 'ip', 'route', 'delete', '10.2.0.0/16');
      await enter(host, 'box', 'ip', 'route', 'flush', 'table', '100');
      await enter(host, 'box', 'ip', 'rule', 'delete', 'from', '192.168.159.140', 'lookup', '100');
      await complete();
      await enter(host, 'box', 'ip', 'link', 'delete', 'eth1');
      await complete();
    });

    test('no default route, and no gateway bridge either', async () => {
      const { host, other } = stage();
      await docker(host, `network create -d berth-lan -o default_route=false ${LAN} lan`);
      await start(host, 'box', '--network lan --ip 192.168.159.140');
      assert.equal((await onlyInterface(host, 'box')).name, 'eth0');
      assert.equal(await defaultRoute(host, 'box'), '');
      await reaches(other, '192.168.159.140');
      await docker(host, 'network create -d berth -o default_route=false --subnet 10.55.0.0/24 net');
      await start(host, 'second', '--network net');
      await onlyInterface(host, 'second');
      assert.equal(await defaultRoute(host, 'second'), '');
    });

    test('of one endpoint: MAC address, MTU, interface name, sysctl', async () => {
      const { host, other } = stage();
      await docker(host, `network create -d berth-lan ${LAN} lan`);
      await start(host, 'box', '--network none');
      await docker(host, 'network disconnect none box');
      const options = [
        'mac=0a:00:27:00:00:07',
        'mtu=1400',
        'interface_name=uplink',
        'sysctl=net.ipv4.conf.IFNAME.rp_filter=2',
      ];
      await host.docker(
        'network',
        'connect',
        '--ip',
        '192.168.159.140',
        ...options.flatMap((option) => ['--driver-opt', option]),
        'lan',
        'box',
      );
      await waitFor('the interface to have its name', async () =>
        (await interfaces(host, 'box')).some(({ name }) => name === 'uplink'),
      );
      const { mac, mtu, addresses } = await onlyInterface(host, 'box');
      assert.deepEqual([mac, mtu, addresses], ['0a:00:27:00:00:07', 1400, ['192.168.159.140/24']]);
      assert.equal(await defaultRoute(host, 'box'), `${GATEWAY} uplink`);
      await reaches(other, '192.168.159.140');
      const setting = () => enter(host, 'box', 'cat', '/proc/sys/net/ipv4/conf/uplink/rp_filter');
      await waitFor('the sysctl to be set', async () => (await setting()).stdout === '2\n');
      assert.equal((await inspect(host, 'box')).NetworkSettings.Networks.lan?.MacAddress, mac);
      // The engine knows the interface by its first name.
      const { status, body } = await host.api('/containers/box/stats?stream=false&one-shot=true');
      assert.equal(status, 200, body);
      assert.match(body, /"rx_bytes":/);
      // Deleted, it comes back under the chosen name.
      await enter(host, 'box', 'ip', 'link', 'delete', 'uplink');
      await waitFor('the interface to be back', async () =>
        (await interfaces(host, 'box')).some(({ name, addresses: all }) => name === 'uplink' && all.length === 1),
      );
      await reaches(other, '192.168.159.140');
      await docker(host, 'network disconnect lan box');
      assert.deepEqual(await interfaces(host, 'box'), []);
    });

    if (engine !== '20.10') {
      test('the engine’s own words for name and sysctl', async () => {
        const { host } = stage();
        await docker(host, `network create -d berth-lan ${LAN} lan`);
        const own = 'driver-opt=com.docker.network.endpoint';
        await start(
          host,
          'box',
          `--network name=lan,${own}.ifname=uplink,${own}.sysctls=net.ipv4.conf.IFNAME.rp_filter=2`,
        );
        await waitFor('the interface to have its name', async () =>
          (await interfaces(host, 'box')).some(({ name }) => name === 'uplink'),
        );
        await waitFor('the sysctl to be set', async () => {
          const { stdout } = await enter(host, 'box', 'cat', '/proc/sys/net/ipv4/conf/uplink/rp_filter');
          return stdout === '2\n';
        });
        await docker(host, 'restart -t 0 box');
        await waitFor('the interface to have its name again', async () =>
          (await interfaces(host, 'box')).some(({ name }) => name === 'uplink'),
        );
      });
    }

    test('rules go with the network that they were on', async () => {
      const { host } = stage();
      await docker(host, `network create -d berth-lan ${LAN} lan`);
      await start(host, 'box', '--network bridge');
      await host.docker('network', 'connect', '--driver-opt', 'rule=fwmark 7 table 70', 'lan', 'box');
      const rules = async () => (await enter(host, 'box', 'ip', 'rule')).stdout;
      await waitFor('the rule to be there', async () => (await rules()).includes('lookup 70'));
      await docker(host, 'network disconnect lan box');
      await waitFor('the rule to go', async () => !(await rules()).includes('lookup 70'));
    });

    test('what cannot be understood is refused, when the network is made and when a container joins it', async () => {
      const { host } = stage();
      const refusals: readonly (readonly [string, RegExp])[] = [
        ['rate_in=fast', /'rate_in' is a rate from 16kbit to 1tbit/],
        ['route=nowhere', /'route' is such as '10\.0\.0\.0\/8 via 192\.168\.1\.2', not 'nowhere'/],
        ['rule=from', /'rule' is such as/],
        ['sysctl=kernel.panic=1', /'sysctl' is such as/],
        ['default_route=no', /true or false/],
        ['burst=64kb', /goes with 'rate_in' or 'rate_out'/],
      ];
      for (const [option, words] of refusals) {
        assert.match(await dockerFails(host, `network create -d berth-lan -o ${option} ${LAN} wrong`), words);
      }
      await docker(host, `network create -d berth-lan ${LAN} lan`);
      await start(host, 'box', '--network none');
      await docker(host, 'network disconnect none box');
      assert.match(await dockerFails(host, 'network connect --driver-opt mac=xyz lan box'), /'mac' is such as/);
      assert.match(
        await dockerFails(host, 'network connect --driver-opt rate=1mbit lan box'),
        /'rate' is not known; did you mean/,
      );
    });
  });
}

/** Both ways, within wide margins: less than the limit allows, and most of it. */
async function limited(host: Host, other: Machine, container: string): Promise<void> {
  for (const [way, limit] of [
    ['in', IN],
    ['out', OUT],
  ] as const) {
    let seen = 0;
    await waitFor(
      () => `the rate ${way} to be about ${limit} Mb/s, not ${seen.toFixed(1)}`,
      async () => {
        seen = await measure(host, other, container, way);
        return seen > limit * 0.5 && seen < limit * 1.3;
      },
      40_000,
      200,
    );
  }
}

/** Megabits per second that a stream from (`out`) or to (`in`) the container really gets. */
async function measure(host: Host, other: Machine, container: string, way: 'in' | 'out'): Promise<number> {
  const server = await other.netSpawn(['iperf3', '-s', '-1', '--forceflush']);
  await server.waitForOutput(/listening/);
  const flags = ['-J', '-t', '3', ...(way === 'in' ? ['-R'] : [])];
  const client = await inside(host, container, ['iperf3', '-c', OTHER, ...flags]);
  await server.stop();
  const { end } = JSON.parse(client.stdout) as { end: { sum_received: { bits_per_second: number } } };
  return end.sum_received.bits_per_second / 1e6;
}

/** Runs a program of this machine in a container's network: the engine's own tree has neither iperf3 nor tc. */
async function inside(host: Host, container: string, command: readonly string[]): Promise<Result> {
  const { body } = await host.api(`/containers/${container}/json`);
  const { SandboxKey } = (JSON.parse(body) as { NetworkSettings: { SandboxKey: string } }).NetworkSettings;
  const sandbox = host.path(SandboxKey.replace(/^\/var\/run/, '/run'));
  return host.net(['nsenter', `--net=${sandbox}`, ...command], { timeout: 30_000 });
}

async function hostQdiscs(host: Host): Promise<void> {
  const { stdout } = await host.net(['ip', '-j', 'link']);
  const names = (JSON.parse(stdout) as { ifname: string }[]).map(({ ifname }) => ifname);
  for (const name of names.filter((one) => /^b[vq][0-9a-f]{13}$/.test(one))) {
    for (const which of ['root', 'ingress'])
      await host.net(['tc', 'qdisc', 'del', 'dev', name, which], { check: false });
  }
}

async function containerQdiscs(host: Host, container: string): Promise<void> {
  for (const which of ['root', 'ingress']) {
    await inside(host, container, ['tc', 'qdisc', 'del', 'dev', 'eth0', which]);
  }
}

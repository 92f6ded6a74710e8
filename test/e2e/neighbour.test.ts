/** The good neighbour: no container gets an address that another machine on the LAN has, and none disturbs one. */

import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { Host } from './bed/host.ts';
import type { Machine } from './bed/machine.ts';
import { waitFor } from './bed/process.ts';
import { addressOf, docker, dockerFails, inspect, onlyInterface, reaches, start } from './suites/containers.ts';
import { setStage } from './suites/stage.ts';

const BERTH = join(import.meta.dirname, '../../bin/berth');
const GATEWAY = '192.168.159.2';
const HOST = '192.168.159.20';
/** What the other machine has. Each test uses others: an address that a container has just left is taken for ours for a while. */
const held = (last: number): string => `192.168.159.${last}`;
const held6 = (last: number): string => `fd00:159::${last}`;
/** The first is never taken away: with it would go the others of its subnet. */
const ALL_HELD = [10, 140, 141, 142, 143, 144, 145, 180];
const FREE = '192.168.159.150';
const FREE6 = 'fd00:159::150';

const LAN = `--subnet=192.168.159.0/24 --gateway=${GATEWAY}`;
const LAN6 = '--ipv6 --subnet=fd00:159::/64 --gateway=fd00:159::2';

interface Heard {
  readonly event: string;
  readonly attributes: Readonly<Record<string, string>>;
}

const stage = setStage('20.10', async (bed) => {
  const lan = await bed.lan({
    subnet: '192.168.159.0/24',
    gateway: GATEWAY,
    subnet6: 'fd00:159::/64',
    gateway6: 'fd00:159::2',
  });
  const [other, host] = await Promise.all([
    lan.machine('other', ...ALL_HELD.flatMap((last) => [`${held(last)}/24`, `${held6(last)}/64`])),
    bed.host('host', { underlay: false }),
  ]);
  await lan.plug(host, { bridge: 'br0', addresses: [`${HOST}/24`, 'fd00:159::20/64'], gateway: true });
  await lan.plug(host, { name: 'eth1' });
  await host.startBerth();
  return { host, other };
});

async function macOf(machine: Machine): Promise<string> {
  const { stdout } = await machine.net(['ip', '-j', 'link', 'show', 'eth0']);
  return (JSON.parse(stdout) as { address: string }[])[0]!.address;
}

/** What the agent tells from now on. */
async function follow(host: Host, t: TestContext): Promise<() => Promise<readonly Heard[]>> {
  const following = await host.spawn([BERTH, 'events', '--json'], {
    env: { BERTH_RUN_DIR: '/run/berth' },
    name: `events-${process.hrtime.bigint()}`,
  });
  t.after(() => following.stop('SIGTERM'));
  const heard = async () =>
    (await following.output())
      .split('\n')
      .filter((line) => line.endsWith('}'))
      .map((line) => JSON.parse(line) as Heard);
  await waitFor(
    'berth events to follow',
    async () => {
      await docker(host, 'network create -d berth probe');
      await docker(host, 'network rm probe');
      return (await heard()).length > 0;
    },
    30_000,
  );
  return heard;
}

async function berth<View>(host: Host, ...args: readonly string[]): Promise<View> {
  const { code, stdout, stderr } = await host.berth(...args, '--json');
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as View;
}

describe('an address that another machine has', () => {
  const ways = [
    ['on a bridge', '-d berth-lan', 140],
    ["on a bridge, with Berth's addresses", '-d berth-lan --ipam-driver=berth-lan', 141],
    ['on macvlan', '-d berth-lan -o mode=macvlan -o parent=eth1', 142],
  ] as const;
  for (const [what, flags, last] of ways) {
    test(`is refused, with the MAC address of the machine: ${what}`, async () => {
      const { host, other } = stage();
      const image = await host.image();
      const mac = await macOf(other);
      const refusal = (address: string) =>
        `another machine on the LAN has the address ${address}: its MAC address is ${mac}`;
      await docker(host, `network create ${flags} ${LAN} ${LAN6} lan`);
      const v4 = await dockerFails(
        host,
        `run -d --name c1 --net lan --ip ${held(last)} --ip6 ${FREE6} ${image} sleep 1000`,
      );
      assert.ok(v4.includes(refusal(held(last))), v4);
      const v6 = await dockerFails(
        host,
        `run -d --name c2 --net lan --ip ${FREE} --ip6 ${held6(last)} ${image} sleep 1000`,
      );
      assert.ok(v6.includes(refusal(held6(last))), v6);
      assert.deepEqual(await berth(host, 'endpoint', 'ls'), []);

      // The other machine lets go of it, and the same container starts.
      await other.ip(`address del ${held(last)}/24 dev eth0`);
      try {
        await docker(host, 'start c1');
        assert.ok((await onlyInterface(host, 'c1')).addresses.includes(`${held(last)}/24`));
      } finally {
        await docker(host, 'rm -f c1 c2');
        await other.ip(`address add ${held(last)}/24 dev eth0`);
      }
    });
  }

  test('is given where the check is switched off; an address of the host itself is not', async () => {
    const { host } = stage();
    const image = await host.image();
    await docker(host, `network create -d berth-lan -o conflict_check=false ${LAN} ${LAN6} lan`);
    await start(host, 'c1', `--net lan --ip ${held(143)} --ip6 ${held6(143)}`);
    assert.equal(await addressOf(host, 'c1'), held(143));
    const own = await dockerFails(host, `run -d --net lan --ip ${HOST} ${image} sleep 1000`);
    assert.ok(own.includes(`the address ${HOST} is this host's own, on br0`), own);
  });

  test('is not given to a container that is plugged in by hand', async () => {
    const { host, other } = stage();
    await start(host, 'c1', '--network none');
    const attach = ['attach', 'c1', '--bridge', 'br0', '--address'];
    const { code, stderr } = await host.berth(...attach, `${held(145)}/24`);
    assert.notEqual(code, 0);
    assert.ok(stderr.includes(`another machine on the LAN has the address ${held(145)}`), stderr);
    assert.deepEqual(await berth(host, 'attachment', 'ls'), []);
    await berth(host, ...attach, `${FREE}/24`);
    await reaches(other, FREE);
  });

  test('is passed over where Berth gives out the addresses, and so is the host’s own', async (t) => {
    const { host, other } = stage();
    const events = await follow(host, t);
    const create = `network create -d berth-lan --ipam-driver=berth-lan --subnet=192.168.159.0/24 --gateway=${GATEWAY}`;
    await docker(host, `${create} --ip-range=192.168.159.176/29 lan`);
    await docker(host, `${create} --ip-range=192.168.159.20/31 own`);
    const given: string[] = [];
    for (const name of ['c1', 'c2', 'c3', 'c4', 'c5', 'c6']) {
      await start(host, name, '--net lan');
      given.push(await addressOf(host, name));
    }
    assert.deepEqual(
      given,
      [176, 177, 178, 179, 181, 182].map((last) => `192.168.159.${last}`),
    );
    const mac = await macOf(other);
    assert.deepEqual(
      (await events())
        .filter(({ event }) => event === 'address.conflict')
        .map(({ attributes: { address, mac: by, outcome } }) => [address, by, outcome]),
      [[held(180), mac, 'avoided']],
    );
    await start(host, 'd1', '--net own');
    assert.equal(await addressOf(host, 'd1'), '192.168.159.21');
  });

  test('is told of when it is taken after the container has started', async (t) => {
    const { host, other } = stage();
    const events = await follow(host, t);
    await docker(host, `network create -d berth-lan ${LAN} ${LAN6} lan`);
    await start(host, 'c1', `--net lan --ip ${FREE} --ip6 ${FREE6}`);
    const mac = await macOf(other);
    try {
      // As somebody does by hand: no question, and no word to anybody.
      await other.ip(`address add ${FREE}/24 dev eth0`, `address add ${FREE6}/64 dev eth0 nodad`);
      await waitFor(
        'both conflicts to be told',
        async () => (await events()).filter(({ attributes }) => attributes.outcome === 'found').length === 2,
        30_000,
      );
      const { EndpointID } = (await inspect(host, 'c1')).NetworkSettings.Networks.lan!;
      type Conflicts = { conflicts: { address: string; mac: string; container?: string }[] };
      const [endpoint] = await berth<Conflicts[]>(host, 'endpoint', 'inspect', EndpointID);
      const expected = [`${FREE} ${mac}`, `${FREE6} ${mac}`];
      const shown = ({ conflicts }: Conflicts) =>
        conflicts.map(({ address, mac: by }) => `${address} ${by}`).toSorted();
      assert.deepEqual(shown(endpoint!), expected);
      assert.deepEqual(shown(await berth<Conflicts>(host, 'status')), expected);
      assert.match((await host.berth('status')).stdout, new RegExp(`${FREE} of c1 is also used by ${mac}`));
      assert.match((await host.berthApi('/metrics')).body, /berth_address_conflicts_total\{outcome="found"\} [2-9]/);
      await docker(host, 'rm -f c1');
      assert.deepEqual((await berth<Conflicts>(host, 'status')).conflicts, []);
    } finally {
      await other.ip(`address del ${FREE}/24 dev eth0`, `address del ${FREE6}/64 dev eth0`);
    }
  });

  test('is still found by an agent that has been restarted between the creation of an endpoint and its start', async () => {
    const { host } = stage();
    const image = await host.image();
    await docker(host, `network create -d berth-lan ${LAN} lan`);
    await host.stopBerth();
    const log = '/run/effects';
    const flags = ['--gc-grace', '1', '--audit-interval', '1', '--linger', '0'];
    await host.startBerth(flags, { BERTH_CRASH_LOG: log });
    rmSync(host.path(log), { force: true });
    const refused = () => dockerFails(host, `run -d --name c1 --net lan --ip ${held(144)} ${image} sleep 1000`);
    assert.match(await refused(), /another machine on the LAN has the address/);
    await docker(host, 'rm -f c1');
    const effects = readFileSync(host.path(log), 'utf8').trim().split('\n').length;
    assert.ok(effects >= 4, `${effects} effects`);
    await host.stopBerth();
    for (let effect = 1; effect <= effects; effect += 1) {
      const doomed = await host.startBerth(flags, { BERTH_CRASH_AT_EFFECT: `${effect}` }, { wait: false });
      const restarted = doomed.exited().then(() => host.startBerth(flags));
      // Whatever the engine makes of it: it does not have the address.
      await refused();
      if (doomed.running()) await doomed.stop('SIGKILL');
      await restarted;
      await docker(host, 'rm -f c1');
      await waitFor(
        `the endpoint to be forgotten after effect ${effect}`,
        async () => (await berth<unknown[]>(host, 'endpoint', 'ls')).length === 0,
        30_000,
      );
      await host.stopBerth();
    }
    await host.startBerth();
  });
});

test('a container that comes back is not taken for another machine, whatever its MAC address was before', async () => {
  const { host, other } = stage();
  const image = await host.image();
  await docker(host, `network create -d berth-lan ${LAN} ${LAN6} lan`);
  const flags = `--net lan --ip ${FREE} --ip6 ${FREE6}`;
  for (const last of ['1', '2', '3', '4', '5'])
    await docker(host, `run --rm ${flags} --mac-address 0a:00:27:00:00:0${last} ${image} ping -c 1 ${GATEWAY}`);
  await start(host, 'c1', flags);
  for (let round = 1; round <= 3; round += 1) await docker(host, 'restart -t 0 c1');
  for (const address of [FREE, FREE6]) await reaches(other, address);
});

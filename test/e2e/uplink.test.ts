/**
 * A NIC becomes a bridge and a NIC again while somebody works on the host through it: what the host has on it goes over and
 * comes back to the last attribute, and a session from another machine is never cut, whatever happens in between.
 */

import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Host } from './bed/host.ts';
import { unixRequest } from './bed/http.ts';
import type { Cable } from './bed/lan.ts';
import { waitFor } from './bed/process.ts';
import { addressOf, docker, dockerFails, reaches, start } from './suites/containers.ts';
import { nothingLeft } from './suites/leftovers.ts';
import { openSessions, type Sessions } from './suites/sessions.ts';
import { setStage } from './suites/stage.ts';
import {
  everything,
  hanging,
  nothing,
  type Shown,
  seenFromOutside,
  setting,
  settings,
  withoutLifetime,
} from './suites/uplink-holdings.ts';

const NIC = 'eth1';
const BRIDGE = 'br-eth1';
const ADDRESS = '192.168.160.20';
const ADDRESS6 = 'fd00:160::20';
const GATEWAY = '192.168.160.2';
const create = `network create -d berth-lan --ipam-driver berth-lan -o parent=${NIC} --subnet=192.168.160.0/24 --gateway=${GATEWAY} --ip-range=192.168.160.128/26`;

/** Of everything that can hang on a card, something. */
const belongings = [
  `addr add 192.168.160.21/24 dev ${NIC}`,
  `addr add 192.168.160.22/24 dev ${NIC} label ${NIC}:two`,
  `addr add 198.51.100.5/25 dev ${NIC} valid_lft 7900 preferred_lft 3900 metric 55`,
  `addr add fd00:160::21/64 dev ${NIC} nodad valid_lft 7900 preferred_lft 3900`,
  `route add default via ${GATEWAY} dev ${NIC} metric 600 proto dhcp src ${ADDRESS}`,
  `route add default via ${GATEWAY} dev ${NIC} table 77`,
  `route add 203.0.113.128/25 via 192.168.99.1 dev ${NIC} onlink mtu 1300`,
  `route add default via fd00:160::2 dev ${NIC} proto ra metric 1024 expires 3900 pref high`,
  `rule add iif ${NIC} lookup 77 priority 7000`,
  `rule add from ${ADDRESS} oif ${NIC} fwmark 0x7/0xff lookup 77 priority 7001`,
  `neigh add 192.168.160.99 lladdr 02:00:00:00:00:99 nud permanent dev ${NIC}`,
  `neigh add proxy 192.168.160.98 dev ${NIC}`,
  `neigh add fd00:160::99 lladdr 02:00:00:00:00:99 nud permanent dev ${NIC}`,
];

describe('a card becomes a bridge', () => {
  let sessions: Sessions;
  // Before the stage goes.
  after(() => sessions?.close());
  const stage = setStage('20.10', async (bed, engine) => {
    const [lan, host] = await Promise.all([
      bed.lan({
        name: 'second',
        subnet: '192.168.160.0/24',
        gateway: GATEWAY,
        subnet6: 'fd00:160::/64',
        gateway6: 'fd00:160::2',
        nat: false,
      }),
      bed.host('host', { engine, underlay: false }),
    ]);
    const other = await lan.machine('other', '192.168.160.10/24', 'fd00:160::10/64');
    const cable = await lan.plug(host, { name: NIC, addresses: [`${ADDRESS}/24`, `${ADDRESS6}/64`] });
    await host.startBerth();
    return { host, lan, other, cable };
  });

  before(async () => {
    const { host, other } = stage();
    // The link-local address is one by rule, and usable only after a second.
    await waitFor('the card to be ready', async () => !(await host.net(['ip', 'a'])).stdout.includes('tentative'));
    await host.ip(...belongings, `link set ${NIC} mtu 1450`);
    for (const [path, value] of Object.entries(settings)) await host.sh(`echo ${value} >${setting(path, NIC)}`);
    sessions = await openSessions(host, other, [ADDRESS, ADDRESS6]);
  });
  test('everything that hangs on it goes over and comes back, and no session notices', async () => {
    const { host, lan, other } = stage();
    const original = await everything(host, NIC);
    const seen = await seenFromOutside(lan, other, [ADDRESS, ADDRESS6]);

    await docker(host, `${create} phys`);
    assert.deepEqual(await everything(host, BRIDGE), original);
    assert.deepEqual(await hanging(host, NIC), nothing);
    await sessions.goOn();
    assert.deepEqual(await seenFromOutside(lan, other, [ADDRESS, ADDRESS6]), seen);
    await start(host, 'c1', '--network=phys');
    await reaches(other, await addressOf(host, 'c1'));
    await reaches([host, 'c1'], ADDRESS);
    await sessions.goOn();

    await docker(host, 'rm -f c1');
    await docker(host, 'network rm phys');
    assert.deepEqual(await everything(host, NIC), original);
    await sessions.goOn();
    assert.deepEqual(await seenFromOutside(lan, other, [ADDRESS, ADDRESS6]), seen);
  });

  test('without a confirmation it goes back, with one it stays, and sessions go on through both', async () => {
    const { host } = stage();
    const original = await everything(host, NIC);
    const events = await host.spawn([join(import.meta.dirname, '../../bin/berth'), 'events'], { name: 'events' });
    await docker(host, `${create} -o confirm=manual -o confirm_timeout=5 tried`);
    assert.deepEqual(await everything(host, BRIDGE), original);
    await sessions.goOn();
    await waitFor('the card to be given back', async () => !(await exists(host, BRIDGE)), 15_000);
    await events.waitForOutput(/uplink\.returned .*eth1 was given back: nobody confirmed it in time/);
    assert.deepEqual(await everything(host, NIC), original);
    await sessions.goOn();
    await docker(host, 'network rm tried');

    await docker(host, `${create} -o confirm=manual -o confirm_timeout=5 tried`);
    const { code, stderr } = await host.berth('network', 'confirm', 'tried');
    assert.equal(code, 0, stderr);
    await events.waitForOutput(/uplink\.confirmed .*eth1 stays a port of br-eth1/);
    await events.stop();
    await sessions.goOn();
    await docker(host, 'network rm tried');
    assert.deepEqual(await everything(host, NIC), original);
    await sessions.goOn();
  });

  test('a cable that is pulled while it is on trial ends the trial', async () => {
    const { host, cable } = stage();
    // With its carrier a card loses its proxy entries, whoever it belongs to (neigh_carrier_down).
    const proxy = belongings.find((command) => command.includes('proxy'))!;
    await host.ip(removal(proxy));
    const original = await everything(host, NIC);
    await docker(host, `${create} -o confirm=manual -o confirm_timeout=600 tried`);
    await pulled(cable, async () => {
      await waitFor('the card to be given back', async () => !(await exists(host, BRIDGE)), 20_000);
    });
    await waitFor('the carrier', async () => (await host.net(['ip', 'link', 'show', NIC])).stdout.includes('LOWER_UP'));
    assert.deepEqual(await everything(host, NIC), original);
    await sessions.goOn();
    const late = await host.berth('network', 'confirm', 'tried');
    assert.match(late.stderr, /too late: eth1 has been given back/);
    await host.ip(proxy);
  });

  test('what a DHCP client gives the card afterwards belongs to the bridge, with its new lifetime', async () => {
    const { host } = stage();
    await docker(host, `${create} phys`);
    const before = await everything(host, BRIDGE);
    // As dhclient's script and systemd-networkd do when a lease was renewed.
    await host.ip(`addr replace 198.51.100.5/25 dev ${NIC} valid_lft 90900 preferred_lft 80900 metric 55`);
    await waitFor('the card to have nothing', async () => (await hanging(host, NIC)).addresses.length === 0);
    const renewed = await everything(host, BRIDGE);
    const lease = renewed.addresses.find(({ local }) => local === '198.51.100.5')!;
    assert.equal(lease.valid_life_time, 91);
    assert.deepEqual(
      { ...renewed, addresses: renewed.addresses.map(withoutLifetime) },
      { ...before, addresses: before.addresses.map(withoutLifetime) },
    );
    await sessions.goOn();
    await docker(host, 'network rm phys');
    await host.ip(`addr replace 198.51.100.5/25 dev ${NIC} valid_lft 7900 preferred_lft 3900 metric 55`);
  });

  test('a bridge that somebody removes is made again with all that it had, and the sessions go on', async () => {
    const { host } = stage();
    await docker(host, `${create} phys`);
    const before = await everything(host, BRIDGE);
    await host.ip(`link del ${BRIDGE}`);
    await waitFor('the bridge to be there', () => exists(host, BRIDGE));
    await waitFor('all of it to be there', async () => (await hanging(host, BRIDGE)).addresses.length > 5);
    assert.deepEqual(await everything(host, BRIDGE), before);
    await sessions.goOn();
    await docker(host, 'network rm phys');
  });

  test('what will change is shown first, and what has changed afterwards', async () => {
    const { host } = stage();
    const ask = async (...words: string[]) => {
      const { code, stdout, stderr } = await host.berth('uplink', ...words, '--json');
      assert.equal(code, 0, stderr);
      return JSON.parse(stdout) as Shown;
    };
    const { addr_info: held } = (JSON.parse((await host.net(['ip', '-j', 'addr', 'show', NIC])).stdout) as Shown[])[0]!;
    const plan = await ask('plan', NIC);
    assert.deepEqual(
      plan.addresses.map(({ address }: Shown) => address).toSorted(),
      (held as Shown[]).map(({ local, prefixlen }) => `${local}/${prefixlen}`).toSorted(),
    );
    assert.ok(plan.addresses.some(({ validSeconds }: Shown) => validSeconds > 7000));
    assert.equal(plan.routes.length, 4);
    assert.equal(plan.rules.length, 2);
    assert.deepEqual(
      plan.settings.toSorted(),
      Object.entries(settings)
        .map(([path, value]) => `${path}=${value}`)
        .toSorted(),
    );
    // The two sessions of this test.
    assert.equal(plan.connections.count, 2);
    assert.deepEqual([plan.confirm, plan.risks], ['auto', []]);
    const text = await host.berth('uplink', 'plan', NIC);
    assert.match(
      text.stdout,
      /^eth1 becomes a port of the new bridge br-eth1, which has its MAC address .* MTU 1450\.$/m,
    );
    assert.equal(await exists(host, BRIDGE), false);

    // What it says can be run as it stands.
    assert.match(
      plan.commands[0],
      /--subnet 192\.168\.160\.0\/24 --gateway 192\.168\.160\.2 --aux-address host4=192\.168\.160\.20/,
    );
    await host.sh(plan.commands[0] as string);
    const [shown] = (await ask('ls')) as unknown as Shown[];
    assert.deepEqual([shown!.nic, shown!.bridge, shown!.state, shown!.networks], [NIC, BRIDGE, 'settled', ['lan']]);
    const [inspected] = (await ask('inspect', BRIDGE)) as unknown as Shown[];
    assert.match(inspected!.rules[0], /^7000: from all iif (br-)?eth1 lookup 77$/);
    const again = await host.berth('uplink', 'plan', NIC);
    assert.equal(again.code, 1);
    assert.match(again.stdout, /REFUSED: eth1 is already a port of br-eth1/);
    await docker(host, 'network rm lan');
    assert.deepEqual(await ask('ls'), []);
  });

  test('a rule of the packet filter that names the card, and an ssh session through it, call for a confirmation', async () => {
    const { host, other } = stage();
    const server = await host.netSpawn(['sh', '-c', 'sleep 1000 | busybox nc -l -p 22'], { name: 'sshd' });
    await waitFor('the server', async () => (await host.net(['ss', '-Hltn', 'sport', '=', '22'])).stdout !== '');
    const client = await other.netSpawn(['sh', '-c', `sleep 1000 | busybox nc ${ADDRESS} 22`], { name: 'ssh' });
    const port = await waitFor('the session', async () => {
      const { stdout } = await host.net(['ss', '-Htn', 'state', 'established', 'sport', '=', '22']);
      return /:(\d+)\s*$/.exec(stdout.trim())?.[1];
    });
    const session = `192.168.160.10 ${port} ${ADDRESS} 22`;
    await host.net([
      'nft',
      'add table inet own; add chain inet own in; add rule inet own in iifname eth1 tcp dport 22 accept',
    ]);
    const { status, body } = await host.berthApi(`/v1/uplinks/${NIC}/plan?session=${encodeURIComponent(session)}`);
    assert.equal(status, 200, body);
    const plan = JSON.parse(body) as Shown;
    assert.equal(plan.confirm, 'manual');
    assert.equal(plan.connections.caller.remote, '192.168.160.10');
    assert.match(plan.risks[0].message, /your ssh session from 192\.168\.160\.10 comes in through eth1/);
    assert.match(
      plan.risks[1].message,
      /1 rules of the packet filter name eth1 .* inet own: iifname "eth1" tcp dport 22 accept/,
    );
    assert.match(plan.commands[0], /-o confirm=manual/);
    assert.equal(plan.commands[1], 'berth network confirm lan');
    await host.net(['nft', 'delete table inet own']);
    await client.stop('SIGKILL');
    await server.stop('SIGKILL');
  });

  test('a manager that would undo it at once is recognised, and somebody has to confirm', async () => {
    const { host } = stage();
    // What counts is the name; it does nothing.
    await host.sh('cp /bin/sleep /tmp/dhcpcd');
    const manager = await host.spawn(['/tmp/dhcpcd', '100000'], { name: 'dhcpcd' });
    await waitFor('it to run', async () => (await host.sh('cat /proc/[0-9]*/comm')).stdout.includes('dhcpcd'));
    const refused = await dockerFails(host, `${create} phys`);
    assert.match(
      refused,
      /dhcpcd runs for all interfaces: .*denyinterfaces eth1 br-eth1.* try it all the same with -o confirm=manual/,
    );
    assert.equal(await exists(host, BRIDGE), false);
    await docker(host, `${create} -o confirm=manual phys`);
    await docker(host, 'network rm phys');
    await manager.stop('SIGKILL');
    await docker(host, `${create} phys`);
    const calm = await uplinkFindings(host);
    assert.deepEqual(
      calm.map(({ level }) => level),
      ['ok'],
    );
    // systemd-networkd does not know of the bridge, and would take the card out of it.
    await host.sh(`cp /bin/sleep /tmp/systemd-networkd; mkdir -p /etc/systemd/network
      printf '[Match]\\nName=eth*\\n[Network]\\nDHCP=yes\\n' >/etc/systemd/network/50-all.network`);
    const networkd = await host.spawn(['/tmp/systemd-networkd', '100000'], { name: 'networkd' });
    const finding = await waitFor('the doctor to see it', async () =>
      (await uplinkFindings(host)).find(({ level }) => level === 'warn'),
    );
    assert.match(finding.message, /systemd-networkd runs and manages eth1 by \/etc\/systemd\/network\/50-all\.network/);
    await host.sh(finding.fix.replace(/ && networkctl reload$/, ''));
    assert.deepEqual(
      (await uplinkFindings(host)).map(({ level }) => level),
      ['ok'],
    );
    await networkd.stop('SIGKILL');
    await docker(host, 'network rm phys');
    await host.sh('rm -r /etc/systemd/network /tmp/systemd-networkd /tmp/dhcpcd');
  });

  test('a card that was down is down again', async () => {
    const { host, lan } = stage();
    await lan.plug(host, { name: 'eth9' });
    await host.ip('link set eth9 down');
    const original = await everything(host, 'eth9');
    await docker(host, 'network create -d berth-lan --ipam-driver null -o parent=eth9 -o confirm=none bare');
    assert.match((await host.net(['ip', 'link', 'show', 'eth9'])).stdout, /<[^>]*,UP,.* master br-eth9/);
    await docker(host, 'network rm bare');
    assert.doesNotMatch((await host.net(['ip', 'link', 'show', 'eth9'])).stdout, /[<,]UP[,>]/);
    assert.deepEqual(await everything(host, 'eth9'), original);
    await host.ip('link del eth9');
  });

  test('name servers of the card are given to the bridge', async () => {
    const { host } = stage();
    const [{ ifindex }] = JSON.parse((await host.net(['ip', '-j', 'link', 'show', NIC])).stdout) as [
      { ifindex: number },
    ];
    // systemd-resolved has no other interface than D-Bus and its program, whose words this one writes down.
    await host.sh(`mkdir -p /run/systemd/resolve/netif
      echo nameserver 192.168.160.2 >/run/systemd/resolve/resolv.conf
      printf 'SERVERS=192.168.160.2 fd00:160::2\\nDOMAINS=lan ~corp\\n' >/run/systemd/resolve/netif/${ifindex}
      printf '#!/bin/sh\\necho "$@" >>/tmp/resolvectl.log\\n' >/usr/local/bin/resolvectl
      chmod +x /usr/local/bin/resolvectl`);
    const before = (await host.sh('cat /etc/resolv.conf')).stdout;
    await docker(host, `${create} phys`);
    assert.equal(
      (await host.sh('cat /tmp/resolvectl.log')).stdout,
      `dns ${BRIDGE} 192.168.160.2 fd00:160::2\ndomain ${BRIDGE} lan ~corp\n`,
    );
    assert.equal((await host.sh('cat /etc/resolv.conf')).stdout, before);
    await docker(host, 'network rm phys');
    await host.sh('rm -r /run/systemd/resolve /usr/local/bin/resolvectl /tmp/resolvectl.log');
  });

  describe('killed', () => {
    // Fewer things, fewer steps; one of each stays.
    const spare = belongings.filter((_, number) => [0, 1, 4, 5, 9].includes(number));
    before(() => stage().host.ip(...spare.map(removal)));
    after(() => stage().host.ip(...spare));

    for (const method of ['CreateNetwork', 'DeleteNetwork'] as const) {
      test(`at every step of ${method}, no session is cut`, { timeout: 500_000 }, async () => {
        const { host } = stage();
        const original = await everything(host, NIC);
        const points = await pointsOf(host, method);
        assert.ok(points.filter((point) => point.includes('within')).length > 10, points.join('\n'));
        for (const number of points.map((point) => point.split(' ')[0]!)) {
          if (method === 'DeleteNetwork') await call(host, 'CreateNetwork');
          await restart(host, { BERTH_CRASH_AT_EFFECT: number });
          const doomed = host.agent();
          await assert.rejects(call(host, method), `${number}: the agent dies before it answers`);
          await doomed.exited();
          await sessions.goOn().catch((error: Error) => {
            throw new Error(`${error.message}, killed at ${number} of\n${points.join('\n')}`);
          });
          await host.startBerth();
          await waitFor('the card to be given back', async () => !(await exists(host, BRIDGE)));
          assert.deepEqual(await everything(host, NIC), original, `killed at ${number} of\n${points.join('\n')}`);
          await nothingLeft(host);
        }
        await sessions.goOn();
      });
    }
  });
});

/** Calls the plugin as the engine does, who would call again and again for seconds when it dies. */
async function call(host: Host, method: 'CreateNetwork' | 'DeleteNetwork'): Promise<void> {
  const { body } = await unixRequest(host.path('/run/docker/plugins/berth-lan.sock'), `/NetworkDriver.${method}`, {
    method: 'POST',
    body: {
      NetworkID: 'e'.repeat(64),
      Options: { 'com.docker.network.generic': { parent: NIC, confirm: 'none' } },
      IPv4Data: [{ AddressSpace: 'berth', Pool: '192.168.160.0/24', Gateway: `${GATEWAY}/24` }],
    },
  });
  assert.deepEqual(JSON.parse(body), {});
}

async function uplinkFindings(host: Host): Promise<readonly { level: string; message: string; fix: string }[]> {
  const { stdout } = await host.berth('doctor', '--json');
  const all = JSON.parse(stdout) as { check: string; level: string; message: string; fix: string }[];
  return all.filter(({ check }) => check === 'uplinks');
}

/** The command that takes away what a command adds. */
const removal = (command: string): string => command.replace(' add ', ' del ');

async function exists(host: Host, link: string): Promise<boolean> {
  return (await host.net(['ip', 'link', 'show', link], { check: false })).code === 0;
}

async function pulled(cable: Cable, work: () => Promise<void>): Promise<void> {
  await cable.pull();
  try {
    await work();
  } finally {
    await cable.push();
  }
}

async function restart(host: Host, env: NodeJS.ProcessEnv): Promise<void> {
  await host.stopBerth();
  await host.startBerth([], env);
}

/** What the agent does to a card within a call, from the note of it to the note after it, numbered as it counts from its start. */
async function pointsOf(host: Host, method: 'CreateNetwork' | 'DeleteNetwork'): Promise<string[]> {
  const file = join(host.dir, 'effects');
  const read = () => (existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []);
  if (method === 'DeleteNetwork') await call(host, 'CreateNetwork');
  await restart(host, { BERTH_CRASH_LOG: file });
  const before = read().length;
  await call(host, method);
  const points = read().slice(before);
  if (method === 'CreateNetwork') await call(host, 'DeleteNetwork');
  await restart(host, {});
  rmSync(file);
  const first = points.findIndex((point) => point.endsWith('before kernel.execute'));
  const last = points.findIndex((point) => point.endsWith('after kernel.execute'));
  return points.slice(Math.max(0, first - 2), last + 3);
}

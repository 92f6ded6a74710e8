/**
 * A host that has its addresses from the LAN: a lease of a DHCP server, kept by a client of its own, and an IPv6 address and a
 * default route from router advertisements. Its card becomes a bridge; the lease, the address and the route live on there.
 */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startDhcp } from './bed/dhcp.ts';
import type { Host } from './bed/host.ts';
import { type Process, waitFor } from './bed/process.ts';
import { addressOf, docker, start } from './suites/containers.ts';
import { openSessions, type Sessions } from './suites/sessions.ts';
import { setStage } from './suites/stage.ts';

const NIC = 'eth1';
const BRIDGE = 'br-eth1';

/** What the usual clients do with a lease, at first and each time that it is renewed. */
const script = `#!/bin/sh
case $1 in
  deconfig) ip link set $interface up ;;
  bound|renew)
    ip addr replace $ip/$mask dev $interface valid_lft $lease preferred_lft $lease
    ip route replace default via $router dev $interface metric 100 proto dhcp ;;
esac
echo "did $1 $ip"
`;

/** Without udev, as in a container: /sys must be read-only. */
const networkdScript = `
  mount -t tmpfs run /run
  mount -t tmpfs network /etc/systemd/network
  mount -t sysfs -o ro sys /sys
  mkdir -p /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
  chown -R systemd-network: /run/systemd/netif
  printf '[Match]\\nName=eth2\\n[Network]\\nDHCP=ipv4\\nIPv6AcceptRA=no\\nKeepMaster=yes\\n' >/etc/systemd/network/10-eth2.network
  export SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console
  exec /lib/systemd/systemd-networkd`;

// biome-ignore lint/suspicious/noExplicitAny: what iproute2 prints is described nowhere
type Shown = Readonly<Record<string, any>>;

describe('a card with leased addresses becomes a bridge', () => {
  let sessions: Sessions;
  let client: Process;
  after(() => sessions?.close());
  const stage = setStage('20.10', async (bed, engine) => {
    const [lan, host] = await Promise.all([
      bed.lan({ subnet: '192.168.170.0/24', gateway: '192.168.170.2', nat: false }),
      bed.host('host', { engine, underlay: false }),
    ]);
    const [other, machine] = await Promise.all([
      lan.machine('other', '192.168.170.10/24', 'fd00:170::10/64'),
      lan.machine('server', '192.168.170.3/24', 'fd00:170::3/64'),
    ]);
    await startDhcp(machine, {
      range: ['192.168.170.100', '192.168.170.150'],
      gateway: '192.168.170.2',
      lease: 120,
      // Of those that go by it, systemd-networkd asks everybody from T2 on, and its server alone before: in vain on a port.
      renew: 5,
      rebind: 8,
      flags: [
        '--enable-ra',
        '--dhcp-range=::,constructor:eth0,ra-only,64,300',
        // Every 4 s at most; the route is good for a minute.
        '--ra-param=eth0,4,60',
      ],
    });
    await lan.plug(host, { name: NIC });
    await host.startBerth();
    return { host, lan, other };
  });

  before(async () => {
    const { host, other } = stage();
    const file = join(host.dir, 'lease.sh');
    writeFileSync(file, script, { mode: 0o755 });
    client = await host.netSpawn(['busybox', 'udhcpc', '-f', '-i', NIC, '-s', file], { name: 'udhcpc' });
    await client.waitForOutput(/did bound/);
    const made = await waitFor('an address by advertisement', async () =>
      (await addresses(host, NIC)).find(
        ({ family, mngtmpaddr, tentative }) => family === 'inet6' && mngtmpaddr && !tentative,
      ),
    );
    await waitFor('a route by advertisement', async () => (await advertised(host)).length === 1);
    const leased = (await addresses(host, NIC)).find(({ family }) => family === 'inet')!;
    sessions = await openSessions(host, other, [leased.local, made.local]);
  });

  test('and renews both there', async () => {
    const { host } = stage();
    const held = async (link: string) => (await addresses(host, link)).map(({ local }) => local as string).toSorted();
    const original = await held(NIC);
    const [router] = await advertised(host);
    await docker(
      host,
      `network create -d berth-lan --ipam-driver berth-lan -o parent=${NIC} --subnet 192.168.170.0/24 --ip-range 192.168.170.192/27 phys`,
    );
    assert.deepEqual(await held(BRIDGE), original);
    await sessions.goOn();

    // An advertisement that reaches the card while it is being made a port leaves a route there.
    const left = `default via ${router!.gateway} dev ${NIC} proto ra metric 1024 expires 55`;
    await host.net(['ip', '-6', 'route', 'add', ...left.split(' ')]);
    await waitFor('the route to leave the card', async () => (await advertised(host)).every(({ dev }) => dev !== NIC));

    // A router goes on to advertise: the kernel finds the address and the route to be its own, and gives them more time.
    let last = Number.POSITIVE_INFINITY;
    await waitFor(
      'an advertisement to be taken up on the bridge',
      async () => {
        const [now] = (await addresses(host, BRIDGE)).filter(({ mngtmpaddr }) => mngtmpaddr);
        const risen = now!.valid_life_time > last;
        last = now!.valid_life_time;
        return risen;
      },
      60_000,
    );
    const routes = await advertised(host);
    assert.deepEqual(
      routes.map(({ dev }) => dev),
      [BRIDGE],
    );
    assert.ok(routes[0]!.expires > 40, `${routes[0]!.expires}`);
    assert.deepEqual(await held(BRIDGE), original);

    // The client renews its lease, and knows only the card. udhcpc asks for IPv4 frames, which a bridge takes from its ports.
    const [old] = (await addresses(host, BRIDGE)).filter(({ family }) => family === 'inet');
    client.kill('SIGUSR1');
    await client.waitForOutput(/did renew/);
    await waitFor('the card to have nothing', async () => (await addresses(host, NIC)).length === 0);
    const [leased] = (await addresses(host, BRIDGE)).filter(({ family }) => family === 'inet');
    assert.ok(leased!.valid_life_time > old!.valid_life_time, `${leased!.valid_life_time}`);
    const way = await host.net(['ip', '-j', 'route', 'show', 'default']);
    assert.deepEqual(
      (JSON.parse(way.stdout) as Shown[]).map(({ dev, metric }) => [dev, metric]),
      [[BRIDGE, 100]],
    );
    await sessions.goOn();

    // What the server says to containers goes to them.
    await docker(host, `network create -d berth-lan --ipam-driver null -o parent=${NIC} -o dhcp=true dynamic`);
    await start(host, 'c1', '--network=dynamic');
    assert.match(await addressOf(host, 'c1'), /^192\.168\.170\.1[0-5]\d$/);
    await docker(host, 'rm -f c1');
    await docker(host, 'network rm dynamic');
    await docker(host, 'network rm phys');
    assert.deepEqual(await held(NIC), original);
    assert.equal((await host.net(['nft', 'list', 'tables', 'netdev'])).stdout, '');
    await sessions.goOn();
    await waitFor(
      'an advertisement to be taken up on the card',
      async () => (await advertised(host))[0]?.expires > 50,
      60_000,
    );
    assert.deepEqual(
      (await advertised(host)).map(({ dev }) => dev),
      [NIC],
    );
    assert.deepEqual(await held(NIC), original);
    await client.stop('SIGKILL');
  });

  test('and so does what systemd-networkd was leased', async () => {
    const { host, lan } = stage();
    await lan.plug(host, { name: 'eth2' });
    const networkd = await host.netSpawn(['unshare', '--mount', 'sh', '-ec', networkdScript], { name: 'networkd' });
    const leased = async (link: string) => (await addresses(host, link)).find(({ family }) => family === 'inet');
    const original = await waitFor('a lease', () => leased('eth2'), 30_000);
    const { stdout: plan } = await host.berth('uplink', 'plan', 'eth2');
    assert.match(plan, /^The DHCP client of eth2 goes on there/m);
    await docker(host, 'network create -d berth-lan --ipam-driver null -o parent=eth2 bare');
    let last = Number.POSITIVE_INFINITY;
    await waitFor(
      'the lease to be renewed on the bridge',
      async () => {
        const now = (await leased('br-eth2'))?.valid_life_time ?? last;
        const risen = now > last;
        last = now;
        return risen;
      },
      60_000,
    );
    assert.equal((await leased('br-eth2'))!.local, original.local);
    await waitFor('the card to have nothing', async () => (await addresses(host, 'eth2')).length === 0);
    await docker(host, 'network rm bare');
    assert.equal((await leased('eth2'))!.local, original.local);
    await networkd.stop('SIGKILL');
    await host.ip('link del eth2');
  });
});

async function addresses(host: Host, link: string): Promise<readonly Shown[]> {
  const { stdout } = await host.net(['ip', '-j', 'address', 'show', 'dev', link]);
  const [shown] = JSON.parse(stdout) as Shown[];
  return (shown!.addr_info as Shown[]).filter(({ scope }) => scope === 'global');
}

/** Default routes that routers have advertised. */
async function advertised(host: Host): Promise<readonly Shown[]> {
  const { stdout } = await host.net(['ip', '-6', '-j', 'route', 'show', 'default']);
  return (JSON.parse(stdout || '[]') as Shown[]).filter(({ protocol }) => protocol === 'ra');
}

/**
 * What making a bridge from a card will change is shown first; what may cut the host off is refused, and what did is undone.
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Host } from './bed/host.ts';
import { waitFor } from './bed/process.ts';
import { docker, dockerFails } from './suites/containers.ts';
import { everything, type Shown, settings } from './suites/uplink-holdings.ts';
import { ADDRESS, BRIDGE, create, exists, NIC, setUplinkStage } from './suites/uplink-stage.ts';

describe('a card is to become a bridge', () => {
  const stage = setUplinkStage();

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
    assert.match(
      plan.risks[0].message,
      /a rule of the packet filter names eth1 .* inet own: iifname "eth1" tcp dport 22 accept/,
    );
    assert.match(plan.risks[1].message, /your ssh session from 192\.168\.160\.10 comes in through eth1/);
    assert.match(
      await dockerFails(host, `${create} phys`),
      /a rule of the packet filter names eth1 .*; try it all the same with -o confirm=manual \(see: berth uplink plan eth1\)/,
    );
    assert.match(plan.commands[0], /-o confirm=manual/);
    assert.equal(plan.commands[1], 'berth network confirm lan');
    await host.net(['nft', 'delete table inet own']);
    await client.stop('SIGKILL');
    await server.stop('SIGKILL');
  });

  test('a gateway that answers ARP only is not reached any more, and all goes back', async () => {
    const { host, sessions } = stage();
    const original = await everything(host, NIC);
    await host.net(['nft', 'add table inet own; add chain inet own in { type filter hook input priority 0; }']);
    await host.net(['nft', 'add rule inet own in iifname "br-*" meta l4proto tcp tcp flags rst drop']);
    try {
      assert.match(
        await dockerFails(host, `${create} phys`),
        /the gateway 192\.168\.160\.2, fd00:160::2 did not answer any more by TCP, though it is there/,
      );
    } finally {
      await host.net(['nft', 'delete table inet own']);
    }
    assert.deepEqual(await everything(host, NIC), original);
    await sessions.goOn();
  });

  test('where no gateway answers, a neighbour that did has to', async () => {
    const { host, lan } = stage();
    await lan.plug(host, { name: 'eth8', addresses: ['192.168.160.30/24'] });
    await host.ip('route add 198.51.100.128/25 via 192.168.160.77 dev eth8');
    const talk = () => host.net(['busybox', 'ping', '-c', '1', '-I', 'eth8', '192.168.160.10']);
    await talk();
    const line = 'network create -d berth-lan --ipam-driver null -o parent=eth8 lone';
    const wall =
      'add table bridge wall; add chain bridge wall input { type filter hook input priority 0; policy drop; }';
    await host.net(['nft', wall]);
    assert.match(
      await dockerFails(host, line),
      /with eth8 as a port of br-eth8 none of its neighbours that answered before \(192\.168\.160\.10\) does any more/,
    );
    await host.net(['nft', 'delete table bridge wall']);
    assert.equal(await exists(host, 'br-eth8'), false);
    await talk();
    await docker(host, line);
    assert.equal(await exists(host, 'br-eth8'), true);
    await docker(host, 'network rm lone');
    await host.ip('link del eth8');
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

  test('what cannot be a bridge port is refused with what to do instead, and stays as it is', async () => {
    const { host, lan } = stage();
    await lan.plug(host, { name: 'eth8' });
    const bare = (nic: string) => `network create -d berth-lan --ipam-driver null -o parent=${nic} bare`;
    const before = async () => (await host.net(['ip', '-o', 'link'])).stdout;
    await host.ip('link add mac8 link eth8 type macvlan mode bridge');
    const links = await before();
    assert.match(
      await dockerFails(host, bare('eth8')),
      /eth8 carries the macvlan mac8, so the kernel does not let it become a bridge port: remove that first, or use -o mode=macvlan/,
    );
    assert.match(await dockerFails(host, bare('lo')), /the loopback interface lo cannot be a bridge port/);
    assert.match(await dockerFails(host, bare('eth77')), /there is no interface eth77 on this host/);
    assert.equal(await before(), links);
    await host.ip('link del mac8', 'link add name br8 type bridge', 'link set eth8 master br8');
    assert.match(await dockerFails(host, bare('eth8')), /eth8 is already a port of br8: use that with -o bridge=br8/);
    assert.match(await dockerFails(host, bare('br8')), /br8 is a bridge itself: use it with -o bridge=br8/);
    await host.ip('link del br8', 'link del eth8');
  });

  test('what the card itself has stays with it: queueing, promiscuity, its filters', async () => {
    const { host, sessions } = stage();
    await host.ip(`link set ${NIC} promisc on`, `link set ${NIC} txqueuelen 77`);
    await host.net([
      'tc',
      'qdisc',
      'replace',
      'dev',
      NIC,
      'root',
      'tbf',
      'rate',
      '900mbit',
      'burst',
      '256k',
      'latency',
      '50ms',
    ]);
    const own = async () => ({
      queues: (await host.net(['tc', 'qdisc', 'show', 'dev', NIC])).stdout,
      link: (await host.net(['ip', 'link', 'show', NIC])).stdout.replace(/ master \S+/, ''),
    });
    const before = await own();
    assert.match(before.queues, /tbf/);
    assert.match(before.link, /PROMISC/);
    await docker(host, `${create} phys`);
    assert.deepEqual(await own(), before);
    await sessions.goOn();
    await docker(host, 'network rm phys');
    assert.deepEqual(await own(), before);
    await host.net(['tc', 'qdisc', 'del', 'dev', NIC, 'root']);
    await host.ip(`link set ${NIC} promisc off`, `link set ${NIC} txqueuelen 1000`);
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
});

async function uplinkFindings(host: Host): Promise<readonly { level: string; message: string; fix: string }[]> {
  const { stdout } = await host.berth('doctor', '--json');
  const all = JSON.parse(stdout) as { check: string; level: string; message: string; fix: string }[];
  return all.filter(({ check }) => check === 'uplinks');
}

/** What passes through the ports, and what does not. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startDhcp } from '../bed/dhcp.ts';
import { outside4 } from '../bed/lan.ts';
import { waitFor } from '../bed/process.ts';
import {
  addressOf,
  cannotReach,
  defaultRoute,
  docker,
  dockerFails,
  enter,
  onlyInterface,
  reaches,
  start,
} from './containers.ts';
import { seenAs, WGET } from './observer.ts';
import { CREATE_OFFICE, LAB, makeNetworks, OFFICE, type OvsStage, portsOf } from './ovs-stage.ts';

export function traffic(stage: OvsStage): void {
  test('containers of a VLAN are machines on it: ping and TCP, both ways, to each other, to the LAN and beyond', async () => {
    const { host, inOffice } = stage();
    await docker(host, `${CREATE_OFFICE} -o vlan=120 office`);
    await start(host, 'web', '--network office --ip 192.168.120.140', 'busybox httpd -f -p 80 -h /bin');
    await start(host, 'client', '--network office --ip 192.168.120.141');
    const { addresses, mtu } = await onlyInterface(host, 'client');
    assert.deepEqual([addresses, mtu], [['192.168.120.141/24'], 1500]);
    assert.equal(await defaultRoute(host, 'client'), '192.168.120.1 eth0');
    await reaches([host, 'client'], '192.168.120.140');
    for (const to of [OFFICE, '192.168.120.1', outside4]) await reaches([host, 'client'], to);
    for (const observer of [OFFICE, outside4]) assert.equal(await seenAs(host, 'client', observer), '192.168.120.141');
    await reaches(inOffice, '192.168.120.140');
    const page = [...WGET, 'http://192.168.120.140/busybox'];
    const fromLan = await inOffice.net(['sh', '-c', `${page.join(' ')} | wc -c`]);
    assert.ok(Number(fromLan.stdout) > 100_000, `${fromLan.stdout} bytes came`);
    const inside = await enter(host, 'client', 'sh', '-c', `${page.join(' ')} | wc -c`);
    assert.equal(inside.stdout, fromLan.stdout, inside.stderr);

    await docker(host, 'restart -t 0 client');
    await reaches(inOffice, '192.168.120.141');
  });

  test('ports bear the tag and our marks', async () => {
    const { host, ovs } = stage();
    await docker(host, `${CREATE_OFFICE} -o vlan=120 office`);
    await start(host, 'web', '--network office --mac-address 02:00:00:00:78:01');
    const [port] = await portsOf(stage);
    assert.match(port!, /^bv[0-9a-f]{13}$/);
    assert.equal(await ovs.vsctl('get', 'port', port!, 'tag'), '120');
    const ids = await ovs.vsctl('get', 'interface', port!, 'external_ids');
    const network = await docker(host, 'network inspect -f {{.Id}} office');
    assert.match(ids, /attached-mac="02:00:00:00:78:01"/);
    assert.match(ids, new RegExp(`berth-network="?${network}`));
    assert.equal(await ovs.vsctl('get', 'interface', port!, 'error'), '[]');
  });

  test('one VLAN does not hear another', async () => {
    const { host, inOffice, inLab } = stage();
    await makeNetworks(stage);
    await start(host, 'one', '--network office --ip 192.168.120.140');
    await start(host, 'two', '--network lab --ip 192.168.20.140');
    await reaches([host, 'one'], OFFICE);
    await reaches([host, 'two'], LAB);
    // The gateways route between them nowhere; with an address of the other subnet it would be the same segment.
    await enter(host, 'two', 'ip', 'address', 'add', '192.168.120.150/24', 'dev', 'eth0');
    await cannotReach([host, 'two'], OFFICE);
    await cannotReach([host, 'two'], '192.168.120.140');
    await cannotReach(inOffice, '192.168.120.150');
    await reaches(inLab, '192.168.20.140');
  });

  test('a trunk brings the other VLANs with their tags, an access port does not', async () => {
    const { host, ovs, inLab } = stage();
    await docker(host, `${CREATE_OFFICE} -o vlan=120 -o trunks=20,30-31 trunk`);
    await start(host, 'router', '--network trunk --ip 192.168.120.140');
    const [port] = await portsOf(stage);
    const what = await ovs.vsctl('get', 'port', port!, 'tag', 'trunks', 'vlan_mode');
    assert.deepEqual(what.split('\n'), ['120', '[20, 30, 31]', 'native-untagged']);
    await reaches([host, 'router'], OFFICE);
    assert.match(await frameFromLab('router'), /vlan 20,.* Request who-has 192\.168\.20\./);

    await docker(host, 'rm -f router');
    await docker(host, 'network rm trunk');
    await docker(host, `${CREATE_OFFICE} -o vlan=120 access`);
    await start(host, 'plain', '--network access --ip 192.168.120.140');
    await reaches([host, 'plain'], OFFICE);
    assert.equal(await frameFromLab('plain'), '');

    /** What a container sees while the lab asks for an address that nobody has. */
    async function frameFromLab(container: string): Promise<string> {
      const dump = enter(
        host,
        container,
        'timeout',
        '3',
        'tcpdump',
        '-e',
        '-n',
        '-l',
        '-c',
        '1',
        '-i',
        'eth0',
        'vlan and arp',
      );
      let seen: string | undefined;
      void dump.then(({ stdout }) => {
        seen = stdout.trim();
      });
      await waitFor('the capture to end', async () => {
        await inLab.net(['busybox', 'arping', '-c', '1', '-w', '1', '-I', 'eth0', '192.168.20.77'], { check: false });
        return seen !== undefined;
      });
      return seen!;
    }
  });

  test('the host hears a VLAN at an interface of its own, and can ask there', async () => {
    const { host, inOffice, inLab } = stage();
    await makeNetworks(stage);
    await start(host, 'one', '--network office --ip 192.168.120.140');
    const before = await ears();
    assert.equal(before.length, 1);
    await start(host, 'two', '--network lab --ip 192.168.20.140');
    const [office] = before;
    const [lab] = (await ears()).filter((name) => name !== office);
    const asks = async (link: string | undefined, address: string) =>
      (await host.net(['busybox', 'arping', '-D', '-c', '1', '-w', '2', '-I', link!, address], { check: false })).code;
    // With -D, busybox ends with 1 when somebody answers.
    assert.equal(await asks(office, OFFICE), 1);
    assert.equal(await asks(office, LAB), 0);
    assert.equal(await asks(lab, LAB), 1);
    await docker(host, 'rm -f one two');
    await waitFor('the ears to be gone', async () => (await ears()).length === 0, 30_000);
    for (const machine of [inOffice, inLab]) await machine.net(['ip', 'neighbour', 'flush', 'all']);

    /** Free ends of pairs in the host's own namespace: those of containers are in these. */
    async function ears(): Promise<string[]> {
      const { stdout } = await host.net(['ip', '-j', 'link']);
      const names = (JSON.parse(stdout) as { ifname: string }[]).map(({ ifname }) => ifname);
      return names.filter((name) => /^bp[0-9a-f]{13}$/.test(name));
    }
  });

  test('a DHCP server of the VLAN gives the address, and gets it back', async () => {
    const { host, office } = stage();
    const machine = await office.machine('dhcp', '192.168.120.3/24');
    const range = ['192.168.120.200', '192.168.120.209'] as const;
    const server = await startDhcp(machine, { range, gateway: '192.168.120.1' });
    try {
      const create =
        'network create -d berth-lan --ipam-driver null -o dhcp=true -o mode=ovs -o bridge=ovsbr0 -o vlan=120';
      await docker(host, `${create} leased`);
      await start(host, 'one', '--network leased');
      const address = await addressOf(host, 'one');
      assert.match(address, /^192\.168\.120\.20[0-9]$/);
      assert.deepEqual(
        server.leases().map((lease) => [lease.address, lease.name]),
        [[address, 'one']],
      );
      assert.equal(await defaultRoute(host, 'one'), '192.168.120.1 eth0');
      assert.equal(await seenAs(host, 'one', OFFICE), address);
      await docker(host, 'rm -f one');
      await waitFor('the lease to be given back', () => server.leases().length === 0, 30_000);
      await docker(host, 'network rm leased');
    } finally {
      await server.stop();
    }
  });

  test('a container that runs is plugged in and out', async () => {
    const { host, inOffice } = stage();
    await start(host, 'web', '--network none');
    const where = ['--mode', 'ovs', '--bridge', 'ovsbr0', '--vlan', '120', '--address', '192.168.120.150/24'];
    const attached = await host.berth('attach', 'web', ...where);
    assert.equal(attached.code, 0, attached.stderr);
    const [port, ...others] = await portsOf(stage);
    assert.deepEqual(others, []);
    assert.equal(await stage().ovs.vsctl('get', 'port', port!, 'tag'), '120');
    await reaches(inOffice, '192.168.120.150');
    assert.equal(await seenAs(host, 'web', OFFICE), '192.168.120.150');
    await docker(host, 'restart -t 0 web');
    await reaches(inOffice, '192.168.120.150');
    assert.equal((await portsOf(stage)).length, 1);
    const detached = await host.berth('detach', 'web');
    assert.equal(detached.code, 0, detached.stderr);
    await docker(host, 'rm -f web');
  });

  test('an address that another machine of the VLAN has is refused, also to the first container', async () => {
    const { host } = stage();
    await makeNetworks(stage);
    const image = await host.image();
    assert.match(await dockerFails(host, `run --rm --network office --ip ${OFFICE} ${image} true`), /0a:00:/);
    // Of the other VLAN nobody answers for it.
    await docker(host, `${CREATE_OFFICE.replaceAll('.120.', '.121.')} -o vlan=20 apart`);
    await docker(host, `run --rm --network apart --ip 192.168.121.10 ${image} true`);
    await docker(host, 'network rm apart');
  });

  test('IPv6 passes as IPv4 does', async () => {
    const { host, inOffice } = stage();
    await inOffice.ip('address replace fd00:120::10/64 dev eth0 nodad');
    await docker(host, `${CREATE_OFFICE} -o vlan=120 --ipv6 --subnet fd00:120::/64 office`);
    await start(host, 'six', '--network office --ip6 fd00:120::140');
    await reaches([host, 'six'], 'fd00:120::10');
    await reaches(inOffice, 'fd00:120::140');
    assert.equal(await seenAs(host, 'six', 'fd00:120::10'), 'fd00:120::140');
  });

  test('what cannot be is refused with a sentence that says what there is', async () => {
    const { host } = stage();
    const create = CREATE_OFFICE.replace('-o bridge=ovsbr0', '');
    for (const [options, sentence] of [
      ['-o bridge=ovsbr7', /no bridge ovsbr7: it has ovsbr0/],
      ['', /mode=ovs needs .*-o bridge=.*ovsbr0/],
      ['-o bridge=ovsbr0 -o vlan=5000', /'vlan' is a whole number from 1 to 4094/],
      ['-o bridge=ovsbr0 -o trunks=20,x', /'trunks' is a list of VLANs/],
      ['-o bridge=ovsbr0 -o vlan_mode=access', /vlan_mode=access.* needs .*vlan/],
      ['-o bridge=ovsbr0 -o vlan=5 -o vlan_mode=trunk', /vlan_mode=trunk/],
      ['-o bridge=ovsbr0 -o parent=eth1', /'parent'/],
    ] as const) {
      assert.match(await dockerFails(host, `${create} ${options} wrong`), sentence);
    }
    assert.match(
      await dockerFails(host, CREATE_OFFICE.replace('mode=ovs', 'mode=bridge').concat(' -o trunks=5 wrong')),
      /'trunks' goes with mode=ovs/,
    );
  });

  test('the doctor says what it has', async () => {
    const { host } = stage();
    await docker(host, `${CREATE_OFFICE} -o vlan=120 office`);
    const { stdout } = await host.berth('doctor', '--all', '--json');
    const found = (JSON.parse(stdout) as { check: string; level: string; message: string }[]).filter(
      ({ check }) => check === 'Open vSwitch',
    );
    assert.deepEqual(found, [
      { check: 'Open vSwitch', level: 'ok', message: 'network office on ovsbr0 (in user space: slow)' },
    ]);
  });
}

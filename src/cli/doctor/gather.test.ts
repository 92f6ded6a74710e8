import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { hostFiles } from '../../fabric/lan/uplink/fixture.ts';
import { accepted, dropping, parseForward } from './gather/firewall.ts';
import { parseProbe } from './gather/kernel.ts';
import { gatherSockets, gatherSpecs } from './gather/plugins.ts';
import { gatherDisk, parseUnit } from './gather/system.ts';
import { gatherUplinks } from './gather/uplinks.ts';
import { network } from './healthy-host.ts';

const folder = mkdtempSync(join(tmpdir(), 'berth-doctor-'));
after(() => rmSync(folder, { recursive: true }));

describe('iptables -S', () => {
  it('gives the policy and what is accepted without condition', () => {
    const rules = [
      '-P INPUT ACCEPT',
      '-P FORWARD DROP',
      '-N DOCKER-USER',
      '-A FORWARD -j DOCKER-USER',
      '-A DOCKER-USER -i bt+ -m comment --comment berth -j ACCEPT',
      '-A DOCKER-USER -i br0 -o br0 -m comment --comment berth -j ACCEPT',
      '-A DOCKER-USER -i eth0 -p tcp -m tcp --dport 22 -j ACCEPT',
      '-A DOCKER-USER -s 10.0.0.0/8 -i eth1 -j ACCEPT',
      '-A DOCKER-USER -i eth2 -j DROP',
      '-A DOCKER-USER -j RETURN',
      '-A FORWARD -o docker0 -j ACCEPT',
      '-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    ].join('\n');
    assert.deepEqual(parseForward(4, rules), {
      family: 4,
      policy: 'DROP',
      hasDockerUser: true,
      accepts: ['-i bt+', '-i br0 -o br0', '-o docker0'],
    });
  });
  it('of a bare host', () => {
    const rules = '-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n';
    assert.deepEqual(parseForward(6, rules), { family: 6, policy: 'ACCEPT', hasDockerUser: false, accepts: [] });
  });
  it('without the program, or the table', () => {
    assert.equal(parseForward(4, undefined), undefined);
    assert.equal(parseForward(4, ''), undefined);
  });
});

it('nft: only chains that drop at the forward hook, and are not known otherwise', () => {
  const chain = (family: string, table: string, name: string, hook: string, policy: string) => ({
    chain: { family, table, name, hook, policy },
  });
  const listing = {
    nftables: [
      {},
      chain('ip', 'filter', 'FORWARD', 'forward', 'drop'),
      chain('inet', 'berth', 'forward', 'forward', 'drop'),
      chain('inet', 'filter', 'input', 'input', 'drop'),
      chain('inet', 'filter', 'forward', 'forward', 'drop'),
      chain('inet', 'other', 'forward', 'forward', 'accept'),
    ],
  };
  assert.deepEqual(dropping(listing), [{ family: 'inet', table: 'filter', chain: 'forward' }]);
});

it('nft: what a chain accepts for the sake of its interface alone', () => {
  const match = (key: string, right: unknown, op = '==') => ({ match: { op, left: { meta: { key } }, right } });
  const accept = { accept: null };
  const rule = (...expr: object[]) => ({ rule: { expr } });
  const listing = {
    nftables: [
      {},
      rule(match('iifname', 'bt*'), accept),
      rule(match('oifname', 'bt*'), { counter: { packets: 1, bytes: 2 } }, accept),
      rule(match('iifname', 'eth0'), { drop: null }),
      rule(match('iifname', 'eth1', '!='), accept),
      rule(match('iifname', 'eth2'), match('mark', 7), accept),
      rule({ match: { op: '==', left: { payload: {} }, right: 22 } }, accept),
      rule(accept),
    ],
  } as Parameters<typeof accepted>[0];
  assert.deepEqual(accepted(listing), ['iifname bt*', 'oifname bt*']);
});

describe('the kernel probe', () => {
  it('gives what is missing, in the kernel’s words', () => {
    const printed =
      'veth\tok\nipvlan\tRTNETLINK answers: Operation not supported\n8021q\tError: Unknown device type.\n';
    assert.deepEqual(parseProbe(printed), { ipvlan: 'Operation not supported', '8021q': 'Unknown device type.' });
  });
  it('knows when nothing was tried', () => assert.equal(parseProbe(''), undefined));
});

it('systemctl show', () => {
  const printed =
    'LoadState=loaded\nUnitFileState=enabled\nActiveState=active\nBefore=docker.service multi-user.target\n';
  assert.deepEqual(parseUnit(printed), {
    loadState: 'loaded',
    fileState: 'enabled',
    activeState: 'active',
    before: ['docker.service', 'multi-user.target'],
  });
});

it('sockets: with and without somebody behind', async (t) => {
  const alive = createServer();
  await new Promise<void>((resolve) => alive.listen(join(folder, 'alive.sock'), resolve));
  t.after(() => alive.close());
  // Killed, a process leaves its socket file behind.
  const dead = join(folder, 'dead.sock');
  const bindAndDie = `require('net').createServer().listen(${JSON.stringify(dead)}, () => process.kill(process.pid, 'SIGKILL'))`;
  assert.equal(spawnSync(process.execPath, ['-e', bindAndDie]).signal, 'SIGKILL');
  const sockets = await gatherSockets(folder);
  assert.deepEqual(Object.fromEntries(sockets.map(({ name, listening }) => [name, listening])), {
    alive: true,
    dead: false,
  });
});

it('spec files: of both kinds, from several directories', async () => {
  writeFileSync(join(folder, 'a.spec'), 'tcp://127.0.0.1:9\n');
  writeFileSync(join(folder, 'b.json'), '{"Name":"b","Addr":"https://127.0.0.1:10"}');
  writeFileSync(join(folder, 'notes.txt'), 'no plugin');
  const specs = await gatherSpecs([join(folder, 'none'), folder]);
  assert.deepEqual(
    specs.map(({ name, url }) => [name, url]),
    [
      ['a', 'tcp://127.0.0.1:9'],
      ['b', 'https://127.0.0.1:10'],
    ],
  );
});

it('disk: of a directory that is still to be made', async () => {
  const disk = await gatherDisk(join(folder, 'not', 'yet', 'there'));
  assert.ok(disk !== undefined && disk.freeBytes > 0 && disk.writable);
});

it('uplinks: the cards of networks that stand on one, with who else configures them', async (t) => {
  const root = hostFiles(t, {
    'sys/class/net/eth0/ifindex': '2\n',
    'sys/class/net/eth0/address': '02:00:00:00:00:01\n',
    'proc/9/comm': 'systemd-network\n',
    'proc/9/cmdline': '/lib/systemd/systemd-networkd\0',
    'run/systemd/netif/links/2': 'ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/a.network\n',
  });
  const lan = (settings: object) => network({ fabric: 'lan', plugin: 'berth-lan', settings });
  const found = await gatherUplinks(
    [
      network(),
      lan({ mode: 'macvlan', parent: 'eth5' }),
      lan({ mode: 'bridge', bridge: 'br0' }),
      lan({ mode: 'bridge', bridge: 'br-eth7', parent: 'eth7', returned: true }),
      lan({ mode: 'bridge', bridge: 'br-eth0', parent: 'eth0' }),
    ],
    root,
  );
  assert.deepEqual(
    found.map(({ nic, bridge, managers }) => [nic, bridge, managers.map(({ fights }) => fights)]),
    [['eth0', 'br-eth0', ['later']]],
  );
});

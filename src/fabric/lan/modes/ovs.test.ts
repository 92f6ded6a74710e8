import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { HostView } from '../../../kernel/kernel.ts';
import { BerthError } from '../../../model/errors.ts';
import { parseEndpointId, parseNetworkId } from '../../../model/ids.ts';
import { parseMac } from '../../../model/mac.ts';
import type { Endpoint, Network } from '../../../model/network.ts';
import type { FabricContext } from '../../fabric.ts';
import type { OvsSettings } from '../settings.ts';
import { ovs } from './ovs.ts';

const dir = mkdtempSync(join(tmpdir(), 'berth-ovs-mode-'));
const path = join(dir, 'db.sock');
/** A database with two bridges, and nothing else. */
const server = createServer((socket) => {
  socket.on('data', (data) => {
    const { id } = JSON.parse(data.toString()) as { id: number };
    const row = (name: string) => ({ _uuid: ['uuid', name], name, ports: ['set', []], datapath_type: '' });
    const result = [{ rows: [] }, { rows: [] }, { rows: [row('ovsbr1'), row('ovsbr0')] }];
    socket.end(JSON.stringify({ id, error: null, result }));
  });
});

before(() => new Promise((resolve) => server.listen(path, () => resolve(undefined))));
after(() => {
  server.close();
  rmSync(dir, { recursive: true });
});

function host(...links: { name: string; type: string; mtu: number }[]): HostView {
  const all = links.map((link, index) => ({ ...link, index, up: true, running: true, loopback: false }));
  return { links: all, addresses: [], routes: [] };
}

const nothing = {} as FabricContext;
const plan = async (options: Record<string, string>): Promise<OvsSettings> => {
  const defaults = { bridge: 'br0', ovsDatabase: { kind: 'unix', path } } as const;
  return await ovs.plan({ options: new Map(Object.entries(options)), defaults, host: host() }, nothing);
};

const network = { id: parseNetworkId('a'.repeat(64))! } as Network;
const endpoint = { id: parseEndpointId('e'.repeat(64))!, mac: parseMac('02:42:c0:a8:78:8c')! } as Endpoint;
const settings = { mode: 'ovs', bridge: 'ovsbr0', interfacePrefix: 'eth', conflictCheck: true } as const;

test('options become the settings of a port', async () => {
  const common = { mode: 'ovs', bridge: 'ovsbr0', interfacePrefix: 'eth', conflictCheck: true };
  const read: [Record<string, string>, object][] = [
    [{}, {}],
    [{ vlan: '120' }, { tag: 120 }],
    [{ trunks: '30,20,21' }, { trunks: '20-21,30' }],
    [
      { vlan: '120', trunks: '20' },
      { tag: 120, trunks: '20', vlanMode: 'native-untagged' },
    ],
    [
      { vlan: '120', vlan_mode: 'dot1q-tunnel' },
      { tag: 120, vlanMode: 'dot1q-tunnel' },
    ],
    [
      { trunks: '20', vlan_mode: 'trunk', mtu: '1400' },
      { trunks: '20', vlanMode: 'trunk', mtu: 1400 },
    ],
  ];
  for (const [options, rest] of read) {
    assert.deepEqual(await plan({ bridge: 'ovsbr0', ...options }), { ...common, ...rest });
  }
});

test('what cannot be meant is refused, before the database is asked', async () => {
  const refused: [Record<string, string>, RegExp][] = [
    [{ vlan: '4095' }, /'vlan' is a whole number from 1 to 4094/],
    [{ trunks: '' }, /'trunks' is a list of VLANs/],
    [{ trunks: '5-4096' }, /'trunks' is a list of VLANs/],
    [{ vlan_mode: 'tagged' }, /'vlan_mode' is one of access, trunk/],
    [{ vlan_mode: 'access' }, /needs the option 'vlan'/],
    [{ vlan_mode: 'native-tagged', trunks: '5' }, /needs the option 'vlan'/],
    [{ vlan_mode: 'trunk', vlan: '5' }, /has no VLAN of its own/],
    [{ vlan_mode: 'access', vlan: '5', trunks: '6' }, /no use for 'trunks'/],
    [{ parent: 'eth0' }, /'parent' does not go with mode=ovs/],
  ];
  for (const [options, sentence] of refused) {
    await assert.rejects(plan({ bridge: 'ovsbr0', ...options }), (thrown: unknown) => {
      assert.ok(thrown instanceof BerthError);
      assert.equal(thrown.code, 'BAD_OPTION');
      assert.match(thrown.message, sentence);
      return true;
    });
  }
  await assert.rejects(plan({}), /-o bridge=: it has ovsbr0, ovsbr1$/);
  await assert.rejects(plan({ bridge: 'br0' }), /no bridge br0: it has ovsbr0, ovsbr1$/);
});

test('a container is a veth whose host end is a port of the bridge, with the MTU of its own interface', () => {
  const there = host({ name: 'ovsbr0', type: 'openvswitch', mtu: 9000 });
  const [link, port, ...more] = ovs.endpoint(
    { network, settings: { ...settings, tag: 120, trunks: '20', vlanMode: 'native-untagged' } },
    endpoint,
    { ...nothing, host: there },
  );
  assert.ok(link?.kind === 'link' && link.type === 'veth' && port?.kind === 'ovs-port');
  assert.deepEqual(more, []);
  assert.deepEqual([link.mtu, link.peer.mtu, link.peer.txChecksum], [9000, 9000, undefined]);
  assert.ok(!('master' in link), 'with the datapath in the kernel it has a master, which is not ours to name');
  assert.deepEqual(port, {
    kind: 'ovs-port',
    name: link.name,
    bridge: 'ovsbr0',
    tag: 120,
    trunks: '20',
    vlanMode: 'native-untagged',
    externalIds: {
      'berth-endpoint': endpoint.id,
      'berth-network': network.id,
      'attached-mac': '02:42:c0:a8:78:8c',
    },
  });
});

test('with the datapath in user space the container computes its checksums', () => {
  const there = host({ name: 'ovsbr0', type: 'tun', mtu: 1500 });
  const [link] = ovs.endpoint({ network, settings }, endpoint, { ...nothing, host: there });
  assert.ok(link?.kind === 'link' && link.type === 'veth');
  assert.equal(link.peer.txChecksum, false);
});

test("a smaller MTU is the container's alone; without the bridge nothing is said of it", () => {
  const mtus = (mtu: number | undefined, there: HostView) => {
    const chosen = mtu === undefined ? settings : { ...settings, mtu };
    const [link] = ovs.endpoint({ network, settings: chosen }, endpoint, { ...nothing, host: there });
    assert.ok(link?.kind === 'link' && link.type === 'veth');
    return [link.mtu, link.peer.mtu];
  };
  const there = host({ name: 'ovsbr0', type: 'openvswitch', mtu: 1500 });
  assert.deepEqual(mtus(1400, there), [1500, 1400]);
  assert.deepEqual(mtus(9000, there), [9000, 9000]);
  assert.deepEqual(mtus(1400, host()), [1400, 1400]);
  assert.deepEqual(mtus(undefined, host()), [undefined, undefined]);
});

test('networks of one VLAN have one ear on it, and those of another do not share their segment', () => {
  const there = { ...nothing, host: host({ name: 'ovsbr0', type: 'openvswitch', mtu: 9000 }) };
  const office = { ...settings, tag: 120 };
  const [pair, free, port, ...more] = ovs.network({ network, settings: office }, there);
  assert.ok(pair?.kind === 'link' && pair.type === 'veth' && free?.kind === 'link' && port?.kind === 'ovs-port');
  assert.deepEqual(more, []);
  assert.deepEqual([pair.mtu, free.mtu, port.tag, port.name], [9000, 9000, 120, pair.name]);
  assert.deepEqual([ovs.wire(office), ovs.wire(settings)], [pair.peer.name, 'ovsbr0']);
  const other = { ...network, id: parseNetworkId('b'.repeat(64))! };
  assert.deepEqual(ovs.network({ network: other, settings: office }, there), [pair, free, port]);
  assert.notEqual(ovs.wire({ ...settings, tag: 121 }), ovs.wire(office));
  assert.deepEqual(ovs.network({ network, settings }, there), []);
});

test('no container without the interface of the bridge', () => {
  ovs.check(settings, host({ name: 'ovsbr0', type: 'openvswitch', mtu: 1500 }));
  ovs.check(settings, host({ name: 'ovsbr0', type: 'tun', mtu: 1500 }));
  for (const there of [host(), host({ name: 'ovsbr0', type: 'bridge', mtu: 1500 })]) {
    assert.throws(() => ovs.check(settings, there), /Open vSwitch bridge ovsbr0/);
  }
});

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { BerthError } from '../../model/errors.ts';
import { parseMac } from '../../model/mac.ts';
import { parseDatabaseAddress } from '../../ovs/address.ts';
import { askSwitches } from '../../ovs/ask.ts';
import { type OpenVswitch, openVswitch } from '../../ovs/testing/open-vswitch.ts';
import { isolate } from '../isolate.ts';
import type { Drift, Kernel } from '../kernel.ts';
import { openKernel } from '../linux.ts';
import type { KernelObject, OvsPort } from '../objects.ts';

let ovs: OpenVswitch;
let kernel: Kernel;
let drifts: Drift[] = [];

before(async () => {
  isolate();
  ovs = await openVswitch();
  kernel = await openKernel({ ovsDatabase: ovs.address });
  kernel.onDrift((found) => drifts.push(...found));
});

after(async () => {
  await kernel.close();
  await ovs.close();
});

beforeEach(async () => {
  await Promise.all(['one', 'two', 'many'].map((owner) => kernel.remove(owner)));
  ovs.vsctl('--if-exists', 'del-br', 'ovsbr0', '--', '--if-exists', 'del-br', 'ovsbr1');
  ovs.vsctl('add-br', 'ovsbr0', '--', 'set', 'bridge', 'ovsbr0', 'datapath_type=netdev', '--', 'add-br', 'ovsbr1');
  drifts = [];
});

function plugged(name: string, change: Partial<OvsPort> = {}): [KernelObject, OvsPort] {
  return [
    {
      kind: 'link',
      type: 'veth',
      name,
      up: true,
      noLinkLocal: true,
      peer: { name: `${name}p`, mac: parseMac('02:00:00:00:00:07')!, txChecksum: false },
    },
    {
      kind: 'ovs-port',
      name,
      bridge: 'ovsbr0',
      tag: 120,
      trunks: '',
      vlanMode: null,
      externalIds: { 'berth-endpoint': `endpoint of ${name}`, 'attached-mac': '02:00:00:00:00:07' },
      ...change,
    },
  ];
}

function column(table: 'port' | 'interface', name: string, what: string): string {
  return ovs.vsctl('get', table, name, what);
}

async function until(what: string, probe: () => boolean | Promise<boolean>, milliseconds = 30_000): Promise<void> {
  const end = performance.now() + milliseconds;
  while (!(await probe())) {
    if (performance.now() > end) assert.fail(`${milliseconds} ms passed, and not: ${what}`);
    await delay(20);
  }
}

const ports = (bridge = 'ovsbr0'): string[] => ovs.vsctl('list-ports', bridge).split('\n').filter(Boolean);
const refusedWith = (code: string, sentence: RegExp) => (thrown: unknown) =>
  thrown instanceof BerthError && thrown.code === code && sentence.test(thrown.message);

test('a port is made with all that was declared, changed in place, and removed', async () => {
  await kernel.apply('one', plugged('bv1'));
  assert.deepEqual(ports(), ['bv1']);
  assert.deepEqual(
    [column('port', 'bv1', 'tag'), column('port', 'bv1', 'trunks'), column('port', 'bv1', 'vlan_mode')],
    ['120', '[]', '[]'],
  );
  const ids = '{attached-mac="02:00:00:00:00:07", berth-endpoint="endpoint of bv1"}';
  assert.equal(column('port', 'bv1', 'external_ids'), ids);
  assert.equal(column('interface', 'bv1', 'external_ids'), ids);

  const row = column('port', 'bv1', '_uuid');
  ovs.vsctl('set', 'port', 'bv1', 'external_ids:theirs=kept');
  await kernel.apply('one', plugged('bv1', { tag: 5, trunks: '20,30-40', vlanMode: 'native-untagged' }));
  assert.deepEqual(
    [column('port', 'bv1', 'tag'), column('port', 'bv1', 'vlan_mode'), column('port', 'bv1', '_uuid')],
    ['5', 'native-untagged', row],
  );
  assert.match(column('port', 'bv1', 'trunks'), /^\[20, 30, 31, .*40\]$/);
  assert.equal(column('port', 'bv1', 'external_ids:theirs'), 'kept');
  assert.deepEqual(await kernel.audit({ repair: false }), []);

  await kernel.apply('one', plugged('bv1', { bridge: 'ovsbr1' }));
  assert.deepEqual([ports(), ports('ovsbr1')], [[], ['bv1']]);
  await kernel.remove('one');
  assert.deepEqual([ports(), ports('ovsbr1')], [[], []]);
  assert.equal(ovs.vsctl('--columns=name', 'find', 'interface', 'name=bv1'), '');
  assert.throws(() => execFileSync('ip', ['link', 'show', 'bv1'], { stdio: 'pipe' }));
  assert.deepEqual(drifts, [], 'what we did ourselves is no drift');
});

test("the container's end computes its checksums, also when it is made in another namespace", async () => {
  await kernel.apply('one', plugged('bv1'));
  const features = execFileSync('ethtool', ['-k', 'bv1p'], { encoding: 'utf8' });
  assert.match(features, /^tx-checksumming: off/m);
  assert.match(features, /^\ttx-tcp-segmentation: off/m);
  assert.match(execFileSync('ethtool', ['-k', 'bv1'], { encoding: 'utf8' }), /^tx-checksumming: on/m);

  execFileSync('ip', ['netns', 'add', 'berth-test-ovs']);
  try {
    const [link, port] = plugged('bv2');
    assert.ok(link.kind === 'link' && link.type === 'veth');
    const netns = '/run/netns/berth-test-ovs';
    await kernel.apply('two', [{ ...link, peer: { ...link.peer, netns } }, port]);
    const within = ['netns', 'exec', 'berth-test-ovs', 'ethtool', '-k', 'bv2p'];
    assert.match(execFileSync('ip', within, { encoding: 'utf8' }), /^tx-checksumming: off/m);
    await kernel.remove('two');
  } finally {
    execFileSync('ip', ['netns', 'del', 'berth-test-ovs']);
  }
});

const damages: readonly { readonly name: string; readonly damage: readonly string[]; readonly what: Drift['what'] }[] =
  [
    { name: 'the port is deleted', damage: ['del-port', 'bv1'], what: 'missing' },
    { name: 'the tag is changed', damage: ['set', 'port', 'bv1', 'tag=7'], what: 'different' },
    { name: 'trunks are added', damage: ['set', 'port', 'bv1', 'trunks=7,8'], what: 'different' },
    { name: 'the mode is changed', damage: ['set', 'port', 'bv1', 'vlan_mode=trunk'], what: 'different' },
    { name: 'our mark is removed from the port', damage: ['clear', 'port', 'bv1', 'external_ids'], what: 'different' },
    {
      name: 'our mark is removed from the interface',
      damage: ['clear', 'interface', 'bv1', 'external_ids'],
      what: 'different',
    },
    { name: 'the port is moved', damage: ['del-port', 'bv1', '--', 'add-port', 'ovsbr1', 'bv1'], what: 'different' },
    { name: 'the bridge is made anew', damage: ['del-br', 'ovsbr0', '--', 'add-br', 'ovsbr0'], what: 'missing' },
  ];
for (const { name, damage, what } of damages) {
  test(`${name}: put back within two seconds, and reported`, async () => {
    const declared = plugged('bv1')[1];
    await kernel.apply('one', plugged('bv1'));
    await delay(300);
    drifts = [];
    ovs.vsctl(...damage);
    await until('the drift is reported', () => drifts.length > 0, 2_000);
    assert.deepEqual(
      drifts.map((drift) => [drift.key, drift.what, drift.repaired]),
      [['ovs-port bv1', what, true]],
    );
    assert.deepEqual(ports(), ['bv1']);
    assert.equal(column('port', 'bv1', 'tag'), '120');
    for (const table of ['port', 'interface'] as const) {
      const mark = column(table, 'bv1', 'external_ids:berth-endpoint');
      assert.equal(mark, JSON.stringify(declared.externalIds['berth-endpoint']));
    }
    assert.deepEqual(await kernel.audit({ repair: false }), []);
  });
}

test('a link that is deleted is made again, and its port is still that of the bridge', async () => {
  await kernel.apply('one', plugged('bv1'));
  await delay(300);
  execFileSync('ip', ['link', 'delete', 'bv1']);
  await until('the drift is reported', () => drifts.length > 0);
  assert.deepEqual(ports(), ['bv1']);
  execFileSync('ip', ['link', 'show', 'bv1']);
});

test('a port of the same name that is not ours is not removed', async () => {
  execFileSync('ip', ['link', 'add', 'bv9', 'type', 'veth', 'peer', 'name', 'bv9p']);
  ovs.vsctl('add-port', 'ovsbr0', 'bv9');
  await kernel.remove('nobody', [plugged('bv9')[1]]);
  assert.deepEqual(ports(), ['bv9']);
  execFileSync('ip', ['link', 'delete', 'bv9']);
});

test('an unknown bridge: the error names those that there are, and nothing is left', async () => {
  const wrong = plugged('bv1', { bridge: 'ovsbr7' });
  await assert.rejects(
    kernel.apply('one', wrong),
    refusedWith('OVS_BRIDGE_UNKNOWN', /no bridge ovsbr7: it has ovsbr0, ovsbr1$/),
  );
  assert.equal(ovs.vsctl('--columns=name', 'find', 'interface', 'name=bv1'), '');
  assert.throws(() => execFileSync('ip', ['link', 'show', 'bv1'], { stdio: 'pipe' }));
  await kernel.apply('one', plugged('bv1'));
  await assert.rejects(kernel.apply('one', wrong), refusedWith('OVS_BRIDGE_UNKNOWN', /ovsbr7/));
  assert.deepEqual(ports(), ['bv1'], 'as it was before');
});

test('what the database refuses is said in its own words', async () => {
  await assert.rejects(
    kernel.apply('one', plugged('bv1', { tag: 5000 })),
    refusedWith('OVS_REFUSED', /constraint violation.*5000/),
  );
});

test('many ports: made, found in one look, removed together', async () => {
  const all = Array.from({ length: 100 }, (_, index) => plugged(`bm${index}`)).flat();
  await kernel.apply('many', all);
  assert.equal(ports().length, 100);
  assert.deepEqual(await kernel.audit({ repair: false }), []);
  await kernel.remove('many');
  assert.deepEqual(ports(), []);
});

test('the database is restarted: what changed meanwhile is put back', async () => {
  await kernel.apply('one', plugged('bv1'));
  await ovs.database.stop();
  await assert.rejects(
    kernel.apply('two', plugged('bv2')),
    refusedWith('OVS_UNREACHABLE', /nobody listens|no such socket/),
  );
  drifts = [];
  await ovs.database.start();
  ovs.vsctl('del-port', 'bv1');
  await until('the port is back', () => ports().includes('bv1'));
  await kernel.apply('two', plugged('bv2'));
  assert.deepEqual(ports(), ['bv1', 'bv2']);
});

test('a database that hangs costs what has nothing to do with it little, and is used again when it answers', async () => {
  await kernel.apply('one', plugged('bv1'));
  ovs.database.freeze();
  try {
    await assert.rejects(
      kernel.apply('two', plugged('bv2')),
      refusedWith('OVS_UNREACHABLE', /did not answer within 2 s/),
    );
    // The audit that looks for what failed half way may be at it now; it does not wait again.
    const sysctl: KernelObject = { kind: 'sysctl', path: 'net/ipv4/ip_forward', value: '1' };
    await kernel.apply('many', [sysctl]);
    const audited = await kernel.audit({ repair: true });
    assert.deepEqual(
      audited.map(({ key, repaired }) => [key, repaired]),
      [['ovs-port bv1', false]],
    );
    assert.match(audited[0]!.error!, /did not answer/);
  } finally {
    ovs.database.thaw();
  }
  await until('it is asked again', async () => (await kernel.audit({ repair: true })).length === 0);
  // What was asked for last was done when it woke up, though nobody waited for it any more.
  await until('what failed is undone', () => ports().join() === 'bv1');
  await kernel.apply('two', plugged('bv2'));
  assert.deepEqual(ports(), ['bv1', 'bv2']);
});

test('ports of ours that a crash has left are removed when we connect; those with a link are not', async () => {
  ovs.vsctl('add-port', 'ovsbr0', 'bv5', '--', 'set', 'port', 'bv5', 'external_ids:berth-endpoint=gone');
  ovs.vsctl('add-port', 'ovsbr0', 'lo', '--', 'set', 'port', 'lo', 'external_ids:berth-endpoint=here');
  ovs.vsctl('add-port', 'ovsbr0', 'theirs');
  const second = await openKernel({ ovsDatabase: ovs.address });
  try {
    await second.apply('one', plugged('bv1'));
    await until('the forgotten port is gone', () => !ports().includes('bv5'));
    assert.deepEqual(ports().toSorted(), ['bv1', 'lo', 'theirs']);
    await second.remove('one');
  } finally {
    await second.close();
  }
});

test('another thread asks for the bridges', async () => {
  await kernel.apply('one', plugged('bv1'));
  const { bridges, ports: all } = await askSwitches(ovs.address);
  assert.deepEqual(
    bridges.toSorted((a, b) => a.name.localeCompare(b.name)),
    [
      { name: 'ovsbr0', datapath: 'netdev' },
      { name: 'ovsbr1', datapath: 'system' },
    ],
  );
  assert.equal(all.find(({ name }) => name === 'bv1')?.tag, 120);
});

test('a database that listens on TCP does as well', async () => {
  ovs.listen(6640);
  const address = { kind: 'tcp', host: '127.0.0.1', port: 6640 } as const;
  const second = await openKernel({ ovsDatabase: address });
  try {
    await second.apply('one', plugged('bv1'));
    assert.deepEqual(ports(), ['bv1']);
    ovs.vsctl('del-port', 'bv1');
    await until('the port is back', () => ports().includes('bv1'), 2_000);
    assert.equal((await askSwitches(address)).bridges.length, 2);
    await second.remove('one');
    await assert.rejects(
      openAt('tcp:127.0.0.1:6641'),
      refusedWith('OVS_UNREACHABLE', /tcp:127\.0\.0\.1:6641: nobody listens there/),
    );
  } finally {
    await second.close();
  }

  async function openAt(text: string): Promise<void> {
    const other = await openKernel({ ovsDatabase: parseDatabaseAddress(text)! });
    try {
      await other.apply('one', plugged('bv1'));
    } finally {
      await other.close();
    }
  }
});

test('the switch itself takes the ports in; one that is awaited is made when it has', async () => {
  // Without the switch it is made all the same.
  await kernel.apply('many', plugged('bv3', { awaited: true }));
  assert.equal(column('interface', 'bv3', 'ofport'), '[]');
  await kernel.remove('many');
  ovs.startSwitch();
  await kernel.apply('many', plugged('bv4'));
  await until('the switch runs', () => column('interface', 'bv4', 'ofport') !== '[]');
  for (let round = 0; round < 5; round++) {
    await kernel.apply('many', plugged('bv3', { awaited: true }));
    assert.match(column('interface', 'bv3', 'ofport'), /^[0-9]+$/);
    assert.deepEqual(await kernel.audit({ repair: false }), []);
    await kernel.remove('many');
  }
  await Promise.all([kernel.apply('one', plugged('bv1')), kernel.apply('two', plugged('bv2', { tag: 121 }))]);
  await until('both are ports of the switch', () =>
    ['bv1', 'bv2'].every((name) => Number(column('interface', name, 'ofport').replace('[]', '0')) > 0),
  );
});

test('a link that is made anew is taken in anew by the datapath in user space, and left to itself by that of the kernel', async () => {
  ovs.startSwitch();
  await kernel.apply('one', plugged('bv1', { awaited: true }));
  await kernel.apply('two', plugged('bv2', { bridge: 'ovsbr1' }));
  const rows = () => ['bv1', 'bv2'].map((name) => column('port', name, '_uuid'));
  const before = rows();
  const numbered = column('interface', 'bv1', 'ofport');
  await delay(300);
  drifts = [];
  for (const name of ['bv1', 'bv2']) execFileSync('ip', ['link', 'delete', name]);
  await until('the drift is reported', () => drifts.length > 2);
  assert.deepEqual(drifts.map(({ key, what, repaired }) => `${key} ${what} ${repaired}`).toSorted(), [
    'link bv1 missing true',
    'link bv2 missing true',
    'ovs-port bv1 missing true',
  ]);
  const after = rows();
  assert.notEqual(after[0], before[0]);
  assert.equal(after[1], before[1]);
  await until('the switch has it', () => /^[0-9]+$/.test(column('interface', 'bv1', 'ofport')));
  assert.notEqual(column('interface', 'bv1', 'ofport'), numbered);
  assert.deepEqual(await kernel.audit({ repair: false }), []);
});

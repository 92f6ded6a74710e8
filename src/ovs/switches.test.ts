import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtocolError } from './json-stream.ts';
import { createSwitches } from './switches.ts';

const bridge = (name: string, ...ports: string[]) => ({
  name,
  datapath_type: '',
  ports: ports.length === 1 ? ['uuid', ports[0]] : ['set', ports.map((id) => ['uuid', id])],
});
const port = (name: string, more: object = {}) => ({
  name,
  tag: ['set', []],
  trunks: ['set', []],
  vlan_mode: ['set', []],
  external_ids: ['map', []],
  ...more,
});
const card = (name: string, ids: string[][] = []) => ({
  name,
  external_ids: ['map', ids],
  error: 'could not open it',
});

test('a report is put together: a port with its bridge, its VLANs, and the marks of its interface', () => {
  const switches = createSwitches();
  const touched = switches.report({
    Bridge: { b1: { new: { ...bridge('br0', 'p1'), datapath_type: 'netdev' } }, b2: { new: bridge('br1') } },
    Port: {
      p1: {
        new: port('eth1', {
          tag: 120,
          trunks: ['set', [30, 20]],
          vlan_mode: 'native-tagged',
          external_ids: ['map', [['a', 'b']]],
        }),
      },
    },
    Interface: { i1: { new: card('eth1', [['c', 'd']]) } },
  });
  assert.deepEqual([...touched.ports], ['eth1']);
  assert.deepEqual([...touched.bridges], ['br0', 'br1']);
  assert.deepEqual(switches.port('eth1'), {
    name: 'eth1',
    bridge: 'br0',
    tag: 120,
    trunks: [20, 30],
    vlanMode: 'native-tagged',
    externalIds: { a: 'b' },
    interfaceIds: { c: 'd' },
    error: 'could not open it',
  });
  assert.deepEqual(switches.bridges(), [
    { name: 'br0', datapath: 'netdev' },
    { name: 'br1', datapath: 'system' },
  ]);
});

test('what a change is about: ports that move, that are made anew under the same name, that go', () => {
  const switches = createSwitches();
  switches.report({
    Bridge: { b1: { new: bridge('br0', 'p1', 'p2') }, b2: { new: bridge('br1') } },
    Port: { p1: { new: port('eth1') }, p2: { new: port('eth2') } },
  });
  const moved = switches.report({ Bridge: { b1: { new: bridge('br0', 'p2') }, b2: { new: bridge('br1', 'p1') } } });
  assert.deepEqual([[...moved.ports], [...moved.bridges]], [['eth1'], []]);
  assert.equal(switches.port('eth1')?.bridge, 'br1');

  // The new row may be told before the old one goes.
  const renewed = switches.report({
    Port: { p3: { new: port('eth1', { tag: 5 }) }, p1: { old: {} } },
    Bridge: { b2: { new: bridge('br1', 'p3') } },
  });
  assert.deepEqual([...renewed.ports], ['eth1']);
  assert.equal(switches.port('eth1')?.tag, 5);

  const gone = switches.report({ Bridge: { b2: { old: {} } }, Port: { p3: { old: {} } } });
  assert.deepEqual([...gone.ports], ['eth1']);
  assert.equal(switches.port('eth1'), undefined);
  assert.deepEqual([...switches.report({ Bridge: { b3: { new: bridge('br1') } } }).bridges], ['br1']);
});

test('what is different: defaults that are left out, sets and maps whose elements come and go, one value that is replaced', () => {
  const switches = createSwitches();
  const first = switches.reportDifferences({
    Bridge: { b1: { initial: { name: 'br0', ports: ['uuid', 'p1'] } } },
    Port: {
      p1: {
        initial: {
          name: 'eth1',
          trunks: ['set', [10, 20]],
          external_ids: [
            'map',
            [
              ['a', '1'],
              ['b', '2'],
            ],
          ],
        },
      },
    },
    Interface: { i1: { insert: { name: 'eth1' } } },
  });
  assert.deepEqual([[...first.ports], [...first.bridges]], [['eth1'], ['br0']]);
  const plain = { name: 'eth1', bridge: 'br0', tag: null, vlanMode: null, interfaceIds: {}, error: null };
  assert.deepEqual(switches.port('eth1'), { ...plain, trunks: [10, 20], externalIds: { a: '1', b: '2' } });
  assert.deepEqual(switches.bridges(), [{ name: 'br0', datapath: 'system' }]);

  switches.reportDifferences({
    Port: {
      p1: {
        modify: {
          tag: 5,
          trunks: ['set', [20, 30]],
          external_ids: [
            'map',
            [
              ['a', '1'],
              ['b', '3'],
              ['c', '4'],
            ],
          ],
        },
      },
    },
    Interface: { i1: { modify: { error: 'could not open it', external_ids: ['map', [['x', 'y']]] } } },
  });
  assert.deepEqual(switches.port('eth1'), {
    ...plain,
    tag: 5,
    trunks: [10, 30],
    externalIds: { b: '3', c: '4' },
    interfaceIds: { x: 'y' },
    error: 'could not open it',
  });
  switches.reportDifferences({
    Port: { p1: { modify: { tag: ['set', []] } } },
    Interface: { i1: { modify: { error: ['set', []] } } },
  });
  assert.deepEqual([switches.port('eth1')?.tag, switches.port('eth1')?.error], [null, null]);

  const moved = switches.reportDifferences({
    Bridge: { b1: { modify: { ports: ['uuid', 'p1'] } }, b2: { insert: { name: 'br1', ports: ['uuid', 'p1'] } } },
  });
  assert.deepEqual([[...moved.ports], [...moved.bridges]], [['eth1'], ['br1']]);
  assert.equal(switches.port('eth1')?.bridge, 'br1');
  const gone = switches.reportDifferences({
    Port: { p1: { delete: null } },
    Bridge: { b2: { modify: { ports: ['uuid', 'p1'] } } },
  });
  assert.deepEqual([...gone.ports], ['eth1']);
  assert.equal(switches.port('eth1'), undefined);
  assert.throws(() => switches.reportDifferences({ Port: { p1: { modify: {} } } }), ProtocolError);
});

test('rows of another shape are refused', () => {
  const hostile: object[] = [
    { Port: [] },
    { Port: { p1: 5 } },
    { Port: { p1: { new: null } } },
    { Port: { p1: { new: {} } } },
    { Port: { p1: { new: port('x', { tag: 'a' }) } } },
    { Port: { p1: { new: port('x', { trunks: ['set', 5] }) } } },
    { Port: { p1: { new: port('x', { external_ids: ['map', [['a']]] }) } } },
    { Bridge: { b1: { new: { ...bridge('br0'), ports: ['set', ['p1']] } } } },
  ];
  for (const changes of hostile) {
    assert.throws(
      () => createSwitches().report(changes as Record<string, unknown>),
      ProtocolError,
      JSON.stringify(changes),
    );
  }
});

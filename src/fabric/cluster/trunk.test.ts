import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KernelObject } from '../../kernel/objects.ts';
import type { FabricContext } from '../fabric.ts';
import { leaveOldUplinks } from './trunk.ts';

const common = { mtu: 1500, up: true, running: true, loopback: false };
const links = [
  { ...common, index: 2, name: 'eth1' },
  { ...common, index: 3, name: 'bond0', type: 'bond' },
  { ...common, index: 4, name: 'eth1.12', type: 'vlan', linkIndex: 2, alias: 'berth cluster vlan 12' },
  { ...common, index: 5, name: 'bond0.12', type: 'vlan', linkIndex: 3, alias: 'berth cluster vlan 12' },
  // Of an administrator, and of a network of the fabric `lan`.
  { ...common, index: 6, name: 'eth1.13', type: 'vlan', linkIndex: 2 },
  { ...common, index: 7, name: 'eth1.14', type: 'vlan', linkIndex: 2, alias: 'berth vlan 14 of eth1' },
];

async function removedWith(uplinks: readonly string[] | undefined): Promise<string[]> {
  const removed: KernelObject[] = [];
  await leaveOldUplinks({
    host: { links, addresses: [], routes: [] },
    kernel: {
      remove: (_owner: string, known: readonly KernelObject[]) => {
        removed.push(...known);
        return Promise.resolve();
      },
    },
    ...(uplinks === undefined ? {} : { cluster: { uplinks } }),
  } as unknown as FabricContext);
  return removed.map((object) => (object.kind === 'link' ? object.name : object.kind));
}

test('the VLANs of an uplink that is not one any more go, and nobody else’s', async () => {
  assert.deepEqual(await removedWith(['bond0']), ['eth1.12']);
  assert.deepEqual(await removedWith(['eth1']), ['bond0.12']);
  assert.deepEqual(await removedWith([]), ['eth1.12', 'bond0.12']);
  // The first that is there is the uplink.
  assert.deepEqual(await removedWith(['nosuch', 'eth1', 'bond0']), ['bond0.12']);
});

test('where there is no cluster, nothing is touched', async () => {
  assert.deepEqual(await removedWith(undefined), []);
});

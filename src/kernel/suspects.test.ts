import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseInterfaceAddress, parsePrefix } from '../model/prefix.ts';
import { createFakeDriver } from './fake-driver.ts';
import { type KernelObject, objectKey } from './objects.ts';
import { createReconciler } from './reconciler.ts';
import type { LinkState, RtnetlinkEvent } from './rtnetlink/events.ts';
import { suspectsOfOthers, suspectsOfOurs, suspectsOfTables } from './suspects.ts';

type ObjectEvent = Exclude<RtnetlinkEvent, { lost: true }>;

const bridge: KernelObject = { kind: 'link', type: 'bridge', name: 'br1', mtu: 1450, up: true };
const port: KernelObject = { kind: 'link', type: 'veth', name: 'bt1', up: true, master: 'br1', peer: { name: 'p' } };
const isolated: KernelObject = { ...port, name: 'bt2', port: { isolated: true } };
const address: KernelObject = { kind: 'address', link: 'br1', address: parseInterfaceAddress('10.1.0.1/24')! };
const route: KernelObject = { kind: 'route', link: 'br1', destination: parsePrefix('10.2.0.0/24')! };
const qdisc: KernelObject = { kind: 'qdisc', link: 'bt1', parent: 'root', discipline: { type: 'htb' } };
const trafficClass: KernelObject = { kind: 'class', link: 'bt1', parent: '1:', classid: '1:1', rate: 1 };
const table: KernelObject = { kind: 'nft-table', family: 'inet', name: 'berth', body: '' };
const element: KernelObject = { kind: 'nft-element', family: 'inet', table: 'berth', set: 's', element: '1' };
const accept: KernelObject = { kind: 'forward-accept', family: 4, input: 'br1' };
const all = [bridge, port, isolated, address, route, qdisc, trafficClass, table, element, accept];

const declared = createReconciler([createFakeDriver()]);
declared.declare('x', all);

function event(object: KernelObject, removed: boolean, link?: string): ObjectEvent {
  return { kind: object.kind, key: objectKey(object), removed, ...(link !== undefined && { link }) };
}

function linkEvent(name: string, state: Partial<LinkState>): ObjectEvent {
  const full = { index: 5, name, master: null, mtu: 1500, up: true, running: true, alias: '', ...state };
  return { ...event({ kind: 'link', type: 'adopted', name }, false, name), state: full };
}

const others = (...events: ObjectEvent[]): string[] => [...suspectsOfOthers(events, declared)].sort();
const ours = (...events: ObjectEvent[]): string[] => [...suspectsOfOurs(events, declared)].sort();

test('a link as declared is not suspect, whatever else it is', () => {
  assert.deepEqual(others(linkEvent('br1', { mtu: 1450, alias: 'x', master: 'other' })), []);
  assert.deepEqual(others(linkEvent('bt1', { master: 'br1', mtu: 9000 })), []);
  assert.deepEqual(others(linkEvent('eth0', { mtu: 9000 })), []);
});

test('a link otherwise than declared is', () => {
  assert.deepEqual(others(linkEvent('br1', { mtu: 1500 })), ['link br1']);
  assert.deepEqual(others(linkEvent('bt1', { master: null })), ['link bt1']);
});

test('with a link that is gone or down, everything that needs it is', () => {
  const dependents = [
    'address br1 10.1.0.1/24',
    'link br1',
    'link bt1',
    'link bt2',
    'route table 254 10.2.0.0/24 metric 0',
  ];
  assert.deepEqual(others(event(bridge, true, 'br1')), dependents);
  assert.deepEqual(others(linkEvent('br1', { mtu: 1450, up: false }), linkEvent('br1', { mtu: 1450 })), dependents);
});

test('as a bridge port, a link is only if it is declared as one', () => {
  assert.deepEqual(others(event(port, false, 'bt1')), []);
  assert.deepEqual(others(event(isolated, false, 'bt2')), ['link bt2']);
});

test('whatever else others touch is, and what the kernel drops along with it', () => {
  assert.deepEqual(others(event(route, false, 'br1')), [objectKey(route)]);
  assert.deepEqual(others(event(address, true, 'br1')), [objectKey(address), objectKey(route)]);
  assert.deepEqual(others(event(qdisc, true, 'bt1')), [objectKey(trafficClass), objectKey(qdisc)]);
  const unknown: KernelObject = { kind: 'address', link: 'eth0', address: parseInterfaceAddress('10.9.0.1/24')! };
  assert.deepEqual(others(event(unknown, true, 'eth0')), []);
});

test('of our own changes, only how it ended counts, and only what contradicts', () => {
  assert.deepEqual(ours(linkEvent('bt1', { up: false }), linkEvent('bt1', { master: 'br1' })), []);
  assert.deepEqual(ours(event(address, true, 'br1'), event(address, false, 'br1')), []);
  assert.deepEqual(ours(event(route, false, 'br1')), []);
  assert.deepEqual(ours(linkEvent('bt1', { master: 'br1' }), linkEvent('bt1', { master: null })), ['link bt1']);
  assert.deepEqual(ours(event(address, false, 'br1'), event(address, true, 'br1')), [objectKey(address)]);
  const removed: KernelObject = { ...port, name: 'bt9' };
  assert.deepEqual(ours(event(removed, true, 'bt9')), []);
});

test('a table’s change concerns it and its elements; the engine’s filter only in the one chain', () => {
  const tables = (family: 'inet' | 'ip', name: string, chain?: string) =>
    [...suspectsOfTables([{ family, name, ...(chain !== undefined && { chain }) }], declared)].sort();
  assert.deepEqual(tables('inet', 'berth'), [objectKey(element), objectKey(table)]);
  assert.deepEqual(tables('ip', 'berth'), []);
  assert.deepEqual(tables('ip', 'filter', 'DOCKER'), []);
  assert.deepEqual(tables('ip', 'filter', 'DOCKER-USER'), [objectKey(accept)]);
});

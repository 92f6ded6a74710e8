import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '../../model/address.ts';
import { createMemoryStore } from '../../store/memory.ts';
import { joinCluster } from './membership.ts';
import { decodeHost, encodeHost, type HostRecord } from './records.ts';

const record = (identity: string): HostRecord => ({ identity, berth: '1.0.0' });
const said: string[] = [];
const events = { emit: (event: string) => void said.push(event) };

test('a host stands for good, its agent for as long as it runs', async () => {
  const store = createMemoryStore();
  const member = await joinCluster({ store, away: () => false, host: 'a', events, describe: () => record('x') });
  assert.ok((await store.get('berth/agent/a'))?.lease !== undefined);
  assert.deepEqual(decodeHost((await store.get('berth/host/a'))!), record('x'));
  await member.leave();
  assert.equal(await store.get('berth/agent/a'), undefined);
  assert.ok((await store.get('berth/host/a')) !== undefined);
});

test('what has changed is told, and what has not is not written', async () => {
  const store = createMemoryStore();
  let now = record('x');
  const member = await joinCluster({ store, away: () => false, host: 'a', events, describe: () => now });
  const before = (await store.get('berth/host/a'))!.modRevision;
  await member.update();
  assert.equal((await store.get('berth/host/a'))!.modRevision, before);
  now = { ...now, vtep: parseAddress('192.0.2.1')!, engine: { id: 'e', version: '28' } };
  await member.update();
  assert.deepEqual(decodeHost((await store.get('berth/host/a'))!), now);
  await member.leave();
});

test('two machines of one name: refused while the other runs; welcome when it has been replaced', async () => {
  const store = createMemoryStore();
  const first = await joinCluster({ store, away: () => false, host: 'a', events, describe: () => record('x') });
  const second = () => joinCluster({ store, away: () => false, host: 'a', events, describe: () => record('y') });
  await assert.rejects(second(), { code: 'STATE_LOCKED', message: /goes by the name 'a'.*--host/ });
  assert.equal(decodeHost((await store.get('berth/host/a'))!).identity, 'x');
  await first.leave();
  await (await second()).leave();
  assert.equal(decodeHost((await store.get('berth/host/a'))!).identity, 'y');
});

test('an agent whose presence has ended, because the store was away for long, is present again', async () => {
  const store = createMemoryStore();
  const member = await joinCluster({ store, away: () => false, host: 'a', events, describe: () => record('x') });
  await store.revokeLease((await store.get('berth/agent/a'))!.lease!);
  assert.equal(await store.get('berth/agent/a'), undefined);
  await member.update();
  assert.ok((await store.get('berth/agent/a')) !== undefined);
  await member.leave();
});

test('a record of a newer version, or none at all, is named', () => {
  const value = encodeHost(record('x')).replace('"version":1', '"version":9');
  assert.throws(() => decodeHost({ key: 'berth/host/a', value }), { code: 'STORE_NEWER', message: /berth\/host\/a/ });
  assert.throws(() => decodeHost({ key: 'berth/host/a', value: '{}' }), { code: 'STORE_CORRUPT' });
});

import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { parseAddress } from '../../model/address.ts';
import { keys } from '../../model/keys.ts';
import { createMemoryStore } from '../../store/memory.ts';
import type { Store } from '../../store/store.ts';
import { createHosts, type Hosts } from './hosts.ts';
import { encodeHost } from './records.ts';

let store: Store;
let hosts: Hosts;
let said: string[];
let alive: boolean;
let stop: AbortController;
let following: Promise<void>;

beforeEach(async () => {
  mock.timers.enable({ apis: ['setInterval'] });
  store = createMemoryStore();
  [said, alive, stop] = [[], true, new AbortController()];
  for (const name of ['h1', 'h2']) {
    const value = encodeHost({ identity: name, berth: '1', vtep: parseAddress('192.0.2.2')! });
    await store.transact({
      then: [
        { do: 'put', key: keys.host(name), value },
        { do: 'put', key: keys.agent(name), value: '{}' },
      ],
    });
  }
  hosts = createHosts({
    store,
    host: 'h1',
    events: { emit: (event, _, attributes) => void said.push(`${event} ${attributes?.host}`) },
    answers: () => Promise.resolve(alive),
    now: () => 7,
  });
  following = hosts.follow(stop.signal);
  await settle();
});

afterEach(async () => {
  stop.abort();
  await following;
  mock.timers.reset();
});

async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await setImmediate();
}
async function ask(times: number): Promise<void> {
  for (let n = 0; n < times; n++) {
    mock.timers.tick(5000);
    await settle();
  }
}
const seen = () => hosts.all().map(({ name, heard, gone }) => `${name} ${heard ? 'heard' : gone ? 'gone' : 'silent'}`);

test('hosts are heard while their agents run', async () => {
  assert.deepEqual(seen(), ['h1 heard', 'h2 heard']);
  await ask(3);
  assert.deepEqual(seen(), ['h1 heard', 'h2 heard']);
});

test('a host whose agent alone is gone stays, however long', async () => {
  await store.transact({ then: [{ do: 'delete', key: keys.agent('h2') }] });
  await settle();
  await ask(5);
  assert.deepEqual(seen(), ['h1 heard', 'h2 silent']);
  assert.deepEqual(said.slice(-1), ['host.silent h2']);
});

test('one that does not answer either is gone, and comes back by answering, or by its agent', async () => {
  alive = false;
  await store.transact({ then: [{ do: 'delete', key: keys.agent('h2') }] });
  await settle();
  await ask(1);
  assert.deepEqual(seen(), ['h1 heard', 'h2 silent'], 'one lost answer says nothing');
  await ask(1);
  assert.deepEqual(seen(), ['h1 heard', 'h2 gone']);
  alive = true;
  await ask(1);
  assert.deepEqual(seen(), ['h1 heard', 'h2 silent']);
  alive = false;
  await ask(2);
  assert.equal(hosts.get('h2')?.gone, true);
  await store.transact({ then: [{ do: 'put', key: keys.agent('h2'), value: '{}' }] });
  await settle();
  assert.deepEqual(seen(), ['h1 heard', 'h2 heard']);
  assert.deepEqual(said.filter((one) => one.endsWith('h2')).slice(-4), [
    'host.gone h2',
    'host.back h2',
    'host.gone h2',
    'host.heard h2',
  ]);
});

test('a record that cannot be read keeps no other from being known', async () => {
  await store.transact({ then: [{ do: 'put', key: keys.host('h0'), value: 'rubbish' }] });
  await settle();
  assert.deepEqual(seen(), ['h1 heard', 'h2 heard']);
  assert.ok(said.includes('cluster.unreadable h0'));
});

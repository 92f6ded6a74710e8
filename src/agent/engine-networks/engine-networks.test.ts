import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { EngineEvent } from '../../docker/engine.ts';
import { connectEngine } from '../../docker/engine-client.ts';
import { fakeEngineForEach } from '../../docker/testing/fake-engine.ts';
import { type FakeNetworks, fakeNetworks } from '../../docker/testing/fake-networks.ts';
import { createEngineNetworks, type EngineNetworks } from './engine-networks.ts';
import { type TestObjects, testObjects } from './testing/objects.ts';

const fake = fakeEngineForEach();
let docker: FakeNetworks;
let objects: TestObjects;
let events: string[];
let ready: boolean;
let known: boolean;
let networks: EngineNetworks;

beforeEach(async () => {
  [docker, objects, events, ready, known] = [fakeNetworks(), testObjects(), [], true, true];
  await fake.answer(docker.answers);
  networks = createEngineNetworks({
    engine: connectEngine(fake.address),
    objects: () => (known ? objects : undefined),
    driver: 'berth',
    events: { emit: (event, message) => void events.push(`${event}: ${message}`) },
    ready: () => ready,
    interval: 1e9,
    monotonic: () => performance.now(),
  });
});
afterEach(() => networks.close());

const told = (type: string, action: string, actor = ''): EngineEvent => ({ type, action, actor, attributes: {} });
const connected = told('engine', 'connected');

async function until(what: string, is: () => boolean): Promise<void> {
  for (const end = performance.now() + 30_000; !is(); ) {
    if (performance.now() > end)
      assert.fail(`${what}; the engine has ${docker.names().join(' ')}\n${events.join('\n')}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
const has = (...names: string[]) =>
  until(`it has ${names.join(' ')}`, () => docker.names().join() === names.toSorted().join());
/** Whatever was begun has come to its end: what is asked for now is done after it. */
async function quiet(): Promise<void> {
  const before = docker.log.filter((line) => line === 'GET /networks').length;
  networks.look();
  await until('another look', () => docker.log.filter((line) => line === 'GET /networks').length > before);
  await new Promise((resolve) => setTimeout(resolve, 50));
}

describe('the engine has what the cluster has', () => {
  test('networks are made and removed as objects come and go', async () => {
    objects.network('default:shop', '10.1.0.0/24');
    objects.group('default:web', 'shop');
    networks.look();
    await has('shop', 'web');
    objects.network('blue:shop', '10.1.0.0/24');
    networks.look();
    await has('shop', 'shop/blue', 'web');
    objects.remove('endpointGroup', 'default:web');
    objects.remove('network', 'default:shop');
    networks.look();
    await has('shop/blue');
    assert.deepEqual(networks.problems(), []);
    for (const event of [
      'engine-network.made: the Docker network web was made for the group default:web',
      'engine-network.removed: the Docker network shop was removed: the cluster has no network default:shop any more',
    ]) {
      await until(`told: ${event}`, () => events.includes(event));
    }
  });

  test('one listing serves many, a few are made at a time, and the events of that begin nothing', async () => {
    for (let n = 0; n < 120; n++) objects.network(`default:n${n}`, `10.${n}.0.0/24`);
    networks.look();
    await until('all of them', () => docker.all.size === 120);
    assert.equal(docker.log.filter((line) => line.startsWith('GET')).length, 1);
    assert.ok(docker.most() > 1 && docker.most() <= 4, `${docker.most()} at a time`);
    await new Promise((resolve) => setTimeout(resolve, 50));
    for (const id of docker.all.keys()) networks.hear(told('network', 'create', id));
    await new Promise((resolve) => setTimeout(resolve, 400));
    assert.equal(docker.log.filter((line) => line.startsWith('GET')).length, 1);
  });

  test('nothing is done before the objects are known, nor on an engine that is not the one of before', async () => {
    const shop = docker.add({ Name: 'shop', Labels: { 'net.berth.cluster': 'default:shop' } });
    known = false;
    networks.look();
    await new Promise((resolve) => setTimeout(resolve, 300));
    [known, ready] = [true, false];
    networks.look();
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.deepEqual([[...docker.all.keys()], docker.log], [[shop], []]);
    ready = true;
    networks.hear(connected);
    await has();
  });

  test('a store without any cluster is not believed', async () => {
    docker.add({ Name: 'shop', Labels: { 'net.berth.cluster': 'default:shop' } });
    for (const tenant of ['default', 'blue']) objects.remove('tenant', tenant);
    await quiet();
    assert.deepEqual(docker.names(), ['shop']);
    assert.match(networks.problems().join(), /1 Docker networks of this host are of a cluster, and the store has no/);
  });

  test('one that a user removes is made again, and that is told', async () => {
    objects.network('default:shop', '10.1.0.0/24');
    networks.look();
    await has('shop');
    const [id] = docker.all.keys();
    docker.all.clear();
    networks.hear(told('network', 'destroy', id));
    await has('shop');
    await until('it is told', () =>
      events.includes('engine-network.missing: the Docker network shop was removed by hand; it is made again'),
    );
  });
});

describe('an engine that does not do as it is told', () => {
  beforeEach(() => {
    objects.network('default:shop', '10.1.0.0/24');
    objects.network('default:tea', '10.2.0.0/24');
  });

  test('what it refuses is tried again, told once, and keeps no other from being made', async () => {
    docker.refuse.set('POST shop', [500, 'no such luck']);
    networks.look();
    await has('tea');
    const sentence =
      'the network default:shop cannot be made a Docker network of this host: Docker refuses: no such luck';
    await until('it is told', () => networks.problems().includes(sentence));
    await until('it is tried again', () => docker.log.filter((line) => line === 'POST shop').length > 1);
    docker.refuse.clear();
    await has('shop', 'tea');
    assert.deepEqual(events.filter((line) => line === `engine-network.refused: ${sentence}`).length, 1);
    await quiet();
    assert.deepEqual(networks.problems(), []);
  });

  test('one that breaks off in the middle is asked again what it has', async () => {
    docker.refuse.set('POST shop', null);
    networks.look();
    await until('it breaks off', () => docker.log.includes('POST shop'));
    docker.refuse.clear();
    networks.hear(connected);
    await has('shop', 'tea');
    assert.deepEqual(
      events.filter((line) => line.includes('refused') || line.includes('failed')),
      [],
    );
  });

  test('one that was made although nobody was told is not made twice', async () => {
    docker.refuse.set('POST tea', null);
    networks.look();
    await until('it breaks off', () => docker.log.includes('POST tea'));
    const labels = {
      'net.berth.cluster': 'default:tea',
      'net.berth.cluster.made': String(objects.get('network', 'default:tea')!.createdAt),
    };
    docker.add({ Name: 'tea', Driver: 'berth', Labels: labels });
    docker.refuse.clear();
    await has('shop', 'tea');
    await quiet();
    assert.equal(docker.log.filter((line) => line === 'POST tea').length, 1);
  });

  test("a user's network of the same name is left alone, told, and replaced when the user removes it", async () => {
    const id = docker.add({ Name: 'shop', Driver: 'bridge' });
    networks.look();
    await has('shop', 'tea');
    await until('it is told', () => networks.problems().length === 1);
    assert.match(networks.problems()[0]!, /^the network default:shop is not on this host: another Docker network, /);
    await quiet();
    assert.equal(events.filter((line) => line.startsWith('engine-network.refused')).length, 1);
    docker.all.delete(id);
    networks.hear(told('network', 'destroy', id));
    await has('shop', 'tea');
    await quiet();
    assert.deepEqual(networks.problems(), []);
  });

  test('one with containers goes when they have gone, and its successor waits for that', async () => {
    networks.look();
    await has('shop', 'tea');
    await quiet();
    const [before] = docker.all.keys();
    docker.refuse.set('DELETE shop', [403, 'network shop has active endpoints']);
    objects.remove('network', 'default:shop');
    objects.network('default:shop', '10.3.0.0/24');
    networks.look();
    await until('it is refused', () => networks.problems().length === 1);
    assert.match(networks.problems()[0]!, /cannot be removed: Docker refuses: network shop has active endpoints$/);
    assert.equal(docker.log.filter((line) => line === 'POST shop').length, 1);
    docker.refuse.clear();
    networks.hear(told('container', 'die'));
    await until('it is another', () => docker.names().includes('shop') && !docker.all.has(before!));
    await quiet();
    assert.deepEqual(networks.problems(), []);
  });
});

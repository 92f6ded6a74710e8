import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '../../model/address.ts';
import type { Mac } from '../../model/mac.ts';
import { container, id, network, openStage } from './testing/stage.ts';

const compose = (number: number, service = 'web') => ({
  compose: { project: 'shop', service, number: String(number) },
});

test('a container gets an address, and gives it back when it is gone', async () => {
  const stage = await openStage();
  await stage.engineHas(container('web'));
  const { address, mac } = await stage.start('e1');
  assert.deepEqual([...stage.server.leased], [[mac, address]]);
  assert.deepEqual([...stage.server.names], [[mac, 'web']]);
  await stage.stop('e1');
  await stage.engineHas();
  await stage.learn();
  await stage.heard();
  assert.equal(stage.server.leased.size, 0);
  assert.deepEqual(stage.dhcp.leases(), []);
  assert.deepEqual(stage.server.heard, ['discover br0', 'request br0', 'release br0']);
});

test('a container that was stopped keeps its lease, and asks for nothing else when it starts again', async () => {
  const stage = await openStage();
  await stage.engineHas(container('web'));
  const before = await stage.start('e1');
  await stage.stop('e1');
  await stage.learn();
  assert.deepEqual(await stage.start('e2'), before);
  assert.deepEqual(stage.server.heard, ['discover br0', 'request br0', 'request br0']);
});

test('made anew under its name it is the same to the server', async () => {
  const stage = await openStage();
  await stage.engineHas(container('web'));
  const before = await stage.start('e1');
  await stage.stop('e1');
  await stage.engineHas();
  await stage.learn();
  await stage.engineHas(container('web', { id: 'another'.padEnd(64, '0') }));
  assert.equal((await stage.start('e2')).mac, before.mac);
});

test('of several that wait it is not known who it is, until the engine tells: then it is for the next time', async () => {
  const stage = await openStage();
  await stage.engineHas(container('a'), container('b'));
  const first = await stage.start('e1');
  const second = await stage.start('e2');
  assert.notEqual(first.mac, second.mac);
  await stage.learn({ e1: 'b', e2: 'a' });
  await stage.stop('e1');
  await stage.engineHas(container('a', { running: true }), container('b'));
  assert.deepEqual(await stage.start('e3'), first);
});

test('replicas of a service share its identities', async () => {
  const stage = await openStage();
  const all = [container('one', compose(1)), container('two', compose(2)), container('ten', compose(10))];
  await stage.engineHas(...all);
  const before = [await stage.start('e1'), await stage.start('e2'), await stage.start('e3')];
  for (const name of ['e1', 'e2', 'e3']) await stage.stop(name);
  await stage.engineHas(...all.toReversed());
  assert.deepEqual([await stage.start('e4'), await stage.start('e5'), await stage.start('e6')], before);
  assert.deepEqual(
    stage.dhcp.leases().map(({ identity }) => identity),
    ['service shop/web/1', 'service shop/web/2', 'service shop/web/10'],
  );
});

test('two services that wait are not taken for each other', async () => {
  const stage = await openStage();
  await stage.engineHas(container('w', compose(1)), container('d', compose(1, 'db')));
  await stage.start('e1');
  assert.match(stage.dhcp.leases()[0]!.identity, /^endpoint /);
});

test('a MAC or a name that the user gives decides, whoever else waits', async () => {
  const stage = await openStage();
  await stage.engineHas(container('a'), container('b'));
  const mac = '02:11:22:33:44:55' as Mac;
  assert.equal((await stage.start('e1', { mac })).mac, mac);
  await assert.rejects(stage.start('e2', { mac }), { code: 'MAC_IN_USE' });
  const named = await stage.start('e3', { options: { identity: 'db', hostname: 'db-1' } });
  assert.equal(stage.server.names.get(named.mac), 'db-1');
  const other = await stage.start('e4', { options: { identity: 'db' } });
  assert.notEqual(other.mac, named.mac, 'the name is in use');
  await stage.stop('e3');
  assert.equal((await stage.start('e5', { options: { identity: 'db' } })).mac, named.mac);
});

test('an address that was asked for is had, or the start fails and the other one is given back', async () => {
  const stage = await openStage();
  stage.server.wishes = true;
  const options = { ip: '192.168.7.77' };
  assert.equal((await stage.start('e1', { options })).address, '192.168.7.77');
  stage.server.wishes = false;
  await assert.rejects(stage.start('e2', { options: { ip: '192.168.7.78' } }), {
    code: 'ADDRESS_TAKEN',
    message: /the DHCP server on br0 gives 192\.168\.7\.\d+, and not 192\.168\.7\.78/,
  });
  await stage.heard();
  assert.equal(stage.server.heard.at(-1), 'release br0');
  assert.equal(stage.dhcp.leases().length, 1);
});

test('who comes again as another client gives back what it had as the one before', async () => {
  const stage = await openStage();
  await stage.engineHas(container('web'));
  const before = await stage.start('e1');
  await stage.stop('e1');
  const after = await stage.start('e2', { options: { client_id: 'box' } });
  assert.equal(after.mac, before.mac);
  assert.deepEqual(stage.server.heard.slice(2), ['release br0', 'discover br0', 'request br0']);
  await stage.stop('e2');
  const mac = '02:11:22:33:44:55' as Mac;
  await stage.start('e3', { mac, options: { identity: 'web' } });
  await stage.stop('e3');
  await stage.start('e4', { options: { identity: 'web' } });
  await stage.heard();
  assert.equal(stage.server.leased.has(mac), false);
});

test('an address that another container has is declined', async () => {
  const stage = await openStage();
  const { address } = await stage.start('e1');
  // The server has lost its leases.
  stage.server.leased.clear();
  stage.server.next = 20;
  assert.notEqual((await stage.start('e2')).address, address);
  assert.ok(stage.events().includes('dhcp.declined'));
});

test('without a server a lease that still runs is used, and one that has run out is not', async () => {
  const stage = await openStage();
  await stage.engineHas(container('web'));
  const before = await stage.start('e1');
  await stage.stop('e1');
  stage.server.silent = true;
  assert.deepEqual(await stage.start('e2'), before);
  assert.ok(stage.events().includes('dhcp.unconfirmed'));
  await stage.stop('e2');
  stage.clock.now += 3600_000;
  await assert.rejects(stage.start('e3'), { code: 'DHCP_NO_ANSWER' });
});

test('the agent is killed between the request and its answer: the lease is given back', async () => {
  const before = await openStage();
  const starting = before.start('e1');
  starting.catch(() => undefined);
  while (!before.server.heard.includes('request br0')) await new Promise((resolve) => setImmediate(resolve));
  // What was written by then is all that is left.
  const copy = (await import('../../store/memory.ts')).createMemoryStore();
  for (const { key, value } of (await before.store.list('berth/')).entries)
    await copy.transact({ then: [{ do: 'put', key, value }] });
  await starting;
  const after = await openStage(copy);
  await after.state.deleteEndpoint(after.dhcp.leases()[0]!.endpoint!);
  assert.equal(after.dhcp.leases().length, 1);
  await after.learn();
  await after.heard();
  assert.deepEqual(after.server.heard, ['release br0']);
  assert.deepEqual(after.dhcp.leases(), []);
});

test('a lease is forgotten when its release has gone out, and not before: a crash in between sends it again', async () => {
  const stage = await openStage();
  await stage.engineHas(container('web'));
  await stage.start('e1');
  await stage.stop('e1');
  const { promise, resolve } = Promise.withResolvers<void>();
  stage.out.flushed = promise;
  const gone = stage.dhcp.networkGoes(network.id);
  await stage.heard();
  assert.equal(stage.dhcp.leases().length, 1);
  resolve();
  await gone;
  assert.deepEqual(stage.dhcp.leases(), []);
});

test('a network that goes takes its leases with it', async () => {
  const stage = await openStage();
  await stage.engineHas(container('web'));
  await stage.start('e1');
  await stage.stop('e1');
  await stage.dhcp.networkGoes(network.id);
  await stage.heard();
  assert.deepEqual(stage.dhcp.leases(), []);
  assert.equal(stage.server.leased.size, 0);
});

test('a link that comes with the first container is made before', async () => {
  const stage = await openStage();
  stage.missing.add('br0');
  await stage.start('e1');
  assert.deepEqual(stage.prepared, [network.id]);
});

test('of several that wait, the one that the engine has mounted is the one that starts', async () => {
  const stage = await openStage();
  await stage.engineHas(container('web'), container('db'), container('old'));
  stage.mounted.add('db');
  await stage.start('e1');
  assert.equal(stage.dhcp.leases()[0]!.identity, 'container db');
  stage.mounted.add('web');
  await stage.start('e2');
  assert.deepEqual(
    stage.dhcp.leases().map(({ identity }) => identity),
    ['container db', 'container web'],
  );
  assert.ok(!stage.events().includes('dhcp.unsure'));
});

test('two that start at the same moment are not taken for each other, and that is told', async () => {
  const stage = await openStage();
  await stage.engineHas(container('web'), container('db'), container('old'));
  stage.mounted.add('db');
  stage.mounted.add('web');
  await stage.start('e1');
  assert.match(stage.dhcp.leases()[0]!.identity, /^endpoint /);
  assert.ok(stage.events().includes('dhcp.unsure'));
});

test('one that waits and is not mounted is not the one that starts, where mounts are seen at all', async () => {
  const stage = await openStage();
  await stage.engineHas(container('web'), container('other', { running: true }));
  stage.mounted.add('other');
  await stage.start('e1');
  assert.match(stage.dhcp.leases()[0]!.identity, /^endpoint /);
});

test('after a reboot, before the engine answers, the containers of before are known by their leases', async () => {
  const before = await openStage();
  await before.engineHas(container('web'), container('db'));
  before.mounted.add('web');
  const web = await before.start('e1');
  before.mounted.add('db');
  const db = await before.start('e2');
  const after = await openStage(before.store);
  for (const [mac, address] of before.server.leased) after.server.leased.set(mac, address);
  await after.stop('e1');
  await after.stop('e2');
  after.mounted.add('db');
  assert.deepEqual(await after.start('e3'), db);
  after.mounted.add('web');
  assert.deepEqual(await after.start('e4'), web);
  assert.deepEqual([...after.server.names.values()], ['db', 'web']);
});

test('an address that another machine has is declined, and the next start gets another one', async () => {
  const stage = await openStage();
  await stage.engineHas(container('web'));
  const { address } = await stage.start('e1');
  await stage.dhcp.conflicted(id('e1'), parseAddress(address)!);
  await stage.stop('e1');
  await stage.heard();
  assert.equal(stage.server.heard.at(-1), 'decline br0');
  assert.deepEqual(stage.dhcp.leases(), []);
  assert.notEqual((await stage.start('e2')).address, address);
});

test('a container of which the engine does not answer is not waited for', async () => {
  const stage = await openStage();
  stage.locked.add('web');
  stage.mounted.add('other');
  await stage.engineHas(container('web'), container('db'), container('other', { running: true }));
  await stage.start('e1');
  assert.equal(stage.dhcp.leases()[0]!.identity, 'container web', 'the others are known not to start');
});

test('of two that start at the same moment, one of which the engine has not told: neither is taken for the other', async () => {
  const stage = await openStage();
  stage.exposed.set('web', ['80/tcp']);
  stage.locked.add('db');
  await stage.engineHas(container('web'), container('db'));
  stage.mounted.add('web');
  stage.mounted.add('db');
  await stage.start('e1');
  assert.match(stage.dhcp.leases()[0]!.identity, /^endpoint /);
  assert.ok(stage.events().includes('dhcp.unsure'));
  // Its ports are not those of the one that is known.
  await stage.start('e2', { exposes: ['5432/tcp'] });
  assert.equal(stage.dhcp.leases()[1]!.identity, 'container db');
});

test('what the engine has written down stands in for what it does not answer', async () => {
  const stage = await openStage();
  for (const [name, port] of [
    ['web', '80/tcp'],
    ['db', '5432/tcp'],
    ['other', '1/tcp'],
  ] as const) {
    stage.locked.add(name);
    const given = name === 'db' ? { hostName: 'nas' } : {};
    stage.written.set(name.padEnd(64, '0'), { root: `/roots/${name}`, exposes: [port], ...given });
  }
  await stage.engineHas(container('web'), container('db'), container('other'));
  stage.mounted.add('web');
  stage.mounted.add('db');
  await stage.start('e1', { exposes: ['5432/tcp'] });
  await stage.start('e2');
  assert.deepEqual(
    stage.dhcp.leases().map(({ identity, client }) => [identity, client.hostName]),
    [
      ['container db', 'nas'],
      ['container web', 'web'],
    ],
  );
});

test('of two that start at the same moment, each is known by its ports', async () => {
  const stage = await openStage();
  stage.exposed.set('web', ['443/tcp', '80/tcp']).set('db', ['5432/tcp']);
  await stage.engineHas(container('web'), container('db'), container('job'));
  for (const name of ['web', 'db', 'job']) stage.mounted.add(name);
  await stage.start('e1', { exposes: ['5432/tcp'] });
  await stage.start('e2', { exposes: ['443/tcp', '80/tcp'] });
  await stage.start('e3');
  assert.deepEqual(
    stage.dhcp.leases().map(({ identity }) => identity),
    ['container db', 'container web', 'container job'],
  );
  // Ports that nobody has say nothing.
  await stage.engineHas(container('one'), container('two'));
  await stage.start('e4', { exposes: ['1/tcp'] });
  assert.ok(stage.events().includes('dhcp.unsure'));
});

test('a container whose lease is not in the store any more: the server is asked to confirm it, and it is kept', async () => {
  const before = await openStage();
  await before.engineHas(container('web'));
  const { address, mac } = await before.start('e1');
  const endpoint = before.state.endpoints.get(id('e1'))!;
  const { client } = before.dhcp.leases()[0]!;
  await before.dhcp.close();

  const after = await openStage();
  after.server.leased.set(mac, address);
  after.server.silent = true;
  await after.state.putEndpoint(endpoint);
  await after.engineHas(container('web', { running: true }));
  await after.learn({ e1: 'web' });
  while (after.dhcp.problems().length === 0) await after.heard();
  assert.match(
    after.dhcp.problems()[0]!,
    /container web has the address 192\.168\.7\.20, which no DHCP server confirms/,
  );
  assert.ok(after.events().includes('dhcp.unknown'));
  after.server.silent = false;
  after.server.heard.length = 0;
  await after.learn({ e1: 'web' });
  while (!after.events().includes('dhcp.adopted')) await after.heard();
  assert.deepEqual(after.dhcp.problems(), []);
  assert.deepEqual(after.server.heard, ['request br0']);
  await after.learn({ e1: 'web' });
  assert.equal(after.dhcp.leases()[0]!.container, 'web'.padEnd(64, '0'));
  assert.deepEqual(after.dhcp.leases()[0]!.client, client);
  await after.stop('e1');
  await after.engineHas();
  await after.learn();
  await after.heard();
  assert.equal(after.server.leased.size, 0);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, seconds } from '../../dhcp/testing/server.ts';
import { objectKey } from '../../kernel/objects.ts';
import { formatAddress } from '../../model/address.ts';
import { container, type DhcpTestStage, id, openStage } from './testing/stage.ts';

/** Leases of an hour, which are to be renewed after 100 s, and after 200 s by anybody. */
const short = { lease: 3600, options: { 58: seconds(100), 59: seconds(200) } };

/** A stage on which the container `web` runs. */
async function running(): Promise<DhcpTestStage & { readonly address: string }> {
  const stage = await openStage();
  stage.server.how = short;
  await stage.engineHas(container('web'));
  const { address } = await stage.start('e1');
  return Object.assign(stage, { address });
}

/** Both clocks go on, and the keeper looks at them. */
function pass(stage: DhcpTestStage, elapsed: number): void {
  stage.clock.now += elapsed * 1000;
  stage.clock.monotonic += elapsed * 1000;
  stage.dhcp.attached(id('e1'));
}

async function until(stage: DhcpTestStage, event: string): Promise<Readonly<Record<string, string>>> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const found = stage.told.findLast((told) => told.event === event);
    if (found !== undefined) return found.attributes;
    assert.ok(performance.now() < deadline, `no ${event} after ${stage.events().join(', ')}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The first attempt to get a lost address back is on its way. */
async function regaining(stage: DhcpTestStage): Promise<void> {
  while (!stage.server.heard.includes('discover br0', 3)) await stage.heard();
}

const done = (stage: DhcpTestStage): string[] =>
  stage.executed.map((step) => ('make' in step ? `+ ${objectKey(step.make)}` : `- ${objectKey(step.unmake)}`));

test('renewed at T1 from within the container, and then again', async () => {
  const stage = await running();
  pass(stage, 99);
  await stage.heard();
  assert.equal(stage.server.heard.length, 2, 'it is not due yet');
  pass(stage, 1.1);
  assert.equal((await until(stage, 'dhcp.renewed')).asked, 'renew');
  assert.equal(stage.server.heard.at(-1), 'request eth0 in /run/e1');
  const [lease] = stage.dhcp.leases();
  assert.equal(lease!.next!.what, 'renew');
  assert.ok(Math.abs(lease!.next!.at - lease!.granted!.requestedAt - 100_000) < 10);
  stage.told.length = 0;
  pass(stage, 100.1);
  await until(stage, 'dhcp.renewed');
});

test('what the server says anew for a container that runs is told, and heeded when it starts again', async () => {
  const stage = await running();
  pass(stage, 101);
  await until(stage, 'dhcp.renewed');
  assert.equal(stage.events().includes('dhcp.changed'), false, 'nothing has changed');
  stage.server.how = { ...short, options: { ...short.options, 1: bytesOf('255.255.0.0'), 3: bytesOf('192.168.7.9') } };
  pass(stage, 101);
  await until(stage, 'dhcp.changed');
  assert.match(stage.told.at(-1)!.message, /has changed subnet mask, gateway for container web: .* starts again/);
  assert.deepEqual(done(stage), []);
  await stage.stop('e1');
  await stage.start('e2');
  assert.equal(formatAddress(stage.state.endpoints.get(id('e2'))!.gateways![0]!), '192.168.7.9');
});

test('without an answer, anybody is asked at T2', async () => {
  const stage = await running();
  stage.server.silent = true;
  pass(stage, 101);
  assert.equal((await until(stage, 'dhcp.unanswered')).asked, 'renew');
  pass(stage, 10);
  await stage.heard();
  stage.server.silent = false;
  pass(stage, 90);
  assert.equal((await until(stage, 'dhcp.renewed')).asked, 'rebind');
});

test('a container that does not run does not renew', async () => {
  const stage = await running();
  await stage.stop('e1');
  pass(stage, 150);
  await stage.heard();
  assert.equal(stage.server.heard.length, 2);
});

test('the wall clock alone makes nobody lose an address, but a renewal is early', async () => {
  const stage = await running();
  stage.clock.now += 86_400_000;
  stage.dhcp.attached(id('e1'));
  await until(stage, 'dhcp.renewed');
  assert.deepEqual(done(stage), []);
});

test('a refused address is taken from the container, told, and given again when the server gives it again', async () => {
  const stage = await running();
  stage.server.refuses = true;
  pass(stage, 101);
  await until(stage, 'dhcp.lost');
  assert.deepEqual(
    done(stage)[0],
    `- ${objectKey({ kind: 'address', netns: '/run/e1', link: 'eth0', address: address24(stage.address) })}`,
  );
  assert.match(stage.dhcp.problems()[0]!, /container web has lost its address 192\.168\.7\.20: .*refused/);
  await regaining(stage);
  stage.server.refuses = false;
  stage.executed.length = 0;
  pass(stage, 25);
  await until(stage, 'dhcp.regained');
  assert.equal(done(stage).length, 2, done(stage).join());
  assert.match(done(stage)[0]!, /^\+ .*192\.168\.7\.20/);
  assert.match(done(stage)[1]!, /^\+ .*0\.0\.0\.0\/0/);
  assert.deepEqual(stage.dhcp.problems(), []);
});

test('when the server gives another address instead, the next start of the container has it', async () => {
  const stage = await running();
  stage.server.refuses = true;
  pass(stage, 101);
  await until(stage, 'dhcp.lost');
  await regaining(stage);
  stage.server.refuses = false;
  stage.server.leased.clear();
  stage.server.next = 77;
  stage.executed.length = 0;
  pass(stage, 25);
  await until(stage, 'dhcp.moved');
  assert.deepEqual(
    done(stage).filter((step) => step.startsWith('+')),
    [],
  );
  assert.equal(stage.dhcp.problems().length, 1);
  // It is kept meanwhile, though the container does not have it.
  stage.told.length = 0;
  pass(stage, 101);
  await until(stage, 'dhcp.renewed');
  assert.equal(stage.server.heard.at(-1), 'request br0');
  await stage.stop('e1');
  await stage.learn();
  assert.equal((await stage.start('e2')).address, '192.168.7.77');
  assert.deepEqual(stage.dhcp.problems(), []);
});

test('a lease that runs out without an answer is lost', async () => {
  const stage = await running();
  stage.server.silent = true;
  pass(stage, 3599);
  assert.equal((await until(stage, 'dhcp.unanswered')).asked, 'rebind');
  pass(stage, 2);
  await until(stage, 'dhcp.lost');
  assert.match(stage.dhcp.problems()[0]!, /ran out/);
});

test('after a sleep that was longer than the lease the address is taken first, and then asked for', async () => {
  const stage = await running();
  const asked = stage.server.heard.length;
  stage.clock.now += 4_000_000;
  stage.clock.slept += 4_000_000;
  stage.dhcp.attached(id('e1'));
  await until(stage, 'dhcp.regained');
  assert.match(done(stage)[0]!, /^- .*192\.168\.7\.20/);
  assert.match(done(stage).at(-2)!, /^\+ .*192\.168\.7\.20/);
  assert.deepEqual(stage.server.heard.slice(asked), ['discover br0', 'request br0']);
  assert.match(stage.told.find(({ event }) => event === 'dhcp.lost')!.message, /ran out while nobody kept it/);
});

test('a lost address is taken as soon as it is known where the container has its interface', async () => {
  const stage = await running();
  const endpoint = stage.state.endpoints.get(id('e1'))!;
  const { sandboxInterface: _later, ...early } = endpoint;
  await stage.state.putEndpoint(early);
  stage.server.silent = true;
  pass(stage, 3601);
  await until(stage, 'dhcp.lost');
  assert.deepEqual(done(stage), []);
  await stage.state.putEndpoint(endpoint);
  stage.dhcp.attached(endpoint.id);
  while (done(stage).length === 0) await stage.heard();
  assert.match(done(stage)[0]!, /^- .*192\.168\.7\.20/);
  stage.dhcp.attached(endpoint.id);
  await stage.heard();
  assert.equal(done(stage).length, 1);
});

test('an agent that was restarted goes on renewing, and takes a lost address again', async () => {
  const before = await running();
  await before.dhcp.close();
  const after = await openStage(before.store);
  after.server.leased.set(before.dhcp.leases()[0]!.client.mac, before.address);
  after.clock.now = before.clock.now + 101_000;
  after.dhcp.start();
  await until(after, 'dhcp.renewed');
  await after.dhcp.close();

  const last = await openStage(before.store);
  last.clock.now = after.clock.now + 3_700_000;
  last.server.silent = true;
  last.dhcp.start();
  await until(last, 'dhcp.lost');
});

function address24(text: string) {
  const value = text.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
  return { address: { family: 4 as const, value }, length: 24 };
}

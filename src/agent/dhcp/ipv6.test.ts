import assert from 'node:assert/strict';
import { test } from 'node:test';
import { code, number, statusCode } from '../../dhcp/v6/message.ts';
import { objectKey } from '../../kernel/objects.ts';
import { formatAddress } from '../../model/address.ts';
import { container, type DhcpTestStage, id, network, openStage } from './testing/stage.ts';

const MANAGED = { managed: true, onLink: ['2001:db8:7::/64'] };

/** A stage with a DHCPv6 server that a router tells of, and the container `web` about to start. */
async function staged(ipv6 = 'auto', options: Readonly<Record<string, string>> = {}): Promise<DhcpTestStage> {
  const stage = await openStage(undefined, { ipv6, ...options });
  stage.server6.silent = false;
  stage.server6.router = MANAGED;
  await stage.engineHas(container('web'));
  return stage;
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

/** Both clocks go on, and the keeper looks at them. */
function pass(stage: DhcpTestStage, elapsed: number): void {
  stage.clock.now += elapsed * 1000;
  stage.clock.monotonic += elapsed * 1000;
  stage.dhcp.attached(id('e1'));
}

const lease6 = (stage: DhcpTestStage) => stage.dhcp.leases().find(({ family }) => family === 6);

test('a managed link: a lease of each kind, with the length that the router tells', async () => {
  const stage = await staged();
  const { address, address6, mac } = await stage.start('e1');
  assert.deepEqual([address, address6], ['192.168.7.20', '2001:db8:7::1000/64']);
  assert.deepEqual([...stage.server6.leased.keys()], [`00030001${mac.replaceAll(':', '')}`]);
  assert.deepEqual(stage.server6.heard, ['solicit', 'request']);
  await stage.stop('e1');
  await stage.engineHas();
  await stage.learn();
  await until(stage, 'dhcp.released');
  while (stage.dhcp.leases().length > 0) await stage.heard();
  assert.equal(stage.server6.leased.size, 0);
  assert.equal(stage.server.leased.size, 0);
});

test('without a router the address is alone on the link; with one that tells of another prefix, too', async () => {
  const alone = await staged('dhcp');
  delete alone.server6.router;
  assert.equal((await alone.start('e1')).address6, '2001:db8:7::1000/128');
  const other = await staged('dhcp');
  other.server6.router = { managed: true, onLink: ['2001:db8:8::/64'] };
  assert.equal((await other.start('e1')).address6, '2001:db8:7::1000/128');
});

test('a link that is not managed: an address of its prefix, and name servers where the router says so', async () => {
  const stage = await staged();
  stage.server6.router = { autonomous: ['2001:db8:7::/64'] };
  const { address6 } = await stage.start('e1');
  assert.match(address6!, /^2001:db8:7:0:.*\/64$/);
  assert.deepEqual(stage.server6.heard, []);
  assert.equal(lease6(stage), undefined);

  const informed = await staged();
  informed.server6.router = { otherwise: true, autonomous: ['2001:db8:7::/64'] };
  const dns = Uint8Array.from([0x20, 1, 0xd, 0xb8, ...Array<number>(11).fill(0), 3]);
  informed.server6.how = { options: [{ code: code.dns, value: dns }] };
  const told = await informed.start('e1');
  const { granted } = lease6(informed)!;
  assert.deepEqual(
    [`${formatAddress(granted!.terms.address.address)}/64`, granted!.terms.dns.map(formatAddress)],
    [told.address6, ['2001:db8::3']],
  );
  await informed.stop('e1');
  await informed.engineHas();
  await informed.learn();
  while (informed.dhcp.leases().length > 0) await informed.heard();
  assert.deepEqual(informed.server6.heard, ['information'], 'nothing was leased, and nothing is given back');
});

test('a network says what it wants, whatever the router does', async () => {
  const slaac = await staged('slaac');
  slaac.server6.router = { ...MANAGED, autonomous: ['2001:db8:7::/64'] };
  assert.match((await slaac.start('e1')).address6!, /^2001:db8:7:0:/);
  const none = await staged('none');
  assert.equal((await none.start('e1')).address6, undefined);
});

test('no router: with IPv4 the container goes without, and alone it does not start', async () => {
  const stage = await staged();
  delete stage.server6.router;
  assert.equal((await stage.start('e1')).address6, undefined);
  assert.ok(stage.events().includes('dhcp.no-router'));
  const alone = await staged('auto', { ipv4: 'none' });
  delete alone.server6.router;
  await assert.rejects(alone.start('e1'), { code: 'DHCP_NO_ROUTER', message: /no router on br0 advertises/ });
});

test('IPv6 alone', async () => {
  const stage = await staged('auto', { ipv4: 'none' });
  const before = await stage.start('e1');
  assert.equal(before.address6, '2001:db8:7::1000/64');
  assert.deepEqual(stage.server.heard, []);
  await stage.stop('e1');
  await stage.learn();
  assert.deepEqual(await stage.start('e2'), before);
  assert.deepEqual(stage.server6.heard, ['solicit', 'request', 'rebind']);
  await stage.engineHas(container('web', { running: true }), container('db'));
  assert.notEqual((await stage.start('e3')).address6, before.address6);
});

test('the cause is told: no server, no address, an answer that is not confirmed', async () => {
  const stage = await staged();
  stage.server6.silent = true;
  await assert.rejects(stage.start('e1'), {
    code: 'DHCP_NO_ANSWER',
    message: /no DHCPv6 server answered container web on br0/,
  });
  const full = await staged('dhcp', { ipv4: 'none' });
  full.server6.how = { addresses: [], status: statusCode.noAddresses };
  await assert.rejects(full.start('e1'), {
    code: 'DHCP_NO_ADDRESS',
    message: /the DHCPv6 server fe80::53 on br0 has no address for container web: it has no free address/,
  });
  assert.deepEqual(full.dhcp.leases(), []);
});

test('what one family has got when the other fails is kept for the next attempt, and given back without one', async () => {
  const stage = await staged();
  stage.server.silent = true;
  await assert.rejects(stage.start('e1'), { code: 'DHCP_NO_ANSWER' });
  stage.dhcp.settled(id('e1'));
  assert.equal(stage.server6.leased.size, 1);
  stage.server.silent = false;
  assert.equal((await stage.start('e2')).address6, '2001:db8:7::1000/64');
  await stage.stop('e2');
  stage.server.silent = true;
  stage.server.leased.clear();
  await stage.engineHas();
  await stage.learn();
  while (stage.server6.leased.size > 0) await stage.heard();
});

test('killed between a solicitation and a grant without another word: it is found out and given back', async () => {
  const before = await staged();
  Object.assign(before.server6, { rapid: true, unheard: true });
  const starting = before.start('e1');
  starting.catch(() => undefined);
  while (before.server6.leased.size === 0) await before.heard();
  // The store as it is at that moment.
  const after = await openStage(before.store, { ipv6: 'auto' });
  Object.assign(after.server6, before.server6, { heard: [], unheard: false });
  await after.engineHas();
  await after.learn();
  while (after.dhcp.leases().length > 0) await after.heard();
  assert.deepEqual(after.server6.heard, ['solicit', 'release']);
  assert.equal(after.server6.leased.size, 0);
  await assert.rejects(starting);
});

test('an address that another container has is declined, and that of another machine', async () => {
  const stage = await staged();
  const { address6 } = await stage.start('e1');
  // The server has lost its leases.
  stage.server6.leased.clear();
  stage.server6.next = 0x1000;
  const second = await stage.start('e2');
  assert.notEqual(second.address6, address6);
  assert.ok(stage.server6.heard.includes('decline'));
  stage.server6.heard.length = 0;
  const held = lease6(stage)!.granted!.terms.address.address;
  await stage.dhcp.conflicted(id('e1'), held);
  assert.deepEqual(stage.server6.heard, ['decline']);
  assert.equal(stage.dhcp.leases().filter(({ endpoint }) => endpoint === id('e1')).length, 1, 'that of IPv4 is well');
});

test('renewed, also by a server that has forgotten it; taken when it is refused, and given again', async () => {
  const stage = await staged();
  stage.server6.how = { renew: 100, rebind: 200 };
  await stage.start('e1');
  stage.server6.heard.length = 0;
  pass(stage, 101);
  assert.equal((await until(stage, 'dhcp.renewed')).asked, 'renew');
  assert.deepEqual(stage.server6.heard, ['renew']);
  assert.equal(lease6(stage)!.granted!.terms.address.length, 64, 'a renewal tells no length');

  const forgotten = [...stage.server6.leased];
  stage.server6.leased.clear();
  stage.server6.next = 0x1000;
  stage.told.length = 0;
  pass(stage, 101);
  await until(stage, 'dhcp.renewed');
  assert.deepEqual(stage.server6.heard, ['renew', 'renew', 'request']);
  assert.deepEqual([...stage.server6.leased], forgotten);

  stage.server6.how = { renew: 100, rebind: 200, addresses: [], status: statusCode.noAddresses };
  stage.server6.leased.clear();
  pass(stage, 101);
  await until(stage, 'dhcp.lost');
  assert.equal(objectKey((stage.executed.at(-1) as { unmake: never }).unmake), objectKey(ADDRESS));
  stage.server6.how = { renew: 100, rebind: 200 };
  stage.server6.next = 0x1000;
  pass(stage, 30);
  await until(stage, 'dhcp.regained');
  const made = stage.executed.flatMap((step) => ('make' in step ? [step.make] : []));
  assert.deepEqual(made.map(objectKey), [objectKey(ADDRESS)], 'and no route of IPv4');
});
const ADDRESS = {
  kind: 'address',
  netns: '/run/e1',
  link: 'eth0',
  address: { address: { family: 6, value: (0x20010db80007n << 80n) | 0x1000n }, length: 64 },
} as const;

test('a network that goes takes its leases with it', async () => {
  const stage = await staged();
  await stage.start('e1');
  await stage.dhcp.networkGoes(network.id);
  assert.deepEqual([stage.server.leased.size, stage.server6.leased.size], [0, 0]);
});

test('no server answers a release: it is told, and the lease is forgotten', async () => {
  const stage = await staged();
  await stage.start('e1');
  stage.server6.silent = true;
  await stage.dhcp.networkGoes(network.id);
  while (stage.dhcp.leases().length > 0) await stage.heard();
  assert.ok(stage.events().includes('dhcp.release-failed'));
});

test('a lease that is not in the store any more is taken over', async () => {
  const before = await staged();
  const { address6 } = await before.start('e1');
  const endpoint = before.state.endpoints.get(id('e1'))!;
  await before.dhcp.close();
  const after = await staged();
  Object.assign(after.server6, { leased: before.server6.leased });
  after.server.leased.set(endpoint.mac, '192.168.7.20');
  await after.state.putEndpoint(endpoint);
  await after.engineHas(container('web', { running: true }));
  await after.learn({ e1: 'web' });
  while (after.events().filter((event) => event === 'dhcp.adopted').length < 2) await after.heard();
  const { address } = lease6(after)!.granted!.terms;
  assert.equal(`${formatAddress(address.address)}/${address.length}`, address6);
});

test('a lease in the store is read as it was written', async () => {
  const stage = await staged();
  stage.server6.how = { options: [{ code: code.solicitMaxTime, value: number(60, 4) }] };
  await stage.start('e1');
  const { next: _due, ...written } = lease6(stage)!;
  const again = await openStage(stage.store, { ipv6: 'auto' });
  const { next: _too, ...read } = lease6(again)!;
  assert.deepEqual(read, written);
  await stage.dhcp.close();
});

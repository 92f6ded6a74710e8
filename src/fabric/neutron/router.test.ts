/** What leads a network outside, made and removed, and broken off at every call. */

import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { BerthError } from '../../model/errors.ts';
import type { NetworkId } from '../../model/ids.ts';
import { within } from '../../openstack/bounds.ts';
import { openSession } from '../../openstack/keystone/session.ts';
import { createNeutron } from '../../openstack/neutron/neutron.ts';
import { failureOf, fakeCloud } from '../../openstack/testing/fake-cloud.ts';
import { readWishes } from './options.ts';
import type { NetworkRecord } from './records.ts';
import { closeWayOut, openWayOut, resolveWayOut, type WayOut } from './router.ts';
import { tagOf } from './tags.ts';
import { type FakeNeutron, fakeNeutron, type Misfortune } from './testing/fake-neutron.ts';

const cloud = await fakeCloud();
const neutron = createNeutron(
  openSession({ authentication: { kind: 'none', endpoint: cloud.url }, repeats: 0, backOff: 1 }),
);
after(() => neutron.close());

const key = 'berth/h1/aaaaaaaaaaaa';
const record: NetworkRecord = {
  id: 'a'.repeat(64) as NetworkId,
  phase: 'held',
  origin: 'created',
  key,
  network: 'n1',
  subnets: [],
  tags: [],
  router: 'r1',
  floating: true,
};
const subnet = (id: string, gateway?: string) => ({
  id,
  prefix: '10.0.0.0/24',
  pool: 'p',
  routes: [],
  ...(gateway && { gateway }),
});
const settings = { network: 'n1', subnets: [subnet('s4', '10.0.0.1'), subnet('s6', 'fd00::1')] };
const wayOut: WayOut = { router: 'r1', floatingNetwork: 'ext', publish: 'floating-ip' };
const bounds = () => within(5000);
const none = () => assert.fail();
const codeOf = (error: unknown) => (error instanceof BerthError ? error.code : error);

function begin(...networks: readonly { readonly tags?: readonly string[] }[]): FakeNeutron {
  const fake = fakeNeutron(cloud);
  for (const network of networks.length === 0 ? [{}] : networks) fake.put('networks', { id: 'n1', ...network });
  return fake;
}
const all = (fake: FakeNeutron, collection: string) => fake.things.get(collection) ?? [];

describe('what the options of a network ask for', () => {
  const resolve = (options: Record<string, string>, internal = false) =>
    resolveWayOut(neutron, readWishes(options), { internal }, bounds());
  const uuid = '3f1c0000-0000-0000-0000-000000000001';

  it('is nothing without them, and looked up before anything is made', async () => {
    const fake = begin();
    assert.equal(await resolve({ 'neutron.publish': 'engine' }, true), undefined);
    assert.deepEqual(fake.calls, []);
    fake.put('routers', { id: 'r7', name: 'edge' });
    fake.put('networks', { id: 'x7', name: 'public', 'router:external': true });
    fake.put('networks', { id: uuid, name: 'inside' });
    const given = { 'neutron.router': 'edge', 'neutron.floating_network': 'public', 'neutron.publish': 'floating-ip' };
    assert.deepEqual(await resolve(given), { router: 'r7', floatingNetwork: 'x7', publish: 'floating-ip' });
    assert.equal(codeOf(await failureOf(resolve({ 'neutron.router': uuid }))), 'NEUTRON_NOT_FOUND');
    const inside = await failureOf(resolve({ 'neutron.floating_network': uuid }));
    assert.match(String(inside), /'inside' \(.*\) of Neutron is not external/);
  });

  it('cannot be had by an internal network, nor forwardings without a floating IP', async () => {
    begin();
    for (const [option, internal] of [
      ['neutron.router', true],
      ['neutron.floating_network', true],
    ] as const)
      assert.equal(codeOf(await failureOf(resolve({ [option]: uuid }, internal))), 'BAD_OPTION');
    assert.equal(codeOf(await failureOf(resolve({ 'neutron.publish': 'security-group' }, true))), 'BAD_OPTION');
    assert.equal(codeOf(await failureOf(resolve({ 'neutron.publish': 'floating-ip' }))), 'BAD_OPTION');
    assert.throws(() => readWishes({ 'neutron.publish': 'host' }), { code: 'BAD_OPTION' });
  });
});

describe('a way out', () => {
  it('is an interface for each subnet, and a floating IP; both go again', async () => {
    const fake = begin();
    const told = await openWayOut(neutron, wayOut, record, settings, bounds());
    const [floating] = all(fake, 'floatingips');
    assert.deepEqual(told, {
      floatingNetwork: 'ext',
      publish: 'floating-ip',
      floatingIp: { id: floating!.id, address: floating!.floating_ip_address },
    });
    assert.deepEqual(fake.calls, [
      'POST /v2.0/ports',
      'PUT /v2.0/routers/r1/add_router_interface',
      'PUT /v2.0/routers/r1/add_router_interface',
      'POST /v2.0/floatingips',
    ]);
    assert.deepEqual(
      all(fake, 'ports').map(({ device_id, fixed_ips, description }) => [device_id, fixed_ips, description]),
      settings.subnets.map(({ id, gateway }) => ['r1', [{ subnet_id: id, ip_address: gateway }], key]),
    );
    await closeWayOut(neutron, record, none, bounds());
    assert.deepEqual([all(fake, 'ports'), all(fake, 'floatingips')], [[], []]);
  });

  it('leaves alone what is attached already', async () => {
    const fake = begin();
    const theirs = {
      id: 'i4',
      network_id: 'n1',
      device_id: 'r1',
      fixed_ips: [{ subnet_id: 's4', ip_address: '10.0.0.1' }],
    };
    fake.put('ports', theirs);
    const adopted: NetworkRecord = { ...record, origin: 'adopted', floating: false };
    await openWayOut(neutron, { router: 'r1' }, adopted, settings, bounds());
    assert.equal(all(fake, 'ports').length, 2);
    await closeWayOut(neutron, adopted, none, bounds());
    assert.deepEqual(all(fake, 'ports'), [theirs]);
  });

  it('stays while other hosts use the network; the last one removes what the first has made', async () => {
    const fake = begin({ tags: [tagOf('berth/h2/bbbbbbbbbbbb'), tagOf(key)] });
    const first: NetworkRecord = { ...record, origin: 'adopted', floating: false };
    await openWayOut(neutron, { router: 'r1' }, first, settings, bounds());
    const said: string[] = [];
    await closeWayOut(neutron, first, (sentence) => said.push(sentence), bounds());
    assert.deepEqual([said.length, all(fake, 'ports').length], [1, 2]);
    fake.remove('networks', 'n1');
    fake.put('networks', { id: 'n1', tags: [tagOf('berth/h2/bbbbbbbbbbbb')] });
    const last = { ...first, id: 'b'.repeat(64) as NetworkId, key: 'berth/h2/bbbbbbbbbbbb' };
    await closeWayOut(neutron, last, none, bounds());
    assert.deepEqual(all(fake, 'ports'), []);
  });

  it('needs gateways', async () => {
    const fake = begin();
    const shut = { network: 'n1', subnets: [subnet('s4')] };
    assert.equal(codeOf(await failureOf(openWayOut(neutron, wayOut, record, shut, bounds()))), 'BAD_OPTION');
    assert.deepEqual(fake.calls, []);
  });

  it('that is broken off at any call is removed', async () => {
    for (let call = 1; call <= 4; call++) {
      for (const misfortune of ['lost', 'unanswered', 'refused'] satisfies Misfortune[]) {
        const fake = begin();
        fake.strike(call, misfortune);
        await assert.rejects(openWayOut(neutron, wayOut, record, settings, bounds()), BerthError);
        await closeWayOut(neutron, record, none, bounds());
        assert.deepEqual([all(fake, 'ports'), all(fake, 'floatingips')], [[], []], `${call} ${misfortune}`);
      }
    }
  });

  it('whose removal is broken off at any call is removed the next time', async () => {
    for (let call = 1; call < 20; call++) {
      let struck = false;
      for (const misfortune of ['lost', 'unanswered'] satisfies Misfortune[]) {
        const fake = begin();
        await openWayOut(neutron, wayOut, record, settings, bounds());
        fake.strike(call, misfortune);
        struck = (await Promise.allSettled([closeWayOut(neutron, record, none, bounds())]))[0].status === 'rejected';
        fake.strike(0, misfortune);
        await closeWayOut(neutron, record, none, bounds());
        assert.deepEqual([all(fake, 'ports'), all(fake, 'floatingips')], [[], []], `${call} ${misfortune}`);
      }
      if (!struck) {
        assert.ok(call > 5);
        break;
      }
    }
  });
});
